//! What may happen next.

use std::fmt;

use super::{
    servers,
    setting::{Record, Setting},
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
        way: Way,
    },
    /// A heartbeat of a holder that minted all it could by now, its clock ahead; or nothing, its clock behind.
    Beat {
        actor: usize,
        minted: bool,
        way: Way,
    },
    /// Its generator is closed, after it handed out all it may, or nothing.
    Close {
        actor: usize,
        all: bool,
    },
    /// Its message is executed at once, or `late`.
    Release {
        actor: usize,
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
    Crash(usize),
    Clone(usize),
    /// A replica, or the disk, has everything that what it follows has.
    Copy(usize),
    Failover(usize),
    Restart,
    Rewind,
    Rename,
    Flush,
    Evict(usize),
}

/// How a request is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// In steps of their own.
    Slow,
    /// By the master, answered at once, and by a replica as well if that is asked for.
    Master,
    /// By the master, and the answer or its acknowledgement is lost.
    MasterUnheard,
    /// By a master that was replaced.
    Old,
}

/// All that may follow `world`.
pub(crate) fn enumerate(world: &World, setting: &Setting, actions: &mut Vec<Action>) {
    for actor in 0..setting.actors {
        of_actor(world, setting, actor, actions);
    }
    for (index, message) in world.net.iter().enumerate() {
        actions.push(Action::Execute(index));
        if world.old.is_some() && matches!(message.request, Request::Renew(_)) {
            actions.push(Action::ExecuteOld(index));
        }
    }
    of_servers(world, setting, actions);
    if world.now < setting.end() {
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
            if 0 < at
                && world.actors[at - 1].phase == Phase::Idle
                && setting.ttls[at - 1] == setting.ttls[at] => {}
        // The last one is to become a clone.
        Phase::Idle if at + 1 == setting.actors && 0 < setting.faults.clones => {}
        Phase::Idle => asks(world, setting, at, Mode::Ask, actions),
        Phase::Asking => {
            asks(world, setting, at, Mode::Ask, actions);
            let listened = actor.token != 0 && actor.since + setting.rules.discovery <= world.now;
            let silent = setting.cut_off || !world.unheard.contains(&true);
            if listened && silent {
                asks(world, setting, at, Mode::First(actor.token), actions);
            }
            // Whoever is heard renewed just before.
            let is_heard =
                |other: usize| world.actors[other].phase == Phase::Held && !world.unheard[other];
            if actor.token != 0 && (0..setting.actors).any(is_heard) {
                asks(world, setting, at, Mode::Voice, actions);
            }
        }
        Phase::Held => holds(world, setting, at, actor, actions),
        Phase::Over => {}
    }
}

/// Grants wait until a holder has shown what was lost, except where a newcomer finds no record.
fn asks(world: &World, setting: &Setting, actor: usize, mode: Mode, actions: &mut Vec<Action>) {
    if world.unnoticed && world.store.past.is_some() {
        return;
    }
    for way in ways(world, setting) {
        if way == Way::Old && !setting.old_grants {
            continue;
        }
        let slots = if setting.lean { 1 } else { setting.slots };
        for first in 0..u8::try_from(slots).expect("two slots") {
            actions.push(Action::Ask {
                actor,
                first,
                mode,
                way,
            });
        }
    }
}

fn holds(world: &World, setting: &Setting, at: usize, actor: &Actor, actions: &mut Vec<Action>) {
    if actor.renewals < setting.renewals && (!setting.chains || actor.missing[1] == 0) {
        for way in ways(world, setting) {
            for minted in [true, false] {
                if setting.lean && !minted {
                    continue;
                }
                actions.push(Action::Beat {
                    actor: at,
                    minted,
                    way,
                });
            }
        }
    }
    if setting.closes && (actor.closed == 0 || !setting.rules.close_remembers) {
        actions.extend([false, true].map(|all| Action::Close { actor: at, all }));
    }
    actions.push(Action::Release {
        actor: at,
        late: false,
    });
    if 0 < world.left.ghosts {
        actions.push(Action::Release {
            actor: at,
            late: true,
        });
    }
    if 0 < world.left.clones {
        actions.push(Action::Clone(at));
    }
}

