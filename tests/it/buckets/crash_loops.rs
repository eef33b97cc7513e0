//! A pod that dies again and again, soon after it came, beside members that are well.

use std::{sync::Arc, time::Duration};

use coord_offline::gate::Gate;
use coord_tests::server::RedisServer;
use redbuckets::{Instance, Placement};
use tokio::time::Instant;

use super::{TTL, instance_of, is_balanced, join, server, until};

const BUCKETS: u32 = 1_024;

/// One that joins, works for as long as that, and is gone without a word; which part of the buckets, on average, none of
/// the healthy had meanwhile.
async fn crash(server: &RedisServer, lives: Duration, healthy: &[Instance]) -> f64 {
    let gate = Gate::default();
    let group = instance_of(server, BUCKETS).placement(Placement::Custom(Arc::new(gate.clone())));
    let doomed = group.build().expect("valid").join().await;
    let doomed = doomed.expect("joins");
    let (end, mut samples, mut missing) = (Instant::now() + lives, 0.0, 0.0);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let owned: usize = healthy.iter().map(|one| one.owned().len()).sum();
        missing += 1.0 - owned as f64 / f64::from(BUCKETS);
        samples += 1.0;
    }
    gate.kill();
    drop(doomed);
    missing / samples
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_costs_the_healthy_next_to_nothing() {
    let server = server();
    let mut healthy = Vec::new();
    for _ in 0..4 {
        healthy.push(join(&server, BUCKETS).await);
    }
    until("all buckets are shared", || is_balanced(&healthy, BUCKETS)).await;
    let lives = TTL / 3;
    // Three leases until the first two are missed, their successors are gone, and so is what these had.
    for _ in 0..9 {
        crash(&server, lives, &healthy).await;
    }
    let mut missing = 0.0;
    for _ in 0..5 {
        missing += crash(&server, lives, &healthy).await / 5.0;
    }
    assert!(missing <= 0.05, "{missing} of the buckets on average");

    // Whoever lives gets its share in the end.
    healthy.push(join(&server, BUCKETS).await);
    until("the newcomer has its share", || {
        is_balanced(&healthy, BUCKETS)
    })
    .await;
}
