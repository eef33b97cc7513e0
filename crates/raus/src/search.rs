//! How a free slot is found: a pure machine that is told what the store answered and says what to ask next.

use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use coord_core::{candidate::Candidates, history::Mode};

use crate::{
    error::AcquireError,
    protocol::{AcquireReply, Slot, Taken},
};

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Offer these slots.
    Offer {
        slots: Vec<u32>,
        mode: Mode,
        lenient: bool,
    },
    /// Listen for living holders, then tell [`Search::handle_heard`] with the token.
    Listen {
        token: String,
        /// There is a record of the past: who held something here does not know it to be lost.
        is_quiet: bool,
    },
    /// Wait until the past is safe, then go on.
    Wait(Duration),
}

/// What an answer means for the search.
#[derive(Debug)]
pub(crate) enum Progress {
    Continue,
    /// With the layout on record.
    Granted {
        slot: Slot,
        layout: String,
    },
    /// The range is full, except for this slot, whose record was overwritten.
    Garbled(u32),
    Failed(AcquireError),
}

#[derive(Debug)]
pub(crate) struct Search {
    range: RangeInclusive<u32>,
    walk: Candidates,
    fresh_walk: Candidates,
    offer: Vec<u32>,
    /// Whether these are a few of many.
    is_probe: bool,
    mode: Mode,
    lenient: bool,
    is_for_one: bool,
    taken: Taken,
    garbled: Option<u32>,
    pending: Option<Step>,
    max_clock_skew: Duration,
}

impl Search {
    /// How many slots a call offers after the first; a script's argument list ends near 8,000.
    const CHUNK: usize = 1_024;
    const FEW: usize = 4;

    pub(crate) fn new(
        range: RangeInclusive<u32>,
        preferred: &[u32],
        used: HashSet<u32>,
        max_candidates: usize,
        max_clock_skew: Duration,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let fresh_walk = Candidates::new(&range, preferred, used, rng);
        let mut walk = fresh_walk.clone();
        let offer = walk.chunk(max_candidates);
        let is_probe = !walk.clone().chunk(1).is_empty();
        Self {
            range,
            offer,
            is_probe,
            walk,
            fresh_walk,
            mode: Mode::Ask,
            lenient: false,
            is_for_one: false,
            taken: Taken::default(),
            garbled: None,
            pending: None,
            max_clock_skew,
        }
    }

    /// What to do now. Asking again without an answer in between gives the same step: a request whose answer was lost
    /// is repeated word for word, and the store recognises its holder.
    pub(crate) fn step(&self) -> Step {
        self.pending.clone().unwrap_or_else(|| Step::Offer {
            slots: self.offer.clone(),
            mode: self.mode.clone(),
            lenient: self.lenient,
        })
    }

    /// Takes the answer to [`Step::Offer`], which was asked when the wall clock showed `wall_ms`.
    pub(crate) fn handle_reply(&mut self, wall_ms: u64, reply: AcquireReply) -> Progress {
        // What was heard counts for one call: the next absence, if any, is another one.
        self.mode = Mode::Ask;
        match reply {
            AcquireReply::Granted {
                slot,
                layout,
                garbled,
                ..
            } => {
                self.garbled = self.garbled.or(garbled);
                Progress::Granted { slot, layout }
            }
            AcquireReply::Taken(taken) => self.handle_taken(taken),
            AcquireReply::Quarantine { wait } => {
                self.pending = Some(Step::Wait(wait));
                Progress::Continue
            }
            AcquireReply::Absent { token, is_quiet } => {
                self.pending = Some(Step::Listen { token, is_quiet });
                Progress::Continue
            }
            AcquireReply::Unverified => Progress::Failed(AcquireError::Unverified),
            AcquireReply::NewerVersion { version } => {
                Progress::Failed(AcquireError::NewerVersion { version })
            }
            AcquireReply::Ahead { by } => self.ahead(by),
            AcquireReply::Skew { server_ms } => Progress::Failed(AcquireError::ClockSkew {
                skew: Duration::from_millis(server_ms.abs_diff(wall_ms)),
                limit: self.max_clock_skew,
            }),
            AcquireReply::WrongType { key, found } => {
                Progress::Failed(AcquireError::WrongType { key, found })
            }
        }
    }

