//! What an instance does: `membership.rs`, `renewal.rs` and `lease.rs`, as pure functions.

use super::{
    rules::Rules,
    scripts::{Beat, Claim, Reply},
    store::{BUCKETS, Grant, Incarnation},
};

/// One incarnation of an instance, from its join to its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Member {
    pub(crate) phase: Phase,
    pub(crate) id: u8,
    pub(crate) number: u8,
    pub(crate) incarnation: Incarnation,
    pub(crate) generation: u8,
    pub(crate) seq: u8,
    pub(crate) heard: u8,
    pub(crate) got: u8,
    pub(crate) holdings: [Option<Holding>; BUCKETS],
    pub(crate) releasing: Vec<Grant>,
    pub(crate) sync: Option<Sync>,
    /// It gives everything away and leaves.
    pub(crate) draining: bool,
    /// What the table gives to it, as last heard.
    pub(crate) owned: u8,
    /// Send time of the request under way, and of the last acknowledged one.
    pub(crate) asked: u8,
    pub(crate) sent: u8,
    pub(crate) flight: Flight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Phase {
    #[default]
    Idle,
    Joining,
    Member,
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum Flight {
    #[default]
    None,
    Sent,
    Replied(Reply),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Holding {
    pub(crate) epoch: u16,
    pub(crate) stage: Stage,
}

/// Work goes on in a bucket unless it is `Releasing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Active,
    Revoking,
    Releasing,
}

/// What is yet to be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Sync {
    generation: Option<u8>,
    pending: Vec<Grant>,
    asked: usize,
}

impl Member {
    /// The next beat. What is revoked goes with it if nobody works in it (`drained`).
    pub(crate) fn beat(&mut self, drained: bool, glance: bool, rules: &Rules) -> Beat {
        self.seq += 1;
        for (bucket, slot) in (0..).zip(&mut self.holdings) {
            if let Some(holding) = slot
                && holding.stage == Stage::Revoking
                && (drained || !rules.drain)
            {
                if drained {
                    holding.stage = Stage::Releasing;
                }
                if !self.releasing.contains(&(bucket, holding.epoch)) {
                    self.releasing.push((bucket, holding.epoch));
                }
            }
        }
        Beat {
            id: self.id,
            incarnation: self.incarnation,
            number: self.number,
            seq: self.seq,
            generation: self.generation,
            got: self.got,
            heard: self.heard,
            weight: u8::from(!self.draining),
            releases: self.releasing.clone(),
            glance,
        }
    }

    /// The next claim, of at most `chunk` buckets.
    pub(crate) fn claim(&mut self, chunk: usize) -> Option<Claim> {
        let sync = self.sync.as_mut()?;
        self.seq += 1;
        sync.asked = sync.pending.len().min(chunk);
        Some(Claim {
            id: self.id,
            incarnation: self.incarnation,
            seq: self.seq,
            generation: sync.generation,
            heard: self.heard,
            weight: u8::from(!self.draining),
            last: sync.asked == sync.pending.len(),
            claims: sync.pending[..sync.asked].to_vec(),
        })
    }

    /// What an answer means. `sent` is what the lease counts from if it is an acknowledgement.
    pub(crate) fn handle(&mut self, reply: Reply, sent: u8) {
        match reply {
            Reply::Joined {
                number,
                generation,
                incarnation,
            } => {
                self.phase = Phase::Member;
                (self.number, self.generation, self.incarnation) =
                    (number, generation, incarnation);
                self.sent = sent;
            }
            Reply::Beaten {
                surplus,
                owned,
                grants,
                kept,
            } => {
                self.sent = self.sent.max(sent);
                self.heard = self.seq;
                self.owned = owned;
                self.settle(&kept);
                for (bucket, epoch) in grants {
                    self.got += 1;
                    self.holdings[usize::from(bucket)] = Some(Holding {
                        epoch,
                        stage: Stage::Active,
                    });
                }
                self.plan(surplus);
            }
            Reply::Claimed {
                number,
                generation,
                rejected,
            } => self.handle_claimed(number, generation, &rejected, sent),
            Reply::Resync | Reply::Restart => self.start_sync(),
            Reply::Fenced => self.end(),
            Reply::Stale => self.handle_failed(),
            Reply::Occupied | Reply::Full => {}
        }
    }

    fn handle_claimed(&mut self, number: u8, generation: u8, rejected: &[u8], sent: u8) {
        for &bucket in rejected {
            self.holdings[usize::from(bucket)] = None;
        }
        let Some(sync) = &mut self.sync else {
            return;
        };
        sync.pending.drain(..sync.asked);
        sync.generation = Some(generation);
        (self.heard, self.number) = (self.seq, number);
        self.sent = self.sent.max(sent);
        if sync.pending.is_empty() {
            self.generation = generation;
            self.sync = None;
        }
    }

    pub(crate) fn handle_failed(&mut self) {
        if self.sync.is_some() {
            self.start_sync();
        }
    }

    fn settle(&mut self, kept: &[bool]) {
        for ((bucket, epoch), kept) in std::mem::take(&mut self.releasing).into_iter().zip(kept) {
            let slot = &mut self.holdings[usize::from(bucket)];
            match slot {
                Some(holding) if *kept => holding.stage = Stage::Active,
                Some(holding) if holding.epoch == epoch => *slot = None,
                _ => {}
            }
        }
    }

    /// `plan.rs`: as many are to go as there are too many.
    fn plan(&mut self, surplus: u8) {
        let going = |slot: &Option<Holding>| slot.is_some_and(|held| held.stage != Stage::Active);
        let mut count = self.holdings.iter().filter(|slot| going(slot)).count();
        let surplus = if self.draining {
            BUCKETS
        } else {
            usize::from(surplus)
        };
        for holding in self.holdings.iter_mut().flatten() {
            match holding.stage {
                Stage::Active if count < surplus => {
                    holding.stage = Stage::Revoking;
                    count += 1;
                }
                Stage::Revoking if surplus < count => {
                    holding.stage = Stage::Active;
                    count -= 1;
                }
                _ => {}
            }
        }
    }

    /// It is to hand everything over.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
        self.plan(0);
    }

    pub(crate) fn has_ended(&self) -> bool {
        let is_empty = self.holdings.iter().all(Option::is_none);
        self.draining && is_empty && self.sync.is_none() && self.owned == 0
    }

    /// What is being released is not claimed: the store may have given it to another, and nobody works on it here.
    fn start_sync(&mut self) {
        for slot in &mut self.holdings {
            if slot.is_some_and(|held| held.stage == Stage::Releasing) {
                *slot = None;
            }
        }
        self.releasing.clear();
        self.got = 0;
        let pending = (0..)
            .zip(&self.holdings)
            .filter_map(|(bucket, slot)| slot.map(|held| (bucket, held.epoch)))
            .collect();
        self.sync = Some(Sync {
            generation: None,
            pending,
            asked: 0,
        });
    }

    /// It works on nothing any more.
    pub(crate) fn end(&mut self) {
        *self = Self {
            phase: Phase::Over,
            id: self.id,
            incarnation: self.incarnation,
            ..Self::default()
        };
    }

    /// The epoch under which work may go on in a bucket, by the deadline.
    pub(crate) fn works_on(&self, now: u8, bucket: usize, rules: &Rules) -> Option<u16> {
        let is_valid = self.phase == Phase::Member && now < self.sent + rules.ttl;
        let holding = self.holdings[bucket].filter(|held| held.stage != Stage::Releasing)?;
        is_valid.then_some(holding.epoch)
    }
}
