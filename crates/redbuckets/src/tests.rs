//! The scripts and the pure membership together, without drivers: members are asked one after the other, time is a
//! number, and every property is exact.

mod drain;
mod failing;
mod group;
mod history;

use std::time::Duration;

use coord_core::clock::Clock;
use proptest::prelude::*;

use self::group::Group;
use crate::{assignment::Assignment, membership::Ending, protocol::JoinReply};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whoever joins, leaves or crashes, with whatever weights: shares are fair and the least possible moves.
    #[test]
    fn every_change_moves_the_minimum(
        buckets in 1_u32..200,
        weights in prop::collection::vec(1_u32..5, 1..9),
        equal: bool,
        changes in prop::collection::vec((0_u8..4, 0_usize..100, 1_u32..5), 1..12),
    ) {
        let mut group = Group::new(buckets, Assignment::Sticky);
        for weight in weights {
            group.join(if equal { 1 } else { weight });
        }
        group.settle();
        group.assert_fair();
        for (change, which, weight) in changes {
            let before = group.owners();
            let index = which % group.members.len();
            match change {
                2 if 1 < group.members.len() => group.leave(index),
                3 if 1 < group.members.len() => group.crash(index),
                _ => group.join(if equal { 1 } else { weight }),
            }
            group.settle();
            group.assert_fair();
            let after = group.owners();
            let moved = before.iter().filter(|(bucket, owner)| after.get(*bucket) != Some(owner)).count();
            prop_assert_eq!(moved, group.least(&before));
        }
    }

    #[test]
    fn contiguous_groups_stay_contiguous(
        buckets in 1_u32..150,
        changes in prop::collection::vec((0_u8..4, 0_usize..100, 1_u32..4), 1..10),
    ) {
        let mut group = Group::new(buckets, Assignment::Contiguous);
        group.join(1);
        group.settle();
        for (change, which, weight) in changes {
            let index = which % group.members.len();
            match change {
                2 if 1 < group.members.len() => group.leave(index),
                3 if 1 < group.members.len() => group.crash(index),
                _ => group.join(weight),
            }
            group.settle();
            group.assert_fair();
        }
    }
}

/// As the original's tests: every bucket exactly once, for all bucket counts up to 100 and 1 to 102 members.
#[test]
fn every_bucket_is_owned_once_for_all_small_groups() {
    for assignment in [Assignment::Sticky, Assignment::Contiguous] {
        for buckets in (1..=100).step_by(if cfg!(debug_assertions) { 33 } else { 1 }) {
            let mut group = Group::new(buckets, assignment);
            for members in 1..=102_u32 {
                group.join(1);
                let checked = members < 12 || members.is_power_of_two() || 99 <= members;
                if checked {
                    group.settle();
                    group.assert_fair();
                }
            }
        }
    }
}

#[test]
fn a_join_of_the_seventeenth_moves_sixty_of_1024() {
    let mut group = Group::new(1_024, Assignment::Sticky);
    for _ in 0..16 {
        group.join(1);
    }
    group.settle();
    let before = group.owners();
    group.join(1);
    group.settle();
    let after = group.owners();
    let moved = before
        .iter()
        .filter(|(bucket, owner)| after.get(*bucket) != Some(owner));
    assert_eq!(moved.count(), 60);
}

/// What the documentation says of ranges: with every change between a quarter and half of all buckets move, but for
/// rounding, whether it is the first member that goes, the last one, or one in the middle.
#[test]
fn a_change_of_a_contiguous_group_moves_a_quarter_to_half_of_all_buckets() {
    const BUCKETS: usize = 1_260;
    let mut group = Group::new(1_260, Assignment::Contiguous);
    for _ in 0..9 {
        group.join(1);
    }
    group.settle();
    let changes: [&dyn Fn(&mut Group); 4] = [
        &|group| group.join(1),
        &|group| group.leave(0),
        &|group| group.leave(4),
        &|group| group.crash(7),
    ];
    for (index, change) in changes.iter().enumerate() {
        let before = group.owners();
        change(&mut group);
        group.settle();
        let after = group.owners();
        let moved = before
            .iter()
            .filter(|(bucket, owner)| after.get(*bucket) != Some(owner));
        let moved = moved.count();
        let expected = BUCKETS * 24 / 100..=BUCKETS * 51 / 100;
        assert!(expected.contains(&moved), "change {index}: {moved}");
    }
}

/// A newcomer within the settle time takes over what a leaver gives away: 1,024 moves for ten restarts.
#[test]
fn a_rolling_restart_with_new_ids_moves_every_bucket_once() {
    let mut group = Group::new(1_024, Assignment::Sticky);
    for _ in 0..10 {
        group.join(1);
    }
    group.settle();
    let mut moved = 0;
    for _ in 0..10 {
        let before = group.owners();
        group.join(1);
        // It has a share once it has spoken.
        group.beat(10);
        group.leave(0);
        group.settle();
        group.assert_fair();
        let after = group.owners();
        moved += before
            .iter()
            .filter(|(bucket, owner)| after.get(*bucket) != Some(owner))
            .count();
    }
    assert_eq!(moved, 1_024);
}

#[test]
fn a_rolling_restart_with_stable_ids_moves_nothing() {
    let mut group = Group::new(1_024, Assignment::Sticky);
    group.grace = Duration::from_secs(5);
    for index in 0..10 {
        let id = format!("stable-{index}");
        assert!(matches!(
            group.try_join(1, Some(&id)),
            JoinReply::Joined { .. }
        ));
    }
    group.settle();
    let before = group.owners();
    for _ in 0..10 {
        let now = group.clock.now();
        let mut leaver = group.members.remove(0);
        leaver.membership.end(now, Ending::Park);
        assert!(leaver.membership.has_ended());
        let number = leaver.membership.number();
        group.ask(leaver.identity.leave(number, true));
        group.clock.advance(Duration::from_secs(3));
        group.run();
        let id = leaver.identity.id.clone();
        assert!(matches!(
            group.try_join(1, Some(&id)),
            JoinReply::Joined { .. }
        ));
        group.settle();
    }
    assert_eq!(group.owners(), before);
}
