//! Every way to a server, for a whole life of a machine ID and of a group of buckets.

mod acl;
mod brought;
mod cluster;
mod confirming;
mod forms;
mod healing;
mod hints;
mod patience;
mod sentinel;
mod tls;
mod unable;

use std::{error::Error, time::Duration};

use ::raus::{AcquireError, Raus};
use redbuckets::{Instance, Redbuckets};

const TTL: Duration = Duration::from_secs(2);
const HEARTBEAT: Duration = Duration::from_millis(100);
/// What is in time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Acquires, renews past the ttl, is refused when the range is full, releases, acquires again.
async fn live_as_machine(builder: ::raus::Builder) {
    let raus = builder
        .ttl(TTL)
        .heartbeat(HEARTBEAT)
        .discovery(Duration::from_millis(700))
        .build()
        .expect("valid");
    let first = acquire(&raus).await.expect("free");
    let second = acquire(&raus).await.expect("free");
    assert_ne!(first.id(), second.id());
    let error = acquire(&raus).await.expect_err("the range holds two");
    assert!(
        matches!(error, AcquireError::RangeExhausted { held: 2, .. }),
        "{}",
        causes(&error)
    );
    tokio::time::sleep(TTL + TTL / 4).await;
    assert!(first.is_held() && second.is_held(), "they were renewed");
    let (id, fence) = (first.id(), first.fence());
    first.release().await.expect("confirmed");
    let next = acquire(&raus).await.expect("free again");
    assert_eq!(next.id(), id);
    assert!(fence < next.fence());
    next.release().await.expect("confirmed");
    second.release().await.expect("confirmed");
}

async fn acquire(raus: &Raus) -> Result<::raus::MachineId, AcquireError> {
    let outcome = tokio::time::timeout(PATIENCE, raus.acquire()).await;
    outcome.expect("an answer in time, whatever it is")
}

/// Two instances share, work, and one leaves all to the other.
async fn live_as_instances(builders: [redbuckets::Builder; 2]) {
    let [first, second] = builders.map(|builder| {
        let builder = builder.buckets(8).ttl(TTL).period(HEARTBEAT);
        builder
            .settle(Duration::from_millis(100))
            .build()
            .expect("valid")
    });
    let first = join(&first).await;
    let second = join(&second).await;
    until("each has its half", || {
        first.owned().len() == 4 && second.owned().len() == 4
    })
    .await;
    let bucket = first.owned().ids().next().expect("it owns four");
    let guard = first.enter(bucket).expect("it owns it");
    tokio::time::sleep(TTL + TTL / 4).await;
    assert_eq!(guard.bucket(), bucket);
    assert!(first.owned().contains(bucket), "it was renewed");
    drop(guard);
    first.leave().await.expect("confirmed");
    until("the other has all", || second.owned().len() == 8).await;
    second.leave().await.expect("confirmed");
}

async fn join(group: &Redbuckets) -> Instance {
    let joined = tokio::time::timeout(PATIENCE, group.join()).await;
    match joined.expect("an answer in time, whatever it is") {
        Ok(instance) => instance,
        Err(error) => panic!("{}", causes(&error)),
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let held = coord_tests::wait::until_async(PATIENCE, async || condition().then_some(()));
    held.await.unwrap_or_else(|| panic!("not in time: {what}"));
}

/// An error with all that caused it.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
