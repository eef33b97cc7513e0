//! Grants that take effect once replicas have acknowledged them.
//!
//! The store counts them as this member's; the member works in none of them, claims none of them after the store may
//! have forgotten something, and gives back without ado those that it is not to have after all.

use std::collections::BTreeMap;

use super::{Ending, Membership};
use crate::{
    event::Event,
    protocol::{Beat, Grant, Outcome, Shortage},
};

#[derive(Debug, Default)]
pub(super) struct Pending {
    grants: BTreeMap<u32, Waiting>,
    /// How many replicas must acknowledge them.
    replicas: u32,
    /// How many acknowledged the request that is being answered.
    found: Option<u32>,
    /// Whether more grants are on their way, which one acknowledgement covers as well.
    growing: bool,
    /// Whether waiting itself failed the last time. The next request goes without, so that the lease does not suffer.
    failed: bool,
    /// Whether that there are too few replicas was reported.
    reported: bool,
}

#[derive(Debug)]
struct Waiting {
    epoch: u64,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Wanted,
    Unwanted,
    /// From the request that gives it back until the answer.
    Releasing,
}

impl Pending {
    /// Whether anything waits for replicas, or would if it had been granted.
    pub(super) fn is_any(&self) -> bool {
        self.reported || !self.grants.is_empty()
    }

    pub(super) fn has_unwanted(&self) -> bool {
        self.grants
            .values()
            .any(|waiting| waiting.fate == Fate::Unwanted)
    }

    /// They never took effect, so there is nothing to say about them.
    pub(super) fn forget(&mut self) {
        *self = Self {
            reported: self.reported,
            ..Self::default()
        };
    }

    /// Chooses those that are to be given back: up to `most` of those that `may_go`, from the highest number on; how
    /// many those are.
    pub(super) fn give_back(&mut self, most: usize, may_go: impl Fn(u32) -> bool) -> usize {
        let mut going = 0;
        for (&bucket, waiting) in self.grants.iter_mut().rev() {
            if going < most && may_go(bucket) {
                going += 1;
                if waiting.fate == Fate::Wanted {
                    waiting.fate = Fate::Unwanted;
                }
            } else if waiting.fate == Fate::Unwanted {
                waiting.fate = Fate::Wanted;
            }
        }
        going
    }

    /// Up to `room` grants to give back in the next request.
    pub(super) fn release(&mut self, room: usize) -> Vec<Grant> {
        let unwanted = self
            .grants
            .iter_mut()
            .filter(|(_, waiting)| waiting.fate == Fate::Unwanted);
        let released = unwanted.take(room).map(|(&bucket, waiting)| {
            waiting.fate = Fate::Releasing;
            let epoch = waiting.epoch;
            Grant { bucket, epoch }
        });
        released.collect()
    }

    /// What became of a release, if it was one of these.
    pub(super) fn settle(&mut self, grant: Grant, outcome: Outcome) -> bool {
        let Some(waiting) = self.grants.get_mut(&grant.bucket) else {
            return false;
        };
        if waiting.epoch != grant.epoch {
            return false;
        }
        match outcome {
            Outcome::Gone => drop(self.grants.remove(&grant.bucket)),
            Outcome::Keep => waiting.fate = Fate::Wanted,
        }
        true
    }
}

impl Membership {
    /// How many replicas are to acknowledge the request that was made last, if any.
    pub(crate) fn acknowledgements(&self) -> Option<u32> {
        let pending = &self.pending;
        let asks = self.ending == Ending::No && !pending.growing && !pending.failed;
        (asks && !pending.grants.is_empty()).then_some(pending.replicas)
    }

    /// How many did. The answer to the request follows.
    pub(crate) const fn note_acknowledgements(&mut self, found: u32) {
        self.pending.found = Some(found);
    }

    /// The request was not answered.
    pub(super) fn note_failure(&mut self) {
        let wanted = self.acknowledgements();
        self.pending.found = None;
        self.pending.failed = wanted.is_some();
        if let Some(wanted) = wanted {
            self.report(Shortage { found: 0, wanted });
        }
    }

    /// Takes what was granted, at once or pending, and what was pending as far as it takes effect now. An answer proves
    /// that the server knows of every grant before it: of those that are pending the replicas that acknowledged the
    /// request have a copy. Whether those that are pending are to be acknowledged at once.
    pub(super) fn take_grants(&mut self, beat: &Beat) -> bool {
        let found = self.pending.found.take();
        self.pending.failed = false;
        self.got += beat.grants.len() as u64;
        let replicas = beat.replicas;
        // A replica that has come since the grant may be the next master as well as those before it.
        let required = match (replicas, beat.shortage) {
            (Some(0), _) => 0,
            (Some(replicas), _) => replicas.max(self.pending.replicas),
            (None, Some(shortage)) => shortage.wanted.max(self.pending.replicas),
            (None, None) => self.pending.replicas,
        };
        let enough = required == 0 || found.is_some_and(|found| required <= found);
        if enough {
            for (bucket, waiting) in std::mem::take(&mut self.pending.grants) {
                let epoch = waiting.epoch;
                let grant = Grant { bucket, epoch };
                if !self.has(grant) {
                    self.take(grant);
                }
            }
        }
        for &grant in &beat.grants {
            self.take_grant(grant, replicas);
        }
        self.pending.replicas = required;
        self.pending.growing = beat.more;
        match (beat.shortage, found) {
            (Some(shortage), _) => self.report(shortage),
            (None, Some(found)) if !enough => self.report(Shortage {
                found,
                wanted: required,
            }),
            _ if self.pending.grants.is_empty() || enough => self.pending.reported = false,
            _ => {}
        }
        !beat.grants.is_empty() && !self.pending.grants.is_empty()
    }

    fn take_grant(&mut self, grant: Grant, replicas: Option<u32>) {
        if self.has(grant) {
            return;
        }
        if replicas == Some(0) {
            self.pending.grants.remove(&grant.bucket);
            return self.take(grant);
        }
        let waiting = Waiting {
            epoch: grant.epoch,
            fate: Fate::Wanted,
        };
        self.pending.grants.insert(grant.bucket, waiting);
    }

    fn report(&mut self, Shortage { found, wanted }: Shortage) {
        if !std::mem::replace(&mut self.pending.reported, true) {
            self.events.push(Event::Unacknowledged { found, wanted });
        }
    }
}
