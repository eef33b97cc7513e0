//! Many want slots, and few are free.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use raus::{AcquireError, MachineId};

use super::{
    space::{Record, Space, TTL},
    wiretap::{replay, wiretap},
};

pub(super) async fn sixteen_clients_at_once_get_distinct_slots(space: Space) {
    let acquisitions = (0..16).map(|_| async {
        let raus = space.raus(0..=15).build().expect("valid");
        raus.acquire_within(LONG).await
    });
    let held: Vec<_> = join_all(acquisitions)
        .await
        .into_iter()
        .map(|outcome| outcome.expect("16 slots for 16 clients"))
        .collect();
    let ids: BTreeSet<u32> = held.iter().map(MachineId::id).collect();
    assert_eq!(ids, (0..=15).collect());
}

pub(super) async fn a_full_range_is_an_error_with_its_numbers(space: Space) {
    let raus = space.raus(10..=12).build().expect("valid");
    let held = join_all((0..3).map(|_| raus.acquire())).await;
    assert!(held.iter().all(Result::is_ok), "{held:?}");
    let error = raus.acquire().await.expect_err("full");
    assert!(
        matches!(&error, AcquireError::RangeExhausted { range, held: 3, .. } if *range == (10..=12)),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "all slots of 10..=12 are held (3 of 3); widen the range or release some"
    );
}

pub(super) async fn a_full_range_is_waited_for_when_the_caller_has_time(space: Space) {
    let raus = space.raus(5..=5).build().expect("valid");
    let first = raus.acquire().await.expect("free");
    let first_fence = first.fence();
    let (second, released) = tokio::join!(raus.acquire_within(LONG), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.release().await
    });
    released.expect("releases");
    let second = second.expect("the slot became free");
    assert_eq!(second.id(), 5);
    assert!(first_fence < second.fence());
    let error = raus.acquire_within(Duration::from_millis(300)).await;
    let error = error.expect_err("held");
    // Whether the last answer or the end of the time came first.
    assert!(
        matches!(
            error,
            AcquireError::RangeExhausted { held: 1, .. } | AcquireError::TimedOut { .. }
        ),
        "{error:?}"
    );
}

pub(super) async fn one_call_when_nothing_is_held(space: Space) {
    assert_eq!(calls_with(&space, 0).await, 1);
}

pub(super) async fn one_call_when_900_of_1024_are_held(space: Space) {
    assert_eq!(calls_with(&space, 900).await, 1);
}

pub(super) async fn two_calls_find_the_one_free_slot_of_1024(space: Space) {
    let calls = calls_with(&space, 1_023).await;
    assert!((1..=2).contains(&calls), "{calls} calls");
}

/// What one more acquisition costs where the namespace has a history and strangers hold `held` of 0..=1023.
async fn calls_with(space: &Space, held: u32) -> usize {
    let first = space.raus(0..=1023).build().expect("valid");
    let first = first.acquire().await.expect("free");
    first.release().await.expect("releases");
    if 0 < held {
        let locks: Vec<String> = (0..held).map(|slot| space.lock(slot)).collect();
        let mut command = vec!["MSET"];
        command.extend(locks.iter().flat_map(|lock| [lock.as_str(), "stranger"]));
        space.send(&command).await;
    }
    let wire = wiretap(space.store());
    let raus = space.raus_on(wire.clone(), 0..=1023).seed(7).build();
    let granted = raus.expect("valid").acquire().await;
    let machine_id = granted.expect("one is free");
    assert!(held <= machine_id.id());
    wire.answers("acquire")
}

pub(super) async fn an_expired_slot_becomes_available_and_its_fence_rises(space: Space) {
    // A holder that dies without a word: its key is there, and nobody renews it.
    let ghost = Record {
        fence: 1_795_000_000_000_000,
        horizon: 1_795_000_000_000,
        floor: 0,
        till: space.server_ms().await + 400,
        chain: "-".to_owned(),
        label: "ghost".to_owned(),
    };
    space
        .send(&["SET", &space.lock(3), "ghost", "PX", "400"])
        .await;
    space.set_record(3, &ghost).await;
    let raus = space.raus(3..=3).build().expect("valid");
    let machine_id = raus.acquire_within(LONG).await.expect("expires");
    assert!(ghost.till <= space.server_ms().await);
    assert!(ghost.fence < machine_id.fence());
    let record = space.record(3).await.expect("it is held");
    assert!(ghost.horizon <= record.floor);
}

pub(super) async fn a_lost_answer_is_asked_for_again_and_gets_the_same_grant(space: Space) {
    let first = space.raus(0..=7).build().expect("valid");
    let first = first.acquire().await.expect("free");
    first.release().await.expect("releases");

    let wire = wiretap(space.store());
    let raus = space.raus_on(wire.clone(), 0..=7).build().expect("valid");
    wire.lose_answers(1);
    let machine_id = raus.acquire().await.expect("it is asked again");
    assert_eq!(wire.answers("acquire"), 1);
    assert!(2 <= wire.calls("acquire"));
    let slot = machine_id.id();
    assert_eq!(
        space.keys().await,
        [space.lock(slot), space.slots()],
        "one slot, not two"
    );
    let record = space.record(slot).await.expect("it is held");
    assert_eq!(record.fence, machine_id.fence());
}

/// As where the network kept the request until its sender had given up, or was gone.
pub(super) async fn an_acquisition_executed_late_costs_one_ttl_and_nothing_else(space: Space) {
    let wire = wiretap(space.store());
    let raus = space.raus_on(wire.clone(), 0..=0).ttl(TTL).build();
    let raus = raus.expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let fence = machine_id.fence();
    machine_id.release().await.expect("releases");
    let reply = replay(&wire, wire.last("acquire")).await;
    let ghost = space.record(0).await.expect("it is held");
    assert_eq!(
        reply.as_array().and_then(|answer| answer[0].as_str()),
        Some("granted"),
        "{reply:?}"
    );
    assert!(fence < ghost.fence);

    let later = space.raus(0..=0).build().expect("valid");
    let machine_id = later.acquire_within(LONG).await.expect("it expires");
    assert!(ghost.till <= space.server_ms().await);
    assert!(ghost.fence < machine_id.fence());
    let record = space.record(0).await.expect("it is held");
    assert!(ghost.horizon <= record.floor);
}

pub(super) async fn a_lock_of_another_type_is_a_slot_that_is_held(space: Space) {
    space.send(&["RPUSH", &space.lock(4), "mine"]).await;
    let raus = space.raus(4..=5).build().expect("valid");
    let machine_id = raus.acquire().await.expect("5 is free");
    assert_eq!(machine_id.id(), 5);
    let error = raus.acquire().await.expect_err("full");
    assert!(
        matches!(error, AcquireError::RangeExhausted { held: 2, .. }),
        "{error:?}"
    );
    assert_eq!(space.number(&["LLEN", &space.lock(4)]).await, 1);
}

pub(super) async fn a_record_of_another_type_is_named_and_kept(space: Space) {
    let slots = space.slots();
    space.send(&["SET", &slots, "mine"]).await;
    let raus = space.raus(0..=9).build().expect("valid");
    let error = raus.acquire().await.expect_err("must be refused");
    assert!(
        matches!(&error, AcquireError::WrongType { key, found } if *key == slots && found == "string"),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains(&format!("key {slots:?} holds a string"))
    );
    assert_eq!(space.keys().await, [&*slots]);
    assert_eq!(space.text(&["GET", &slots]).await.as_deref(), Some("mine"));
}

const LONG: Duration = Duration::from_secs(20);
