//! Subscriptions come back, whatever happens to the server that they were made at.

use std::{sync::Arc, time::Duration};

use coord_core::{
    endpoint::Endpoint,
    store::{Command, Store, redis},
};
use coord_tests::{
    cluster::{Cluster, Failover},
    mixed_fleet,
    sentinels::Sentinels,
};
use tokio::{runtime::Runtime, sync::mpsc};

use super::{PATIENCE, stage::pass};

const CHANNEL: &str = "{wakes}:channel";

/// Somebody who listens for ever, as redbuckets does, and somebody who publishes.
struct Listener {
    runtime: Runtime,
    store: Arc<dyn Store>,
    heard: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Listener {
    fn at(url: &str) -> Self {
        let store = redis::open(&Endpoint::parse(url).unwrap(), None).unwrap();
        let runtime = Runtime::new().unwrap();
        let (hear, heard) = mpsc::unbounded_channel();
        let listening = Arc::clone(&store);
        runtime.spawn(async move {
            loop {
                if let Ok(mut messages) = listening.subscribe(CHANNEL, WITHIN).await {
                    while let Some(message) = messages.next().await {
                        let _ = hear.send(message);
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut listener = Self {
            runtime,
            store,
            heard,
        };
        listener.assert_hears("begins");
        listener
    }

    /// Publishes until something that was published from now on is heard.
    #[track_caller]
    fn assert_hears(&mut self, what: &str) {
        let began_us = mixed_fleet::now_us();
        let (store, heard) = (&self.store, &mut self.heard);
        let hearing = async {
            loop {
                let publish = Command::Publish {
                    channel: CHANNEL.to_owned(),
                    payload: what.to_owned(),
                };
                // While nobody can serve it is not published; that is what the loop is for.
                let _ = store.pipeline(&[publish], WITHIN).await;
                let message = tokio::time::timeout(Duration::from_millis(100), heard.recv());
                if let Ok(Some(message)) = message.await
                    && message == what.as_bytes()
                {
                    return;
                }
            }
        };
        let heard = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, hearing).await });
        assert!(heard.is_ok(), "{what}: nothing was heard");
        let took = Duration::from_micros(mixed_fleet::now_us() - began_us);
        println!("{what}: heard after {took:?}");
    }
}

#[test]
fn in_a_cluster_they_come_back_after_death_hang_and_handover() {
    let cluster = Cluster::builder().replicas_per_master(2).start().unwrap();
    let slot = Cluster::slot_of(CHANNEL);
    // Each time from the beginning: a subscription stays where it was made, even when that is a replica by now.
    let mut listener = Listener::at(&cluster.url());
    let replica = cluster.replica_of(slot).unwrap();
    cluster.failover(replica, Failover::Agreed).unwrap();
    listener.assert_hears("cluster handover");

    let mut listener = Listener::at(&cluster.url());
    let master = cluster.master_of(slot).unwrap();
    master.stop().unwrap();
    pass(TAKES_EFFECT);
    listener.assert_hears("cluster hang");
    master.cont().unwrap();
    cluster.wait_ok(PATIENCE).unwrap();

    let mut listener = Listener::at(&cluster.url());
    cluster.master_of(slot).unwrap().kill().unwrap();
    listener.assert_hears("cluster death");
}

#[test]
fn under_sentinel_they_come_back_after_death_hang_and_handover() {
    let group = Sentinels::builder().start().unwrap();
    let mut listener = Listener::at(&group.url());
    group.failover().unwrap();
    listener.assert_hears("sentinel handover");
    group.wait_ok(PATIENCE).unwrap();

    let mut listener = Listener::at(&group.url());
    let master = group.master().unwrap();
    master.stop().unwrap();
    pass(TAKES_EFFECT);
    listener.assert_hears("sentinel hang");
    master.cont().unwrap();
    group.wait_ok(PATIENCE).unwrap();

    let mut listener = Listener::at(&group.url());
    group.master().unwrap().kill().unwrap();
    listener.assert_hears("sentinel death");
}

/// A process that waits for a processor is stopped when it gets one.
const TAKES_EFFECT: Duration = Duration::from_millis(200);
const WITHIN: Duration = Duration::from_millis(500);
