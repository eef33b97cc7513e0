//! What may happen next.

use std::fmt;

use super::{
    setting::Setting,
    world::{Grant, Link, Phase, SERVERS, Server, World},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    /// Somebody asks a server for a slot, and can or cannot wait for replicas.
    Ask {
        server: usize,
        slot: usize,
        waits: bool,
    },
    /// Whose answer was lost asks again.
    Again {
        grant: usize,
        server: usize,
    },
    /// Who was granted it by one server renews it at another, and waits for the replicas of that one.
    Renew {
        grant: usize,
        server: usize,
    },
    /// A holder renews, so that the server looks after its replicas.
    Watch(usize),
    /// Enough replicas have the grant: it takes effect, unless the server is looked at again before.
    Acknowledged {
        grant: usize,
        count: u8,
    },
    /// Its holder asks for it once more: it takes effect.
    LookAgain {
        grant: usize,
        server: usize,
    },
    GiveBack {
        grant: usize,
        server: usize,
    },
    /// A replica has everything its master has.
    Copy(usize),
    /// The master it leaves knows that at once, or not.
    Promote {
        replica: usize,
        noticed: bool,
    },
    /// To another master, or back to its own.
    Follow {
        server: usize,
        master: usize,
    },
    Cut {
        replica: usize,
        noticed: bool,
    },
    Notice(usize),
    /// The disk has what the server has.
    Save(usize),
    Restart {
        server: usize,
        from_disk: bool,
    },
}

/// All that may follow `world`.
pub(crate) fn enumerate(world: &World, setting: &Setting, actions: &mut Vec<Action>) {
    for server in (0..SERVERS).filter(|&server| world.is_asked(server)) {
        actions.push(Action::Watch(server));
        of_clients(world, setting, server, actions);
    }
    for grant in 0..setting.grants {
        let Grant {
            phase,
            need,
            counted,
            ..
        } = world.grants[grant];
        let enough = match phase {
            Phase::Waiting if !setting.beats => need,
            Phase::Waiting | Phase::Counted if setting.beats => counted + 1,
            _ => continue,
        };
        let counts =
            acknowledgements(world, grant, setting.rules.ttl).filter(|&count| enough <= count);
        actions.extend(counts.map(|count| Action::Acknowledged { grant, count }));
    }
    for server in 0..SERVERS {
        // One replica like the other: the first of them goes first.
        let saved = matches!(world.disk, Some((1 | 2, ..)));
        if server != 2 || saved || world.servers[1] != world.servers[2] {
            of_server(world, setting, server, actions);
        }
    }
    if world.now < setting.end {
        actions.push(Action::Tick);
    }
}

fn of_clients(world: &World, setting: &Setting, server: usize, actions: &mut Vec<Action>) {
    let grants = &world.grants[..setting.grants];
    if grants.iter().any(|grant| grant.phase == Phase::None) {
        for slot in 0..setting.slots {
            if world.servers[server].data.slots[slot].till <= world.now {
                for waits in [true, false]
                    .into_iter()
                    .take(1 + usize::from(setting.mixed))
                {
                    actions.push(Action::Ask {
                        server,
                        slot,
                        waits,
                    });
                }
            }
        }
    }
    for (grant, is) in grants.iter().enumerate() {
        if !world.shows(&world.servers[server], grant) {
            continue;
        }
        match is.phase {
            Phase::Waiting => {
                actions.push(Action::Again { grant, server });
                let slot = world.servers[server].data.slots[usize::from(is.slot)];
                if slot.till < is.at + setting.rules.ttl {
                    actions.push(Action::Renew { grant, server });
                }
            }
            Phase::Counted => actions.push(Action::LookAgain { grant, server }),
            _ => {}
        }
        if setting.releases && !matches!(is.phase, Phase::None | Phase::Over) {
            actions.push(Action::GiveBack { grant, server });
        }
    }
}

