//! Who owns how many buckets, and which.

use std::{collections::BTreeMap, time::Duration};

use redbuckets::{Assignment, Event, Instance};

use super::space::Space;
use crate::buckets::{event, is_balanced, owners, until};

pub(super) async fn one_instance_alone_owns_everything(space: Space) {
    let instances = [space.join(100).await];
    let mut events = instances[0].events();
    let joined = event(&mut events, |_| true).await;
    assert!(matches!(joined, Event::Joined { instance } if instance == instances[0].id()));
    until("everything is owned", || is_balanced(&instances, 100)).await;
    assert!(owners(&instances).values().all(|(_, epoch)| 0 < *epoch));
    for bucket in 0..100 {
        event(
            &mut events,
            |event| matches!(event, Event::Granted { bucket: granted, .. } if *granted == bucket),
        )
        .await;
    }
    until("nothing is left over", || instances[0].unowned() == 0).await;
    let owned = instances[0].owned();
    assert_eq!((owned.members(), owned.quota()), (1, 100));
    assert_eq!(owned.ranges(), [0..=99]);
}

pub(super) async fn members_share_fairly_and_a_newcomer_moves_the_minimum(space: Space) {
    let mut instances = Vec::new();
    for _ in 0..4 {
        instances.push(space.join(64).await);
    }
    until("all buckets are shared", || is_balanced(&instances, 64)).await;
    let before = owners(&instances);
    instances.push(space.join(64).await);
    until("the newcomer has its share", || is_balanced(&instances, 64)).await;
    let after = owners(&instances);
    let moved = before
        .iter()
        .filter(|(bucket, owner)| after[bucket] != **owner);
    assert_eq!(moved.count(), 12, "the newcomer's share and no more");
}

pub(super) async fn shares_are_proportional_to_weights(space: Space) {
    let mut instances = Vec::new();
    for weight in 1..=3 {
        let group = space.group(60).weight(weight).build().expect("valid");
        instances.push(group.join().await.expect("joins"));
    }
    let shares = |instances: &[Instance]| -> Vec<usize> {
        owners(instances);
        instances.iter().map(|one| one.owned().len()).collect()
    };
    until("shares follow weights", || {
        shares(&instances) == [10, 20, 30]
    })
    .await;
    let leaver = instances.pop().expect("three");
    leaver.leave().await.expect("leaves");
    until("shares follow weights", || shares(&instances) == [20, 40]).await;
}

pub(super) async fn a_contiguous_group_has_one_range_each(space: Space) {
    let group = space.group(64).assignment(Assignment::Contiguous).build();
    let group = group.expect("valid");
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(group.join().await.expect("joins"));
    }
    let are_ranges = |instances: &[Instance]| {
        let one_each = instances.iter().all(|one| one.owned().ranges().len() == 1);
        owners(instances);
        one_each && is_balanced(instances, 64)
    };
    until("one range each", || are_ranges(&instances)).await;
    instances.push(group.join().await.expect("joins"));
    until("one range each", || are_ranges(&instances)).await;
    let leaver = instances.remove(1);
    leaver.leave().await.expect("leaves");
    until("one range each", || are_ranges(&instances)).await;
}

pub(super) async fn epochs_rise_bucket_by_bucket(space: Space) {
    const BUCKETS: u32 = 24;
    let mut instances = vec![space.join(BUCKETS).await];
    let mut last: BTreeMap<u32, (String, u64)> = BTreeMap::new();
    for round in 0..4 {
        if round % 2 == 0 {
            instances.push(space.join(BUCKETS).await);
        } else {
            let leaver = instances.remove(0);
            leaver.leave().await.expect("leaves");
        }
        until("all buckets are shared", || {
            is_balanced(&instances, BUCKETS)
        })
        .await;
        for (bucket, (index, epoch)) in owners(&instances) {
            let now = (instances[index].id().to_owned(), epoch);
            if let Some(before) = last.insert(bucket, now.clone()) {
                assert!(
                    before == now || before.1 < now.1,
                    "bucket {bucket}: {before:?}, then {now:?}"
                );
            }
        }
    }
}

pub(super) async fn a_join_is_noticed_long_before_the_period_is_over(space: Space) {
    let group = space
        .group(16)
        .period(Duration::from_secs(60))
        .ttl(Duration::from_secs(200))
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let mut instances = vec![group.join().await.expect("joins")];
    until("everything is owned", || is_balanced(&instances, 16)).await;
    instances.push(group.join().await.expect("joins"));
    // Waits for a third of a period at most.
    until("the newcomer has its share", || is_balanced(&instances, 16)).await;
    let leaver = instances.remove(0);
    leaver.leave().await.expect("leaves");
    until("everything is owned", || is_balanced(&instances, 16)).await;
}
