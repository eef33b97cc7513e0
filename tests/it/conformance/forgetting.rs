//! Servers that have forgotten the scripts, as every server has after a restart and, from Redis 7.0, after a failover.
//! A busy machine may answer late, which is not what is looked for.

use redbuckets::Event;

use super::space::Space;
use crate::buckets::{is_balanced, owners, until};

pub(super) async fn machine_ids_survive_a_flush_of_the_scripts(space: Space) {
    let raus = space.raus(0..=1).build().expect("valid");
    let mut events = None;
    for _ in 0..2 {
        space.send(&["SCRIPT", "FLUSH"]).await;
        let machine_id = raus.acquire().await.expect("free");
        let events = events.get_or_insert_with(|| machine_id.events());
        space.send(&["SCRIPT", "FLUSH"]).await;
        let granted = machine_id.deadline();
        crate::raus::until("a renewal", || granted < machine_id.deadline()).await;
        space.send(&["SCRIPT", "FLUSH"]).await;
        machine_id.release().await.expect("releases");
        while let Some(event) = events.next().await {
            if let raus::Event::RenewalFailed { error, .. } = event {
                assert!(error.is_ambiguous(), "{error}");
            }
        }
    }
}

pub(super) async fn buckets_survive_a_flush_of_the_scripts(space: Space) {
    space.send(&["SCRIPT", "FLUSH"]).await;
    let mut instances = vec![space.join(16).await];
    until("everything is owned", || is_balanced(&instances, 16)).await;
    let mut events = instances[0].events();
    space.send(&["SCRIPT", "FLUSH"]).await;
    instances.push(space.join(16).await);
    space.send(&["SCRIPT", "FLUSH"]).await;
    until("all buckets are shared", || is_balanced(&instances, 16)).await;
    owners(&instances);
    space.send(&["SCRIPT", "FLUSH"]).await;
    let leaver = instances.remove(0);
    leaver.leave().await.expect("leaves");
    while let Some(event) = events.next().await {
        if let Event::BeatFailed { error, .. } = event {
            assert!(error.is_ambiguous(), "{error}");
        }
    }
    until("everything is owned", || is_balanced(&instances, 16)).await;
}