    /// Begins with a few slots: while the range is full, that is what those who wait ask, and all that the server is told
    /// of many costs more than its answer.
    pub(crate) fn with_few_at_first(mut self) -> Self {
        if Self::FEW < self.offer.len() {
            self.offer.truncate(Self::FEW);
            self.is_probe = true;
        }
        self
    }

    /// A search for this slot of the range alone.
    pub(crate) fn for_one(mut self, slot: u32) -> Self {
        let mut rng = fastrand::Rng::with_seed(0);
        self.fresh_walk = Candidates::new(&(slot..=slot), &[], HashSet::new(), &mut rng);
        self.pending = None;
        self.taken = Taken::default();
        (self.is_for_one, self.lenient) = (true, true);
        self.offer_from_the_beginning();
        self
    }

    pub(crate) const fn is_for_one(&self) -> bool {
        self.is_for_one
    }

    pub(crate) const fn range(&self) -> &RangeInclusive<u32> {
        &self.range
    }

    /// The range, if the search is to find out about all of it.
    pub(crate) fn whole_range(&self) -> Option<&RangeInclusive<u32>> {
        (!self.is_for_one).then_some(&self.range)
    }

    /// A slot whose record was overwritten, if one was met.
    pub(crate) const fn garbled(&self) -> Option<u32> {
        self.garbled
    }

    /// Takes the outcome of [`Step::Listen`].
    pub(crate) fn handle_heard(&mut self, mode: Mode) {
        self.mode = mode;
        self.pending = None;
    }

    /// [`Step::Wait`] is over.
    pub(crate) fn handle_waited(&mut self) {
        self.pending = None;
    }

    fn handle_taken(&mut self, taken: Taken) -> Progress {
        self.garbled = self.garbled.or(taken.garbled);
        let is_over = taken.whole;
        self.taken.count(taken);
        if is_over {
            self.offer = Vec::new();
        } else if self.is_probe {
            // With those that were offered: a call that looks at the whole range tells everybody else until when it is full.
            self.taken = Taken::default();
            self.offer_from_the_beginning();
        } else {
            self.offer = self.walk.chunk(Self::CHUNK);
        }
        if !self.offer.is_empty() {
            return Progress::Continue;
        }
        if self.taken.ahead != 0 && self.lenient {
            return self.ahead(self.taken.ahead_by);
        }
        if self.taken.ahead == 0 {
            if let Some(slot) = self.garbled {
                return Progress::Garbled(slot);
            }
            return Progress::Failed(AcquireError::RangeExhausted {
                range: self.range.clone(),
                held: self.taken.held,
                frees_within: self.taken.frees_within,
            });
        }
        // Free slots were passed over for a horizon that lies far ahead; now one of them has to do.
        self.lenient = true;
        self.taken = Taken::default();
        self.offer_from_the_beginning();
        Progress::Continue
    }

    fn offer_from_the_beginning(&mut self) {
        self.is_probe = false;
        self.walk = self.fresh_walk.clone();
        self.offer = self.walk.chunk(Self::CHUNK);
    }

    fn ahead(&self, by: Duration) -> Progress {
        Progress::Failed(AcquireError::HorizonAhead {
            range: self.range.clone(),
            by,
        })
    }
}

impl Taken {
    /// Adds the answer to the next offer, or takes one that speaks of the whole range for all of them.
    fn count(&mut self, next: Self) {
        if next.whole {
            *self = next;
            return;
        }
        self.held = self.held.saturating_add(next.held);
        self.ahead_by = match (self.ahead, next.ahead) {
            (0, _) => next.ahead_by,
            (_, 0) => self.ahead_by,
            _ => self.ahead_by.min(next.ahead_by),
        };
        self.ahead = self.ahead.saturating_add(next.ahead);
        self.frees_within = match (self.frees_within, next.frees_within) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

#[cfg(test)]
mod tests;
