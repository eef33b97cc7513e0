//! What connections cannot hear they do without.

use std::time::Duration;

use ::raus::{AcquireError, Connection, Raus};
use coord_tests::server::RedisServer;
use redbuckets::{Builder, Redbuckets};

use super::{PATIENCE, acquire, join, until};

async fn connection(server: &RedisServer) -> Connection {
    let client = redis::Client::open(server.url()).expect("valid");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("connects").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_use_waits_for_the_discovery_and_not_for_a_ttl() {
    let server = RedisServer::start().expect("starts");
    let raus = Raus::with_connection(connection(&server).await, "ns", 0..=9)
        .ttl(3 * PATIENCE)
        .heartbeat(Duration::from_millis(100))
        .discovery(Duration::from_millis(700))
        .build()
        .expect("valid");
    let started = tokio::time::Instant::now();
    acquire(&raus).await.expect("nobody was here before");
    assert!(Duration::from_millis(700) <= started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_record_was_lost_is_found_without_hearing_it() {
    let server = RedisServer::start().expect("starts");
    let holder = Raus::builder(&server.url(), 0..=0)
        .heartbeat(Duration::from_millis(100))
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let machine_id = acquire(&holder).await.expect("free");
    server.flush_all().expect("flushes");
    let late = Raus::with_connection(connection(&server).await, "raus", 0..=0)
        .discovery(Duration::from_secs(3))
        .build()
        .expect("valid");
    let error = late.acquire_within(Duration::from_secs(6)).await;
    let error = error.expect_err("the holder put itself back");
    let is_expected = matches!(
        error,
        AcquireError::RangeExhausted { .. }
            | AcquireError::Quarantined { .. }
            | AcquireError::TimedOut { .. }
    );
    assert!(is_expected, "{error:?}");
    assert!(machine_id.is_held());
}

/// With a period that a hint has to beat.
fn slow(builder: Builder) -> Redbuckets {
    let builder = builder.buckets(4).period(2 * PATIENCE).ttl(8 * PATIENCE);
    builder
        .settle(Duration::ZERO)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_for_subscriptions_wakes_at_once() {
    let server = RedisServer::start().expect("starts");
    let client = redis::Client::open(server.url()).expect("valid");
    let by = connection(&server).await.subscriptions(client);
    let woken = Redbuckets::with_connection(by, "group");
    wakes_at_once(&server, woken, Redbuckets::builder(&server.url(), "group")).await;
}

/// The first member hears that a second one came, long before its next heartbeat.
pub(super) async fn wakes_at_once(server: &RedisServer, first: Builder, second: Builder) {
    let first = join(&slow(first)).await;
    until("it owns everything", || first.owned().len() == 4).await;
    until("it listens", || {
        let channels: Vec<String> = server.query(&["PUBSUB", "CHANNELS"]).expect("asks");
        !channels.is_empty()
    })
    .await;
    let second = join(&slow(second)).await;
    until("they share", || {
        first.owned().len() == 2 && second.owned().len() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_nothing_is_asked_again_and_again() {
    let server = RedisServer::start().expect("starts");
    let group = slow(Redbuckets::with_connection(
        connection(&server).await,
        "group",
    ));
    let instance = join(&group).await;
    until("it owns everything", || instance.owned().len() == 4).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.reset_stats().expect("resets");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = server.commandstats().expect("stats");
    let own = calls.get("evalsha").copied().unwrap_or(0);
    assert!(own <= 1, "{calls:?}");
    instance.leave().await.expect("confirmed");
}
