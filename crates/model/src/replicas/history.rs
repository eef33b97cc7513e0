//! What a server grants: `history.lua`, as far as replicas go.

use super::{
    setting::Setting,
    world::{Past, Replicas, World},
};

/// Lengths of time in ticks, and the rules. `Rules::default()` is the protocol as the scripts have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) ttl: u8,
    /// A master that misses a replica grants nothing for one ttl.
    pub(crate) missing: bool,
    /// Whoever came since the last look must be there; else only how many there are counts.
    pub(crate) arrivals: bool,
    /// Nobody ends that wait by coming.
    pub(crate) no_substitute: bool,
    /// Each further loss begins the wait anew.
    pub(crate) anew: bool,
    /// A look is put on record.
    pub(crate) recorded: bool,
    /// All good replicas must acknowledge a grant, not just one.
    pub(crate) all: bool,
    /// After a failover every replica that ever came must be there.
    pub(crate) zeroed: bool,
    /// Who asks for what it has is answered only if the server is the one that wrote the record.
    pub(crate) compared: bool,
    /// Replicas vouch only for a process that is older than the last look.
    pub(crate) older: bool,
    /// A lease counts from when it was asked for, not from when that was asked once more.
    pub(crate) from_first: bool,
    /// Who may acknowledge a grant.
    pub(crate) by: By,
}

/// By whom a grant is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By as many as were good when it was made, whoever they are: WAIT tells a number.
    Number,
    /// By as many, and the server, asked once more, misses nobody.
    Unmissed,
    /// Besides, it wants no more than were counted.
    Same,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ttl: 2,
            missing: true,
            arrivals: true,
            no_substitute: true,
            anew: true,
            recorded: true,
            all: true,
            zeroed: true,
            compared: true,
            older: true,
            from_first: true,
            by: By::Same,
        }
    }
}

/// What may be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Suspect,
    /// With so many acknowledgements; or, for now, only what is shown as spare.
    Known {
        need: u8,
        only_spare: bool,
    },
}

/// `history_admit`; `waits`: the client can wait for replicas.
pub(super) fn admit(world: &mut World, server: usize, waits: bool, setting: &Setting) -> Standing {
    if world.servers[server].data.past.run != world.identity(server) {
        doubt(world, server, setting);
    }
    let past = world.servers[server].data.past;
    let in_doubt = world.now < past.till;
    if in_doubt && !past.vouched {
        return Standing::Suspect;
    }
    acknowledgements(world, server, waits, setting).map_or(Standing::Suspect, |need| {
        Standing::Known {
            need,
            only_spare: in_doubt,
        }
    })
}

/// `is_vouched`.
fn is_vouched(world: &World, server: usize, setting: &Setting) -> bool {
    let started = world.servers[server].started;
    let past = &world.servers[server].data.past;
    past.acked == 1
        && (past.till <= world.now || past.vouched)
        && world.servers[server].second == past.run.1
        && (!setting.rules.older || started == 0 || started < past.at)
}

/// `history_doubt`.
fn doubt(world: &mut World, server: usize, setting: &Setting) {
    let vouched = is_vouched(world, server, setting);
    let replicas = world.replicas(server);
    let zeroed = vouched && setting.rules.zeroed;
    let run = world.identity(server);
    let past = &mut world.servers[server].data.past;
    *past = Past {
        run,
        till: world.now + setting.rules.ttl,
        acked: match (vouched, past.acked) {
            (true, _) => 1,
            (false, 0) => 0,
            (false, _) => 2,
        },
        vouched,
        alone: 0,
        most: if zeroed { 0 } else { replicas.there },
        joins: if zeroed { 0 } else { replicas.joins },
        at: past.at,
    };
    if !vouched && !setting.missed {
        world.note_missed(server);
    }
}

/// `history_watch`.
pub(super) fn watch(world: &mut World, server: usize, setting: &Setting) {
    let past = world.servers[server].data.past;
    if past.acked != 0 && past.run == world.identity(server) {
        look(world, server, setting);
    }
}

/// `look_after_replicas`.
fn look(world: &mut World, server: usize, setting: &Setting) -> Replicas {
    let now = world.now;
    let replicas = world.replicas(server);
    let past = &mut world.servers[server].data.past;
    let is_missed = if setting.rules.arrivals {
        let came = replicas.joins.checked_sub(past.joins);
        came.is_none_or(|came| replicas.there < past.most + came)
    } else {
        replicas.there < past.most
    };
    if past.acked != 0 && setting.rules.missing {
        if is_missed && (setting.rules.anew || past.alone == 0) {
            past.alone = now;
        }
        if !is_missed && past.most < replicas.there && !setting.rules.no_substitute {
            past.alone = 0;
        }
    }
    if setting.rules.recorded {
        (past.most, past.joins) = (replicas.there, replicas.joins);
        past.at = if setting.faults.restarts == 0 { 0 } else { now };
    }
    if !setting.missed {
        world.note_missed(server);
    }
    replicas
}

/// `history_acknowledgements`: how many replicas must acknowledge a grant; `None` where there is none now.
pub(super) fn acknowledgements(
    world: &mut World,
    server: usize,
    waits: bool,
    setting: &Setting,
) -> Option<u8> {
    let before = world.servers[server].data.past.acked;
    let good = if waits || before != 0 {
        look(world, server, setting).good
    } else {
        0
    };
    let least = if waits { setting.least } else { 0 };
    if good < least {
        return None;
    }
    let now = world.now;
    let past = &mut world.servers[server].data.past;
    let is_first_awaited = before != 0 && good == 0 && past.vouched;
    if past.alone != 0 && now < past.alone + setting.rules.ttl
        || is_first_awaited && now < past.till
    {
        return None;
    }
    past.alone = 0;
    past.acked = match good {
        0 => 0,
        _ if waits => 1,
        _ => 2,
    };
    Some(if setting.rules.all {
        good
    } else {
        good.min(1).max(least)
    })
}
