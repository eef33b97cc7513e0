//! Work that fails hands its bucket to another member, and balance comes again without that bucket.

use std::time::Duration;

use super::group::Group;
use crate::{assignment::Assignment, protocol::Grant};

const PROGRESS: Duration = Duration::from_secs(5);

fn watchful(members: usize) -> Group {
    let mut group = Group::new(12, Assignment::Sticky);
    group.progress_timeout = Some(PROGRESS);
    for _ in 0..members {
        group.join(1);
    }
    group.settle();
    group
}

/// The first bucket of a member, with work in it that does not get on.
fn hang(group: &mut Group, index: usize) -> Grant {
    let held = group.members[index].membership.held().next();
    let (grant, _) = held.expect("it has some");
    let membership = &mut group.members[index].membership;
    assert_eq!(membership.enter(grant.bucket), Some(grant.epoch));
    membership.fail(grant);
    grant
}

#[test]
fn a_bucket_in_which_work_hangs_is_worked_on_elsewhere_and_does_not_come_back() {
    let mut group = watchful(3);
    let stuck = hang(&mut group, 0);
    let id = group.members[0].identity.id.clone();
    for _ in 0..20 {
        group.settle();
        group.assert_fair();
        assert_ne!(group.owners()[&stuck.bucket], id);
        group.members[0].membership.fail(stuck);
    }
    let busy = group.members[0].membership.busy();
    assert_eq!(busy, [stuck.bucket], "the work has not ended for that");
}

#[test]
fn a_bucket_that_comes_back_while_its_work_hangs_goes_again() {
    let mut group = watchful(2);
    let stuck = hang(&mut group, 0);
    group.settle();
    group.leave(1);
    group.settle();
    let epoch = group.members[0].membership.epoch(stuck.bucket);
    assert!(Some(stuck.epoch) < epoch, "there is nobody else");
    group.members[0].membership.fail(stuck);
    assert_eq!(group.members[0].membership.epoch(stuck.bucket), epoch);
    group.join(1);
    group.run();
    group.settle();
    group.members[0].membership.fail(stuck);
    group.settle();
    let id = &group.members[0].identity.id;
    assert_ne!(&group.owners()[&stuck.bucket], id);
}

#[test]
fn a_bucket_in_which_work_hangs_comes_back_under_another_epoch_where_nobody_else_is() {
    let mut group = watchful(1);
    let stuck = hang(&mut group, 0);
    group.settle();
    let membership = &mut group.members[0].membership;
    assert!(Some(stuck.epoch) < membership.epoch(stuck.bucket));
    assert_eq!(membership.enter_alone(stuck.bucket), None, "work goes on");
    membership.exit(stuck.bucket, stuck.epoch);
    assert!(membership.enter_alone(stuck.bucket).is_some());
}
