//! A release that arrives late must not take what its sender was granted since.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::raus::{Placement, Raus, TokioClock};
use coord_core::store::{
    BoxFuture,
    embedded::{Embedded, Faults},
};
use coord_offline::{
    gate::Gate,
    tap::{Ear, Tap},
};

/// From the first confirmation on, requests take two seconds.
#[derive(Debug)]
struct Slowed {
    faults: Faults,
    has_begun: AtomicBool,
}

impl Ear for Slowed {
    fn confirming(&self) -> Option<BoxFuture<'_, ()>> {
        if !self.has_begun.swap(true, Ordering::SeqCst) {
            self.faults.set_request_delay(Duration::from_secs(2));
        }
        None
    }
}

/// Simulation, seed 794 of its first version at scale: replicas did not acknowledge a grant in time, it was given back, the
/// release was late, the same holder asked again and was granted the slot as before. Then the release arrived, freed
/// the slot under its holder, and put the horizon back to where the holder had begun to mint.
#[tokio::test(start_paused = true)]
async fn a_late_release_of_an_unacknowledged_grant_frees_nothing_that_was_granted_since() {
    let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
    let embedded = Embedded::with_seed(Arc::new(clock.clone()), 1);
    embedded.set_replicas(1, false);
    let client = embedded.client();
    let faults = client.faults().clone();
    let tap = Tap {
        store: Arc::new(client),
        ear: Slowed {
            faults: faults.clone(),
            has_begun: AtomicBool::new(false),
        },
    };
    let raus = Raus::with_store(Arc::new(tap), "late", 0..=0)
        .ttl(Duration::from_secs(6))
        .heartbeat(Duration::from_millis(500))
        .discovery(Duration::ZERO)
        .acknowledge(1)
        .clock(Arc::new(clock))
        .placement(Placement::Custom(Arc::new(Gate::default())))
        .seed(1)
        .build()
        .expect("valid");
    let acquiring = tokio::spawn(async move {
        let limit = Duration::from_secs(30);
        raus.acquire_within(limit).await
    });
    // The confirmation and the release are given up after half a second each; what follows is quick again.
    tokio::time::sleep(Duration::from_millis(1_005)).await;
    assert_eq!(embedded.stats().get("release"), None, "it is under way");
    faults.heal();
    let id = acquiring.await.expect("ends").expect("the slot is free");
    let fence = id.fence();
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(embedded.get("late:id:0").is_some(), "the slot was freed");
    }
    assert_eq!(embedded.stats().get("release"), Some(&1), "it has arrived");
    assert!(id.is_held());
    assert_eq!(id.fence(), fence);
}
