//! Some buckets, shown so that many take no more room than a few.

use std::{fmt, ops::RangeInclusive};

use crate::shed;

/// Some buckets of a group. Shown as their count and ranges: `3 buckets (5, 7-8)`, of many ranges the first eight.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BucketSet {
    ids: Vec<u32>,
}

impl BucketSet {
    const SHOWN: usize = 8;

    /// From buckets in rising order.
    pub(crate) const fn new(ids: Vec<u32>) -> Self {
        Self { ids }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The buckets, in rising order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.ids.iter().copied()
    }

    /// The buckets as few ranges as can be.
    #[must_use]
    pub fn ranges(&self) -> Vec<RangeInclusive<u32>> {
        shed::runs(self.ids())
    }

    /// Whether `bucket` is among them.
    #[must_use]
    pub fn contains(&self, bucket: u32) -> bool {
        self.ids.binary_search(&bucket).is_ok()
    }
}

impl fmt::Display for BucketSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.len() == 1 { "bucket" } else { "buckets" };
        write!(f, "{} {noun}", self.len())?;
        let ranges = self.ranges();
        for (index, range) in ranges.iter().take(Self::SHOWN).enumerate() {
            f.write_str(if index == 0 { " (" } else { ", " })?;
            match range.start() == range.end() {
                true => write!(f, "{}", range.start())?,
                false => write!(f, "{}-{}", range.start(), range.end())?,
            }
        }
        match ranges.len() {
            0 => Ok(()),
            many if Self::SHOWN < many => write!(f, ", and {} more ranges)", many - Self::SHOWN),
            _ => f.write_str(")"),
        }
    }
}

impl fmt::Debug for BucketSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_buckets_take_no_more_room_than_a_few() {
        let shown = |ids: Vec<u32>| BucketSet::new(ids).to_string();
        assert_eq!(shown(vec![]), "0 buckets");
        assert_eq!(shown(vec![5]), "1 bucket (5)");
        assert_eq!(shown(vec![5, 7, 8]), "3 buckets (5, 7-8)");
        assert_eq!(shown((0..1 << 20).collect()), "1048576 buckets (0-1048575)");
        assert_eq!(
            shown((0..1 << 20).step_by(2).collect()),
            "524288 buckets (0, 2, 4, 6, 8, 10, 12, 14, and 524280 more ranges)"
        );
    }

    #[test]
    fn what_is_among_them_is_known() {
        let set = BucketSet::new(vec![5, 7, 8]);
        assert!(set.contains(7) && !set.contains(6));
        assert_eq!(set.ids().collect::<Vec<u32>>(), [5, 7, 8]);
        assert_eq!((set.len(), set.is_empty()), (3, false));
    }
}
