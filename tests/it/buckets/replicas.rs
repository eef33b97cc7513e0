//! Replicas that have to acknowledge what is granted, behind whole instances.

use std::sync::Arc;

use coord_core::{clock::SystemClock, store::embedded::Embedded};
use redbuckets::{Acknowledge, Event, Instance, Placement, Redbuckets};

use super::{PERIOD, SETTLE, TTL, event, is_balanced, owners, server, until};

async fn join(embedded: &Embedded) -> Instance {
    let group = Redbuckets::with_store(Arc::new(embedded.client()), "replicated")
        .buckets(64)
        .ttl(TTL)
        .period(PERIOD)
        .settle(SETTLE)
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
        .build()
        .expect("valid");
    group.join().await.expect("joins")
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_wait_for_replicas_that_lag_and_leases_do_not() {
    let embedded = Embedded::new(Arc::new(SystemClock));
    embedded.set_replicas(1, true);
    let first = join(&embedded).await;
    let mut events = first.events();
    let told = event(&mut events, |event| {
        matches!(event, Event::Unacknowledged { .. })
    })
    .await;
    assert!(
        matches!(
            told,
            Event::Unacknowledged {
                found: 0,
                wanted: 1
            }
        ),
        "{told:?}"
    );
    tokio::time::sleep(TTL + PERIOD).await;
    assert!(first.is_member() && first.owned().is_empty());
    assert!((0..64).all(|bucket| first.enter(bucket).is_none()));

    embedded.set_replicas(1, false);
    until("the grants take effect", || first.owned().len() == 64).await;

    // A failover to that replica: it has all of it, and the newcomer waits for nobody.
    embedded.rollback(&embedded.snapshot());
    let instances = [first, join(&embedded).await];
    until("the newcomer has its share", || {
        owners(&instances);
        is_balanced(&instances, 64)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_replicas_that_are_wanted_grants_nothing() {
    let server = server();
    let group = super::instance_of(&server, 16)
        .acknowledge(Acknowledge::AtLeast(1))
        .build()
        .expect("valid");
    let instance = group.join().await.expect("joins");
    let mut events = instance.events();
    let told = event(&mut events, |event| {
        matches!(event, Event::Unacknowledged { .. })
    })
    .await;
    assert!(
        matches!(
            told,
            Event::Unacknowledged {
                found: 0,
                wanted: 1
            }
        ),
        "{told:?}"
    );
    tokio::time::sleep(TTL + PERIOD).await;
    assert!(instance.is_member() && instance.owned().is_empty());
    assert_eq!(instance.unowned(), 16);
    instance.leave().await.expect("nothing is held");
}
