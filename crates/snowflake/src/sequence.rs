//! Where the sequence begins when time has left the counter behind.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Where the sequence of a unit of time begins that is entered after a pause.
///
/// A generator that mints less than one ID per unit gives all of them the sequence number it begins with. Where IDs are
/// assigned to shards by `id % shards`, beginning at 0 sends them all to the same few. Beginning elsewhere costs a part
/// of that one unit's capacity; a saturated generator loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SequenceStart {
    /// At 0. The default.
    #[default]
    Zero,
    /// At a random number below this; best a few times the number of shards.
    Random {
        /// The end of the range, exclusive; at most half the numbers that the layout's sequence has.
        below: u32,
    },
    /// After the last one used, beginning again at 0 when this is reached.
    Continue {
        /// The end of the range, exclusive; at most half the numbers that the layout's sequence has.
        below: u32,
    },
}

/// A [`SequenceStart`] at work.
#[derive(Debug)]
pub(crate) struct Starts {
    kind: SequenceStart,
    /// A counter whose mixed values are the random ones; nothing secret rests on it.
    seed: AtomicU64,
}

impl Starts {
    pub(crate) fn new(kind: SequenceStart) -> Self {
        let seed = RandomState::new().hash_one(0_u8);
        Self {
            kind,
            seed: AtomicU64::new(seed),
        }
    }

    /// The first sequence number of a unit, where `next` would have been that of the unit before.
    pub(crate) fn choose(&self, next: u64) -> u64 {
        match self.kind {
            SequenceStart::Zero => 0,
            SequenceStart::Continue { below } => next % u64::from(below.max(1)),
            SequenceStart::Random { below } => {
                let step = self.seed.fetch_add(WEYL, Ordering::Relaxed);
                // The high half of a product is even over the range.
                let mixed = mix(step) >> 32;
                (mixed * u64::from(below)) >> 32
            }
        }
    }
}

/// The finaliser of SplitMix64.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 2^64 divided by the golden ratio, odd.
const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_starts_cover_their_range_and_stay_in_it() {
        let starts = Starts::new(SequenceStart::Random { below: 8 });
        let mut seen = [0; 8];
        for _ in 0..800 {
            seen[usize::try_from(starts.choose(0)).expect("small")] += 1;
        }
        assert!(seen.iter().all(|&count| count > 40), "{seen:?}");
    }

    /// The first two numbers of SplitMix64 from seed 0, as published.
    #[test]
    fn the_mixer_is_that_of_splitmix64() {
        assert_eq!(mix(WEYL), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(WEYL.wrapping_mul(2)), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn continued_starts_go_round() {
        let starts = Starts::new(SequenceStart::Continue { below: 4 });
        let chosen: Vec<_> = (1..7).map(|next| starts.choose(next)).collect();
        assert_eq!(chosen, [1, 2, 3, 0, 1, 2]);
    }
}
