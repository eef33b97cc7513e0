//! A slot is held, renewed, put back and lost.

use std::time::Duration;

use coord_tests::wait;
use raus::{AcquireError, Event, LossCause};

use super::space::Space;
use crate::raus::event;

pub(super) async fn a_renewal_raises_the_horizon_and_starts_the_ttl_anew(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let granted = space.record(0).await.expect("it is held");
    assert!(granted.floor < granted.horizon);
    space.send(&["PEXPIRE", &space.lock(0), "20000"]).await;
    let renewed = wait::until_async(LONG, async || {
        let left = space.number(&["PTTL", &space.lock(0)]).await;
        (20_000 < left).then_some(space.record(0).await)
    });
    let renewed = renewed.await.expect("it is renewed").expect("it is held");
    assert!(granted.horizon < renewed.horizon && granted.till < renewed.till);
    assert_eq!(
        (granted.fence, granted.floor),
        (renewed.fence, renewed.floor)
    );
    assert_eq!(machine_id.fence(), granted.fence);
}

pub(super) async fn a_deleted_lock_is_put_back_with_its_fence(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let (fence, mut events) = (machine_id.fence(), machine_id.events());
    let holder = space.text(&["GET", &space.lock(0)]).await;
    space.send(&["DEL", &space.lock(0)]).await;
    let reasserted = event(&mut events, |event| {
        matches!(event, Event::Reasserted { .. })
    })
    .await;
    assert!(matches!(reasserted, Event::Reasserted { id: 0, fence: again } if again == fence));
    assert!(machine_id.is_held());
    assert_eq!(space.text(&["GET", &space.lock(0)]).await, holder);
    assert_eq!(space.record(0).await.expect("it is held").fence, fence);
}

pub(super) async fn a_deleted_lock_frees_nothing(space: Space) {
    let raus = space.raus(0..=0).heartbeat(LONG).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    space.send(&["DEL", &space.lock(0)]).await;
    let newcomer = space.raus(0..=0).build().expect("valid");
    let error = newcomer.acquire().await.expect_err("its lease runs");
    assert!(
        matches!(error, AcquireError::RangeExhausted { held: 1, .. }),
        "{error:?}"
    );
    assert!(machine_id.is_held());
}

pub(super) async fn a_foreign_value_is_lost_at_once_and_never_touched(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    space
        .send(&["SET", &space.lock(0), "somebody-else", "PX", "60000"])
        .await;
    let loss = machine_id.lost().await.expect("lost");
    assert!(matches!(loss.cause, LossCause::Foreign), "{loss}");
    assert!(!machine_id.is_held());
    machine_id.release().await.expect("nothing to release");
    let value = space.text(&["GET", &space.lock(0)]).await;
    assert_eq!(value.as_deref(), Some("somebody-else"));
}

pub(super) async fn a_lock_of_another_type_is_lost_at_once_and_never_touched(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    // Renamed into place in one step, so that no renewal can come between.
    let elsewhere = space.lock(99);
    space.send(&["RPUSH", &elsewhere, "mine"]).await;
    space.send(&["RENAME", &elsewhere, &space.lock(0)]).await;
    let loss = machine_id.lost().await.expect("lost");
    assert!(matches!(loss.cause, LossCause::Foreign), "{loss}");
    machine_id.release().await.expect("nothing to release");
    assert_eq!(space.number(&["LLEN", &space.lock(0)]).await, 1);
}

pub(super) async fn a_slot_granted_to_another_meanwhile_is_not_put_back(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let mut successor = space.record(0).await.expect("it is held");
    successor.fence += 1;
    space.set_record(0, &successor).await;
    space.send(&["DEL", &space.lock(0)]).await;
    let loss = machine_id.lost().await.expect("lost");
    let LossCause::Superseded { fence } = loss.cause else {
        panic!("{loss}");
    };
    assert_eq!(fence, successor.fence);
    machine_id.release().await.expect("nothing to release");
    assert_eq!(space.keys().await, [space.slots()]);
    assert_eq!(space.record(0).await.as_ref(), Some(&successor));
}

pub(super) async fn a_record_of_another_type_is_never_touched(space: Space) {
    let raus = space.raus(0..=0).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let (fence, mut events) = (machine_id.fence(), machine_id.events());
    space.send(&["SET", &space.slots(), "mine"]).await;
    event(&mut events, |event| {
        matches!(event, Event::RenewalFailed { .. })
    })
    .await;
    let value = space.text(&["GET", &space.slots()]).await;
    assert_eq!(value.as_deref(), Some("mine"));
    assert!(machine_id.is_held(), "its lease runs");
    // What stood in the way is gone, and with it the record: the holder writes its own back.
    space.send(&["DEL", &space.slots()]).await;
    let record = wait::until_async(LONG, async || space.record(0).await);
    assert_eq!(record.await.expect("it is put back").fence, fence);
}

pub(super) async fn a_lost_lease_is_replaced(space: Space) {
    let raus = space.raus(0..=1).reacquire(true).build().expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let (lost, mut events) = (machine_id.id(), machine_id.events());
    space
        .send(&["SET", &space.lock(lost), "somebody-else"])
        .await;
    event(&mut events, |event| matches!(event, Event::Lost(_))).await;
    let again = event(&mut events, |event| {
        matches!(event, Event::Reacquired { .. })
    })
    .await;
    let Event::Reacquired { old, new, fence } = again else {
        unreachable!("that is what was waited for");
    };
    assert_eq!((old, new), (lost, 1 - lost));
    assert_eq!((machine_id.id(), machine_id.fence()), (new, fence));
    assert!(machine_id.is_held());
}

const LONG: Duration = Duration::from_secs(20);
