use std::{sync::Arc, time::Duration};

use super::{Inner, Master, Node, SentinelStore};
use crate::{
    endpoint::{Address, Endpoint, Kind, Protocol},
    store::{StoreError, redis::dial::Dial},
};

fn store() -> SentinelStore {
    let endpoint = Endpoint::parse("redis+sentinel://s1,s2,s3/main").expect("a URL");
    let Kind::Sentinel(kind) = endpoint.kind() else {
        panic!("{endpoint} names sentinels");
    };
    let dial = Dial {
        credentials: kind.credentials.clone(),
        database: 0,
        protocol: Protocol::Resp2,
        tls: None,
    };
    SentinelStore::new("s".to_owned(), kind, dial.clone(), dial).expect("a store")
}

fn take(inner: &Inner, host: &str, epoch: u64, agreed: bool) -> Arc<Node> {
    let host = host.to_owned();
    let master = Master {
        address: Address { host, port: 1 },
        epoch,
        failover: None,
    };
    inner.take(master, agreed).expect("a node")
}

fn current(inner: &Inner) -> (String, u64) {
    let state = inner.state();
    let current = state.current.as_ref().expect("a master");
    (current.master.address.host.clone(), current.master.epoch)
}

fn broken() -> StoreError {
    StoreError::Broken {
        operation: "renew",
        address: "a".to_owned(),
        source: Arc::from(Box::from("reset")),
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_epoch_is_not_believed() {
    let store = store();
    let inner = &store.inner;
    take(inner, "a", 1, true);
    take(inner, "b", 2, false);
    assert_eq!(current(inner), ("b".to_owned(), 2));
    take(inner, "a", 1, true);
    assert_eq!(current(inner), ("b".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_master_that_is_named_again_later_counts_as_later() {
    let store = store();
    let inner = &store.inner;
    take(inner, "a", 1, true);
    take(inner, "a", 3, true);
    take(inner, "b", 2, true);
    assert_eq!(current(inner), ("a".to_owned(), 3));
}

#[tokio::test(start_paused = true)]
async fn sentinels_that_begin_anew_are_believed_once_the_old_master_has_failed_for_long() {
    let store = store();
    let inner = &store.inner;
    let node = take(inner, "a", 7, true);
    inner.note(&node, &[Err(broken())]);
    assert!(inner.undoubted().is_none());
    take(inner, "b", 0, true);
    assert_eq!(current(inner), ("a".to_owned(), 7));
    tokio::time::advance(Inner::FORGOTTEN + Duration::from_secs(1)).await;
    take(inner, "b", 0, false);
    assert_eq!(current(inner), ("a".to_owned(), 7), "one sentinel alone");
    take(inner, "b", 0, true);
    assert_eq!(current(inner), ("b".to_owned(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_master() {
    let store = store();
    let inner = &store.inner;
    take(inner, "a", 1, true);
    let mut switched = inner.switched.subscribe();
    take(inner, "a", 2, true);
    assert!(!switched.has_changed().expect("is open"));
    take(inner, "b", 3, false);
    switched.changed().await.expect("is told");
}
