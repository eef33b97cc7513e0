//! A server that accepts connections and never says a word: a load balancer without a server behind it, a wrong port.

use std::net::TcpListener;

use ::raus::{AcquireError, Raus};
use coord_core::clock::{Clock, SystemClock};
use redbuckets::{JoinError, Redbuckets};

use super::*;

/// Longer than any of the limits below could add up to, on whatever machine.
const BOUND: Duration = Duration::from_secs(20);

async fn timed<T>(what: &str, work: impl Future<Output = T>) -> T {
    let began = SystemClock.now();
    let outcome = tokio::time::timeout(BOUND, work).await;
    println!(
        "no handshake: {what} ended after {:?}",
        SystemClock.now().saturating_since(began)
    );
    outcome.unwrap_or_else(|_| panic!("{what} has not ended after {BOUND:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_the_handshake_is_an_error_in_bounded_time() {
    // Never accepted from: the system completes the connections, and nobody reads them.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("bound"));
    let raus = Raus::new(&url, 0..=9).expect("valid");
    let outcome = timed("acquire", raus.acquire()).await;
    assert!(
        matches!(outcome, Err(AcquireError::Store(_))),
        "{outcome:?}"
    );
    let within = raus.acquire_within(Duration::from_secs(1));
    let outcome = timed("acquire_within(1 s)", within).await;
    let is_bounded = matches!(
        outcome,
        Err(AcquireError::Store(_) | AcquireError::TimedOut { .. })
    );
    assert!(is_bounded, "{outcome:?}");
    let group = Redbuckets::builder(&url, "group").build().expect("valid");
    let outcome = timed("join", group.join()).await;
    assert!(matches!(outcome, Err(JoinError::Store(_))), "{outcome:?}");
}
