//! Holders, messages, servers and faults around the store.

use super::{
    chain::Chain,
    setting::{Record, SHORT, Setting},
    store::{Acquire, Past, Release, Renew, Reply, SLOTS, Server, Store},
};

pub(crate) const ACTORS: usize = 3;
/// Copies of the store: a replica, the replica of that one, and the disk.
pub(crate) const COPIES: usize = 3;
pub(crate) const DISK: usize = 2;
/// The first tick: late enough for a window that began before.
pub(crate) const START: u8 = 6;

/// Everything there is at one moment. Times are ticks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: u8,
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) copies: [Store; COPIES],
    /// The processes of the two replicas.
    pub(crate) processes: [u8; 2],
    /// A master that was replaced and still answers, and until when.
    pub(crate) old: Option<(Server, Store, u8)>,
    pub(crate) actors: [Actor; ACTORS],
    /// What is under way to a server, sorted.
    pub(crate) net: Vec<Message>,
    /// The last number that was given out.
    pub(crate) numbers: u8,
    pub(crate) left: Faults,
    /// Since the store forgot its past, these holders were not heard of.
    pub(crate) unheard: [bool; ACTORS],
    /// The store lost something, and no holder has shown that yet.
    pub(crate) unnoticed: bool,
    pub(crate) seen: Seen,
}

/// How many faults may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// Requests that are given up by their sender and executed later.
    pub(crate) ghosts: u8,
    pub(crate) failovers: u8,
    pub(crate) restarts: u8,
    /// An older copy takes the place of what the server has.
    pub(crate) rewinds: u8,
    /// New replication ids of a master that was never a replica: a first replica, a backup.
    pub(crate) renames: u8,
    pub(crate) flushes: u8,
    /// Lock keys that are deleted under their holders.
    pub(crate) evictions: u8,
    /// Holders that are copied with their memory.
    pub(crate) clones: u8,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        ghosts: 0,
        failovers: 0,
        restarts: 0,
        rewinds: 0,
        renames: 0,
        flushes: 0,
        evictions: 0,
        clones: 0,
    };

    pub(crate) const fn needs_disk(&self) -> bool {
        0 < self.restarts + self.rewinds
    }
}

/// What was observed so far; no rule of the protocol reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Seen {
    /// Timestamps that some holder of the slot was allowed to mint, one bit each.
    pub(crate) minted: [u64; SLOTS],
    /// The highest fence that took effect.
    pub(crate) fence: [u16; SLOTS],
    /// Two holders of one slot were allowed to mint the same timestamp.
    pub(crate) twice: bool,
    /// A grant took effect under a fence not above an earlier one's.
    pub(crate) fell: bool,
    /// A clone was renewed although its twin was, too, or was told.
    pub(crate) untold: bool,
    /// A holder without a clone was told that it has one.
    pub(crate) mistaken: bool,
    /// When a holder first renewed since the last failover; 0: not yet.
    pub(crate) renewed: u8,
}

/// One acquisition: a holder UUID of its own, from its first request to the end of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Actor {
    pub(crate) phase: Phase,
    /// The store's token, and when the listening began.
    pub(crate) token: u8,
    pub(crate) since: u8,
    /// Send time and number of the request under way.
    pub(crate) sent: u8,
    pub(crate) asked: u8,
    pub(crate) flight: Flight,
    pub(crate) grant: Grant,
    /// The longest ttl as last told.
    pub(crate) known: u8,
    /// What closing it reported, the first timestamp that was never handed out; 0: it is open.
    pub(crate) closed: u8,
    /// Renewals so far, and the numbers of the last one that was answered and of those without an answer.
    pub(crate) renewals: u8,
    pub(crate) answered: u8,
    pub(crate) missing: [u8; 2],
    pub(crate) twin: Twin,
}

/// What became of a holder that was cloned, or is a clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Twin {
    #[default]
    None,
    /// Neither was renewed since.
    Fresh,
    Renewed,
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Phase {
    #[default]
    Idle,
    Asking,
    Held,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Flight {
    #[default]
    None,
    /// Under way, see `World::net`.
    Sent,
    /// Executed; the answer is under way.
    Replied(Reply),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Grant {
    pub(crate) slot: u8,
    pub(crate) fence: u16,
    /// The first timestamp it may mint.
    pub(crate) floor: u8,
    /// The acknowledged horizon.
    pub(crate) horizon: u8,
    /// Send time of the last acknowledged request.
    pub(crate) sent: u8,
    /// The server's time at which the acknowledged lease ends.
    pub(crate) till: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Message {
    pub(crate) actor: u8,
    /// Its sender still waits for the answer.
    pub(crate) awaited: bool,
    pub(crate) request: Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Request {
    Acquire(Acquire),
    Renew(Renew),
    Release(Release),
}

impl World {
    pub(crate) fn new(setting: &Setting) -> Self {
        let server = Server {
            process: 1,
            id: 1,
            followed: false,
        };
        let store = Store {
            past: past(setting, server),
            ..Store::default()
        };
        Self {
            now: START,
            server,
            store,
            copies: [store; COPIES],
            processes: [2, 3],
            old: None,
            actors: [Actor::default(); ACTORS],
            net: Vec::new(),
            numbers: 0,
            left: setting.faults,
            unheard: [false; ACTORS],
            unnoticed: false,
            seen: Seen::default(),
        }
    }

    /// Whether the holder may work on its slot, by its own clock.
    pub(crate) fn is_valid(&self, at: usize, setting: &Setting) -> bool {
        let (actor, rules) = (&self.actors[at], &setting.rules);
        let deadline = rules.deadline(actor.grant.sent, setting.ttls[at]);
        actor.phase == Phase::Held && (!rules.local_deadline || self.now < deadline)
    }

    /// A grant takes effect; what it may mint begins where its wall clock can be at the earliest.
    pub(crate) fn note_grant(&mut self, slot: usize, fence: u16, from: u8, to: u8) {
        if fence <= self.seen.fence[slot] {
            self.seen.fell = true;
        }
        self.seen.fence[slot] = self.seen.fence[slot].max(fence);
        self.note_minted(slot, from, to);
    }

    pub(crate) fn note_minted(&mut self, slot: usize, from: u8, to: u8) {
        let bits = span(from, to);
        if self.seen.minted[slot] & bits != 0 {
            self.seen.twice = true;
        }
        self.seen.minted[slot] |= bits;
    }

    /// The holder can mint nothing any more from `from` on.
    pub(crate) fn unmint(&mut self, slot: usize, from: u8, to: u8) {
        self.seen.minted[slot] &= !span(from, to);
    }
}

fn past(setting: &Setting, run: Server) -> Option<Past> {
    let longest = setting.longest();
    let (used, before, since) = match setting.record {
        Record::Absent => return None,
        Record::Known => (longest, longest, START),
        Record::Short => (SHORT, SHORT, START),
        Record::Ending => (SHORT, longest, START - longest),
    };
    Some(Past {
        run,
        till: 0,
        floor: 0,
        seen: START,
        since: if setting.has_windows() { since } else { 0 },
        used,
        before,
    })
}

/// One bit for each timestamp of `from..to`.
fn span(from: u8, to: u8) -> u64 {
    let below = |limit: u8| (1_u64 << limit.min(63)) - 1;
    below(to.max(from)) & !below(from)
}

impl Actor {
    /// What a renewal or release names.
    pub(crate) const fn chain(&self) -> Chain {
        [self.asked, self.answered, self.missing[0], self.missing[1]]
    }
}