fn of_server(world: &World, setting: &Setting, at: usize, actions: &mut Vec<Action>) {
    let server = &world.servers[at];
    if server.shown.is_some() {
        actions.push(Action::Notice(at));
    }
    if server.link != Link::None {
        actions.push(Action::Copy(at));
    }
    for noticed in [true, false]
        .into_iter()
        .take(1 + usize::from(setting.late))
    {
        if 0 < world.left.cuts && server.link != Link::None {
            actions.push(Action::Cut {
                replica: at,
                noticed,
            });
        }
        if 0 < world.left.promotions && server.follows == world.office && server.good {
            actions.push(Action::Promote {
                replica: at,
                noticed,
            });
        }
    }
    if 0 < world.left.restarts {
        let saved = world.disk.map(|(server, ..)| usize::from(server));
        if saved.is_none() {
            actions.push(Action::Save(at));
        }
        for from_disk in [false, true] {
            if !from_disk || saved == Some(at) {
                actions.push(Action::Restart {
                    server: at,
                    from_disk,
                });
            }
        }
    }
    if 0 < world.left.moves && usize::from(world.office) != at {
        for master in (0..SERVERS).filter(|&master| master != at && world.is_asked(master)) {
            if usize::from(server.follows) != master || server.link == Link::None {
                actions.push(Action::Follow { server: at, master });
            }
        }
    }
}

/// How many replicas WAIT counts at some server that knows of the grant and is asked.
fn acknowledgements(world: &World, grant: usize, ttl: u8) -> impl Iterator<Item = u8> {
    let asked = move |&server: &usize| {
        world.is_asked(server) && world.has(&world.servers[server], grant, ttl)
    };
    let count = move |server| {
        let has_it =
            |replica: &&Server| replica.link == Link::InStep && world.has(replica, grant, ttl);
        let here = world.linked(server).filter(has_it).count();
        let gone = world.shown(server).filter(|gone| gone.has[grant]).count();
        u8::try_from(here + gone).expect("two replicas, each shown twice at most")
    };
    (0..SERVERS).filter(asked).map(count)
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |index: &usize| char::from(b'A' + u8::try_from(*index).unwrap_or(25));
        let late = |noticed: &bool| if *noticed { "" } else { ", unnoticed" };
        match self {
            Self::Tick => write!(f, "a tick"),
            Self::Ask {
                server,
                slot,
                waits,
            } => {
                let cannot = if *waits { "" } else { " without replicas" };
                write!(f, "server {server} is asked for slot {slot}{cannot}")
            }
            Self::Again { grant, server } => {
                write!(f, "{} asks server {server} again", name(grant))
            }
            Self::Renew { grant, server } => {
                write!(f, "{} renews at server {server}", name(grant))
            }
            Self::Watch(server) => write!(f, "server {server} looks after its replicas"),
            Self::Acknowledged { grant, count } => {
                write!(f, "{count} acknowledge the grant of {}", name(grant))
            }
            Self::LookAgain { grant, server } => {
                write!(f, "{} asks server {server} once more", name(grant))
            }
            Self::GiveBack { grant, server } => {
                write!(f, "{} gives back to server {server}", name(grant))
            }
            Self::Copy(replica) => write!(f, "server {replica} is up to date"),
            Self::Promote { replica, noticed } => {
                write!(f, "server {replica} is promoted{}", late(noticed))
            }
            Self::Follow { server, master } => write!(f, "server {server} follows {master}"),
            Self::Cut { replica, noticed } => {
                write!(f, "server {replica} is cut off{}", late(noticed))
            }
            Self::Save(server) => write!(f, "server {server} saves"),
            Self::Restart { server, from_disk } => {
                let of_then = if *from_disk {
                    ", with what it saved"
                } else {
                    ""
                };
                write!(f, "server {server} restarts{of_then}")
            }
            Self::Notice(replica) => write!(f, "its master knows that server {replica} is gone"),
        }
    }
}
