//! What may happen next.

use std::fmt;

use super::{
    setting::Setting,
    store::Mode,
    world::{Actor, DISK, Flight, Phase, Request, World},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// A holder asks for a slot, `first` before the other. Its wall clock is ahead: what it may mint reaches further.
    Ask {
        actor: usize,
        first: u8,
        mode: Mode,
    },
    /// A heartbeat of a holder that minted all it could by now, its clock ahead; or nothing, its clock behind.
    Beat {
        actor: usize,
        minted: bool,
    },
    /// Its message is executed at once, or `late`.
    Release {
        actor: usize,
        minted: bool,
        late: bool,
    },
    /// A server executes a request.
    Execute(usize),
    /// A master that was replaced does.
    ExecuteOld(usize),
    Receive(usize),
    /// The request or its answer is lost.
    Lose(usize),
    /// Its sender gives a request up that is executed later.
    GiveUp(usize),
    /// Enough replicas have what the holder waits for.
    Acknowledged(usize),
    /// They will not.
    Retry(usize),
    Crash(usize),
    /// A replica, or the disk, has everything the master has.
    Copy(usize),
    Failover(usize),
    Restart,
    Flush,
    Evict(usize),
}

/// All that may follow `world`.
pub(crate) fn enumerate(world: &World, setting: &Setting, actions: &mut Vec<Action>) {
    for actor in 0..setting.actors {
        of_actor(world, setting, actor, actions);
    }
    for (index, message) in world.net.iter().enumerate() {
        actions.push(Action::Execute(index));
        if world.old.is_some() && !matches!(message.request, Request::Release(_)) {
            actions.push(Action::ExecuteOld(index));
        }
    }
    of_servers(world, setting, actions);
    if world.now < setting.end {
        actions.push(Action::Tick);
    }
}

fn of_actor(world: &World, setting: &Setting, at: usize, actions: &mut Vec<Action>) {
    let actor = &world.actors[at];
    match actor.flight {
        Flight::Sent => {
            actions.push(Action::Lose(at));
            if 0 < world.left.ghosts {
                actions.push(Action::GiveUp(at));
            }
        }
        Flight::Replied(..) => actions.extend([Action::Receive(at), Action::Lose(at)]),
        Flight::None => at_leisure(world, setting, at, actor, actions),
    }
    if world.unheard[at] && actor.phase == Phase::Held {
        actions.push(Action::Crash(at));
    }
}

fn at_leisure(
    world: &World,
    setting: &Setting,
    at: usize,
    actor: &Actor,
    actions: &mut Vec<Action>,
) {
    match actor.phase {
        // One like the other: the first that is idle goes first, unless they differ.
        Phase::Idle
            if 0 < at && world.actors[at - 1].phase == Phase::Idle && !setting.plain[at] => {}
        Phase::Idle => asks(setting, at, Mode::Ask, actions),
        Phase::Asking => {
            asks(setting, at, Mode::Ask, actions);
            let listened = actor.token != 0 && actor.since + setting.rules.discovery <= world.now;
            let silent = setting.cut_off || !world.unheard.contains(&true);
            if listened && silent {
                asks(setting, at, Mode::First(actor.token), actions);
            }
            if actor.token != 0 && world.seen.fence != [0; 2] {
                asks(setting, at, Mode::Voice, actions);
            }
        }
        Phase::Waiting => {
            if is_acknowledged(world, setting, actor) {
                actions.push(Action::Acknowledged(at));
            }
            actions.push(Action::Retry(at));
        }
        Phase::Held => {
            for minted in [false, true] {
                actions.push(Action::Beat { actor: at, minted });
                for late in [false, true] {
                    if !late || 0 < world.left.ghosts {
                        actions.push(Action::Release {
                            actor: at,
                            minted,
                            late,
                        });
                    }
                }
            }
        }
        Phase::Over => {}
    }
}

fn asks(setting: &Setting, actor: usize, mode: Mode, actions: &mut Vec<Action>) {
    for first in 0..u8::try_from(setting.slots).expect("two slots") {
        actions.push(Action::Ask { actor, first, mode });
    }
}

/// Whether enough replicas of the master that wrote it, and still is one, have what the holder waits for.
fn is_acknowledged(world: &World, setting: &Setting, actor: &Actor) -> bool {
    let has = |copy: usize| {
        let copy = &world.copies[copy];
        match actor.flip {
            0 => actor.grant.fence <= copy.slots[usize::from(actor.grant.slot)].fence,
            flip => copy.past.is_some_and(|past| past.flip == flip),
        }
    };
    let all = setting.rules.acks.is_none_or(|acks| acks.all_replicas);
    let enough = if all {
        (0..setting.replicas).all(has)
    } else {
        (0..setting.replicas).any(has)
    };
    let none_fails = world.left.failovers == 0 && world.left.restarts == 0;
    actor.term == world.server.term && (enough || none_fails)
}

fn of_servers(world: &World, setting: &Setting, actions: &mut Vec<Action>) {
    for copy in 0..setting.replicas {
        if 0 < world.left.failovers + world.left.restarts && world.copies[copy] != world.store {
            actions.push(Action::Copy(copy));
        }
        if 0 < world.left.failovers {
            actions.push(Action::Failover(copy));
        }
    }
    if 0 < world.left.restarts {
        actions.push(Action::Restart);
        if world.copies[DISK] != world.store {
            actions.push(Action::Copy(DISK));
        }
    }
    if 0 < world.left.flushes {
        actions.push(Action::Flush);
    }
    if 0 < world.left.evictions {
        for slot in 0..setting.slots {
            if world.store.slots[slot].lock != 0 {
                actions.push(Action::Evict(slot));
            }
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |actor: &usize| char::from(b'A' + u8::try_from(*actor).unwrap_or(25));
        let much = |minted: &bool| if *minted { "all it may" } else { "nothing" };
        match self {
            Self::Tick => write!(f, "a tick"),
            Self::Ask { actor, first, mode } => {
                write!(f, "{} asks for slot {first} ({mode:?})", name(actor))
            }
            Self::Beat { actor, minted } => {
                write!(f, "{} renews, having minted {}", name(actor), much(minted))
            }
            Self::Release {
                actor,
                minted,
                late,
            } => {
                let late = if *late { ", on a slow way" } else { "" };
                write!(
                    f,
                    "{} releases, having minted {}{late}",
                    name(actor),
                    much(minted)
                )
            }
            Self::Execute(index) => write!(f, "the server executes request {index}"),
            Self::ExecuteOld(index) => write!(f, "the replaced master executes request {index}"),
            Self::Receive(actor) => write!(f, "{} has the answer", name(actor)),
            Self::Lose(actor) => write!(f, "request or answer of {} is lost", name(actor)),
            Self::GiveUp(actor) => write!(f, "{} gives its request up", name(actor)),
            Self::Acknowledged(actor) => {
                write!(f, "replicas acknowledge what {} wrote", name(actor))
            }
            Self::Retry(actor) => write!(f, "{} has no acknowledgement", name(actor)),
            Self::Crash(actor) => write!(f, "{} crashes", name(actor)),
            Self::Copy(DISK) => write!(f, "the disk is up to date"),
            Self::Copy(copy) => write!(f, "replica {copy} is up to date"),
            Self::Failover(copy) => write!(f, "replica {copy} becomes the master"),
            Self::Restart => write!(f, "the server restarts with what its disk has"),
            Self::Flush => write!(f, "the store forgets everything"),
            Self::Evict(slot) => write!(f, "the lock of slot {slot} is evicted"),
        }
    }
}
