//! The server's clock is slewed: it runs as much too fast as chrony makes a clock run that has fallen behind.
//!
//! Leases end by the server's clock, so they end early. Whoever cannot be told has to stop before that by its own.

use std::collections::BTreeSet;

use ::raus::{Placement, Raus};
use coord_core::history;
use coord_tests::{clock::FakeClock, proxy::Proxy};
use redbuckets::{Instance, Redbuckets};

use super::*;

const TTL: Duration = Duration::from_secs(6);
const HEARTBEAT: Duration = Duration::from_millis(200);
/// A twelfth, in millionths.
const FASTER_BY: u32 = 83_333;

/// A server whose clock is too fast, and a way to it that can be cut.
fn fast_server() -> (RedisServer, Proxy) {
    let clock = FakeClock::new().expect("libfaketime is there");
    clock.run_faster(FASTER_BY).expect("is set");
    let server = RedisServer::builder()
        .clock(&clock)
        .start()
        .expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("starts");
    (server, proxy)
}

fn here() -> Placement {
    Placement::Runtime(tokio::runtime::Handle::current())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_from_a_server_with_a_fast_clock_stops_before_its_slot_is_anothers() {
    let (server, proxy) = fast_server();
    let client = |url: &str| {
        let builder = Raus::builder(url, 0..=0).ttl(TTL).heartbeat(HEARTBEAT);
        let builder = builder.max_clock_skew(PATIENCE).placement(here());
        builder.discovery(Duration::ZERO).build().expect("valid")
    };
    let first = client(&proxy.url()).acquire().await.expect("free");
    let next = client(&server.url());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(first.is_held());
    proxy.cut().expect("the proxy runs");
    let second = next.acquire_within(PATIENCE).await;
    let still = first.is_held();
    let second = second.expect("free once the lease is over");
    assert!(!still, "two have the slot");
    assert!(second.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_from_a_server_with_a_fast_clock_stops_before_its_buckets_are_anothers() {
    let (server, proxy) = fast_server();
    let join = async |url: &str| {
        let builder = Redbuckets::builder(url, "group").buckets(16);
        let builder = builder.ttl(TTL).period(HEARTBEAT).settle(HEARTBEAT);
        let builder = builder.discovery(history::shortest_discovery(HEARTBEAT));
        let group = builder.placement(here()).build().expect("valid");
        group.join().await.expect("joins")
    };
    let first = join(&proxy.url()).await;
    let second = join(&server.url()).await;
    let ids = |instance: &Instance| instance.owned().ids().collect::<BTreeSet<u32>>();
    let until = async |what: &str, condition: &dyn Fn() -> bool| {
        let met = async || condition().then_some(());
        let met = coord_tests::wait::until_async(PATIENCE, met).await;
        met.unwrap_or_else(|| panic!("not in time: {what}"));
    };
    until("each has its half", &|| {
        (ids(&first).len(), ids(&second).len()) == (8, 8)
    })
    .await;
    proxy.cut().expect("the proxy runs");
    until("the other has all", &|| {
        // In this order: what is valid here was not granted there before.
        let granted = ids(&second);
        let common: Vec<u32> = ids(&first).intersection(&granted).copied().collect();
        assert!(common.is_empty(), "two have {common:?}");
        granted.len() == 16
    })
    .await;
}
