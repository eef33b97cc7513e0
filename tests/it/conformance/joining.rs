//! Who may join a group, and under which id.

use std::{sync::Arc, time::Duration};

use coord_core::store::Reply;
use coord_offline::gate::Gate;
use redbuckets::{Assignment, Event, JoinError, Placement};

use super::{
    space::Space,
    wiretap::{replay, wiretap},
};
use crate::buckets::{event, is_balanced, owners, until};

pub(super) async fn another_bucket_count_is_refused_with_both_numbers(space: Space) {
    let instances = [space.join(8).await];
    until("everything is owned", || is_balanced(&instances, 8)).await;
    let before = configured(&space).await;
    let refused = space.group(9).build().expect("valid").join().await;
    let error = refused.expect_err("the group has 8 buckets");
    assert!(
        matches!(error, JoinError::BucketCount { ours: 9, theirs: 8 }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains('8') && text.contains('9'), "{text}");
    assert_eq!(configured(&space).await, before);
    assert!(is_balanced(&instances, 8));
}

pub(super) async fn another_assignment_is_refused_with_both(space: Space) {
    let instances = [space.join(8).await];
    until("everything is owned", || is_balanced(&instances, 8)).await;
    let before = configured(&space).await;
    let other = space.group(8).assignment(Assignment::Contiguous);
    let refused = other.build().expect("valid").join().await;
    let error = refused.expect_err("the group is sticky");
    let (sticky, contiguous) = (Assignment::Sticky, Assignment::Contiguous);
    assert!(
        matches!(&error, JoinError::Assignment { ours, theirs } if *ours == contiguous && *theirs == sticky),
        "{error:?}"
    );
    assert_eq!(configured(&space).await, before);
    assert!(is_balanced(&instances, 8));
}

/// What a refused instance must not change: the configuration, and how many members there are.
async fn configured(space: &Space) -> (Option<String>, Vec<u64>) {
    let config = space.text(&["HGET", &space.key("group"), "config"]).await;
    let mut members = Vec::new();
    for key in ["members", "ids"] {
        members.push(space.number(&["HLEN", &space.key(key)]).await);
    }
    (config, members)
}

pub(super) async fn a_living_id_is_a_duplicate(space: Space) {
    let twin = || space.group(8).instance_id("twin").build().expect("valid");
    let instances = [twin().join().await.expect("joins")];
    until("everything is owned", || is_balanced(&instances, 8)).await;
    let before = owners(&instances);
    let error = twin().join().await.expect_err("the first one lives");
    assert!(
        matches!(&error, JoinError::DuplicateInstance { id } if id == "twin"),
        "{error:?}"
    );
    assert_eq!(owners(&instances), before);
}

/// The first process is paused past its lease, another one takes its id, and then the first goes on.
pub(super) async fn a_later_incarnation_fences_the_earlier_one(space: Space) {
    let (gate, wire) = (Gate::default(), wiretap(space.store()));
    let earlier = space
        .group_on(wire.clone(), 8)
        .instance_id("twin")
        .placement(Placement::Custom(Arc::new(gate.clone())));
    let earlier = earlier.build().expect("valid").join().await.expect("joins");
    until("everything is owned", || earlier.owned().len() == 8).await;
    let mut events = earlier.events();
    gate.pause();
    let later = space.group(8).instance_id("twin").build().expect("valid");
    let later = later.join().await.expect("the lease of the first is over");
    assert!(!earlier.owned().valid(), "it has stopped before");
    until("everything is owned", || later.owned().len() == 8).await;

    let reply = replay(&wire, wire.last("beat")).await;
    let answer = reply.as_array().and_then(|answer| answer[0].as_str());
    assert_eq!(answer, Some("fenced"), "a request that was on its way");
    gate.resume();
    event(&mut events, |event| matches!(event, Event::Fenced { .. })).await;
    assert!(earlier.owned().is_empty() && !earlier.is_member());
    assert_eq!(later.owned().len(), 8);
}

pub(super) async fn a_restart_with_a_stable_id_moves_nothing(space: Space) {
    let member = async |index: usize| {
        let group = space
            .group(30)
            .instance_id(format!("member-{index}"))
            .rejoin_grace(Duration::from_secs(60));
        group.build().expect("valid").join().await.expect("joins")
    };
    let mut instances = Vec::new();
    for index in 0..3 {
        instances.push(member(index).await);
    }
    until("all buckets are shared", || is_balanced(&instances, 30)).await;
    let before = owners(&instances);
    for index in 0..3 {
        instances[index].clone().leave().await.expect("leaves");
        instances[index] = member(index).await;
        until("it owns its share again", || is_balanced(&instances, 30)).await;
    }
    let after = owners(&instances);
    for (bucket, (owner, epoch)) in before {
        let (owner_now, epoch_now) = after[&bucket];
        assert_eq!(owner, owner_now, "bucket {bucket}");
        assert!(epoch < epoch_now, "of a later incarnation");
    }
}

pub(super) async fn a_foreign_key_is_named_and_left_alone(space: Space) {
    for name in [
        "group", "members", "ids", "lease", "retired", "table:0", "count:1", "order:1",
    ] {
        let key = space.key(name);
        // A set is of no use to anybody here.
        space.send(&["SADD", &key, "mine"]).await;
        let refused = space.group(8).build().expect("valid").join().await;
        let error = refused.expect_err("a foreign key is in the way");
        assert!(
            matches!(&error, JoinError::WrongType { key: named, found } if *named == key && found == "set"),
            "{error:?}"
        );
        assert_eq!(space.keys().await, [&*key], "nothing is changed");
        let mine = space.send(&["SMEMBERS", &key]).await;
        assert_eq!(mine, Reply::Array(vec![Reply::Bytes(b"mine".to_vec())]));
        space.send(&["DEL", &key]).await;
    }
}

/// Longer than the attempts to make the store hear of them.
const GHOST_TTL: Duration = Duration::from_secs(12);
const LIMIT_OF_ATTEMPTS: usize = 20;

/// The store knows of members that know nothing of it: their answers were lost, and they asked for the last time.
pub(super) async fn who_never_hears_that_it_joined_is_given_nothing(space: Space) {
    let owner = space.join(64).await;
    until("everything is owned", || owner.owned().len() == 64).await;
    let mut events = owner.events();
    let lost = wiretap(space.store());
    lost.lose_answers(u32::MAX);
    let members = async || space.number(&["HLEN", &space.key("members")]).await;
    // A busy machine may lose a request before it is executed.
    for _ in 0..LIMIT_OF_ATTEMPTS {
        if members().await == 4 {
            break;
        }
        let group = space.group_on(lost.clone(), 64).ttl(GHOST_TTL);
        let group = group.register_timeout(Duration::from_millis(200));
        let error = group.build().expect("valid").join().await;
        error.expect_err("nothing is answered");
    }
    assert_eq!(members().await, 4, "the store has heard of them");
    while 1 < members().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(owner.owned().len(), 64);
    while let Ok(Some(said)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        assert!(!matches!(said, Event::Revoking { .. }), "{said:?}");
    }
}

pub(super) async fn numbers_of_members_that_left_are_used_again(space: Space) {
    for round in 0..40 {
        let id = format!("round-{round}");
        let group = space.group(8).instance_id(&id).discovery(Duration::ZERO);
        let alone = group.build().expect("valid").join().await.expect("joins");
        if round % 4 != 3 {
            until("everything is owned", || alone.owned().len() == 8).await;
        }
        let number = space.number_of(&id).await;
        assert!(number <= 3, "round {round} has the number {number}");
        alone.leave().await.expect("leaves");
    }
}
