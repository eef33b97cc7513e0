//! Servers that evict.

use std::time::Duration;

use coord_tests::{server::RedisServer, wait};
use raus::AcquireError;
use redbuckets::JoinError;

use super::{
    buckets,
    events::{catch, kinds, said},
    evicting, machine_ids, started,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_everything_is_refused_before_anything_is_granted() {
    catch();
    let server = started(evicting("allkeys-lru"));
    let expected = format!(
        "{} has a memory limit and maxmemory-policy allkeys-lru, which may evict what is known of leases; set noeviction, \
         give leases a server of their own, or accept the danger by the option allow_eviction",
        server.addr()
    );
    let raus = machine_ids(&server.url()).build().expect("valid");
    for _ in 0..2 {
        let error = raus.acquire().await.expect_err("refused");
        assert!(matches!(error, AcquireError::Evicting(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
    let within = raus.acquire_within(Duration::from_secs(20)).await;
    assert!(matches!(within, Err(AcquireError::Evicting(_))));
    let group = buckets(&server.url()).build().expect("valid");
    let error = group.join().await.expect_err("refused");
    assert!(matches!(error, JoinError::Evicting(_)), "{error:?}");
    assert_eq!(error.to_string(), expected);
    let keys: Vec<String> = server.query(&["KEYS", "*"]).expect("keys");
    assert!(keys.is_empty(), "{keys:?}");
    assert_eq!(said(&server, "evicts-all-keys").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_accepts_the_danger_and_it_is_said() {
    catch();
    let server = started(evicting("allkeys-random"));
    let raus = machine_ids(&server.url()).allow_eviction(true);
    let raus = raus.build().expect("valid");
    let machine_id = raus.acquire().await.expect("accepted");
    let group = buckets(&server.url()).allow_eviction(true);
    let group = group.build().expect("valid");
    let instance = group.join().await.expect("accepted");
    let said = said(&server, "evicts-all-keys");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].level, tracing::Level::WARN);
    assert_eq!(said[0].field("value"), "allkeys-random");
    assert_eq!(
        said[0].field("remedy"),
        "set maxmemory-policy noeviction, or give leases a server of their own"
    );
    assert_eq!(
        said[0].field("message"),
        "maxmemory-policy allkeys-random may evict what is known of leases; set maxmemory-policy noeviction, or give \
         leases a server of their own"
    );
    machine_id.release().await.expect("releases");
    instance.leave().await.expect("leaves");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_memory_limit_nothing_is_evicted() {
    catch();
    let server = started(RedisServer::builder().config_line("maxmemory-policy allkeys-lru"));
    let raus = machine_ids(&server.url()).build().expect("valid");
    raus.acquire().await.expect("nothing endangers it");
    assert_eq!(kinds(&server), ["no-persistence"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_takes_expiring_keys_concerns_machine_ids_alone() {
    catch();
    let server = started(evicting("volatile-lru"));
    let group = buckets(&server.url()).build().expect("valid");
    group.join().await.expect("no key of a group has a ttl");
    assert_eq!(kinds(&server), ["no-persistence"]);
    let raus = machine_ids(&server.url()).build().expect("valid");
    raus.acquire().await.expect("locks are not all there is");
    let said = said(&server, "evicts-expiring-keys");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].field("value"), "volatile-lru");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_over_and_evicts_lets_leases_go_on_and_grants_nothing_new() {
    catch();
    let server = started(RedisServer::builder().persistent());
    let raus = machine_ids(&server.url())
        .heartbeat(Duration::from_millis(200))
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let (fence, deadline) = (machine_id.fence(), machine_id.deadline());
    // What a failover does, as far as clients can tell: another server behind the same address.
    for setting in [["maxmemory", "100mb"], ["maxmemory-policy", "allkeys-lfu"]] {
        let [name, value] = setting;
        server.cli(&["CONFIG", "SET", name, value]).expect("sets");
    }
    server.cli(&["CONFIG", "REWRITE"]).expect("rewrites");
    assert!(said(&server, "evicts-all-keys").is_empty());
    server.restart().expect("restarts");
    let told = wait::until_async(Duration::from_secs(20), async || {
        (!said(&server, "evicts-all-keys").is_empty()).then_some(())
    });
    told.await.expect("the new server is warned of");
    let renewed = wait::until_async(Duration::from_secs(20), async || {
        (deadline < machine_id.deadline()).then_some(())
    });
    renewed.await.expect("the lease is renewed");
    assert!(machine_id.is_held());
    assert_eq!(machine_id.fence(), fence);
    let error = raus.acquire().await.expect_err("refused");
    assert!(matches!(error, AcquireError::Evicting(_)), "{error:?}");
}
