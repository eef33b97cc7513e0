use std::{sync::Arc, time::Duration};

use super::{Answer, Inner, Master, Node, SentinelStore, Whose};
use crate::{
    clock::TokioClock,
    endpoint::{Address, Endpoint, Kind, Protocol},
    store::{StoreError, redis::dial::Dial},
};

fn store() -> SentinelStore {
    let endpoint = Endpoint::parse("redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:3/main")
        .expect("a URL");
    let Kind::Sentinel(kind) = endpoint.kind() else {
        panic!("{endpoint} names sentinels");
    };
    let dial = Dial {
        credentials: kind.credentials.clone(),
        database: 0,
        protocol: Protocol::Resp2,
        tls: None,
    };
    let clock = Arc::new(TokioClock::new(Duration::ZERO));
    SentinelStore::new("s".to_owned(), kind, dial.clone(), dial, clock).expect("a store")
}

/// One or, where they are `agreed`, most sentinels were asked just now.
fn take(inner: &Inner, host: &str, epoch: u64, agreed: bool) -> Arc<Node> {
    let whose = if agreed {
        Whose::All { most: true }
    } else {
        Whose::One
    };
    answer(inner, host, epoch, whose)
}

fn answer(inner: &Inner, host: &str, epoch: u64, whose: Whose) -> Arc<Node> {
    let host = host.to_owned();
    let master = Master {
        address: Address { host, port: 1 },
        epoch,
        failover: None,
    };
    let answer = Answer {
        master,
        asked: inner.clock.now(),
        whose,
    };
    inner.take(answer).expect("a node")
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

/// A process that was stopped has heard of no switch.
#[tokio::test(start_paused = true)]
async fn what_was_said_is_acted_on_while_it_is_fresh() {
    let store = store();
    let inner = &store.inner;
    take(inner, "a", 1, true);
    for _ in 0..5 {
        tokio::time::advance(Inner::FRESH * 3 / 4).await;
        assert!(inner.undoubted().is_some());
        take(inner, "a", 1, false);
    }
    tokio::time::advance(Inner::FRESH).await;
    assert!(inner.undoubted().is_none() && inner.unfailing().is_some());
    take(inner, "a", 1, false);
    assert!(inner.undoubted().is_none(), "one may know no better");
    answer(inner, "a", 1, Whose::All { most: false });
    assert!(inner.undoubted().is_some());
    take(inner, "b", 0, false);
    tokio::time::advance(Inner::FRESH / 2).await;
    take(inner, "b", 0, false);
    tokio::time::advance(Inner::FRESH / 2).await;
    assert!(inner.undoubted().is_none(), "nobody has named it since");
    take(inner, "b", 2, false);
    assert!(inner.undoubted().is_some(), "a later one");
}

#[tokio::test(start_paused = true)]
async fn a_master_that_works_outlives_all_sentinels() {
    let store = store();
    let inner = &store.inner;
    let node = take(inner, "a", 1, true);
    tokio::time::advance(Inner::FRESH).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let nobody_listens = || store.node(deadline);
    assert!(Arc::ptr_eq(
        &nobody_listens().await.expect("is used"),
        &node
    ));
    assert!(
        inner.undoubted().is_some(),
        "they are not asked at once again"
    );
    tokio::time::advance(Inner::SILENT).await;
    assert!(inner.undoubted().is_none());
    inner.note(&node, &[Err(broken())]);
    assert!(nobody_listens().await.is_err(), "it has failed");
}
