//! What the scripts do to a group, as pure functions. Each names the script it stands for.

mod beat;
mod claim;
mod join;

pub(crate) use self::{beat::beat, claim::claim, join::join};
use super::{
    rules::Rules,
    store::{Grant, Group, Incarnation, Record},
};

/// What a script knows besides the store.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: u8,
    /// The identity of the server.
    pub(crate) run: u8,
    /// The last of the numbers that server time in microseconds gives, never the same twice.
    pub(crate) numbers: &'a mut u8,
    pub(crate) buckets: u8,
    pub(crate) rules: &'a Rules,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Join {
    pub(crate) id: u8,
    pub(crate) actor: u8,
    /// The incarnation of the same process before.
    pub(crate) previous: Option<Incarnation>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Beat {
    pub(crate) id: u8,
    pub(crate) incarnation: Incarnation,
    pub(crate) number: u8,
    pub(crate) seq: u8,
    pub(crate) generation: u8,
    pub(crate) got: u8,
    pub(crate) heard: u8,
    pub(crate) weight: u8,
    pub(crate) releases: Vec<Grant>,
    /// An idle member's request that does not look at the server's identity.
    pub(crate) glance: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) id: u8,
    pub(crate) incarnation: Incarnation,
    pub(crate) seq: u8,
    /// `None` in the first call.
    pub(crate) generation: Option<u8>,
    pub(crate) heard: u8,
    pub(crate) weight: u8,
    pub(crate) last: bool,
    pub(crate) claims: Vec<Grant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reply {
    Joined {
        number: u8,
        generation: u8,
        incarnation: Incarnation,
    },
    Occupied,
    Full,
    Beaten {
        surplus: u8,
        owned: u8,
        grants: Vec<Grant>,
        /// For each release, whether the bucket is kept.
        kept: Vec<bool>,
    },
    Resync,
    Fenced,
    Stale,
    Claimed {
        number: u8,
        generation: u8,
        rejected: Vec<u8>,
    },
    Restart,
}

impl Context<'_> {
    fn fresh(&mut self) -> u8 {
        *self.numbers += 1;
        *self.numbers
    }

    /// Later than every incarnation before.
    fn born(&mut self, actor: u8) -> Incarnation {
        Incarnation {
            born: self.fresh(),
            actor,
        }
    }

    /// A quarantine begins: `doubt` in `table.lua`.
    fn doubt(&self, group: &mut Group) {
        let lasts = self.rules.ttl + self.rules.bound;
        (group.run, group.till) = (self.run, self.now + lasts);
        group.doubted = true;
    }

    /// `admit` in `table.lua`: whether the past is known.
    fn admit(&mut self, group: &mut Group) -> bool {
        if group.run != self.run {
            if self.rules.quarantine {
                self.doubt(group);
            } else {
                group.run = self.run;
            }
            group.generation = self.fresh();
            return !self.rules.quarantine;
        }
        if self.now < group.till {
            return false;
        }
        group.doubted = false;
        true
    }

    /// `create.lua`.
    fn create(&mut self, lost: bool) -> Group {
        let mut group = Group {
            run: self.run,
            till: self.now + self.rules.discovery,
            generation: self.fresh(),
            doubted: false,
            top: 0,
            retired: Vec::new(),
            records: Default::default(),
            buckets: Default::default(),
        };
        if lost {
            self.doubt(&mut group);
        }
        group
    }

    fn new_record(&self, group: &Group, id: u8, incarnation: Incarnation, weight: u8) -> Record {
        Record {
            id,
            incarnation,
            generation: group.generation,
            seq: 0,
            acked: 0,
            given: 0,
            weight,
            lease: self.now + self.rules.ttl,
            inbox: Vec::new(),
        }
    }
}

/// `is_later` in `group.lua`.
fn is_later(on_record: Incarnation, callers: Incarnation) -> bool {
    on_record.actor != callers.actor && callers.born < on_record.born
}

/// `leave.lua`.
pub(crate) fn leave(store: &mut Option<Group>, number: u8, incarnation: Incarnation) {
    if let Some(group) = store
        && group
            .record(number)
            .is_some_and(|me| me.incarnation == incarnation)
    {
        group.remove(number);
    }
}

/// What time alone does.
pub(crate) fn tick(store: &mut Option<Group>, now: u8) {
    let Some(group) = store else {
        return;
    };
    if group.till <= now {
        group.till = 0;
    }
    for record in group.records.iter_mut().flatten() {
        if record.lease <= now {
            record.lease = 0;
        }
    }
}
