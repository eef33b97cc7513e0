//! A set ordered by score and then by member.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};

/// Members with scores. Finding a member or a score costs O(log n), a rank O(rank).
#[derive(Debug, Clone, Default)]
pub(super) struct SortedSet {
    scores: HashMap<Arc<[u8]>, f64>,
    order: BTreeSet<Ranked>,
}

impl SortedSet {
    /// Sets the score of a member, which must not be NaN; the score that it had before.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let Some((member, before)) = self
            .scores
            .get_key_value(member)
            .map(|(member, score)| (member.clone(), *score))
        else {
            let member: Arc<[u8]> = member.into();
            self.scores.insert(member.clone(), score);
            self.order.insert(Ranked { score, member });
            return None;
        };
        #[expect(clippy::float_cmp, reason = "an equal score is not an update")]
        if before != score {
            self.order.remove(&Ranked {
                score: before,
                member: member.clone(),
            });
            self.scores.insert(member.clone(), score);
            self.order.insert(Ranked { score, member });
        }
        Some(before)
    }

    /// Removes a member; whether it was there.
    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.remove_entry(member) else {
            return false;
        };
        self.order.remove(&Ranked { score, member })
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// All members, lowest score first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Ranked> {
        self.order.iter()
    }

    /// The members whose scores lie within `range`, lowest first.
    pub(super) fn within(&self, range: ScoreRange) -> impl DoubleEndedIterator<Item = &Ranked> {
        range
            .bounds()
            .map(|bounds| self.order.range(bounds))
            .into_iter()
            .flatten()
    }

    /// How many members come before this one; O(rank).
    pub(super) fn rank(&self, member: &[u8]) -> Option<usize> {
        let (member, &score) = self.scores.get_key_value(member)?;
        let ranked = Ranked {
            score,
            member: member.clone(),
        };
        Some(self.order.range(..ranked).count())
    }

    pub(super) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }
}

/// A member at its place in the order.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    pub(super) score: f64,
    pub(super) member: Arc<[u8]>,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .partial_cmp(&other.score)
            .expect("NaN scores are refused")
            .then_with(|| self.member.cmp(&other.member))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

/// Two scores, each included or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScoreRange {
    pub(super) min: f64,
    pub(super) min_excluded: bool,
    pub(super) max: f64,
    pub(super) max_excluded: bool,
}

impl ScoreRange {
    /// Bounds for the tree; `None` where nothing can lie between them.
    fn bounds(self) -> Option<(Bound<Ranked>, Bound<Ranked>)> {
        // The empty member sorts first among equal scores, so a bound with it stands just before a score, and one
        // with the next higher score just after.
        let before = |score: f64| Ranked {
            score,
            member: Arc::from(&[][..]),
        };
        if self.min_excluded && self.min == f64::INFINITY || self.max < self.min {
            return None;
        }
        let start = before(if self.min_excluded {
            self.min.next_up()
        } else {
            self.min
        });
        let end = if self.max_excluded {
            Bound::Excluded(before(self.max))
        } else if self.max == f64::INFINITY {
            return Some((Bound::Included(start), Bound::Unbounded));
        } else {
            Bound::Excluded(before(self.max.next_up()))
        };
        let empty = matches!(&end, Bound::Excluded(end) if *end <= start);
        (!empty).then_some((Bound::Included(start), end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(set: &SortedSet, min: (f64, bool), max: (f64, bool)) -> String {
        let range = ScoreRange {
            min: min.0,
            min_excluded: min.1,
            max: max.0,
            max_excluded: max.1,
        };
        set.within(range)
            .map(|ranked| String::from_utf8_lossy(&ranked.member).into_owned())
            .collect()
    }

    #[test]
    fn score_ranges_honour_both_ends() {
        let inf = f64::INFINITY;
        let mut set = SortedSet::default();
        for (member, score) in [("a", -inf), ("b", 1.0), ("c", 1.0), ("d", 2.0), ("e", inf)] {
            assert_eq!(set.insert(member.as_bytes(), score), None);
        }
        assert_eq!(members(&set, (-inf, false), (inf, false)), "abcde");
        assert_eq!(members(&set, (-inf, true), (inf, true)), "bcd");
        assert_eq!(members(&set, (1.0, true), (2.0, false)), "d");
        assert_eq!(members(&set, (1.0, false), (2.0, true)), "bc");
        assert_eq!(members(&set, (1.0, true), (1.0, false)), "");
        assert_eq!(members(&set, (1.0, true), (1.0, true)), "");
        assert_eq!(members(&set, (inf, true), (inf, false)), "");
        assert_eq!(members(&set, (2.0, false), (1.0, false)), "");
        assert_eq!(set.rank(b"d"), Some(3));
        assert_eq!(set.insert(b"d", 0.5), Some(2.0));
        assert_eq!(set.rank(b"d"), Some(1));
        assert!(set.remove(b"d") && !set.remove(b"d"));
        assert_eq!(set.len(), 4);
    }
}
