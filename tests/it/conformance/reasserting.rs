//! A group whose server has forgotten something, or may have: nobody loses anything, and nobody gets what another has.

use std::{sync::Arc, time::Duration};

use coord_offline::gate::Gate;
use futures_util::future::join_all;
use redbuckets::{Assignment, Event, Instance, Placement};

use super::space::{Space, TTL};
use crate::buckets::{event, is_balanced, owners, until};

pub(super) async fn a_deleted_membership_is_claimed_again(space: Space) {
    let member = async |id: &str, weight: u32| {
        let group = space.group(30).instance_id(id).weight(weight).build();
        group.expect("valid").join().await.expect("joins")
    };
    let instances = [member("heavy", 2).await, member("light", 1).await];
    let is_shared = || instances[0].owned().len() == 20 && instances[1].owned().len() == 10;
    until("all buckets are shared", is_shared).await;
    let before = owners(&instances);
    let mut events = instances[0].events();
    let number = space.text(&["HGET", &space.key("ids"), "heavy"]).await;
    let number = number.expect("it is a member");
    space.send(&["HDEL", &space.key("members"), &number]).await;
    let said = event(&mut events, |event| {
        matches!(event, Event::Reasserted { .. })
    })
    .await;
    assert!(
        matches!(said, Event::Reasserted { count: 20 }),
        "under the same epochs: {said:?}"
    );
    assert_eq!(owners(&instances), before);
    // The membership that was lost half is over after its ttl; then a newcomer gets its share of what all others have.
    let mut instances = Vec::from(instances);
    instances.push(member("newcomer", 3).await);
    until("the newcomer has its share", || {
        let shares: Vec<usize> = instances.iter().map(|one| one.owned().len()).collect();
        owners(&instances);
        shares == [10, 5, 15]
    })
    .await;
}

pub(super) async fn a_deleted_group_is_put_right_by_its_members(space: Space) {
    let mut instances = vec![space.join(128).await, space.join(128).await];
    until("all buckets are shared", || is_balanced(&instances, 128)).await;
    let before = owners(&instances);
    let mut events: Vec<_> = instances.iter().map(Instance::events).collect();
    space.forget_everything().await;
    // A newcomer right afterwards, which knows of nobody, and waits for longer than a busy machine keeps a member from
    // its next heartbeat.
    let newcomer = space.group(128).discovery(TTL).build().expect("valid");
    let newcomer = newcomer.join().await.expect("joins");
    for events in &mut events {
        event(events, |event| matches!(event, Event::Reasserted { .. })).await;
    }
    assert_eq!(owners(&instances), before, "under the same epochs");
    assert!(newcomer.owned().is_empty());
    instances.push(newcomer);
    until("the newcomer has its share", || {
        owners(&instances);
        is_balanced(&instances, 128)
    })
    .await;
}

pub(super) async fn any_one_lost_key_costs_nobody_a_bucket(space: Space) {
    let keys = [
        "group", "members", "ids", "lease", "count:1", "order:1", "retired", "table:0",
    ];
    let kept = keys.map(|key| keep_without(space.beside(&format!("kept-{key}")), key));
    let shared = keys.map(|key| share_without(space.beside(&format!("shared-{key}")), key));
    tokio::join!(join_all(kept), join_all(shared));
}

/// A member of a group that uses the key called `name`.
async fn member_with(space: &Space, name: &str, ttl: Duration) -> Instance {
    let assignment = match name {
        "order:1" => Assignment::Contiguous,
        _ => Assignment::Sticky,
    };
    let group = space.group(32).assignment(assignment).ttl(ttl);
    let group = group.build().expect("valid");
    group.join().await.expect("joins")
}

/// Whoever owns a bucket keeps it for as long as the store is not sure of itself, which here outlasts the test.
async fn keep_without(space: Space, name: &str) {
    let ttl = Duration::from_secs(60);
    let instances = [
        member_with(&space, name, ttl).await,
        member_with(&space, name, ttl).await,
    ];
    until("all buckets are shared", || is_balanced(&instances, 32)).await;
    let before = owners(&instances);
    space.send(&["DEL", &space.key(name)]).await;
    for instance in &instances {
        // The first heartbeat may have been under way.
        for _ in 0..2 {
            let acknowledged = instance.last_registration();
            until("a heartbeat", || {
                acknowledged < instance.last_registration()
            })
            .await;
        }
    }
    assert_eq!(owners(&instances), before, "without {name}");
}

/// Once the store is sure of itself again a newcomer gets its share. (Ranges are dealt anew then: whoever claims first is
/// the first in order.)
async fn share_without(space: Space, name: &str) {
    let mut instances = vec![
        member_with(&space, name, TTL).await,
        member_with(&space, name, TTL).await,
    ];
    until("all buckets are shared", || is_balanced(&instances, 32)).await;
    space.send(&["DEL", &space.key(name)]).await;
    instances.push(member_with(&space, name, TTL).await);
    until(&format!("a newcomer has its share without {name}"), || {
        owners(&instances);
        is_balanced(&instances, 32)
    })
    .await;
}

/// What a member was granted and has not heard of yet is lost: it is granted anew.
pub(super) async fn a_lost_inbox_is_granted_anew(space: Space) {
    let gate = Gate::default();
    let group = |id: &str| space.group(32).instance_id(id).ttl(Duration::from_secs(60));
    let owner = group("owner").build().expect("valid").join().await;
    let owner = owner.expect("joins");
    until("everything is owned", || owner.owned().len() == 32).await;
    let placement = Placement::Custom(Arc::new(gate.clone()));
    let deaf = group("deaf").placement(placement).build().expect("valid");
    let deaf = deaf.join().await.expect("joins");
    until("it has spoken", || deaf.owned().members() == 2).await;
    gate.pause();
    let number = space.text(&["HGET", &space.key("ids"), "deaf"]).await;
    let inbox = space.key(&format!("inbox:{}", number.expect("it is a member")));
    until("its share is given away", || owner.owned().len() == 16).await;
    space.send(&["DEL", &inbox]).await;
    gate.resume();
    let instances = [owner, deaf];
    until("it has its share", || is_balanced(&instances, 32)).await;
    owners(&instances);
}

pub(super) async fn another_server_grants_nothing_for_one_ttl_but_keeps(space: Space) {
    let mut instances = vec![space.join(32).await, space.join(32).await];
    until("all buckets are shared", || is_balanced(&instances, 32)).await;
    let before = owners(&instances);
    let ttl = u64::try_from(TTL.as_millis()).expect("short");
    let began = space.server_ms().await;
    space.change_server(&space.key("group")).await;
    let newcomer = space.join(32).await;
    let history = space.history(&space.key("group")).await;
    let history = history.expect("there is one");
    let till: u64 = history[2].parse().expect("a number");
    let now = space.server_ms().await;
    assert!(
        began + ttl <= till && till <= now + ttl,
        "{began} {till} {now}"
    );
    assert!(!history[1].starts_with("another-server"));
    until("doubt", || !newcomer.doubt().is_zero()).await;
    instances.push(newcomer);
    until("the newcomer has its share", || {
        let owners = owners(&instances);
        let is_old = |bucket: &u32| owners.get(bucket) == before.get(bucket);
        is_balanced(&instances, 32) || before.keys().all(is_old)
    })
    .await;
    until("the newcomer has its share", || is_balanced(&instances, 32)).await;
    assert!(till <= space.server_ms().await, "not before that");
}
