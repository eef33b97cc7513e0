//! How a free slot is found: a pure machine that is told what the store answered and says what to ask next.

use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use coord_core::{candidate::Candidates, history::Mode};

use crate::{
    error::AcquireError,
    protocol::{AcquireReply, Slot},
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
    Listen { token: String },
    /// Wait until the past is safe, then go on.
    Wait(Duration),
}

/// What an answer means for the search.
#[derive(Debug)]
pub(crate) enum Progress {
    Continue,
    /// Takes effect once so many replicas have acknowledged it.
    Granted {
        slot: Slot,
        replicas: u32,
    },
    /// The range is full, but for this slot, whose record somebody has overwritten.
    Garbled(u32),
    Failed(AcquireError),
}

#[derive(Debug)]
pub(crate) struct Search {
    range: RangeInclusive<u32>,
    walk: Candidates,
    fresh_walk: Candidates,
    offer: Vec<u32>,
    mode: Mode,
    lenient: bool,
    held: u64,
    ahead: u64,
    garbled: Option<u32>,
    pending: Option<Step>,
    max_clock_skew: Duration,
}

impl Search {
    /// How many slots a call offers after the first; a script's argument list ends near 8,000.
    const CHUNK: usize = 1_024;

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
        Self {
            range,
            offer: walk.chunk(max_candidates),
            walk,
            fresh_walk,
            mode: Mode::Ask,
            lenient: false,
            held: 0,
            ahead: 0,
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
                replicas,
                garbled,
            } => {
                self.garbled = self.garbled.or(garbled);
                Progress::Granted { slot, replicas }
            }
            AcquireReply::Taken {
                held,
                ahead,
                garbled,
            } => {
                self.garbled = self.garbled.or(garbled);
                self.handle_taken(held, ahead)
            }
            AcquireReply::Suspect { wait, spares } => {
                self.handle_suspect(wait, spares);
                Progress::Continue
            }
            AcquireReply::TooFewReplicas { found, wanted } => {
                Progress::Failed(AcquireError::TooFewReplicas { found, wanted })
            }
            AcquireReply::Absent { token } => {
                self.pending = Some(Step::Listen { token });
                Progress::Continue
            }
            AcquireReply::Skew { server_ms } => Progress::Failed(AcquireError::ClockSkew {
                skew: Duration::from_millis(server_ms.abs_diff(wall_ms)),
                limit: self.max_clock_skew,
            }),
            AcquireReply::WrongType { key, found } => {
                Progress::Failed(AcquireError::WrongType { key, found })
            }
        }
    }

    /// A slot whose record somebody has overwritten, where one was met.
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

    /// Where spare slots would be granted, the rest of the range is asked for one before there is nothing left but to
    /// wait. Then everything is asked for anew.
    fn handle_suspect(&mut self, wait: Duration, spares: bool) {
        if spares {
            self.offer = self.walk.chunk(Self::CHUNK);
            if !self.offer.is_empty() {
                return;
            }
        }
        self.pending = Some(Step::Wait(wait));
        if spares {
            (self.held, self.ahead) = (0, 0);
            self.walk = self.fresh_walk.clone();
            self.offer = self.walk.chunk(Self::CHUNK);
        }
    }

    fn handle_taken(&mut self, held: u64, ahead: u64) -> Progress {
        self.held = self.held.saturating_add(held);
        self.ahead = self.ahead.saturating_add(ahead);
        self.offer = self.walk.chunk(Self::CHUNK);
        if !self.offer.is_empty() {
            return Progress::Continue;
        }
        if self.ahead == 0 || self.lenient {
            if let Some(slot) = self.garbled {
                return Progress::Garbled(slot);
            }
            return Progress::Failed(AcquireError::RangeExhausted {
                range: self.range.clone(),
                held: self.held,
            });
        }
        // Free slots were passed over for a horizon that lies far ahead; now one of them has to do.
        self.lenient = true;
        (self.held, self.ahead) = (0, 0);
        self.walk = self.fresh_walk.clone();
        self.offer = self.walk.chunk(Self::CHUNK);
        Progress::Continue
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(size: u32, max_candidates: usize, seed: u64) -> Search {
        let mut rng = fastrand::Rng::with_seed(seed);
        Search::new(
            0..=size - 1,
            &[],
            HashSet::new(),
            max_candidates,
            Duration::from_secs(10),
            &mut rng,
        )
    }

    fn taken(held: u64, ahead: u64) -> AcquireReply {
        AcquireReply::Taken {
            held,
            ahead,
            garbled: None,
        }
    }

    fn offered(search: &Search) -> Vec<u32> {
        match search.step() {
            Step::Offer { slots, .. } => slots,
            other => panic!("expected an offer, got {other:?}"),
        }
    }

    proptest! {
        /// Whatever is held, each slot of the range is offered exactly once, in at most one call more than the range
        /// has chunks; with 1,024 slots that is two calls.
        #[test]
        fn the_one_free_slot_is_found(size in 1_u32..=1_024, seed: u64, free in 0_u32..1_024) {
            let free = free % size;
            let mut search = search(size, 64, seed);
            for call in 1.. {
                prop_assert!(call <= 2);
                let slots = offered(&search);
                if slots.contains(&free) {
                    break;
                }
                let held = slots.len() as u64;
                let progress = search.handle_reply(0, taken(held, 0));
                prop_assert!(matches!(progress, Progress::Continue), "{:?}", progress);
            }
        }

        #[test]
        fn a_full_range_is_reported_with_its_size(size in 1_u32..=5_000, seed: u64) {
            let mut search = search(size, 64, seed);
            loop {
                let held = offered(&search).len() as u64;
                match search.handle_reply(0, taken(held, 0)) {
                    Progress::Continue => {}
                    Progress::Failed(AcquireError::RangeExhausted { held, .. }) => {
                        prop_assert_eq!(held, u64::from(size));
                        break;
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }

    #[test]
    fn slots_far_ahead_are_asked_for_again_leniently() {
        let mut search = search(10, 64, 1);
        assert_eq!(offered(&search).len(), 10);
        search.handle_reply(0, taken(7, 3));
        assert!(
            matches!(search.step(), Step::Offer { lenient: true, slots, .. } if slots.len() == 10)
        );
        let progress = search.handle_reply(0, taken(10, 0));
        assert!(matches!(
            progress,
            Progress::Failed(AcquireError::RangeExhausted { held: 10, .. })
        ));
    }

    /// Where all that is left lies far ahead even for the lenient, the range is full.
    #[test]
    fn what_lies_too_far_ahead_twice_is_not_asked_for_again() {
        let mut search = search(10, 64, 1);
        for _ in 0..2 {
            assert_eq!(offered(&search).len(), 10);
            let progress = search.handle_reply(
                0,
                AcquireReply::Taken {
                    held: 7,
                    ahead: 3,
                    garbled: None,
                },
            );
            if let Progress::Failed(error) = progress {
                assert!(matches!(
                    error,
                    AcquireError::RangeExhausted { held: 7, .. }
                ));
                return;
            }
        }
        panic!("it goes on for ever");
    }

    #[test]
    fn a_full_range_with_an_overwritten_record_names_that() {
        let mut search = search(2_000, 64, 1);
        assert_eq!(search.garbled(), None);
        let mut garbled = Some(7);
        loop {
            let held = offered(&search).len() as u64;
            let reply = AcquireReply::Taken {
                held,
                ahead: 0,
                garbled: garbled.take(),
            };
            match search.handle_reply(0, reply) {
                Progress::Continue => assert_eq!(search.garbled(), Some(7)),
                Progress::Garbled(slot) => return assert_eq!(slot, 7),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_was_heard_counts_for_one_call() {
        let mut search = search(10, 64, 1);
        let token = "run@1".to_owned();
        search.handle_reply(
            0,
            AcquireReply::Absent {
                token: token.clone(),
            },
        );
        assert_eq!(
            search.step(),
            Step::Listen {
                token: token.clone()
            }
        );
        search.handle_heard(Mode::First { token });
        assert!(matches!(
            search.step(),
            Step::Offer {
                mode: Mode::First { .. },
                ..
            }
        ));
        search.handle_reply(
            0,
            AcquireReply::Suspect {
                wait: Duration::from_secs(1),
                spares: false,
            },
        );
        assert_eq!(search.step(), Step::Wait(Duration::from_secs(1)));
        search.handle_waited();
        assert!(matches!(
            search.step(),
            Step::Offer {
                mode: Mode::Ask,
                ..
            }
        ));
    }

    #[test]
    fn the_whole_range_is_asked_for_a_spare_slot_before_a_wait() {
        let mut search = search(2_000, 64, 3);
        let suspect = || AcquireReply::Suspect {
            wait: Duration::from_secs(1),
            spares: true,
        };
        let mut offers = 0;
        while matches!(search.step(), Step::Offer { .. }) {
            offers += 1;
            search.handle_reply(0, suspect());
        }
        assert_eq!(offers, 3);
        search.handle_waited();
        assert_eq!(offered(&search).len(), 1_024);
    }

    #[test]
    fn a_lost_answer_repeats_the_question() {
        let search = search(2_000, 64, 9);
        assert_eq!(search.step(), search.step());
        assert_eq!(offered(&search).len(), 64);
    }
}
