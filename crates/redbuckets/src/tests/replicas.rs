//! Grants that take effect once replicas have acknowledged them.

use std::time::Duration;

use coord_core::{clock::Clock, history::Acknowledge};

use super::group::{Group, TTL};
use crate::{assignment::Assignment, event::Event};

/// A group that may grant, with one member, which has not asked for anything yet.
fn group(acknowledge: Acknowledge, replicas: u32, held_back: bool) -> Group {
    let mut group = Group::new(100, Assignment::Sticky);
    group.acknowledge = acknowledge;
    group.embedded.set_replicas(replicas, held_back);
    group.join(1);
    group.clock.advance(Duration::from_millis(1_100));
    group
}

/// One beat a second and member, `seconds` long; everything that was said.
fn pass(group: &mut Group, seconds: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..seconds {
        group.clock.advance(Duration::from_secs(1));
        events.extend(beat(group));
    }
    events
}

fn beat(group: &mut Group) -> Vec<Event> {
    let mut events = Vec::new();
    for index in 0..group.members.len() {
        group.beat(index);
        events.extend(group.members[index].membership.take_events());
    }
    events
}

fn held(group: &Group) -> Vec<usize> {
    let count = |member: &super::group::Member| member.membership.held().count();
    group.members.iter().map(count).collect()
}

fn unacknowledged(events: &[Event]) -> Vec<(u32, u32)> {
    let numbers = events.iter().filter_map(|event| match *event {
        Event::Unacknowledged { found, wanted } => Some((found, wanted)),
        _ => None,
    });
    numbers.collect()
}

fn fail_over(group: &Group) {
    let snapshot = group.embedded.snapshot();
    group.embedded.rollback(&snapshot);
}

#[test]
fn nothing_takes_effect_before_replicas_have_it() {
    let mut group = group(Acknowledge::All, 2, true);
    let events = pass(&mut group, 8);
    assert_eq!(group.members[0].membership.view().owned, 100);
    assert_eq!(held(&group), [0]);
    assert_eq!(unacknowledged(&events), [(0, 2)], "said once");
    assert_eq!(group.members[0].membership.enter(0), None);

    group.embedded.set_replicas(2, false);
    let events = pass(&mut group, 2);
    assert_eq!(held(&group), [100]);
    assert_eq!(unacknowledged(&events), []);

    group.embedded.set_replicas(2, true);
    group.join(1);
    let events = pass(&mut group, 4);
    assert_eq!(held(&group), [50, 0], "what is held stays held");
    assert_eq!(unacknowledged(&events), [(0, 2)], "said anew");
}

/// One that has come meanwhile may have been counted in place of one that is promoted without the grant.
#[test]
fn nothing_takes_effect_where_a_replica_went_while_it_was_acknowledged() {
    for (there, effect) in [(1, 100), (0, 0), (2, 0)] {
        let mut group = group(Acknowledge::All, 1, false);
        let wanted = |group: &Group| group.members[0].membership.acknowledgements();
        let granted = (0..10).any(|_| {
            group.beat(0);
            wanted(&group).is_some()
        });
        assert!(granted);
        group.beat(0);
        assert_eq!(wanted(&group), None, "it is acknowledged");
        group.embedded.set_replicas(there, true);
        // Another one in its place.
        group.embedded.set_replicas(there.max(1), true);
        group.beat(0);
        assert_eq!(held(&group), [effect], "{there}");
    }
}

#[test]
fn with_too_few_replicas_nothing_moves() {
    let mut group = group(Acknowledge::AtLeast(1), 0, false);
    let events = pass(&mut group, 8);
    assert_eq!(group.members[0].membership.view().owned, 0);
    assert_eq!(unacknowledged(&events), [(0, 1)]);

    group.embedded.set_replicas(1, false);
    group.run();
    assert_eq!(held(&group), [100]);

    group.embedded.set_replicas(0, false);
    group.join(1);
    let events = pass(&mut group, 8);
    assert_eq!(held(&group), [100, 0]);
    // A bucket may have been on its way when that was found out, and then stays.
    let lost = |event: &Event| matches!(event, Event::Released { .. } | Event::Lost { .. });
    assert!(!events.iter().any(lost), "{events:?}");
    let churn = events
        .iter()
        .filter(|event| matches!(event, Event::Revoking { .. }));
    assert!(churn.count() <= 50, "revoked once");

    group.embedded.set_replicas(1, false);
    // One that is gone may have been promoted; a ttl after that things move again.
    pass(&mut group, 4);
    group.settle();
    group.assert_fair();
}

