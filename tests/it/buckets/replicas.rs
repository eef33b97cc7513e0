//! Replicas that have to acknowledge what is granted and renewed, behind whole instances.

use std::sync::Arc;

use coord_core::{clock::SystemClock, store::embedded::Embedded};
use redbuckets::{Placement, Redbuckets};

use super::{PERIOD, SETTLE, TTL, server, until};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_owned_until_replicas_have_it() {
    let embedded = Embedded::new(Arc::new(SystemClock));
    embedded.set_replicas(1, true);
    let group = Redbuckets::with_store(Arc::new(embedded.client()), "replicated")
        .buckets(64)
        .ttl(TTL)
        .period(PERIOD)
        .settle(SETTLE)
        .acknowledge(1)
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
        .build()
        .expect("valid");
    let instance = group.join().await.expect("joins");
    tokio::time::sleep(TTL + PERIOD).await;
    assert!(instance.owned().is_empty());
    assert!((0..64).all(|bucket| instance.enter(bucket).is_none()));
    embedded.set_replicas(1, false);
    until("the grants count", || instance.owned().len() == 64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_replicas_that_are_wanted_grants_nothing() {
    let server = server();
    let group = super::instance_of(&server, 16)
        .acknowledge(1)
        .build()
        .expect("valid");
    let instance = group.join().await.expect("joins");
    tokio::time::sleep(TTL + PERIOD).await;
    assert!(instance.owned().is_empty());
}
