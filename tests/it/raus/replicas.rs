//! How long an acquisition waits for replicas.

use std::{sync::Arc, time::Duration};

use ::raus::{AcquireError, Clock, Placement, Raus, SystemClock, TokioClock};
use coord_core::store::embedded::Embedded;
use coord_tests::{gate::Gate, server::RedisServer};
use futures_util::future::join_all;

/// A store with one replica that is held back, and somebody who asks it for a machine ID.
fn held_back() -> (Embedded, Raus) {
    let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
    let embedded = Embedded::with_seed(Arc::new(clock.clone()), 1);
    embedded.set_replicas(1, true);
    let raus = Raus::with_store(Arc::new(embedded.client()), "slow", 0..=9)
        .discovery(Duration::ZERO)
        .clock(Arc::new(clock))
        .placement(Placement::Custom(Arc::new(Gate::default())))
        .seed(1)
        .build()
        .expect("valid");
    (embedded, raus)
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_slow_for_a_second_fails_no_acquisition() {
    let (embedded, raus) = held_back();
    let acquiring = tokio::spawn(async move { raus.acquire().await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!acquiring.is_finished());
    embedded.set_replicas(1, false);
    let id = acquiring.await.expect("ends").expect("acknowledged");
    assert!(id.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stays_away_is_an_error_and_nothing_is_held() {
    let (embedded, raus) = held_back();
    let error = raus.acquire().await.expect_err("nobody acknowledges");
    assert!(
        matches!(
            error,
            AcquireError::TooFewReplicas {
                found: 0,
                wanted: 1
            }
        ),
        "{error:?}"
    );
    for slot in 0..10 {
        assert_eq!(embedded.get(&format!("slow:id:{slot}")), None);
    }
}

/// For some ms of a second a server says that it heard of a replica a second after now. Every version does.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_was_heard_of_just_now_is_not_missed() {
    let master = RedisServer::start().expect("starts");
    let replica = RedisServer::builder().replica_of(&master).start();
    let _replica = replica.expect("starts");
    let patience = Duration::from_secs(20);
    master.wait_replicas(1, patience).expect("it follows");
    let raus = Raus::builder(&master.url(), 0..=9)
        .discovery(Duration::ZERO)
        .ttl(Duration::from_mins(1))
        .build()
        .expect("valid");
    for _ in 0..8 {
        let into_the_second = Duration::from_millis(SystemClock.wall_ms() % 1_000);
        tokio::time::sleep(Duration::from_millis(990).saturating_sub(into_the_second)).await;
        let turns = (0..8).map(|_| async {
            for _ in 0..8 {
                let id = raus.acquire_within(Duration::from_secs(5)).await;
                let id = id.expect("nothing is missed, and so waited for");
                id.release().await.expect("it is held");
            }
        });
        join_all(turns).await;
    }
}
