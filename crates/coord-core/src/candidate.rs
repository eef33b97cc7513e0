//! Which numbers an allocator tries, and in which order: pure, and determined by its seed.
//!
//! Every process walks the same range in an order of its own, so that processes that start together rarely want the
//! same number first. The order is an arithmetic progression modulo the size of the range (random start, random
//! stride coprime to the size): it visits every number once and needs no memory.

use std::{collections::HashSet, ops::RangeInclusive};

/// A walk through a range of numbers: preferred ones first, those known to be used last, each exactly once.
#[derive(Debug, Clone)]
pub struct Candidates {
    preferred: Vec<u32>,
    used: HashSet<u32>,
    first: u32,
    size: u64,
    start: u64,
    stride: u64,
    position: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Preferred(usize),
    Fresh,
    Used,
    Done,
}

impl Candidates {
    /// A walk through `range`, in an order drawn from `rng`.
    ///
    /// `preferred` numbers come first, in their order; those outside the range are left out. Numbers in `used` come
    /// last: what others were heard to hold is a hint, never a reason to rule a number out.
    #[must_use]
    pub fn new(
        range: &RangeInclusive<u32>,
        preferred: &[u32],
        used: HashSet<u32>,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let size = (u64::from(*range.end()) + 1).saturating_sub(u64::from(*range.start()));
        let mut seen = HashSet::new();
        let preferred: Vec<u32> = preferred
            .iter()
            .copied()
            .filter(|number| range.contains(number) && seen.insert(*number))
            .collect();
        Self {
            preferred,
            used,
            first: *range.start(),
            size,
            start: if size == 0 { 0 } else { rng.u64(0..size) },
            stride: coprime_stride(size, rng),
            position: 0,
            phase: Phase::Preferred(0),
        }
    }

    /// The next `at_most` numbers; fewer at the end of the walk, none after it.
    pub fn chunk(&mut self, at_most: usize) -> Vec<u32> {
        let mut chunk = Vec::new();
        while chunk.len() < at_most {
            let Some(number) = self.next() else { break };
            chunk.push(number);
        }
        chunk
    }

    fn walk(&mut self, wanted: impl Fn(&Self, u32) -> bool) -> Option<u32> {
        while self.position < self.size {
            let offset = (self.start + self.position * self.stride) % self.size;
            self.position += 1;
            let offset = u32::try_from(offset).expect("offsets lie inside a range of u32");
            let number = self.first + offset;
            if !self.preferred.contains(&number) && wanted(self, number) {
                return Some(number);
            }
        }
        None
    }
}

impl Iterator for Candidates {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            match self.phase {
                Phase::Preferred(index) => {
                    if let Some(&number) = self.preferred.get(index) {
                        self.phase = Phase::Preferred(index + 1);
                        return Some(number);
                    }
                    self.phase = Phase::Fresh;
                }
                Phase::Fresh => {
                    if let found @ Some(_) = self.walk(|walk, number| !walk.used.contains(&number))
                    {
                        return found;
                    }
                    self.position = if self.used.is_empty() { self.size } else { 0 };
                    self.phase = Phase::Used;
                }
                Phase::Used => {
                    if let found @ Some(_) = self.walk(|walk, number| walk.used.contains(&number)) {
                        return found;
                    }
                    self.phase = Phase::Done;
                }
                Phase::Done => return None,
            }
        }
    }
}

/// A stable seed for `text`, so that the same label walks the same way in every process and release (FNV-1a).
#[must_use]
pub fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn coprime_stride(size: u64, rng: &mut fastrand::Rng) -> u64 {
    if size < 3 {
        return 1;
    }
    // More than one number in five is coprime to any size below 2^32, so this ends soon; 1 always fits.
    (0..64)
        .map(|_| rng.u64(1..size))
        .find(|&stride| gcd(stride, size) == 1)
        .unwrap_or(1)
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_is_tried_exactly_once(
            first in 0_u32..5_000,
            size in 1_u32..3_000,
            preferred in prop::collection::vec(0_u32..8_000, 0..4),
            used in prop::collection::hash_set(0_u32..8_000, 0..50),
            seed: u64,
            chunk in 1_usize..200,
        ) {
            let range = first..=first + size - 1;
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut walk = Candidates::new(&range, &preferred, used, &mut rng);
            let mut all = Vec::new();
            loop {
                let numbers = walk.chunk(chunk);
                if numbers.is_empty() {
                    break;
                }
                prop_assert!(numbers.len() <= chunk);
                all.extend(numbers);
            }
            all.sort_unstable();
            prop_assert_eq!(all, range.collect::<Vec<_>>());
        }

        #[test]
        fn preferred_come_first_and_used_last(
            size in 10_u32..500,
            used in prop::collection::hash_set(0_u32..500, 1..20),
            seed: u64,
        ) {
            let range = 0..=size - 1;
            let favourite = size / 2;
            let mut rng = fastrand::Rng::with_seed(seed);
            let all: Vec<u32> = Candidates::new(&range, &[favourite, 9_999], used.clone(), &mut rng).collect();
            prop_assert_eq!(all[0], favourite);
            let first_used = all.iter().skip(1).position(|n| used.contains(n));
            if let Some(first_used) = first_used {
                prop_assert!(all[1 + first_used..].iter().all(|n| used.contains(n)));
            }
        }

        #[test]
        fn the_same_seed_walks_the_same_way(size in 1_u32..500, seed: u64) {
            let walk = || {
                let mut rng = fastrand::Rng::with_seed(seed);
                Candidates::new(&(0..=size), &[], HashSet::new(), &mut rng).collect::<Vec<_>>()
            };
            prop_assert_eq!(walk(), walk());
        }
    }

    #[test]
    fn the_whole_of_u32_does_not_overflow() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut walk = Candidates::new(&(0..=u32::MAX), &[], HashSet::new(), &mut rng);
        assert_eq!(walk.chunk(1_000).len(), 1_000);
    }

    #[test]
    fn the_smallest_ranges_are_walked_both_ways() {
        let mut firsts = HashSet::new();
        for seed in 0..100 {
            let walk = |size: u32| {
                let mut rng = fastrand::Rng::with_seed(seed);
                // 7..=6 is empty.
                let walk = Candidates::new(&(7..=6 + size), &[], HashSet::new(), &mut rng);
                walk.take(9).collect::<Vec<_>>()
            };
            assert!(walk(0).is_empty());
            assert_eq!(walk(1), [7]);
            let mut two = walk(2);
            two.sort_unstable();
            assert_eq!(two, [7, 8]);
            firsts.insert(walk(3));
        }
        assert_eq!(firsts.len(), 6, "three beginnings, two directions");
    }

    /// Walkers that meet once part again: they do not go on side by side.
    #[test]
    fn walks_differ_in_their_steps() {
        let steps = (0..20).map(|seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut walk = Candidates::new(&(0..=999), &[], HashSet::new(), &mut rng);
            let [first, second] = walk.chunk(2)[..] else {
                panic!("there are a thousand");
            };
            (1_000 + second - first) % 1_000
        });
        let steps: HashSet<u32> = steps.collect();
        assert!(10 < steps.len(), "{steps:?}");
    }

    #[test]
    fn the_seed_of_a_label_never_changes() {
        assert_eq!(seed_of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(seed_of("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
