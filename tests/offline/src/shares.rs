//! What the members of a group of buckets are entitled to.

/// A member: its weight and how many buckets it owns.
pub type Share = (u32, usize);

/// The whole buckets in a member's exact share, and whether that leaves a rest.
#[must_use]
pub fn floor(buckets: u32, weight: u32, weights: u32) -> (usize, bool) {
    let exact = u64::from(buckets) * u64::from(weight);
    let weights = u64::from(weights);
    let floor = usize::try_from(exact / weights).expect("not more than there are buckets");
    (floor, !exact.is_multiple_of(weights))
}

/// The least number of buckets that have to move for everybody to have its share, where members own what they do now.
#[must_use]
pub fn least_moves(buckets: u32, members: &[Share]) -> usize {
    let weights = members.iter().map(|(weight, _)| weight).sum();
    let (mut floors, mut kept, mut can_keep_more) = (0, 0, 0);
    for &(weight, own) in members {
        let (floor, rest) = floor(buckets, weight, weights);
        floors += floor;
        kept += own.min(floor);
        can_keep_more += usize::from(rest && floor < own);
    }
    let extras = buckets as usize - floors;
    buckets as usize - kept - extras.min(can_keep_more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_what_newcomers_lack_and_nobody_else_may_keep() {
        assert_eq!(least_moves(1_024, &[(1, 512), (1, 512), (1, 0)]), 341);
        assert_eq!(least_moves(82, &[(2, 33), (3, 49)]), 0);
        assert_eq!(least_moves(82, &[(2, 32), (3, 50)]), 0);
        assert_eq!(least_moves(82, &[(2, 31), (3, 51)]), 1);
        assert_eq!(least_moves(7, &[(1, 0)]), 7);
    }
}
