//! A node that is dead for half a minute costs a few attempts a second and nothing that grows.

use std::{sync::Arc, time::Duration};

use coord_core::{
    clock::{Clock, SystemClock},
    endpoint::Endpoint,
    store::{Command, Store, redis},
};
use coord_tests::{cluster::Cluster, sentinels::Sentinels};

/// How long the node is dead.
const DEAD: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_millis(500);
/// The commands have 500 ms, the subscription as much and 2 s for its connection; the rest is for a busy machine.
const TURN: Duration = Duration::from_secs(6);

/// Uses `store` as four impatient callers would, while its server hangs, and returns the highest number of tasks.
fn tasks_while_hung(store: &Arc<dyn Store>, hang: impl FnOnce()) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let metrics = runtime.metrics();
    runtime.block_on(async {
        let publish = [Command::Publish {
            channel: "{bounds}:channel".to_owned(),
            payload: String::new(),
        }];
        let outcome = store.pipeline(&publish, WITHIN).await;
        outcome.into_iter().next().unwrap().unwrap();
        hang();
        let mut highest = 0;
        let end = SystemClock.now() + DEAD;
        while SystemClock.now() < end {
            let began = SystemClock.now();
            let calls = (0..4).map(|_| store.pipeline(&publish, WITHIN));
            futures_util::future::join_all(calls).await;
            let subscribed = store.subscribe("{bounds}:channel", WITHIN).await;
            drop(subscribed);
            let took = SystemClock.now().saturating_since(began);
            assert!(took < TURN, "a turn took {took:?}");
            highest = highest.max(metrics.num_alive_tasks());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        highest
    })
}

fn open(url: &str) -> Arc<dyn Store> {
    redis::open(&Endpoint::parse(url).unwrap(), None).unwrap()
}

#[test]
fn hung_nodes_of_a_cluster_make_nothing_grow() {
    let cluster = Cluster::builder()
        .replicas_per_master(0)
        .proxied()
        .start()
        .unwrap();
    let store = open(&cluster.url());
    let attempts = || -> u64 {
        let proxies = cluster.nodes().iter().map(|node| cluster.proxy(node));
        proxies.map(coord_tests::proxy::Proxy::accepted).sum()
    };
    let before = attempts();
    let highest = tasks_while_hung(&store, || {
        for node in cluster.nodes() {
            node.stop().unwrap();
        }
    });
    let attempts = attempts() - before;
    println!("cluster: {highest} tasks at most, {attempts} connections in {DEAD:?}");
    // Three nodes with two connections each, of two or three tasks, and as many being made.
    assert!(highest < 60, "{highest} tasks");
    assert!(attempts < 600, "{attempts} connections");
    for node in cluster.nodes() {
        node.cont().unwrap();
    }
}

#[test]
fn hung_sentinels_and_a_hung_master_make_nothing_grow() {
    let group = Sentinels::builder().replicas(1).start().unwrap();
    let store = open(&group.url());
    let highest = tasks_while_hung(&store, || {
        for server in group.sentinels().iter().chain(group.servers()) {
            server.stop().unwrap();
        }
    });
    println!("sentinel: {highest} tasks at most");
    assert!(highest < 60, "{highest} tasks");
    for server in group.sentinels().iter().chain(group.servers()) {
        server.cont().unwrap();
    }
}
