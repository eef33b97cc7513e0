//! A namespace whose server may have forgotten something.

use std::time::Duration;

use coord_tests::wait;
use futures_util::future::join_all;
use raus::{AcquireError, Event, MachineId};

use super::space::{Space, TTL};
use crate::raus::event;

pub(super) async fn a_deleted_record_is_put_back_and_newcomers_wait_one_ttl(space: Space) {
    let raus = space.raus(0..=1).ttl(TTL).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let (slot, fence) = (machine_id.id(), machine_id.fence());
    let began = space.server_ms().await;
    space
        .send(&["HDEL", &space.slots(), &slot.to_string()])
        .await;
    let record = wait::until_async(LONG, async || space.record(slot).await);
    assert_eq!(record.await.expect("it is put back").fence, fence);
    let later = check_wait(&space, began, &raus).await;
    assert_eq!(later.id(), 1 - slot);
    assert!(machine_id.is_held());
    assert_eq!(machine_id.fence(), fence);
}

pub(super) async fn a_deleted_namespace_is_put_right_by_its_holders(space: Space) {
    let raus = space.raus(0..=15).build().expect("valid");
    let held = join_all((0..3).map(|_| raus.acquire())).await;
    let held: Vec<MachineId> = held.into_iter().map(|id| id.expect("free")).collect();
    let before = described(&held);
    let mut events: Vec<_> = held.iter().map(MachineId::events).collect();
    space.forget_everything().await;
    for events in &mut events {
        event(events, |event| matches!(event, Event::Reasserted { .. })).await;
    }
    assert_eq!(described(&held), before, "slots and fences are kept");
    assert_eq!(space.keys().await.len(), 4, "three locks and their records");
    let error = raus.acquire_within(LONG).await;
    let error = error.expect_err("a ttl of a minute must pass first");
    assert!(
        matches!(error, AcquireError::Quarantined { wait, limit } if limit < wait),
        "{error:?}"
    );
}

pub(super) async fn another_server_grants_nothing_for_one_ttl_but_renews(space: Space) {
    let raus = space.raus(0..=2).ttl(TTL).build().expect("valid");
    let held = join_all((0..2).map(|_| raus.acquire())).await;
    let held: Vec<MachineId> = held.into_iter().map(|id| id.expect("free")).collect();
    let before = described(&held);
    let began = space.server_ms().await;
    space.change_server(&space.slots()).await;
    let later = check_wait(&space, began, &raus).await;
    // Whoever was forgotten may have minted up to there.
    let history = space.history(&space.slots()).await.expect("there is one");
    let record = space.record(later.id()).await.expect("it is held");
    assert_eq!(record.floor.to_string(), history[3]);
    assert!(!history[1].starts_with("another-server"));
    assert!(held.iter().all(MachineId::is_held));
    assert_eq!(described(&held), before);
}

/// Acquires once the wait that began after `began` is over, and not before.
async fn check_wait(space: &Space, began: u64, raus: &raus::Raus) -> MachineId {
    let later = raus.acquire().await.expect("it is waited for");
    let now = space.server_ms().await;
    let ttl = u64::try_from(TTL.as_millis()).expect("short");
    assert!(began + ttl <= now, "{began} {now}");
    later
}

pub(super) async fn more_replicas_than_there_are_cannot_acknowledge(space: Space) {
    let more = space.replicas + 1;
    let raus = space.raus(0..=9).acknowledge(more);
    let error = raus.build().expect("valid").acquire().await;
    let error = error.expect_err("must be refused");
    assert!(
        matches!(error, AcquireError::TooFewReplicas { found, wanted }
            if found <= space.replicas && wanted == more),
        "{error:?}"
    );
    let keys = space.keys().await;
    assert!(keys.len() <= 1, "nothing is held, but {keys:?}");
}

fn described(held: &[MachineId]) -> Vec<(u32, u64)> {
    held.iter().map(|id| (id.id(), id.fence())).collect()
}

/// Shorter than a ttl of a minute, and as long as a busy machine may need.
const LONG: Duration = Duration::from_secs(20);
