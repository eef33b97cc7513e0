//! A slot is given back, and what arrives afterwards changes nothing.

use std::time::Duration;

use coord_core::store::Reply;
use coord_tests::wait;
use raus::Event;

use super::{
    space::Space,
    wiretap::{Wiretap, replay, wiretap},
};
use crate::raus::event;

pub(super) async fn a_release_frees_the_slot_and_leaves_its_record(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let mut events = machine_id.events();
    let clone = machine_id.clone();
    let fence = machine_id.fence();
    machine_id.release().await.expect("confirmed");
    assert!(!clone.is_held());
    assert!(clone.lost().await.is_none(), "released, not lost");
    clone
        .release()
        .await
        .expect("releasing again is the same outcome");
    let last = event(&mut events, |event| matches!(event, Event::Released { .. })).await;
    assert!(matches!(last, Event::Released { id: 0, .. }));
    assert!(events.next().await.is_none());
    assert_eq!(space.keys().await, [space.slots()]);
    let record = space.record(0).await.expect("it stays");
    assert_eq!((record.fence, record.till), (fence, 0));
}

pub(super) async fn the_last_handle_releases_in_the_background(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let clone = machine_id.clone();
    drop(raus);
    drop(machine_id);
    assert!(clone.is_held());
    drop(clone);
    let freed = wait::until_async(LONG, async || {
        let locks = space.number(&["EXISTS", &space.lock(0)]).await;
        (locks == 0).then_some(())
    });
    freed.await.expect("it is released");
}

pub(super) async fn a_release_executed_late_does_not_touch_the_successor(space: Space) {
    let wire = wiretap(space.store());
    let raus = space.raus_on(wire.clone(), 0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    machine_id.release().await.expect("releases");
    check_successor(&space, &wire, "release", &["not_held"]).await;
}

pub(super) async fn a_renewal_executed_late_does_not_touch_the_successor(space: Space) {
    let wire = wiretap(space.store());
    let raus = space.raus_on(wire.clone(), 0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    crate::raus::until("a renewal", || 0 < wire.calls("renew")).await;
    machine_id.release().await.expect("releases");
    check_successor(&space, &wire, "renew", &["lost", "foreign"]).await;
}

/// Lets somebody else have the slot, executes the last `request` once more, and looks at what that did.
async fn check_successor(space: &Space, wire: &Wiretap, request: &str, expected: &[&str]) {
    let raus = space.raus(0..=0).heartbeat(LONG).build().expect("valid");
    let successor = raus.acquire().await.expect("free");
    let before = (
        space.text(&["GET", &space.lock(0)]).await,
        space.record(0).await,
    );
    let reply = replay(wire, wire.last(request)).await;
    let answer = reply.as_array().expect("a list").iter();
    let answer: Vec<_> = answer.filter_map(Reply::as_str).collect();
    assert_eq!(answer, expected);
    let after = (
        space.text(&["GET", &space.lock(0)]).await,
        space.record(0).await,
    );
    assert_eq!(before, after);
    assert!(successor.is_held());
}

const LONG: Duration = Duration::from_secs(20);
