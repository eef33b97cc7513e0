//! Leases that can wait for an answer, beside one that cannot.

use std::time::Duration;

use ::raus::Raus;
use coord_tests::{proxy::Proxy, server::RedisServer};
use redbuckets::{Event, Redbuckets};

use super::{PATIENCE, join, until};

/// The machine ID's heartbeats wait for 50 ms, and answers take 60: it is lost again and again. Both are kept by the one
/// heartbeat that a process has for a server.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_too_short_for_the_way_costs_no_other_anything() {
    const TTL: Duration = Duration::from_secs(4);
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("starts");
    let way = Duration::from_millis(30);
    proxy.delay(way, way).expect("the proxy runs");
    let group = Redbuckets::builder(&proxy.url(), "group")
        .buckets(8)
        .ttl(TTL)
        .build()
        .expect("valid");
    let instance = join(&group).await;
    until("it has all", || instance.owned().len() == 8).await;
    let mut events = instance.events();
    let short = Raus::builder(&proxy.url(), 0..=9)
        .ttl(Duration::from_millis(150))
        .heartbeat(Duration::from_millis(50))
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let losing = async {
        let mut lost = 0;
        while let Ok(machine_id) = short.acquire_within(PATIENCE).await {
            machine_id.lost().await;
            lost += 1;
        }
        lost
    };
    let lost = tokio::select! {
        lost = losing => Some(lost),
        () = tokio::time::sleep(3 * TTL) => None,
    };
    assert_eq!(lost, None, "machine IDs were to be had all the time");
    instance.leave().await.expect("confirmed");
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Lost { .. }), "{event:?}");
    }
}