#[test]
fn what_has_not_taken_effect_is_given_back_without_ado() {
    let mut group = group(Acknowledge::All, 1, true);
    pass(&mut group, 2);
    group.join(1);
    let events = pass(&mut group, 4);
    let owned = |index: usize| group.members[index].membership.view().owned;
    assert_eq!((owned(0), owned(1)), (50, 50));
    let quiet = |event: &Event| matches!(event, Event::Unacknowledged { .. });
    assert!(events.iter().all(quiet), "{events:?}");
    group.embedded.set_replicas(1, false);
    group.settle();
    group.assert_fair();
}

#[test]
fn waiting_that_fails_costs_no_lease() {
    let mut group = group(Acknowledge::All, 1, true);
    group.run();
    let now = group.clock.now();
    let membership = &mut group.members[0].membership;
    assert_eq!(membership.acknowledgements(), Some(1));
    membership.request(now);
    membership.handle_failed();
    assert_eq!(
        membership.acknowledgements(),
        None,
        "the next one goes without"
    );
    group.beat(0);
    assert_eq!(group.members[0].membership.acknowledgements(), Some(1));
}

#[test]
fn after_a_failover_what_is_free_is_granted_at_once_where_replicas_vouch() {
    for (acknowledge, at_once) in [(Acknowledge::All, 100), (Acknowledge::Never, 0)] {
        let mut group = group(acknowledge, 2, false);
        group.run();
        assert_eq!(held(&group), [100]);
        group.leave(0);
        fail_over(&group);
        group.join(1);
        group.run();
        assert_eq!(held(&group), [at_once], "{acknowledge:?}");
        pass(&mut group, 11);
        group.run();
        assert_eq!(held(&group), [100]);
    }
}

#[test]
fn after_a_failover_no_lease_is_over_before_a_ttl() {
    let mut group = group(Acknowledge::All, 2, false);
    group.join(1);
    group.settle();
    assert_eq!(held(&group), [50, 50]);
    let before = group.embedded.snapshot();
    pass(&mut group, 9);
    // Nothing was granted since, so nothing was confirmed: the renewals are lost, and one member is cut off.
    group.embedded.rollback(&before);
    let cut_off = group.members.remove(0);
    pass(&mut group, 8);
    assert_eq!(held(&group), [50], "the lost lease may run as long");
    assert_eq!(cut_off.membership.held().count(), 50);
    let reply = group.try_join(1, Some(&cut_off.identity.id));
    assert!(
        matches!(reply, crate::protocol::JoinReply::Occupied { left, .. } if left < TTL),
        "nor is its id free: {reply:?}"
    );
    pass(&mut group, 4);
    group.run();
    assert_eq!(held(&group), [100]);
}

#[test]
fn a_failover_ends_what_has_not_taken_effect() {
    let mut group = group(Acknowledge::All, 1, true);
    let before = group.embedded.snapshot();
    pass(&mut group, 3);
    group.embedded.rollback(&before);
    let events = pass(&mut group, 3);
    let reasserted = |event: &Event| matches!(event, Event::Reasserted { count: 0 });
    assert!(events.iter().any(reasserted), "{events:?}");
    assert_eq!(held(&group), [0]);
    group.embedded.set_replicas(1, false);
    pass(&mut group, 11);
    group.run();
    assert_eq!(held(&group), [100]);
}

#[test]
fn a_lost_beat_proves_nothing_and_a_lost_grant_does() {
    for waits_for_replicas in [true, false] {
        let mut group = Group::new(100, Assignment::Sticky);
        if !waits_for_replicas {
            group.acknowledge = Acknowledge::Never;
        }
        group.embedded.set_replicas(1, false);
        group.join(1);
        group.clock.advance(Duration::from_millis(1_100));
        group.beat(0);
        let before = group.embedded.snapshot();
        group.run();
        assert_eq!(held(&group), [100]);
        pass(&mut group, 2);
        group.embedded.rollback(&before);
        group.run();
        assert_eq!(held(&group), [100]);
        let doubt = group.members[0].membership.view().doubt;
        assert_eq!(doubt.is_zero(), waits_for_replicas, "{doubt:?}");
    }
}
