//! Grants that take effect once replicas have acknowledged them, and the server has said afterwards that no more than those
//! are wanted: a replica that came meanwhile may have been counted in place of one that is promoted without the grant.
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
    /// How many replicas must have acknowledged them, as last told.
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
    /// How many have acknowledged it.
    acknowledged: u32,
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

    fn lacks_acknowledgements(&self) -> bool {
        self.grants
            .values()
            .any(|waiting| waiting.acknowledged < self.replicas)
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
        (asks && pending.lacks_acknowledgements()).then_some(pending.replicas)
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

    /// Takes what was granted, at once or pending, and what was pending as far as it takes effect now. Whether the next
    /// request is to follow at once, because of those that are pending: to have them acknowledged, or to hear that they
    /// were acknowledged by all that are wanted.
    pub(super) fn take_grants(&mut self, beat: &Beat) -> bool {
        let found = self.pending.found.take();
        self.pending.failed = false;
        self.got += beat.grants.len() as u64;
        self.pending.replicas = match (beat.replicas, beat.shortage) {
            (Some(replicas), _) => replicas,
            (None, Some(shortage)) => shortage.wanted.max(self.pending.replicas),
            (None, None) => self.pending.replicas,
        };
        let took_effect = beat.replicas.is_some_and(|wanted| self.take_up(wanted));
        for &grant in &beat.grants {
            self.take_grant(grant, beat.replicas);
        }
        let pending = &mut self.pending;
        pending.growing = beat.more;
        // The server executed this request after all that it has granted so far.
        for waiting in pending.grants.values_mut() {
            waiting.acknowledged = waiting.acknowledged.max(found.unwrap_or(0));
        }
        let wanted = pending.replicas;
        let lacks = pending.lacks_acknowledgements();
        match (beat.shortage, found) {
            (Some(shortage), _) => self.report(shortage),
            (None, Some(found)) if lacks => self.report(Shortage { found, wanted }),
            _ if self.pending.grants.is_empty() || took_effect => self.pending.reported = false,
            _ => {}
        }
        let is_new = !beat.grants.is_empty() && !self.pending.grants.is_empty();
        is_new || found.is_some() && !lacks && !self.pending.grants.is_empty()
    }

    /// Takes up what `wanted` replicas had acknowledged before the server said that it wants so many; whether any.
    fn take_up(&mut self, wanted: u32) -> bool {
        let mut took_effect = false;
        for (bucket, waiting) in std::mem::take(&mut self.pending.grants) {
            let epoch = waiting.epoch;
            let grant = Grant { bucket, epoch };
            if waiting.acknowledged < wanted {
                self.pending.grants.insert(bucket, waiting);
            } else {
                took_effect = true;
                if !self.has(grant) {
                    self.take(grant);
                }
            }
        }
        took_effect
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
            acknowledged: 0,
        };
        self.pending.grants.insert(grant.bucket, waiting);
    }

    fn report(&mut self, Shortage { found, wanted }: Shortage) {
        if !std::mem::replace(&mut self.pending.reported, true) {
            self.events.push(Event::Unacknowledged { found, wanted });
        }
    }
}
