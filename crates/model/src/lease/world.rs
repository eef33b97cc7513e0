//! Holders, messages, servers and faults around the store.

use super::{
    rules::Rules,
    setting::Setting,
    store::{Acquire, Past, Release, Renew, Reply, SLOTS, Server, Store},
};

pub(crate) const ACTORS: usize = 3;
/// Copies of the store: two replicas and the disk.
pub(crate) const COPIES: usize = 3;
pub(crate) const DISK: usize = 2;

/// Everything there is at one moment. Times are ticks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: u8,
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) copies: [Store; COPIES],
    /// The identities of the servers that hold `copies`.
    pub(crate) runs: [u8; COPIES],
    /// A master that was replaced and still answers.
    pub(crate) old: Option<(Server, Store)>,
    pub(crate) actors: [Actor; ACTORS],
    /// What is under way to a server, sorted.
    pub(crate) net: Vec<Message>,
    /// The last number that was given out, see `store::next`.
    pub(crate) numbers: u8,
    pub(crate) left: Faults,
    /// Since the store forgot its past, these holders were not heard of.
    pub(crate) unheard: [bool; ACTORS],
    pub(crate) seen: Seen,
}

/// How many faults may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// Requests that are given up by their sender and executed later.
    pub(crate) ghosts: u8,
    pub(crate) failovers: u8,
    pub(crate) restarts: u8,
    pub(crate) flushes: u8,
    /// Lock keys that are deleted under their holders.
    pub(crate) evictions: u8,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        ghosts: 0,
        failovers: 0,
        restarts: 0,
        flushes: 0,
        evictions: 0,
    };
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
}

/// One acquisition: a holder UUID of its own, from its first request to the end of its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Actor {
    pub(crate) phase: Phase,
    /// The store's token, and when the listening began.
    pub(crate) token: u8,
    pub(crate) since: u8,
    /// Send time of the request under way.
    pub(crate) sent: u8,
    pub(crate) flight: Flight,
    pub(crate) grant: Grant,
    /// What is waited for: the term in which it was written, and a flip, or 0 for the grant.
    pub(crate) term: u8,
    pub(crate) flip: u8,
    pub(crate) armed: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Phase {
    #[default]
    Idle,
    Asking,
    /// Written, but not acknowledged by replicas.
    Waiting,
    Held,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Flight {
    #[default]
    None,
    /// Under way, see `World::net`.
    Sent,
    /// Executed; the answer is under way, from the master of this term.
    Replied(Reply, u8),
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
            run: 1,
            term: 0,
            before: 0,
            promoted: true,
        };
        let past = Past {
            run: server.run,
            till: 0,
            floor: 0,
            acked: setting.rules.acks.is_some(),
            flip: 0,
            open: false,
        };
        let store = Store {
            past: (!setting.fresh).then_some(past),
            ..Store::default()
        };
        Self {
            now: 1,
            server,
            store,
            copies: [store; COPIES],
            runs: [2, 3, 0],
            old: None,
            actors: [Actor::default(); ACTORS],
            net: Vec::new(),
            numbers: 0,
            left: setting.faults,
            unheard: [false; ACTORS],
            seen: Seen::default(),
        }
    }

    /// Whether the holder may work on its slot, by its own clock.
    pub(crate) fn is_valid(&self, actor: usize, rules: &Rules) -> bool {
        let actor = &self.actors[actor];
        actor.phase == Phase::Held
            && (!rules.local_deadline || self.now < rules.deadline(actor.grant.sent))
    }

    /// A fresh identity for a server.
    pub(crate) fn new_run(&self) -> u8 {
        self.runs
            .iter()
            .copied()
            .max()
            .unwrap_or(0)
            .max(self.server.run)
            .max(3)
            + 1
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

/// One bit for each timestamp of `from..to`.
fn span(from: u8, to: u8) -> u64 {
    let below = |limit: u8| (1_u64 << limit.min(63)) - 1;
    below(to.max(from)) & !below(from)
}
