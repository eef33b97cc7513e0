//! What members do when the store has forgotten something, or may have.

use std::time::Duration;

use super::group::{Group, TTL};
use crate::{
    assignment::Assignment,
    membership::Heard,
    protocol::{JoinReply, Refusal},
};

const SECOND: Duration = Duration::from_secs(1);

/// A group that may grant, with one member, which owns everything.
fn group() -> Group {
    let mut group = Group::new(100, Assignment::Sticky);
    group.join(1);
    group.settle();
    assert_eq!(held(&group), [100]);
    group
}

/// One beat a second and member, `seconds` long.
fn pass(group: &mut Group, seconds: u64) {
    for _ in 0..seconds {
        group.clock.advance(SECOND);
        group.run();
    }
}

fn held(group: &Group) -> Vec<usize> {
    let count = |member: &super::group::Member| member.membership.held().count();
    group.members.iter().map(count).collect()
}

fn doubt(group: &Group, index: usize) -> Duration {
    group.members[index].membership.view().doubt
}

/// As where too few replicas have it: nothing is taken up, and it comes again as it was.
#[test]
fn an_answer_that_does_not_count_comes_again() {
    let mut group = Group::new(10, Assignment::Sticky);
    group.join(1);
    group.clock.advance(2 * SECOND);
    group.beat_in_vain(0);
    assert_eq!(held(&group), [0]);
    group.clock.advance(SECOND);
    group.beat_in_vain(0);
    assert_eq!(held(&group), [0]);
    group.run();
    assert_eq!(held(&group), [10]);
    let granted_at = group.members[0].membership.epoch(0);
    assert_eq!(
        granted_at,
        Some(1_800_000_002_000),
        "when the store granted it"
    );
}

/// A member of a long ttl is cut off, the store is emptied, one of a short ttl is heard: it tells the store how long the
/// other may believe that it owns its buckets.
#[test]
fn the_longest_ttl_comes_back_by_a_claim_into_an_emptied_store() {
    let mut group = Group::new(100, Assignment::Sticky);
    group.ttl = 60 * SECOND;
    group.join(1);
    group.ttl = TTL;
    group.join(1);
    group.settle();
    assert_eq!(held(&group), [50, 50]);
    let cut_off = group.members.remove(0);
    group.embedded.flush_all();
    group.run();
    assert_eq!(doubt(&group, 0), 60 * SECOND);
    group.join(1);
    pass(&mut group, 59);
    assert_eq!(held(&group).iter().sum::<usize>(), 50);
    assert_eq!(cut_off.membership.held().count(), 50);
    pass(&mut group, 3);
    assert_eq!(held(&group), [50, 50]);
}

/// Nobody uses the long ttl any more: after a while it is forgotten.
#[test]
fn a_ttl_that_nobody_uses_lapses() {
    let mut group = Group::new(100, Assignment::Sticky);
    group.ttl = 60 * SECOND;
    group.join(1);
    group.ttl = TTL;
    group.join(1);
    group.settle();
    group.leave(0);
    pass(&mut group, 300);
    group.embedded.flush_all();
    group.run();
    assert_eq!(doubt(&group, 0), TTL);
}

/// Its beats seldom have everything looked at, and those of the others often: its terms are remembered all the same.
#[test]
fn a_ttl_in_use_outlasts_many_short_ones() {
    let mut group = Group::new(100, Assignment::Sticky);
    group.ttl = 60 * SECOND;
    group.join(1);
    group.ttl = 3 * SECOND;
    group.join(1);
    group.settle();
    for second in 0..600 {
        group.clock.advance(SECOND);
        group.beat(1);
        if second % 20 == 0 {
            group.beat(0);
        }
    }
    group.members.remove(0);
    group.embedded.flush_all();
    group.run();
    assert_eq!(doubt(&group, 0), 60 * SECOND);
}

/// Most of it is over before anybody asks for something.
#[test]
fn a_quarantine_begins_with_a_members_beat_and_not_with_a_newcomer() {
    let mut group = group();
    group.members[0].identity.settle = Duration::ZERO;
    group.embedded.restart();
    for _ in 0..8 {
        group.clock.advance(SECOND);
        group.beat(0);
    }
    group.run();
    let left = doubt(&group, 0);
    assert!(!left.is_zero() && left < TTL, "it began within eight beats");
    pass(&mut group, left.as_secs());
    group.join(1);
    group.settle();
    assert_eq!(held(&group), [50, 50]);
}

#[test]
fn several_who_missed_the_same_begin_one_quarantine() {
    let mut group = Group::new(100, Assignment::Sticky);
    group.join(1);
    group.join(1);
    group.settle();
    group.clock.advance(SECOND);
    group.embedded.flush_all();
    let late = group.members.remove(1);
    group.run();
    pass(&mut group, 5);
    group.members.push(late);
    group.run();
    assert_eq!(
        doubt(&group, 0),
        5 * SECOND,
        "it was answered before that began"
    );
    assert_eq!(held(&group), [50, 50]);
    group.embedded.flush_all();
    group.run();
    assert_eq!(doubt(&group, 0), TTL, "another loss");
}

/// Nobody was heard for so long that the store may be an old copy.
#[test]
fn a_group_that_was_silent_listens_as_one_that_is_made() {
    for (silence, discovery, at_once) in [
        (TTL + SECOND, SECOND, false),
        (TTL + SECOND, Duration::ZERO, true),
        (TTL / 3, SECOND, true),
    ] {
        let mut group = group();
        group.leave(0);
        group.clock.advance(silence);
        group.discovery = discovery;
        group.join(1);
        group.run();
        let expected = if at_once { 100 } else { 0 };
        // A wait for members that a step of the clock leapt over may come first.
        if at_once && silence < TTL {
            assert_eq!(held(&group), [expected]);
        }
        if !at_once {
            assert_eq!((held(&group), doubt(&group, 0)), (vec![0], SECOND));
        }
        group.clock.advance(SECOND);
        group.run();
        assert_eq!(held(&group), [100], "after {silence:?}");
    }
}

#[test]
fn a_group_without_a_record_is_a_loss_where_one_is_expected() {
    let mut group = Group::new(100, Assignment::Sticky);
    group.expect_history = true;
    group.join(1);
    group.run();
    assert_eq!(doubt(&group, 0), TTL);
    pass(&mut group, 10);
    assert_eq!(held(&group), [100]);
}

/// A process that was a member knows that there was a group.
#[test]
fn who_was_a_member_finds_no_first_use() {
    let mut group = group();
    group.embedded.flush_all();
    let identity = group.identity(1, None);
    let reply = group.ask(identity.join("1:an-earlier-one"));
    assert!(matches!(
        crate::protocol::parse_join(&reply),
        Ok(JoinReply::Joined { .. })
    ));
    group.join(1);
    group.beat(1);
    assert_eq!(doubt(&group, 1), TTL);
}

#[test]
fn a_newer_group_is_refused_and_left_as_it_is() {
    let mut group = group();
    let key = "test:{group}:group";
    let set = |text: &str| {
        let set = group.embedded.command(&["HSET", key, "history", text]);
        set.expect("it is a hash");
    };
    set("2 from the future");
    let before = group.embedded.command(&["HGETALL", key]).expect("a hash");
    let refused = JoinReply::Refused(Refusal::NewerVersion { version: 2 });
    assert_eq!(group.try_join(1, None), refused);
    let refused = (0..10).any(|_| matches!(group.beat(0), Heard::Refused(_)));
    assert!(refused, "a member claims what it holds, and hears of it");
    let after = group.embedded.command(&["HGETALL", key]).expect("a hash");
    assert_eq!(after, before);
}
