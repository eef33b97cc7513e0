//! What happens when the faults have ended.

use super::{
    action::Action,
    member::{Flight, Phase},
    setting::Setting,
    step,
    store::{BUCKETS, Ring},
    world::{NEWCOMER, World},
};

/// Whether every bucket has exactly one owner, within bounded time, once nothing fails any more: living members beat, and
/// an instance joins them.
pub(crate) fn every_bucket_is_owned(world: &World, setting: &Setting) -> bool {
    let calm = Setting {
        end: u8::MAX,
        requests: u8::MAX,
        ..setting.clone()
    };
    let mut world = world.clone();
    world.net.clear();
    world.unheard = Default::default();
    for at in 0..NEWCOMER {
        if world.actors[at].phase == Phase::Joining {
            world.actors[at].end();
        }
        if world.actors[at].flight != Flight::None {
            (world.actors[at].flight, world.actors[at].asked) = (Flight::None, 0);
            world.actors[at].handle_failed();
        }
    }
    for _ in 0..3 * setting.rules.ttl + setting.rules.bound + setting.rules.discovery {
        for _ in 0..ROUNDS {
            for at in 0..=NEWCOMER {
                take_turn(&mut world, at, &calm);
            }
            if is_settled(&world, setting) {
                return true;
            }
        }
        act(&mut world, Action::Tick, &calm);
    }
    false
}

/// Requests of one member in one tick: to find out, to claim, to receive, to release.
const ROUNDS: usize = 6;

fn take_turn(world: &mut World, at: usize, calm: &Setting) {
    let action = match world.actors[at].phase {
        Phase::Idle | Phase::Joining if at == NEWCOMER => Action::Join {
            actor: at,
            again: false,
        },
        Phase::Member => Action::Ask {
            actor: at,
            drained: true,
            glance: false,
        },
        _ => return,
    };
    act(world, action, calm);
    act(world, Action::Execute(0), calm);
    act(world, Action::Receive(at), calm);
}

fn act(world: &mut World, action: Action, calm: &Setting) {
    if let Some(next) = step::apply(world, action, calm) {
        *world = next;
    }
}

fn is_settled(world: &World, setting: &Setting) -> bool {
    let Some(group) = &world.group else {
        return false;
    };
    (0..BUCKETS.min(usize::from(setting.buckets))).all(|bucket| {
        let owned = group.buckets[bucket].ring == Ring::Own;
        owned && world.workers(bucket, setting).len() == 1
    })
}
