//! What a counter was last found to lag the wall clock by; `model` is the proof of it by loom.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::sync::Word;

#[derive(Debug)]
pub(super) struct Comparison<W = AtomicU64> {
    /// The wall clock less the counter, in nanoseconds. One word, so that no two halves of different comparisons meet.
    offset_ns: W,
    /// When, by the counter, to compare again; 0 before the first time.
    due_ns: W,
}

impl<W: Word> Comparison<W> {
    pub(super) fn new() -> Self {
        Self {
            offset_ns: W::new(0),
            due_ns: W::new(0),
        }
    }

    /// The wall clock at `counter_ns`; `None` where it is to be compared again.
    #[inline]
    pub(super) fn wall_ns(&self, counter_ns: u64) -> Option<u64> {
        // Acquire: whoever sees when the next comparison is due also sees what this one found.
        if counter_ns >= self.due_ns.load(Ordering::Acquire) {
            return None;
        }
        let offset_ns = self.offset_ns.load(Ordering::Relaxed);
        Some(counter_ns.wrapping_add(offset_ns))
    }

    pub(super) fn set(&self, counter_ns: u64, wall_ns: u64) {
        let offset_ns = wall_ns.wrapping_sub(counter_ns);
        self.offset_ns.store(offset_ns, Ordering::Relaxed);
        let due_ns = counter_ns.saturating_add(PERIOD_NS);
        self.due_ns.store(due_ns, Ordering::Release);
    }
}

const PERIOD_NS: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_good_for_its_period() {
        let comparison = Comparison::<AtomicU64>::new();
        assert_eq!(comparison.wall_ns(0), None, "nothing was compared yet");
        comparison.set(50, 1_050);
        assert_eq!(comparison.wall_ns(50), Some(1_050));
        assert_eq!(comparison.wall_ns(49 + PERIOD_NS), Some(1_049 + PERIOD_NS));
        assert_eq!(comparison.wall_ns(50 + PERIOD_NS), None);
    }

    #[test]
    fn a_counter_may_run_ahead_of_the_wall_clock() {
        let comparison = Comparison::<AtomicU64>::new();
        comparison.set(1_050, 50);
        assert_eq!(comparison.wall_ns(1_060), Some(60));
    }
}

#[cfg(test)]
mod model {
    use loom::{
        sync::{Arc, atomic::AtomicU64},
        thread,
    };

    use super::Comparison;

    #[test]
    fn the_first_comparison_is_seen_as_a_whole() {
        loom::model(|| {
            let comparison = Arc::new(Comparison::<AtomicU64>::new());
            let other = Arc::clone(&comparison);
            let compares = thread::spawn(move || other.set(5, 1_005));
            let wall_ns = comparison.wall_ns(7);
            assert!(
                matches!(wall_ns, None | Some(1_007)),
                "{wall_ns:?} is no time of this clock"
            );
            compares.join().expect("no panic");
        });
    }
}