fn ways(world: &World, setting: &Setting) -> Vec<Way> {
    if !setting.prompt {
        return vec![Way::Slow];
    }
    let mut ways = vec![Way::Master];
    if !setting.lean {
        ways.push(Way::MasterUnheard);
    }
    if world.old.is_some() {
        ways.push(Way::Old);
    }
    ways
}

fn of_servers(world: &World, setting: &Setting, actions: &mut Vec<Action>) {
    let left = world.left;
    if 0 < left.failovers {
        let sources = [&world.store, &world.copies[0]];
        for (copy, source) in sources.into_iter().enumerate() {
            if world.copies[copy] != *source {
                actions.push(Action::Copy(copy));
            }
            let longest = world.copies[copy].past.map_or(0, |past| past.longest());
            let knows = longest == setting.longest() || !setting.has_windows();
            let differs = copy == 0 || world.copies[1] != world.copies[0];
            if differs && (knows || setting.record == Record::Short) {
                actions.push(Action::Failover(copy));
            }
        }
    }
    if left.needs_disk() && world.copies[DISK] != world.store {
        actions.push(Action::Copy(DISK));
    }
    if 0 < left.restarts {
        actions.push(Action::Restart);
    }
    if 0 < left.rewinds && servers::may_rewind(world, setting) {
        actions.push(Action::Rewind);
    }
    if 0 < left.renames {
        actions.push(Action::Rename);
    }
    if 0 < left.flushes {
        actions.push(Action::Flush);
    }
    if 0 < left.evictions {
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
        let much = |all: &bool| if *all { "all it may" } else { "nothing" };
        match self {
            Self::Tick => write!(f, "a tick"),
            Self::Ask {
                actor,
                first,
                mode,
                way,
            } => write!(f, "{} asks for slot {first} ({mode:?}){way}", name(actor)),
            Self::Beat { actor, minted, way } => {
                write!(
                    f,
                    "{} renews, having minted {}{way}",
                    name(actor),
                    much(minted)
                )
            }
            Self::Close { actor, all } => {
                write!(f, "{} closes, having handed out {}", name(actor), much(all))
            }
            Self::Release { actor, late } => {
                let late = if *late { ", on a slow way" } else { "" };
                write!(f, "{} releases{late}", name(actor))
            }
            Self::Execute(index) => write!(f, "the server executes request {index}"),
            Self::ExecuteOld(index) => write!(f, "the replaced master executes request {index}"),
            Self::Receive(actor) => write!(f, "{} has the answer", name(actor)),
            Self::Lose(actor) => write!(f, "request or answer of {} is lost", name(actor)),
            Self::GiveUp(actor) => write!(f, "{} gives its request up", name(actor)),
            Self::Crash(actor) => write!(f, "{} crashes", name(actor)),
            Self::Clone(actor) => write!(f, "{} is cloned", name(actor)),
            Self::Copy(DISK) => write!(f, "the disk is up to date"),
            Self::Copy(copy) => write!(f, "replica {copy} is up to date"),
            Self::Failover(copy) => write!(f, "replica {copy} becomes the master"),
            Self::Restart => write!(f, "the server restarts with what its disk has"),
            Self::Rewind => write!(f, "the store becomes what its disk has"),
            Self::Rename => write!(f, "the server takes a new replication id"),
            Self::Flush => write!(f, "the store forgets everything"),
            Self::Evict(slot) => write!(f, "the lock of slot {slot} is evicted"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slow => "",
            Self::Master => ": answered",
            Self::MasterUnheard => ": executed, and the answer is lost",
            Self::Old => ": answered by the replaced master",
        })
    }
}
