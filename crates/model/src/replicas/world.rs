//! Servers, who follows whom, and what was granted.

use super::setting::{Faults, Setting};

pub(crate) const SERVERS: usize = 3;
pub(crate) const SLOTS: usize = 2;
pub(crate) const GRANTS: usize = 3;

/// The first tick, above the marks below.
pub(crate) const BEGIN: u8 = 2;
/// `till` of a slot that was never granted or was given back, and of one whose lease is over without that.
pub(crate) const SPARE: u8 = 0;
pub(crate) const OVER: u8 = 1;

/// Everything there is at one moment. Times are ticks, and all servers' clocks are right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: u8,
    pub(crate) servers: [Server; SERVERS],
    /// The master in office.
    pub(crate) office: u8,
    /// The last replication id that was made.
    pub(crate) ids: u8,
    pub(crate) grants: [Grant; GRANTS],
    pub(crate) left: Faults,
    /// What some server's disk has of what it had, and under which replication id.
    pub(crate) disk: Option<(u8, Data, u8)>,
}

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) data: Data,
    /// When it was started; 0 for long ago.
    pub(crate) started: u8,
    /// `master_replid`, and `master_replid2`.
    pub(crate) id: u8,
    pub(crate) second: u8,
    /// How often a replica has come to it.
    pub(crate) joins: u8,
    /// Whom it follows; itself where it is a master.
    pub(crate) follows: u8,
    pub(crate) link: Link,
    /// At a master that does not know yet that this one is gone.
    pub(crate) shown: Option<Shown>,
    /// It has had all that its master had, and was not missed since: it may be promoted.
    pub(crate) good: bool,
    /// A master out of office is asked for nothing from then on.
    pub(crate) until: u8,
}

/// How a server stands to the master it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    None,
    /// Being brought up to date: there, but not good.
    Syncing,
    InStep,
}

/// A replica that is gone, as its master still has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shown {
    pub(crate) master: u8,
    pub(crate) good: bool,
    /// The grants that it may have acknowledged.
    pub(crate) has: [bool; GRANTS],
}

/// What is replicated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Data {
    pub(crate) slots: [Slot; SLOTS],
    pub(crate) past: Past,
}

/// Lock and record of one slot: the number of the grant, and until when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Slot {
    pub(crate) fence: u8,
    pub(crate) till: u8,
}

/// The field `history`, as far as replicas go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    /// Process and replication id of who wrote it.
    pub(crate) run: (u8, u8),
    pub(crate) till: u8,
    pub(crate) acked: u8,
    pub(crate) vouched: bool,
    pub(crate) alone: u8,
    pub(crate) most: u8,
    pub(crate) joins: u8,
    /// When replicas were looked at last; 0 where nothing is restarted.
    pub(crate) at: u8,
}

/// One acquisition. The fence of grant `i` is `i + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Grant {
    pub(crate) phase: Phase,
    pub(crate) slot: u8,
    /// When it was granted: the lease runs from then.
    pub(crate) at: u8,
    pub(crate) need: u8,
    /// How many have acknowledged it.
    pub(crate) counted: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Phase {
    #[default]
    None,
    /// Written, but not acknowledged.
    Waiting,
    /// Acknowledged, but by whom is not known yet.
    Counted,
    Held,
    Over,
}

/// What INFO says of the replicas of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replicas {
    pub(crate) good: u8,
    pub(crate) there: u8,
    pub(crate) joins: u8,
}

impl World {
    pub(crate) fn new(setting: &Setting) -> Self {
        let there = if setting.apart { 1 } else { 2 };
        let past = Past {
            run: (0, 1),
            till: 0,
            acked: 1,
            vouched: false,
            alone: 0,
            most: there,
            joins: there,
            at: if setting.faults.restarts == 0 { 0 } else { 1 },
        };
        let data = Data {
            slots: [Slot::default(); SLOTS],
            past,
        };
        let replica = Server {
            data,
            started: 0,
            id: 1,
            second: 0,
            joins: 0,
            follows: 0,
            link: Link::InStep,
            shown: None,
            good: true,
            until: 0,
        };
        let master = Server {
            joins: there,
            link: Link::None,
            good: false,
            ..replica
        };
        let away = Server {
            link: Link::None,
            good: false,
            ..replica
        };
        let other = if setting.apart { away } else { replica };
        Self {
            now: BEGIN,
            servers: [master, replica, other],
            disk: None,
            office: 0,
            ids: 1,
            grants: [Grant::default(); GRANTS],
            left: setting.faults,
        }
    }

    pub(crate) fn is_master(&self, server: usize) -> bool {
        usize::from(self.servers[server].follows) == server
    }

    /// Whether clients ask it: it is in office, or was until a moment ago.
    pub(crate) fn is_asked(&self, server: usize) -> bool {
        let in_office = usize::from(self.office) == server;
        self.is_master(server) && (in_office || self.now < self.servers[server].until)
    }

    /// The replicas of a server that are connected to it.
    pub(crate) fn linked(&self, server: usize) -> impl Iterator<Item = &Server> {
        let of = move |replica: &&Server| {
            usize::from(replica.follows) == server && replica.link != Link::None
        };
        self.servers.iter().filter(of)
    }

    /// Those that are gone, which it does not know.
    pub(crate) fn shown(&self, server: usize) -> impl Iterator<Item = Shown> {
        let shown = self.servers.iter().filter_map(|replica| replica.shown);
        shown.filter(move |shown| usize::from(shown.master) == server)
    }

    pub(crate) fn replicas(&self, server: usize) -> Replicas {
        let mut replicas = Replicas {
            good: 0,
            there: 0,
            joins: self.servers[server].joins,
        };
        for replica in self.linked(server) {
            replicas.there += 1;
            replicas.good += u8::from(replica.link == Link::InStep);
        }
        for shown in self.shown(server) {
            replicas.there += 1;
            replicas.good += u8::from(shown.good);
        }
        replicas
    }

    /// Its master has looked, or granted something, without it.
    pub(crate) fn note_missed(&mut self, server: usize) {
        for replica in &mut self.servers {
            let is_its_own = usize::from(replica.follows) == server;
            let is_shown = |shown: Shown| usize::from(shown.master) == server;
            if is_its_own && replica.link == Link::None && !replica.shown.is_some_and(is_shown) {
                replica.good = false;
            }
        }
    }

    pub(crate) fn identity(&self, server: usize) -> (u8, u8) {
        let process = u8::try_from(server).expect("three servers");
        (process, self.servers[server].id)
    }

    /// Whether a server shows the grant as held.
    pub(crate) fn shows(&self, server: &Server, grant: usize) -> bool {
        let slot = server.data.slots[usize::from(self.grants[grant].slot)];
        usize::from(slot.fence) == grant + 1 && self.now < slot.till
    }

    /// Whether a server has the grant as it was asked for last, or renewed.
    pub(crate) fn has(&self, server: &Server, grant: usize, ttl: u8) -> bool {
        let is = &self.grants[grant];
        let is_asked_for = matches!(is.phase, Phase::Waiting | Phase::Counted);
        let till = server.data.slots[usize::from(is.slot)].till;
        is_asked_for && self.shows(server, grant) && is.at + ttl <= till
    }

    pub(crate) fn held(&self) -> impl Iterator<Item = &Grant> {
        let is_held = |grant: &&Grant| grant.phase == Phase::Held;
        self.grants.iter().filter(is_held)
    }
}
