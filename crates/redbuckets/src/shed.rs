//! Which buckets to give away: pure choices.

use std::ops::RangeInclusive;

/// The runs of neighbouring numbers in a sorted list.
pub(crate) fn runs(sorted: impl IntoIterator<Item = u32>) -> Vec<RangeInclusive<u32>> {
    let mut runs: Vec<RangeInclusive<u32>> = Vec::new();
    for bucket in sorted {
        match runs.last_mut() {
            Some(run) if run.end().checked_add(1) == Some(bucket) => *run = *run.start()..=bucket,
            _ => runs.push(bucket..=bucket),
        }
    }
    runs
}

/// `count` of the `held` (sorted) buckets, such that those kept lie in as few runs as can be: the shortest runs go as a
/// whole, the rest comes off the end of the next longer one.
pub(crate) fn by_runs(held: &[u32], count: usize) -> Vec<u32> {
    let mut runs = runs(held.iter().copied());
    runs.sort_by_key(|run| (run.end() - run.start(), *run.start()));
    let mut chosen = Vec::with_capacity(count.min(held.len()));
    for run in runs {
        let missing = count.saturating_sub(chosen.len());
        let from_the_end = run.rev().take(missing);
        chosen.extend(from_the_end);
    }
    chosen
}

/// `count` of the `held` buckets, the most loaded first; equal loads in the order of their numbers.
pub(crate) fn by_load(held: &[u32], count: usize, load: impl Fn(u32) -> u64) -> Vec<u32> {
    let mut loaded: Vec<(u64, u32)> = held.iter().map(|&bucket| (load(bucket), bucket)).collect();
    loaded.sort_by_key(|&(load, bucket)| (std::cmp::Reverse(load), bucket));
    loaded.truncate(count);
    loaded.into_iter().map(|(_, bucket)| bucket).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_short_runs_go_before_parts_of_long_ones() {
        let held = [0, 1, 2, 3, 10, 20, 21];
        assert_eq!(by_runs(&held, 1), [10]);
        assert_eq!(by_runs(&held, 2), [10, 21]);
        assert_eq!(by_runs(&held, 4), [10, 21, 20, 3]);
        assert_eq!(by_runs(&held, 99).len(), held.len());
    }

    #[test]
    fn the_most_loaded_go_first() {
        assert_eq!(
            by_load(&[1, 2, 3, 4], 2, |bucket| u64::from(bucket % 2)),
            [1, 3]
        );
    }

    proptest! {
        #[test]
        fn as_many_are_chosen_as_asked_for(held in prop::collection::btree_set(0_u32..200, 0..150), count in 0_usize..200) {
            let sorted: Vec<u32> = held.iter().copied().collect();
            for chosen in [by_runs(&sorted, count), by_load(&sorted, count, u64::from)] {
                let distinct: BTreeSet<u32> = chosen.iter().copied().collect();
                prop_assert_eq!(distinct.len(), count.min(held.len()));
                prop_assert_eq!(chosen.len(), distinct.len());
                prop_assert!(distinct.is_subset(&held));
            }
        }

        /// No choice of as many buckets leaves fewer runs: giving away can end at most the shortest runs as a whole.
        #[test]
        fn what_is_kept_lies_in_the_fewest_runs(held in prop::collection::btree_set(0_u32..14, 1..12), count in 0_usize..12) {
            let sorted: Vec<u32> = held.iter().copied().collect();
            let count = count.min(sorted.len());
            let left = |gone: &BTreeSet<u32>| runs(held.difference(gone).copied()).len();
            let chosen: BTreeSet<u32> = by_runs(&sorted, count).into_iter().collect();
            let best = (0_u32..1 << sorted.len())
                .filter(|mask| mask.count_ones() as usize == count)
                .map(|mask| {
                    let gone = (0..sorted.len()).filter(|&at| mask & (1 << at) != 0).map(|at| sorted[at]).collect();
                    left(&gone)
                })
                .min();
            prop_assert_eq!(Some(left(&chosen)), best);
        }
    }
}
