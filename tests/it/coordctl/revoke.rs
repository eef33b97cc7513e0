//! A machine ID is taken away by force.

use std::time::Duration;

use ::raus::{
    Event, LossCause, Raus,
    inspect::{Revocation, SlotState},
};

use super::{LIMIT, exec, finish, hold, run, server};

fn raus_of(server: &coord_tests::server::RedisServer, ttl: Duration) -> Raus {
    Raus::builder(&server.url(), 5..=5)
        .discovery(Duration::ZERO)
        .ttl(ttl)
        .heartbeat(Duration::from_millis(200))
        .build()
        .expect("valid")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_hears_of_it_and_the_next_one_waits_for_its_lease_and_its_horizon() {
    let server = server();
    let raus = raus_of(&server, Duration::from_secs(4));
    let held = raus.acquire().await.expect("free");
    let inspector = raus.inspector().expect("a thread");
    let slot = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is held");
    assert_eq!(slot.state(), SlotState::Held);
    let Ok(Revocation::Revoked { fence, free_in }) = inspector.revoke(&slot).await else {
        panic!("it must be revoked");
    };
    assert!(held.fence() < fence);
    assert!(free_in <= Duration::from_secs(4));
    let after = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is on record");
    assert_eq!(after.state(), SlotState::Revoked);
    assert!(slot.horizon_ms <= after.horizon_ms);
    // The lease is not over: nobody is granted the slot.
    let soon = raus.acquire().await;
    assert!(
        matches!(soon, Err(::raus::AcquireError::RangeExhausted { .. })),
        "{soon:?}"
    );
    let loss = tokio::time::timeout(LIMIT, held.lost())
        .await
        .expect("in time")
        .expect("it is lost");
    assert!(
        matches!(
            loss.cause,
            LossCause::Foreign | LossCause::Superseded { .. }
        ),
        "{loss}"
    );
    assert!(!held.is_held());
    // What the former holder does late changes nothing.
    held.release().await.expect("it answers");
    let next = raus
        .acquire_within(LIMIT)
        .await
        .expect("free once the lease is over");
    assert!(fence < next.fence());
    let granted = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is held");
    assert!(
        after.horizon_ms <= granted.floor_ms,
        "the next one mints above all that was reserved"
    );
    next.release().await.expect("it answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn freed_at_once_the_next_one_still_begins_above_the_horizon() {
    let server = server();
    let raus = raus_of(&server, Duration::from_secs(5));
    let held = raus.acquire().await.expect("free");
    let inspector = raus.inspector().expect("a thread");
    let slot = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is held");
    let outcome = inspector.revoke_at_once(&slot).await.expect("it answers");
    assert!(
        matches!(
            outcome,
            Revocation::Revoked {
                free_in: Duration::ZERO,
                ..
            }
        ),
        "{outcome:?}"
    );
    let next = raus.acquire().await.expect("it is free");
    let granted = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is held");
    assert!(slot.horizon_ms <= granted.floor_ms);
    let mut events = held.events();
    let lost = tokio::time::timeout(LIMIT, async {
        while let Some(event) = events.next().await {
            if matches!(event, Event::Lost(_)) {
                return true;
            }
        }
        false
    });
    assert!(
        lost.await.expect("in time"),
        "the former holder hears of it"
    );
    assert!(next.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_since_it_was_read_is_left_alone() {
    let server = server();
    let raus = raus_of(&server, Duration::from_secs(5));
    let inspector = raus.inspector().expect("a thread");
    let first = raus.acquire().await.expect("free");
    let slot = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is held");
    first.release().await.expect("it answers");
    assert_eq!(
        inspector.revoke(&slot).await.expect("it answers"),
        Revocation::Changed
    );
    let free = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("on record");
    assert_eq!(
        inspector.revoke(&free).await.expect("it answers"),
        Revocation::Free
    );
    let second = raus.acquire().await.expect("it is free");
    assert_eq!(
        inspector.revoke(&slot).await.expect("it answers"),
        Revocation::Changed
    );
    assert!(second.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_without_a_record_is_only_freed_by_force() {
    let server = server();
    server
        .cli(&["SET", "raus:id:5", "a-go-process", "PX", "60000"])
        .expect("it answers");
    let refused = run(&server, &["id", "revoke", "5", "--yes"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("keeps no record"), "{refused:?}");
    let lock: String = server.query(&["GET", "raus:id:5"]).expect("it answers");
    assert_eq!(lock, "a-go-process");
    let forced = run(&server, &["id", "revoke", "5", "--yes", "--now", "--json"]);
    assert_eq!(forced.json()["free_in_ms"], 0);
    assert!(forced.stderr.contains("warning"), "{forced:?}");
    let exists: u32 = server.query(&["EXISTS", "raus:id:5"]).expect("it answers");
    assert_eq!(exists, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_lock_is_not_put_back_after_a_revocation() {
    let server = server();
    // Nothing is renewed while this goes on.
    let raus = Raus::builder(&server.url(), 5..=5)
        .discovery(Duration::ZERO)
        .ttl(Duration::from_secs(30))
        .heartbeat(Duration::from_secs(8))
        .build()
        .expect("valid");
    let held = raus.acquire().await.expect("free");
    let inspector = raus.inspector().expect("a thread");
    server.cli(&["DEL", "raus:id:5"]).expect("it answers");
    let slot = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is on record");
    assert_eq!(slot.state(), SlotState::Unlocked);
    let outcome = inspector.revoke(&slot).await.expect("it answers");
    assert!(matches!(outcome, Revocation::Revoked { .. }), "{outcome:?}");
    let loss = tokio::time::timeout(LIMIT, held.lost())
        .await
        .expect("in time");
    assert!(loss.is_some());
    let after = inspector
        .read_slot(5)
        .await
        .expect("it answers")
        .expect("it is on record");
    assert_eq!(after.state(), SlotState::Revoked);
}

#[test]
fn a_program_under_a_revoked_machine_id_is_told_to_end() {
    let server = server();
    let script = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let options = [
        "--range",
        "5",
        "--label",
        "orders-1",
        "--heartbeat",
        "200ms",
    ];
    let mut running = exec(&server, &options, script);
    running
        .wait_for_line(LIMIT, |line| line == "ready")
        .expect("it starts");
    let wrong = run(&server, &["id", "revoke", "5", "--yes", "--fence", "17"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    let revoked = run(&server, &["id", "revoke", "5", "--yes", "--json"]).json();
    assert_eq!(
        (&revoked["revoked"], &revoked["label"]),
        (&5.into(), &"orders-1".into())
    );
    assert!(revoked["holder"].is_string() && revoked["fence"].is_string());
    assert!(0 < revoked["free_in_ms"].as_u64().expect("a number"));
    let outcome = finish(&mut running);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (Some(5), "ready\ntold\n"),
        "{outcome:?}"
    );
    let listed = run(&server, &["id", "list", "--json"]).json();
    assert_eq!(listed["slots"][0]["state"], "revoked", "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_revoked_without_being_sure() {
    let server = server();
    let held = hold(&server, 5..=5, "orders").await;
    let unsure = run(&server, &["id", "revoke", "5"]);
    assert_eq!(unsure.code, Some(2), "{unsure:?}");
    assert!(unsure.stderr.contains("--yes"), "{unsure:?}");
    assert!(held.is_held());
    let free = run(&server, &["id", "revoke", "6", "--yes"]);
    assert_eq!(free.code, Some(4), "{free:?}");
}
