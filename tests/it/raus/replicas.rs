//! How long an acquisition waits for replicas.

use std::{sync::Arc, time::Duration};

use ::raus::{AcquireError, Placement, Raus, TokioClock};
use coord_core::store::embedded::Embedded;
use coord_offline::gate::Gate;

/// A store with one replica that is held back, and somebody who asks it for a machine ID.
fn held_back() -> (Embedded, Raus) {
    let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
    let embedded = Embedded::with_seed(Arc::new(clock.clone()), 1);
    embedded.set_replicas(1, true);
    let raus = Raus::with_store(Arc::new(embedded.client()), "slow", 0..=9)
        .discovery(Duration::ZERO)
        .acknowledge(1)
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
