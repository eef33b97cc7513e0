//! Buckets change their owner: by leave, crash, drain.

use std::{sync::Arc, time::Duration};

use coord_core::clock::{Clock, SystemClock};
use coord_offline::gate::Gate;
use redbuckets::{BucketState, Event, Placement};

use super::space::Space;
use crate::buckets::{event, is_balanced, owners, until};

pub(super) async fn a_leaver_hands_everything_over(space: Space) {
    let mut instances = vec![space.join(32).await, space.join(32).await];
    until("all buckets are shared", || is_balanced(&instances, 32)).await;
    let before = owners(&instances);
    let leaver = instances.remove(0);
    let mut events = leaver.events();
    let clone = leaver.clone();
    leaver.leave().await.expect("leaves");
    assert!(clone.owned().is_empty() && !clone.is_member());
    event(&mut events, |event| matches!(event, Event::Left { .. })).await;
    assert!(events.next().await.is_none());
    until("the other owns everything", || is_balanced(&instances, 32)).await;
    for (bucket, (_, epoch)) in owners(&instances) {
        let (owner, was) = before[&bucket];
        // What the other had stays as it was.
        assert!(if owner == 0 {
            was < epoch
        } else {
            was == epoch
        });
    }
}

pub(super) async fn a_crashed_member_is_replaced_after_its_deadline(space: Space) {
    let gate = Gate::default();
    let crashes = space
        .group(32)
        .placement(Placement::Custom(Arc::new(gate.clone())));
    let crashes = crashes.build().expect("valid").join().await.expect("joins");
    let others = vec![space.join(32).await, space.join(32).await];
    until("all buckets are shared", || {
        (10..=11).contains(&crashes.owned().len())
            && others.iter().map(|one| one.owned().len()).sum::<usize>() + crashes.owned().len()
                == 32
    })
    .await;
    gate.kill();
    let its: Vec<u32> = crashes.owned().ids().collect();
    let deadline = crashes.deadline();
    let taken = || {
        its.iter()
            .any(|&bucket| others.iter().any(|one| one.owned().contains(bucket)))
    };
    until("its buckets are taken over", taken).await;
    assert!(deadline <= SystemClock.now(), "not before it has stopped");
    assert!(!crashes.owned().valid());
    until("the others own everything", || is_balanced(&others, 32)).await;
}

pub(super) async fn a_guard_delays_the_handover_past_the_drain_timeout(space: Space) {
    let group = space
        .group(2)
        .drain_timeout(Duration::from_millis(300))
        .build()
        .expect("valid");
    let owner = group.join().await.expect("joins");
    until("everything is owned", || owner.owned().len() == 2).await;
    let guards: Vec<_> = (0..2).filter_map(|bucket| owner.enter(bucket)).collect();
    let mut events = owner.events();
    let newcomer = group.join().await.expect("joins");
    let overdue = event(&mut events, |event| {
        matches!(event, Event::Revoking { overdue: true, .. })
    });
    let Event::Revoking { bucket, epoch, .. } = overdue.await else {
        unreachable!("that is what was waited for");
    };
    assert_eq!(owner.state(bucket), BucketState::Revoking);
    assert!(owner.enter(bucket).is_none(), "nobody new may enter");
    assert!(newcomer.enter(bucket).is_none(), "it is not handed over");
    let guard = guards.iter().find(|guard| guard.bucket() == bucket);
    guard.expect("it was entered").revoked().await;
    drop(guards);
    until("the newcomer has it", || newcomer.owned().contains(bucket)).await;
    assert!(epoch < newcomer.owned().epoch(bucket).expect("it is owned"));
}

pub(super) async fn draining_gives_everything_away_and_stays_a_member(space: Space) {
    let instances = [space.join(64).await, space.join(64).await];
    until("all buckets are shared", || is_balanced(&instances, 64)).await;
    instances[0].drain().await.expect("drains");
    assert!(instances[0].owned().is_empty() && instances[0].is_member());
    until("the other has everything", || {
        instances[1].owned().len() == 64
    })
    .await;
}
