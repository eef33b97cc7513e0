//! What it takes to get a machine ID.

use std::{collections::BTreeMap, time::Duration};

use ::raus::{AcquireError, Raus};
use coord_tests::server::RedisServer;
use futures_util::future::join_all;

use super::{acquire_all, client, ids, server};

/// Round trips of scripts since the last reset: each costs one EVALSHA, or EVAL.
fn script_calls(stats: &BTreeMap<String, u64>) -> u64 {
    stats.get("evalsha").unwrap_or(&0) + stats.get("eval").unwrap_or(&0)
}

/// Leases `held` of 0..=1023, so that the namespace has a history, and counts what one more acquisition costs.
async fn round_trips_with(server: &RedisServer, held: usize) -> u64 {
    let holders = client(server, 0..=1023)
        .heartbeat(Duration::from_secs(15))
        .build()
        .expect("valid");
    let warm = acquire_all(&holders, held.max(1)).await;
    let warm = if held == 0 {
        for machine_id in warm {
            machine_id.release().await.expect("releases");
        }
        Vec::new()
    } else {
        warm
    };
    let one_more = client(server, 0..=1023).seed(7).build().expect("valid");
    server.reset_stats().expect("resets");
    let machine_id = one_more.acquire().await.expect("one is free");
    let calls = script_calls(&server.commandstats().expect("stats"));
    drop((warm, machine_id));
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn one_round_trip_when_nothing_is_held() {
    assert_eq!(round_trips_with(&server(), 0).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_round_trip_when_900_of_1024_are_held() {
    assert_eq!(round_trips_with(&server(), 900).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_round_trips_find_the_one_free_slot() {
    let calls = round_trips_with(&server(), 1_023).await;
    assert!((1..=2).contains(&calls), "{calls} round trips");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_at_once_get_distinct_slots_and_the_next_one_an_error() {
    let server = server();
    let acquisitions = (0..200).map(|_| async {
        let raus = client(&server, 0..=199).build().expect("valid");
        raus.acquire_within(Duration::from_secs(20)).await
    });
    let held: Vec<_> = join_all(acquisitions)
        .await
        .into_iter()
        .map(|outcome| outcome.expect("200 slots for 200 clients"))
        .collect();
    assert_eq!(ids(&held).len(), 200);

    let error = client(&server, 0..=199)
        .build()
        .expect("valid")
        .acquire()
        .await
        .expect_err("full");
    assert!(
        matches!(error, AcquireError::RangeExhausted { held: 200, .. }),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "all slots of 0..=199 are held (200 of 200); widen the range or release some"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_can_hold_all_of_1024_slots() {
    let server = server();
    let raus = Raus::builder(&server.url(), 0..=1023)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let held = acquire_all(&raus, 1_024).await;
    assert_eq!(ids(&held).len(), 1_024);
    let error = raus.acquire().await.expect_err("full");
    assert!(
        matches!(error, AcquireError::RangeExhausted { held: 1_024, .. }),
        "{error:?}"
    );

    // Two heartbeats later everything is still held, by one pipeline a heartbeat on at most two connections.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(held.iter().all(::raus::MachineId::is_held));
    let clients = server.info("clients").expect("info")["connected_clients"].clone();
    let clients: u32 = clients.parse().expect("a number");
    assert!(
        clients <= 3,
        "{clients} connections, one of them this test's"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_range_is_waited_for_when_the_caller_has_time() {
    let server = server();
    let raus = client(&server, 5..=5).build().expect("valid");
    let first = raus.acquire().await.expect("free");
    let first_fence = first.fence();
    let (second, released) = tokio::join!(raus.acquire_within(Duration::from_secs(20)), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.release().await
    });
    released.expect("releases");
    let second = second.expect("the slot became free");
    assert_eq!(second.id(), 5);
    assert!(first_fence < second.fence());

    let error = raus
        .acquire_within(Duration::from_millis(300))
        .await
        .expect_err("held");
    assert!(
        matches!(error, AcquireError::RangeExhausted { held: 1, .. }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_label_gets_the_same_slot_again() {
    let server = server();
    let others = client(&server, 0..=99).build().expect("valid");
    let mut held = acquire_all(&others, 20).await;
    let labelled = client(&server, 0..=99)
        .label("payments-7f9c")
        .build()
        .expect("valid");
    let first = labelled.acquire().await.expect("free");
    let id = first.id();
    first.release().await.expect("releases");
    // Slots that its walk would have preferred become free meanwhile, and unlabelled newcomers take others.
    held.drain(..10);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let again = labelled.acquire().await.expect("free");
    assert_eq!(again.id(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_acquisition_keeps_no_slot() {
    let server = server();
    let raus = client(&server, 0..=0).build().expect("valid");
    for microseconds in (0..3_000).step_by(100) {
        let limit = Duration::from_micros(microseconds);
        if let Ok(acquired) = tokio::time::timeout(limit, raus.acquire()).await {
            acquired
                .expect("only this test's own releases are in the way")
                .release()
                .await
                .expect("releases");
        }
        raus.acquire_within(Duration::from_secs(20))
            .await
            .expect("what a cancelled acquisition got is given back")
            .release()
            .await
            .expect("releases");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_slot_becomes_available_and_its_fence_rises() {
    let server = server();
    let raus = client(&server, 3..=3)
        .ttl(Duration::from_millis(300))
        .heartbeat(Duration::from_millis(100))
        .build()
        .expect("valid");
    // A holder that dies without a word: its key is there, nobody renews it.
    let record = "1795000000000000 1795000000000 0 0 ghost";
    server
        .cli(&["SET", "raus:id:3", "ghost", "PX", "300"])
        .expect("sets");
    server
        .cli(&["HSET", "raus:slots", "3", record])
        .expect("sets");
    let machine_id = raus
        .acquire_within(Duration::from_secs(20))
        .await
        .expect("expires");
    assert!(1_795_000_000_000_000 < machine_id.fence());
}
