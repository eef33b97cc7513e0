//! What `release` promises.

use std::{
    task::{Context, Poll, Waker},
    time::Duration,
};

use coord_core::store::{Store as _, Subscription, embedded::EmbeddedStore};

use super::{
    bench::Bench,
    holding::held,
    slots::{
        FREED, Grant, QUARANTINE, Record, Renewal, SLOTS, TTL, by, former, link, lock, quarantine,
    },
};

pub(super) fn a_release_leaves_its_horizon_and_frees_the_slot_at_once(bench: Bench) {
    let (bench, grant) = held(bench);
    let end = bench.now() + 50;
    assert_eq!(bench.release("a", &grant, end), "released");
    assert_eq!(
        (bench.holder(0), bench.recorded(0).till),
        (String::new(), 0)
    );
    assert_eq!(bench.recorded(0).horizon, end);
    let after = (bench.everything(), bench.published());
    assert_eq!(bench.release("a", &grant, end), "released");
    assert_eq!((bench.everything(), bench.published()), after);
    assert_eq!(bench.grant(&by("b"), &[0]).floor, end);
}

pub(super) fn a_release_leaves_no_horizon_below_its_floor(bench: Bench) {
    let bench = bench.founded();
    let floor = bench.now() + 5_000;
    bench.set_record(0, &former(floor, 0));
    let grant = bench.grant(&by("a"), &[0]);
    assert_eq!(bench.release("a", &grant, floor - 100), "released");
    assert_eq!(bench.recorded(0).horizon, floor);
}

/// The lock is its own; the record is of an earlier grant.
pub(super) fn a_release_lowers_no_horizon_of_another_grant(bench: Bench) {
    let (bench, grant) = held(bench);
    let older = Record {
        fence: grant.fence - 1,
        horizon: grant.horizon + 7,
        ..bench.recorded(0)
    };
    bench.set_record(0, &older);
    assert_eq!(bench.release("a", &grant, grant.floor), "released");
    let record = bench.recorded(0);
    assert_eq!((record.fence, record.till), (grant.fence, 0));
    assert_eq!(record.horizon, grant.horizon + 7);
    assert_eq!(bench.holder(0), "");
}

pub(super) fn who_does_not_know_what_it_minted_lowers_no_horizon(bench: Bench) {
    let (bench, grant) = held(bench);
    assert_eq!(
        bench.leave(&grant.renewal("a"), grant.floor, false),
        "released"
    );
    assert_eq!(bench.recorded(0).horizon, grant.horizon);
    assert_eq!(bench.grant(&by("b"), &[0]).floor, grant.horizon);
    let other = bench.grant(&by("b"), &[1]);
    let raised = other.horizon + 9;
    bench.leave(&other.renewal("b"), raised, false);
    assert_eq!(bench.recorded(1).horizon, raised, "it was acknowledged");
}

/// Or the next holder would begin below what was minted.
pub(super) fn a_forgotten_grant_is_given_back_with_its_horizon(bench: Bench) {
    let minted = 500;
    for older in [None, Some(former(3, 0)), Some(former(3, 4))] {
        let (bench, grant) = held(Bench::new(bench.scripts()));
        let horizon = bench.now() + minted;
        bench.send(&["HDEL", SLOTS, "0"]);
        bench.send(&["DEL", &lock(0)]);
        if let Some(older) = older {
            bench.set_record(0, &older);
        }
        assert_eq!(bench.release("a", &grant, horizon), "released");
        let record = bench.recorded(0);
        assert_eq!(
            (record.fence, record.horizon, record.till),
            (grant.fence, horizon, 0)
        );
        let after = bench.everything();
        assert_eq!(bench.release("a", &grant, horizon), "released");
        assert_eq!(bench.everything(), after, "once is enough");
        assert_eq!(bench.acquire(&by("b"), &[0]), quarantine(QUARANTINE));
    }
}

/// The record is of the grant, and older than what the holder was answered.
pub(super) fn a_release_lowers_no_horizon_after_a_rewind(bench: Bench) {
    let (bench, grant) = held(bench);
    assert_eq!(
        bench.leave(&rewound(&grant), grant.horizon + 500, true),
        "released"
    );
    assert_eq!(bench.recorded(0).horizon, grant.horizon + 500);
    assert_eq!(bench.acquire(&by("b"), &[0]), quarantine(QUARANTINE));
    let (bench, grant) = held(Bench::new(bench.scripts()));
    bench.leave(&rewound(&grant), grant.floor, true);
    assert_eq!(bench.recorded(0).horizon, grant.horizon);
}

fn rewound(grant: &Grant) -> Renewal {
    grant.renewal("a").linked(&[link(4, 1), link(3, 1)])
}

pub(super) fn a_late_release_brings_nothing_back_that_was_forgotten(bench: Bench) {
    let (bench, grant) = held(bench);
    bench.send(&["DEL", SLOTS]);
    bench.set_clock(grant.server + TTL);
    assert_eq!(bench.release("a", &grant, grant.floor), "not_held");
    assert!(bench.everything().is_empty());
    bench.send(&["SET", &lock(0), "a"]);
    assert_eq!(bench.release("a", &grant, grant.floor), "released");
    assert!(bench.everything().is_empty(), "the lock was its own");
}

pub(super) fn a_release_wakes_those_who_wait_for_a_slot(bench: Bench) {
    let (bench, grant) = held(bench);
    let client = bench.embedded.client();
    let mut freed = subscribed(&client);
    let published = bench.published();
    assert_eq!(bench.release("b", &grant, grant.floor), "not_held");
    assert_eq!(bench.published(), published);
    bench.release("a", &grant, grant.floor);
    assert_eq!(heard(&mut freed), Some(b"0".to_vec()));
}

/// The embedded store answers when it is first polled.
fn at_once<T>(mut future: std::pin::Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn subscribed(client: &EmbeddedStore) -> Subscription {
    let answer = at_once(client.subscribe(FREED, Duration::from_secs(1)));
    answer
        .expect("it answers at once")
        .expect("it lets everybody listen")
}

fn heard(freed: &mut Subscription) -> Option<Vec<u8>> {
    at_once(Box::pin(freed.next())).flatten()
}
