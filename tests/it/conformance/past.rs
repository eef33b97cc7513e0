//! A namespace whose server may have forgotten something.

use std::time::Duration;

use coord_tests::wait;
use futures_util::future::join_all;
use raus::{Acknowledge, AcquireError, Event, MachineId};

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
        matches!(error, AcquireError::HistorySuspect { wait, limit } if limit < wait),
        "{error:?}"
    );
}

pub(super) async fn another_server_grants_nothing_for_one_ttl_but_renews(space: Space) {
    let raus = space.raus(0..=2).ttl(TTL).build().expect("valid");
    let held = join_all((0..2).map(|_| raus.acquire())).await;
    let held: Vec<MachineId> = held.into_iter().map(|id| id.expect("free")).collect();
    let before = described(&held);
    let began = space.server_ms().await;
    space.change_server(&space.slots(), false).await;
    let later = check_wait(&space, began, &raus).await;
    // Whoever was forgotten may have minted up to there.
    let history = space.history(&space.slots()).await.expect("there is one");
    let record = space.record(later.id()).await.expect("it is held");
    assert_eq!(record.floor.to_string(), history[3]);
    assert!(!history[0].starts_with("another-server"));
    assert!(held.iter().all(MachineId::is_held));
    assert_eq!(described(&held), before);
}

/// Acquires once the wait that began after `began` is over, and not before.
async fn check_wait(space: &Space, began: u64, raus: &raus::Raus) -> MachineId {
    let later = raus.acquire().await.expect("it is waited for");
    let now = space.server_ms().await;
    let history = space.history(&space.slots()).await.expect("there is one");
    let till: u64 = history[1].parse().expect("a number");
    let ttl = u64::try_from(TTL.as_millis()).expect("short");
    assert!(began + ttl <= till && till <= now, "{began} {till} {now}");
    later
}

pub(super) async fn a_vouched_past_grants_what_was_given_back_at_once(space: Space) {
    let first = space.raus(0..=1).build().expect("valid");
    let held = join_all((0..2).map(|_| first.acquire())).await;
    for machine_id in held {
        machine_id.expect("free").release().await.expect("releases");
    }
    // The lease of 0 is over, as far as this server knows; its renewals may be among what was lost.
    let mut record = space.record(0).await.expect("it was held");
    record.till = space.server_ms().await - 1;
    space.set_record(0, &record).await;
    space.change_server(&space.slots(), true).await;

    let raus = space.raus(0..=1).build().expect("valid");
    if space.replicas == 0 {
        // The survivor has no replica left, and may have been succeeded itself.
        let error = raus.acquire_within(SHORT).await.expect_err("alone");
        assert!(is_waiting(&error), "{error:?}");
        return;
    }
    let free = raus.acquire_within(LONG).await.expect("it was given back");
    assert_eq!(free.id(), 1);
    let error = raus.acquire_within(LONG).await.expect_err("it may be held");
    assert!(
        matches!(error, AcquireError::HistorySuspect { .. }),
        "{error:?}"
    );
    edit_history(&space, 1, space.server_ms().await).await;
    let expired = raus.acquire().await.expect("the wait is over");
    assert_eq!(expired.id(), 0);
}

pub(super) async fn a_server_that_lost_its_replicas_grants_nothing_for_one_ttl(space: Space) {
    let raus = space.raus(0..=9).build().expect("valid");
    let first = raus.acquire().await.expect("free");
    first.release().await.expect("releases");
    // As if one replica had acknowledged that.
    edit_history(&space, 4, 1).await;
    edit_history(&space, 8, 1).await;
    if 0 < space.replicas {
        let granted = raus.acquire_within(LONG).await;
        assert!(granted.expect("its replicas are there").is_held());
        return;
    }
    let error = raus.acquire_within(SHORT).await;
    let error = error.expect_err("its successor may be granting");
    assert!(is_waiting(&error), "{error:?}");
    edit_history(&space, 6, space.server_ms().await - 60_000).await;
    assert!(raus.acquire().await.expect("the wait is over").is_held());
    let history = space.history(&space.slots()).await.expect("there is one");
    assert_eq!((&*history[4], &*history[6]), ("0", "0"));
}

pub(super) async fn a_grant_notes_whether_replicas_acknowledge(space: Space) {
    let raus = space.raus(0..=9).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let history = space.history(&space.slots()).await.expect("there is one");
    assert_eq!(history[4], space.replicas.min(1).to_string());
    let unasked = space.raus(0..=9).acknowledge(Acknowledge::Never).build();
    let unasked = unasked.expect("valid").acquire().await.expect("free");
    let history = space.history(&space.slots()).await.expect("there is one");
    assert_eq!(history[4], if space.replicas == 0 { "0" } else { "2" });
    assert!(machine_id.is_held() && unasked.is_held());
}

pub(super) async fn more_replicas_than_there_are_cannot_acknowledge(space: Space) {
    let more = space.replicas + 1;
    let raus = space.raus(0..=9).acknowledge(Acknowledge::AtLeast(more));
    let error = raus.build().expect("valid").acquire().await;
    let error = error.expect_err("must be refused");
    assert!(
        matches!(error, AcquireError::TooFewReplicas { found, wanted }
            if found == space.replicas && wanted == more),
        "{error:?}"
    );
    let keys = space.keys().await;
    assert!(keys.len() <= 1, "nothing is held, but {keys:?}");
}

/// Writes one field of the history.
async fn edit_history(space: &Space, field: usize, value: u64) {
    let slots = space.slots();
    let mut history = space.history(&slots).await.expect("there is one");
    history[field] = value.to_string();
    space
        .send(&["HSET", &slots, "history", &history.join(" ")])
        .await;
}

fn is_waiting(error: &AcquireError) -> bool {
    matches!(
        error,
        AcquireError::HistorySuspect { .. } | AcquireError::TimedOut { .. }
    )
}

fn described(held: &[MachineId]) -> Vec<(u32, u64)> {
    held.iter().map(|id| (id.id(), id.fence())).collect()
}

/// Long enough to be told to wait.
const SHORT: Duration = Duration::from_secs(2);
/// Shorter than a ttl of a minute, and as long as a busy machine may need.
const LONG: Duration = Duration::from_secs(20);
