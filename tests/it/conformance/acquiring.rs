//! A slot is granted: to whom, under which keys, with which fence.

use std::{sync::Arc, time::Duration};

use coord_core::clock::{Clock, SystemClock, TokioClock};
use raus::AcquireError;
use uuid::Uuid;

use super::{
    space::Space,
    wiretap::{replay, wiretap},
};

const DISCOVERY: Duration = Duration::from_millis(900);

pub(super) async fn the_first_use_is_granted_after_silence(space: Space) {
    let raus = space.raus(0..=9).discovery(DISCOVERY).build();
    let started = SystemClock.now();
    let granted = raus.expect("valid").acquire().await;
    let machine_id = granted.expect("silence means first use");
    assert!(started + DISCOVERY <= SystemClock.now());
    assert!(machine_id.is_held());
    let token = space.text(&["HGET", &space.slots(), "discovery"]).await;
    assert_eq!(token, None, "the claim used it up");
    assert!(space.history(&space.slots()).await.is_some());
}

/// The store forgets everything a second time while somebody listens: nobody has listened for who lived in between.
pub(super) async fn a_claim_of_first_use_is_void_without_its_token(space: Space) {
    let wire = wiretap(space.store());
    let raus = space.raus_on(wire.clone(), 0..=0).discovery(DISCOVERY);
    let machine_id = raus.build().expect("valid").acquire().await.expect("free");
    // More of them where answers came late.
    assert!(2 <= wire.calls("acquire") && 1 <= wire.subscriptions());
    machine_id.release().await.expect("releases");
    let claim = wire.last("acquire");

    space.forget_everything().await;
    // First there is no token, then another one.
    for _ in 0..2 {
        let reply = replay(&wire, claim.clone()).await;
        let answer = reply.as_array().expect("a list");
        assert_eq!(answer[0].as_str(), Some("absent"), "{reply:?}");
        assert_eq!(space.keys().await, [space.slots()]);
    }
    let fields = space.send(&["HKEYS", &space.slots()]).await;
    let fields = fields.as_array().expect("a list").iter();
    let fields: Vec<_> = fields.map(|field| field.as_str()).collect();
    assert_eq!(fields, [Some("discovery")], "nothing but a new token");
}

pub(super) async fn any_voice_means_that_the_past_was_lost(space: Space) {
    let raus = space.raus(0..=9).discovery(LONG).build().expect("valid");
    let broadcast = space.broadcast();
    let voices = async {
        loop {
            space.send(&["PUBLISH", &broadcast, "somebody:5"]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let outcome = tokio::select! {
        outcome = raus.acquire_within(2 * LONG) => outcome,
        () = voices => unreachable!("they go on for ever"),
    };
    let error = outcome.expect_err("one ttl must pass first");
    assert!(
        matches!(error, AcquireError::Quarantined { wait, .. } if wait == TTL),
        "{error:?}"
    );
}

pub(super) async fn keys_and_values_are_those_of_the_go_original(space: Space) {
    let raus = space.raus(7..=7).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    assert_eq!(space.keys().await, [space.lock(7), space.slots()]);
    let holder = space.text(&["GET", &space.lock(7)]).await;
    let holder = holder.expect("plain text");
    let uuid = Uuid::parse_str(&holder).expect("a UUID");
    assert_eq!(uuid.to_string(), holder, "lower case, with hyphens");
    let left = space.number(&["PTTL", &space.lock(7)]).await;
    assert!((1..=60_000).contains(&left), "{left} ms");
    let slots = space.send(&["PTTL", &space.slots()]).await;
    assert_eq!(slots, coord_core::store::Reply::Int(-1), "without a ttl");
    assert!(machine_id.is_held());
}

pub(super) async fn heartbeats_are_announced_as_by_the_go_original(space: Space) {
    let raus = space.raus(7..=7).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let store = space.store();
    let mut heard = store
        .subscribe(&space.broadcast(), LONG)
        .await
        .expect("subscribes");
    let message = tokio::time::timeout(LONG, heard.next()).await;
    let message = message.expect("a heartbeat").expect("a message");
    let holder = space.text(&["GET", &space.lock(7)]).await.expect("held");
    assert_eq!(String::from_utf8_lossy(&message), format!("{holder}:7"));
    assert!(machine_id.is_held());
}

pub(super) async fn fences_rise_from_holder_to_holder(space: Space) {
    let started_us = space.server_ms().await * 1_000;
    let mut last = started_us;
    for _ in 0..4 {
        let raus = space.raus(5..=5).build().expect("valid");
        let machine_id = raus.acquire().await.expect("free");
        assert!(last < machine_id.fence());
        last = machine_id.fence();
        machine_id.release().await.expect("releases");
    }
    // A fence ahead of the server's clock, as after a failover to a server whose clock is behind.
    let mut record = space.record(5).await.expect("it was held");
    record.fence += 3_600_000_000;
    space.set_record(5, &record).await;
    let raus = space.raus(5..=5).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    assert_eq!(machine_id.fence(), record.fence + 1);
}

pub(super) async fn the_same_label_gets_the_same_slot_again(space: Space) {
    let others = space.raus(0..=31).build().expect("valid");
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(others.acquire().await.expect("free"));
    }
    let labelled = space.raus(0..=31).label("payments-7f9c").build();
    let labelled = labelled.expect("valid");
    let first = labelled.acquire().await.expect("free");
    let id = first.id();
    first.release().await.expect("releases");
    // Slots that its walk would have preferred become free meanwhile, and unlabelled newcomers take others.
    for machine_id in held.drain(..4) {
        machine_id.release().await.expect("releases");
    }
    // Another process, which knows the label alone.
    let again = space.raus(0..=31).label("payments-7f9c").build();
    let again = again.expect("valid").acquire().await.expect("free");
    assert_eq!(again.id(), id);
}

pub(super) async fn a_clock_one_minute_off_is_refused_and_nothing_written(space: Space) {
    let true_wall = SystemClock.wall();
    for wall in [
        true_wall + Duration::from_secs(60),
        true_wall - Duration::from_secs(60),
    ] {
        let raus = space.raus(0..=9).clock(Arc::new(TokioClock::new(wall)));
        let error = raus.build().expect("valid").acquire().await;
        let AcquireError::ClockSkew { skew, limit } = error.expect_err("must be refused") else {
            panic!("another error than that of the clock");
        };
        let off = skew.abs_diff(Duration::from_secs(60));
        assert!(off < Duration::from_secs(5), "{skew:?}");
        assert_eq!(limit, Duration::from_secs(10));
    }
    assert!(space.keys().await.is_empty());
}

pub(super) async fn a_horizon_far_ahead_is_passed_over_while_another_slot_is_free(space: Space) {
    let first = space.raus(0..=0).build().expect("valid");
    let first = first.acquire().await.expect("free");
    first.release().await.expect("releases");
    let mut record = space.record(0).await.expect("it was held");
    // Further than clocks may differ, and no further than a ttl more.
    record.horizon = space.server_ms().await + 40_000;
    space.set_record(0, &record).await;
    let raus = space.raus(0..=1).build().expect("valid");
    let near = raus.acquire().await.expect("free");
    assert_eq!(near.id(), 1);
    let far = raus.acquire().await.expect("better than none");
    assert_eq!(far.id(), 0);
    let taken = space.record(0).await.expect("it is held");
    assert_eq!(taken.floor, record.horizon, "its holder mints above it");
}

/// Of a holder, where the case does not say otherwise.
const TTL: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(20);
