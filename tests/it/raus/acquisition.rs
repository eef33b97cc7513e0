//! Machine IDs for many at once, and for those who change their minds.

use std::time::Duration;

use ::raus::{AcquireError, Raus};
use futures_util::future::join_all;

use super::{acquire_all, client, ids, server};

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_at_once_get_distinct_slots() {
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
