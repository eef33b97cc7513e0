//! Deployments that replace their masters.

use std::time::Duration;

use coord_core::store::Failover;
use coord_tests::{
    cluster::{self, Cluster},
    sentinels::Sentinels,
    server::RedisServer,
    wait,
};
use raus::{AcquireError, Advice};

use super::{
    buckets,
    events::{catch, said},
    machine_ids,
};

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_the_master_of_the_slot_is_described() {
    let cluster = Cluster::builder().start().expect("a cluster starts");
    let mut addresses = Vec::new();
    for namespace in ["a", "b", "c"] {
        let url = format!("{}?ns={namespace}", cluster.url());
        let raus = machine_ids(&url).build().expect("valid");
        let report = raus.describe().await.expect("answers");
        let slot = Cluster::slot_of(&format!("{{{namespace}}}:slots"));
        let master = cluster.master_of(slot).expect("has a master");
        assert_eq!(report.server.address, master.addr().to_string());
        assert_eq!(report.server.role, "master");
        let Some(Failover::Cluster { node_timeout, .. }) = report.server.failover else {
            panic!("{report}");
        };
        assert_eq!(node_timeout, Duration::from_secs(2));
        assert!(!kinds(&report.advice).contains(&"short-ttl"), "{report}");
        addresses.push(report.server.address);
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "these namespaces lie on three masters");
    // 2 s, 7 s and two periods.
    for (ttl, is_short) in [(10_900, true), (11_000, false)] {
        let group = buckets(&cluster.url()).ttl(Duration::from_millis(ttl));
        let group = group.period(Duration::from_secs(1)).build();
        let report = group.expect("valid").describe().await.expect("answers");
        assert_eq!(
            kinds(&report.advice).contains(&"short-ttl"),
            is_short,
            "{report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_fails_over_to_a_node_that_evicts_keeps_leases_and_grants_nothing_new() {
    catch();
    let cluster = Cluster::builder().start().expect("a cluster starts");
    let raus = machine_ids(&cluster.url()).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let replica = cluster.replica_of(Cluster::slot_of("{raus}:slots"));
    let replica = replica.expect("has a replica");
    for (name, value) in [("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")] {
        replica.cli(&["CONFIG", "SET", name, value]).expect("sets");
    }
    let failed_over = cluster.failover(replica, cluster::Failover::Agreed);
    failed_over.expect("fails over");
    told(replica, "evicts-all-keys").await;
    assert!(machine_id.is_held());
    let error = raus.acquire().await.expect_err("refused");
    assert!(matches!(error, AcquireError::Evicting(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinels_the_current_master_is_described() {
    catch();
    let group = Sentinels::builder().start().expect("a group starts");
    let raus = machine_ids(&group.url()).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let report = raus.describe().await.expect("answers");
    let first = group.master().expect("has a master");
    assert_eq!(report.server.address, first.addr().to_string());
    let Some(Failover::Sentinel {
        down_after,
        sentinels,
        quorum,
        ..
    }) = report.server.failover
    else {
        panic!("{report}");
    };
    assert_eq!(
        (down_after, sentinels, quorum),
        (Duration::from_secs(1), 3, 2)
    );
    assert!(
        !kinds(&report.advice).contains(&"few-sentinels"),
        "{report}"
    );
    assert_eq!(said(first, "no-persistence").len(), 1);

    let second = group.failover().expect("fails over");
    told(second, "no-persistence").await;
    let report = raus.describe().await.expect("answers");
    assert_eq!(report.server.address, second.addr().to_string());
    assert_eq!(said(first, "no-persistence").len(), 1);
    assert!(machine_id.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sentinel_is_too_few() {
    catch();
    let group = Sentinels::builder().replicas(1).sentinels(1);
    let group = group.start().expect("a group starts");
    let raus = machine_ids(&group.url()).ttl(Duration::from_secs(4));
    let raus = raus.build().expect("valid");
    let _machine_id = raus.acquire().await.expect("free");
    let master = group.master().expect("has a master");
    let few = said(master, "few-sentinels");
    assert_eq!(few.len(), 1);
    assert_eq!(few[0].field("value"), "1 with a quorum of 1");
    // 1 s, 1.5 s and two heartbeats.
    let short = said(master, "short-ttl");
    assert_eq!(short.len(), 1);
    assert!(short[0].field("remedy").contains("4.5s"), "{short:?}");
}

fn kinds(advice: &[Advice]) -> Vec<&str> {
    advice.iter().map(Advice::kind).collect()
}

async fn told(server: &RedisServer, kind: &str) {
    let told = wait::until_async(Duration::from_secs(20), async || {
        (!said(server, kind).is_empty()).then_some(())
    });
    told.await.expect("the new master is told of");
}
