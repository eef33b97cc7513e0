//! The numbers that a holder's requests bear, by which the store tells it from a clone of it: a process that was copied
//! with its memory. `scripts/slots.lua` says how they are compared.

use std::collections::VecDeque;

use coord_core::clock::Instant;
use uuid::Uuid;

/// What a holder knows of its chain: the number that was answered last, and those whose answer it misses.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    entropy: Entropy,
    count: u64,
    answered: u64,
    /// Newest first. They may still be executed, however late, and must not be taken for another process then.
    missing: VecDeque<(u64, Instant)>,
}

/// Where the random part of a number comes from.
#[derive(Debug, Clone)]
pub(crate) enum Entropy {
    /// The system, at that moment: a generator in memory would be copied with it.
    System,
    /// A seed, so that simulations replay.
    Seeded(fastrand::Rng),
}

impl Entropy {
    /// A holder's name, which no other process has: not even one with the same memory.
    pub(crate) fn uuid(&mut self) -> Uuid {
        match self {
            Self::System => Uuid::new_v4(),
            Self::Seeded(rng) => {
                uuid::Builder::from_random_bytes(rng.u128(..).to_le_bytes()).into_uuid()
            }
        }
    }

    /// One that draws other numbers.
    pub(crate) fn fork(&mut self) -> Self {
        match self {
            Self::System => Self::System,
            Self::Seeded(rng) => Self::Seeded(rng.fork()),
        }
    }
}

impl Chain {
    /// How many unanswered requests are remembered: those of half a minute at two a second. A store that executes an
    /// older one afterwards may take it for another process.
    const REMEMBERED: usize = 64;
    /// Room for the random part, which a Lua number holds beside the count.
    const SPREAD: u64 = 1 << 20;

    pub(crate) fn new(entropy: Entropy) -> Self {
        let mut chain = Self {
            entropy,
            count: 0,
            answered: 0,
            missing: VecDeque::new(),
        };
        chain.answered = chain.number();
        chain
    }

    /// The number of the request that was granted.
    pub(crate) const fn granted(&self) -> u64 {
        self.answered
    }

    /// The next request is sent `now`. Returns its number and what it says of the chain; requests from before `expired`
    /// are forgotten.
    pub(crate) fn next(&mut self, now: Instant, expired: Instant) -> (u64, String) {
        self.missing.retain(|&(_, sent)| expired <= sent);
        self.missing.truncate(Self::REMEMBERED);
        let number = self.number();
        let mut named = number.to_string();
        for (missing, _) in &self.missing {
            named.push(',');
            named.push_str(&missing.to_string());
        }
        named.push(',');
        named.push_str(&self.answered.to_string());
        self.missing.push_front((number, now));
        (number, named)
    }

    /// The request with this number was answered.
    pub(crate) fn handle_answered(&mut self, number: u64) {
        self.missing.retain(|&(missing, _)| missing != number);
        self.answered = self.answered.max(number);
    }

    fn number(&mut self) -> u64 {
        self.count += 1;
        let random = match &mut self.entropy {
            Entropy::System => Uuid::new_v4().as_u64_pair().1,
            Entropy::Seeded(rng) => rng.u64(..),
        };
        self.count * Self::SPREAD + random % Self::SPREAD
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_boot(Duration::from_millis(ms))
    }

    fn chain(seed: u64) -> Chain {
        Chain::new(Entropy::Seeded(fastrand::Rng::with_seed(seed)))
    }

    fn numbers(named: &str) -> Vec<u64> {
        named
            .split(',')
            .map(|number| number.parse().expect("a number"))
            .collect()
    }

    proptest! {
        /// Numbers rise, fit a Lua number, and each request names itself first and the last answered one last.
        #[test]
        fn a_request_names_itself_what_is_missing_and_what_was_answered(
            seed: u64, answers in proptest::collection::vec(any::<bool>(), 1..200),
        ) {
            let mut chain = chain(seed);
            let (mut answered, mut last) = (chain.granted(), chain.granted());
            for (sent, is_answered) in (0..).zip(answers) {
                let (number, named) = chain.next(at(sent), at(0));
                let named = numbers(&named);
                prop_assert!(last < number && number < 1 << 53);
                prop_assert_eq!(named[0], number);
                prop_assert_eq!(named[named.len() - 1], answered);
                prop_assert!(named.len() <= Chain::REMEMBERED + 2);
                prop_assert!(named[1..].iter().all(|&earlier| earlier < number));
                last = number;
                if is_answered {
                    chain.handle_answered(number);
                    answered = number;
                }
            }
        }
    }

    #[test]
    fn what_a_ttl_has_passed_over_is_forgotten() {
        let mut chain = chain(1);
        let (first, _) = chain.next(at(0), at(0));
        let (_, named) = chain.next(at(10), at(0));
        assert!(numbers(&named).contains(&first));
        let (_, named) = chain.next(at(20), at(5));
        assert!(!numbers(&named).contains(&first));
    }

    #[test]
    fn a_clone_draws_other_numbers_from_the_system() {
        let mut one = Chain::new(Entropy::System);
        let mut other = one.clone();
        let numbers = |chain: &mut Chain| [(); 4].map(|()| chain.next(at(0), at(0)).0);
        assert_ne!(numbers(&mut one), numbers(&mut other));
    }
}
