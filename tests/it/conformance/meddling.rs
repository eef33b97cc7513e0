//! Somebody else writes garbage into the keys of a namespace.

use std::time::Duration;

use coord_tests::wait;
use raus::{AcquireError, Event};

use super::space::{Space, TTL};
use crate::raus::event;

/// What nobody could take for a record of ours.
const GARBAGE: [&str; 8] = [
    "",
    "garbage",
    "-1 -1 -1 -1 x",
    "1 2 3",
    "nan inf 0x10 0 x",
    "99999999999999999999 1 1 0 x",
    "1 1 99999999999999999999999999999999999999 0 x",
    "\u{0}\u{1}\u{2} \u{7f}",
];

pub(super) async fn an_overwritten_record_counts_as_held_and_is_named(space: Space) {
    let slots = space.slots();
    let (alone, beside) = (space.raus(0..=0).build(), space.raus(0..=1).build());
    let (alone, beside) = (alone.expect("valid"), beside.expect("valid"));
    beside
        .acquire()
        .await
        .expect("free")
        .release()
        .await
        .expect("releases");
    for garbage in GARBAGE {
        space.send(&["HSET", &slots, "0", garbage]).await;
        let error = alone
            .acquire()
            .await
            .expect_err("nobody knows who holds it");
        assert!(
            matches!(&error, AcquireError::Garbled { key, slot: 0 } if *key == slots),
            "{garbage:?}: {error:?}"
        );
        assert!(error.to_string().contains(&format!("field 0 of {slots:?}")));
        let other = beside.acquire().await.expect("1 is free");
        assert_eq!(other.id(), 1);
        other.release().await.expect("releases");
        let kept = space.text(&["HGET", &slots, "0"]).await;
        assert_eq!(kept.as_deref(), Some(garbage), "it is left alone");
    }
    space.send(&["HDEL", &slots, "0"]).await;
    alone.acquire().await.expect("free again");
}

pub(super) async fn a_holder_puts_its_overwritten_record_right(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let (fence, mut events) = (machine_id.fence(), machine_id.events());
    for garbage in GARBAGE {
        space.send(&["HSET", &space.slots(), "0", garbage]).await;
        let said = event(&mut events, |event| {
            matches!(event, Event::Reasserted { .. })
        });
        assert!(matches!(said.await, Event::Reasserted { id: 0, fence: again } if again == fence));
        assert_eq!(space.record(0).await.expect("it is held").fence, fence);
        assert!(machine_id.is_held());
    }
}

pub(super) async fn an_overwritten_record_and_a_deleted_lock_free_nothing(space: Space) {
    const LONG: Duration = Duration::from_secs(20);
    let raus = space.raus(0..=0).heartbeat(LONG).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let newcomer = space.raus(0..=0).build().expect("valid");
    for garbage in GARBAGE {
        space.send(&["HSET", &space.slots(), "0", garbage]).await;
        space.send(&["DEL", &space.lock(0)]).await;
        let error = newcomer.acquire().await.expect_err("its holder is unknown");
        assert!(matches!(error, AcquireError::Garbled { .. }), "{error:?}");
    }
    assert!(machine_id.is_held());
}

pub(super) async fn an_overwritten_history_is_a_lost_one(space: Space) {
    let slots = space.slots();
    let raus = space.raus(0..=9).ttl(TTL).build().expect("valid");
    let holder = raus.acquire().await.expect("free");
    for garbage in [
        "garbage",
        "",
        "1 x 99999999999999999999 0 0 0 1 1 1 1 1 1",
        "0 ? 1 1 1 7 0 0 0 0 0 0",
    ] {
        space.send(&["HSET", &slots, "history", garbage]).await;
        // Shorter than the quarantine, and long enough for several answers that come too late.
        let asked = raus.acquire_within(TTL / 2).await;
        let error = asked.expect_err("what was forgotten may still be held");
        assert!(
            matches!(error, AcquireError::Quarantined { .. }),
            "{garbage:?}: {error:?}"
        );
        let later = raus
            .acquire_within(3 * TTL)
            .await
            .expect("in doubt for one ttl");
        assert_ne!(later.id(), holder.id());
        later.release().await.expect("releases");
    }
    assert!(holder.is_held());
}

pub(super) async fn a_lock_without_a_ttl_is_held_until_it_is_removed(space: Space) {
    const HUGE_TTL: &str = "4611686018427387";
    let raus = space.raus(0..=1).build().expect("valid");
    space.send(&["SET", &space.lock(0), "mine"]).await;
    space
        .send(&["SET", &space.lock(1), "mine", "PX", HUGE_TTL])
        .await;
    let error = raus.acquire().await.expect_err("both are held");
    assert!(
        matches!(error, AcquireError::RangeExhausted { held: 2, .. }),
        "{error:?}"
    );
    space.send(&["DEL", &space.lock(1)]).await;
    assert_eq!(raus.acquire().await.expect("free").id(), 1);
    assert_eq!(
        space.text(&["GET", &space.lock(0)]).await.as_deref(),
        Some("mine")
    );
}

pub(super) async fn fences_rise_from_the_highest_that_can_be_written(space: Space) {
    // The largest number that is written exactly, less two.
    const HIGH: u64 = (1 << 53) - 3;
    let raus = space.raus(0..=0).build().expect("valid");
    raus.acquire()
        .await
        .expect("free")
        .release()
        .await
        .expect("releases");
    let mut record = space.record(0).await.expect("it was held");
    record.fence = HIGH;
    space.set_record(0, &record).await;
    let machine_id = raus.acquire().await.expect("free");
    assert_eq!(machine_id.fence(), HIGH + 1);
    machine_id.release().await.expect("releases");
    record.fence = HIGH + 2;
    space.set_record(0, &record).await;
    let error = raus.acquire().await.expect_err("no fence is above it");
    assert!(matches!(error, AcquireError::Garbled { .. }), "{error:?}");
}

pub(super) async fn garbage_on_the_channel_delays_a_first_use_and_nothing_else(space: Space) {
    let raus = space.raus(0..=1).ttl(TTL).discovery(Duration::from_secs(2));
    let raus = raus.build().expect("valid");
    let (channel, long) = (space.broadcast(), "x".repeat(100_000));
    let flood = async {
        for garbage in GARBAGE.iter().copied().chain([long.as_str()]).cycle() {
            space.send(&["PUBLISH", &channel, garbage]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let holder = tokio::select! {
        () = flood => unreachable!("the flood goes on"),
        acquired = raus.acquire_within(10 * TTL) => acquired.expect("granted after one ttl"),
    };
    let flood = wait::until_async(Duration::from_secs(1), async || {
        space.send(&["PUBLISH", &channel, &long]).await;
        None::<()>
    });
    assert!(flood.await.is_none());
    assert!(holder.is_held());
}
