//! What may happen next.

use std::fmt;

use super::{
    member::{Flight, Phase, Stage},
    setting::Setting,
    world::World,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// An instance starts; `again`: in the process of the last one with its id, which has stopped.
    Join {
        actor: usize,
        again: bool,
    },
    /// The next request, a claim where the member is out of step; `drained`: nobody works in what is revoked.
    Ask {
        actor: usize,
        drained: bool,
        glance: bool,
    },
    /// It gives everything away from now on.
    Drain(usize),
    /// It stops at once, and says so.
    Leave(usize),
    Execute(usize),
    Receive(usize),
    /// The request or its answer is lost.
    Lose(usize),
    /// Its sender gives a request up that is executed later.
    GiveUp(usize),
    Crash(usize),
    /// The replica has everything the master has.
    Copy,
    Failover,
    Flush,
}

/// All that may follow `world`.
pub(crate) fn enumerate(world: &World, setting: &Setting, actions: &mut Vec<Action>) {
    for actor in 0..setting.actors {
        of_actor(world, setting, actor, actions);
    }
    actions.extend((0..world.net.len()).map(Action::Execute));
    if 0 < world.left.failovers {
        actions.push(Action::Failover);
        if world.copy != world.group {
            actions.push(Action::Copy);
        }
    }
    if 0 < world.left.flushes && world.group.is_some() {
        actions.push(Action::Flush);
    }
    if world.now < setting.end && !waits_for_members(world) {
        actions.push(Action::Tick);
    }
}

/// A group made anew grants nothing before living members had the time to claim what they hold.
fn waits_for_members(world: &World) -> bool {
    let is_ending = |till: u8| till == world.now + 1;
    let new = world
        .group
        .as_ref()
        .is_some_and(|group| !group.doubted && is_ending(group.till));
    new && world.unheard.contains(&true)
}

fn of_actor(world: &World, setting: &Setting, at: usize, actions: &mut Vec<Action>) {
    let member = &world.actors[at];
    match member.flight {
        Flight::Sent => {
            if 0 < world.left.losses {
                actions.push(Action::Lose(at));
            }
            if 0 < world.left.ghosts {
                actions.push(Action::GiveUp(at));
            }
        }
        Flight::Replied(_) => {
            actions.push(Action::Receive(at));
            if 0 < world.left.losses {
                actions.push(Action::Lose(at));
            }
        }
        Flight::None => at_leisure(world, setting, at, actions),
    }
    if world.unheard[at] && member.phase == Phase::Member {
        actions.push(Action::Crash(at));
    }
}

fn at_leisure(world: &World, setting: &Setting, at: usize, actions: &mut Vec<Action>) {
    let member = &world.actors[at];
    match member.phase {
        // One like the other: the first that is idle goes first, unless they differ.
        Phase::Idle if 0 < at && world.actors[at - 1].phase == Phase::Idle => {}
        Phase::Idle | Phase::Joining => {
            actions.push(Action::Join {
                actor: at,
                again: false,
            });
            let is_second = setting.twins && at == setting.actors - 1;
            if is_second && world.actors[0].phase == Phase::Over {
                actions.push(Action::Join {
                    actor: at,
                    again: true,
                });
            }
        }
        Phase::Member => {
            if member.seq < setting.requests {
                asks(world, at, actions);
            }
            if setting.leaving {
                actions.push(Action::Leave(at));
                if !member.draining {
                    actions.push(Action::Drain(at));
                }
            }
        }
        Phase::Over => {}
    }
}

fn asks(world: &World, at: usize, actions: &mut Vec<Action>) {
    let member = &world.actors[at];
    let ask = |drained, glance| Action::Ask {
        actor: at,
        drained,
        glance,
    };
    actions.push(ask(false, false));
    let has = |stage: Stage| {
        let mut held = member.holdings.iter().flatten();
        held.any(|holding| holding.stage == stage)
    };
    if member.sync.is_some() {
        return;
    }
    if has(Stage::Revoking) {
        actions.push(ask(true, false));
    } else if !has(Stage::Releasing) && !member.draining {
        actions.push(ask(false, true));
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |actor: &usize| char::from(b'A' + u8::try_from(*actor).unwrap_or(25));
        match self {
            Self::Tick => write!(f, "a tick"),
            Self::Join {
                actor,
                again: false,
            } => write!(f, "{} asks to join", name(actor)),
            Self::Join { actor, again: true } => {
                write!(f, "{} asks to join in the process of A", name(actor))
            }
            Self::Ask {
                actor,
                drained: true,
                ..
            } => write!(f, "{} beats and releases what it drained", name(actor)),
            Self::Ask {
                actor,
                glance: true,
                ..
            } => write!(f, "{} beats at a glance", name(actor)),
            Self::Ask { actor, .. } => write!(f, "{} beats, or claims", name(actor)),
            Self::Drain(actor) => write!(f, "{} begins to hand over", name(actor)),
            Self::Leave(actor) => write!(f, "{} stops and leaves", name(actor)),
            Self::Execute(index) => write!(f, "the server executes request {index}"),
            Self::Receive(actor) => write!(f, "{} has the answer", name(actor)),
            Self::Lose(actor) => write!(f, "request or answer of {} is lost", name(actor)),
            Self::GiveUp(actor) => write!(f, "{} gives its request up", name(actor)),
            Self::Crash(actor) => write!(f, "{} crashes", name(actor)),
            Self::Copy => write!(f, "the replica is up to date"),
            Self::Failover => write!(f, "the replica becomes the master"),
            Self::Flush => write!(f, "the store forgets everything"),
        }
    }
}
