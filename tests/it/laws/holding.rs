//! What `renew` and `release` promise.

use super::{
    bench::Bench,
    slots::{Grant, Record, Renewal, SKEW, SLOTS, TTL, by, lock},
};

/// Slot 0, held by "a", one second later.
fn held(bench: Bench) -> (Bench, Grant) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.advance(1_000);
    (bench, grant)
}

pub(super) fn a_renewal_begins_the_ttl_anew_and_raises_the_horizon(bench: Bench) {
    let (bench, grant) = held(bench);
    let now = bench.now();
    let reply = bench.renew(&grant.renewal("a"));
    assert_eq!(
        reply,
        ["renewed", &(now + TTL).to_string(), &now.to_string()]
    );
    let Record {
        fence,
        horizon,
        floor,
        till,
        label,
    } = bench.recorded(0);
    assert_eq!(
        (fence, floor, label),
        (grant.fence, grant.floor, String::new())
    );
    assert_eq!((horizon, till), (now + TTL, now + TTL));
    assert_eq!((bench.holder(0), bench.lasts(0)), ("a".to_owned(), 10_000));
}

pub(super) fn a_horizon_follows_what_was_minted_and_a_clock_only_so_far(bench: Bench) {
    let (bench, grant) = held(bench);
    let now = bench.now();
    let horizon = |renewal: &Renewal| bench.renew(renewal)[1].parse::<u64>().expect("a number");
    let slow = Renewal {
        wall: Some(now - 500),
        ..grant.renewal("a")
    };
    assert_eq!(horizon(&slow), now - 500 + TTL, "a clock that runs behind");
    let jumped = Renewal {
        wall: Some(now + 99_000_000),
        ..grant.renewal("a")
    };
    assert_eq!(
        horizon(&jumped),
        now + SKEW + TTL,
        "a clock that jumped ahead"
    );
    let minted = Renewal {
        last: now + 60_000,
        ..grant.renewal("a")
    };
    assert_eq!(
        horizon(&minted),
        now + 60_000 + TTL,
        "a server's clock that was set back"
    );
    assert_eq!(horizon(&slow), now + 60_000 + TTL, "it never falls");
    assert_eq!(bench.recorded(0).horizon, now + 60_000 + TTL);
}

pub(super) fn a_foreign_lock_is_left_alone(bench: Bench) {
    let (bench, grant) = held(bench);
    bench.send(&["SET", &lock(0), "go", "PX", "5000"]);
    let before = bench.everything();
    assert_eq!(bench.renew(&grant.renewal("a")), ["lost", "foreign"]);
    assert_eq!(bench.release("a", &grant, grant.floor), "not_held");
    assert_eq!(bench.everything(), before);
    bench.send(&["DEL", &lock(0)]);
    bench.send(&["RPUSH", &lock(0), "mine"]);
    let before = bench.everything();
    assert_eq!(bench.renew(&grant.renewal("a")), ["lost", "foreign"]);
    assert_eq!(bench.release("a", &grant, grant.floor), "not_held");
    assert_eq!(bench.everything(), before);
}

pub(super) fn a_higher_fence_on_record_ends_a_holding(bench: Bench) {
    let (bench, grant) = held(bench);
    let superseded = Record {
        fence: grant.fence + 1,
        ..bench.recorded(0)
    };
    bench.set_record(0, &superseded);
    let fence = (grant.fence + 1).to_string();
    for with_lock in [true, false] {
        if !with_lock {
            bench.send(&["DEL", &lock(0)]);
        }
        let before = bench.everything();
        assert_eq!(
            bench.renew(&grant.renewal("a")),
            ["lost", "superseded", &fence]
        );
        assert_eq!(bench.release("a", &grant, grant.floor), "not_held");
        assert_eq!(bench.everything(), before);
    }
}

pub(super) fn a_deleted_lock_is_put_back(bench: Bench) {
    let (bench, grant) = held(bench);
    bench.send(&["DEL", &lock(0)]);
    let horizon = (bench.now() + TTL).to_string();
    let reply = bench.renew(&grant.renewal("a"));
    assert_eq!(reply, ["reasserted", &horizon, &bench.now().to_string()]);
    assert_eq!((bench.holder(0), bench.lasts(0)), ("a".to_owned(), 10_000));
    assert_eq!(bench.recorded(0).fence, grant.fence);
    assert_eq!(
        bench.history(SLOTS)[1],
        "0",
        "nothing of the past is in doubt"
    );
}

pub(super) fn a_forgotten_holder_writes_its_record_back_and_raises_doubt(bench: Bench) {
    let (bench, grant) = held(bench);
    bench.send(&["HDEL", SLOTS, "0"]);
    let now = bench.now();
    let renewal = Renewal {
        last: now - 100,
        ..grant.renewal("a")
    };
    assert_eq!(bench.renew(&renewal)[0], "reasserted");
    let Record {
        fence,
        horizon,
        floor,
        till,
        label,
    } = bench.recorded(0);
    assert_eq!((fence, horizon, floor), (grant.fence, now + TTL, now - 100));
    assert_eq!((till, &*label), (now + TTL, "label"));
    assert_eq!(bench.acquire(&by("b"), &[1]), ["suspect", "10000", "0"]);
}

/// A store that lost its last writes, in which an earlier holder had come further.
pub(super) fn an_older_record_gives_way_and_keeps_its_horizon(bench: Bench) {
    let (bench, grant) = held(bench);
    let horizon = bench.now() + 99_000;
    bench.set_record(
        0,
        &Record {
            fence: grant.fence - 1,
            horizon,
            ..bench.recorded(0)
        },
    );
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "reasserted");
    let record = bench.recorded(0);
    assert_eq!((record.fence, record.horizon), (grant.fence, horizon));
    assert_eq!(bench.acquire(&by("b"), &[1]), ["suspect", "10000", "0"]);
}

pub(super) fn a_late_renewal_brings_nothing_back_that_was_forgotten(bench: Bench) {
    let (bench, grant) = held(bench);
    bench.send(&["DEL", SLOTS, &lock(0)]);
    bench.set_clock(grant.server + TTL);
    assert_eq!(bench.renew(&grant.renewal("a")), ["lost", "forgotten"]);
    assert!(bench.everything().is_empty());
    bench.set_clock(grant.server + TTL - 1);
    assert_eq!(
        bench.renew(&grant.renewal("a"))[0],
        "reasserted",
        "its lease still runs"
    );
}

/// A Go process, or nobody, may have put something else in the record's place.
pub(super) fn a_renewal_without_its_hash_changes_nothing(bench: Bench) {
    let (bench, grant) = held(bench);
    bench.send(&["DEL", SLOTS]);
    bench.send(&["SET", SLOTS, "mine"]);
    let before = bench.everything();
    assert_eq!(
        bench.renew(&grant.renewal("a")),
        ["wrongtype", SLOTS, "string"]
    );
    assert_eq!(bench.everything(), before);
    assert_eq!(
        bench.release("a", &grant, grant.floor),
        "released",
        "the lock at least"
    );
    assert_eq!(bench.holder(0), "");
}

pub(super) fn a_release_leaves_its_horizon_and_frees_the_slot_at_once(bench: Bench) {
    let (bench, grant) = held(bench);
    let end = bench.now() + 50;
    assert_eq!(bench.release("a", &grant, end), "released");
    assert_eq!(
        (bench.holder(0), bench.recorded(0).till),
        (String::new(), 0)
    );
    assert_eq!(bench.recorded(0).horizon, end);
    let after = bench.everything();
    assert_eq!(bench.release("a", &grant, end), "released");
    assert_eq!(bench.everything(), after);
    assert_eq!(bench.grant(&by("b"), &[0]).floor, end);
}

pub(super) fn a_release_leaves_no_horizon_below_its_floor(bench: Bench) {
    let bench = bench.founded();
    let floor = bench.now() + 5_000;
    bench.set_record(
        0,
        &Record {
            fence: 5,
            horizon: floor,
            floor: 0,
            till: 0,
            label: String::new(),
        },
    );
    let grant = bench.grant(&by("a"), &[0]);
    assert_eq!(bench.release("a", &grant, floor - 100), "released");
    assert_eq!(bench.recorded(0).horizon, floor);
}

pub(super) fn a_release_lowers_no_horizon_of_another_grant(bench: Bench) {
    let (bench, grant) = held(bench);
    let older = Record {
        fence: grant.fence - 1,
        ..bench.recorded(0)
    };
    bench.set_record(0, &older);
    assert_eq!(
        bench.release("a", &grant, grant.floor),
        "released",
        "the lock is its own"
    );
    assert_eq!((bench.recorded(0), bench.holder(0)), (older, String::new()));
    bench.send(&["HDEL", SLOTS, "0"]);
    assert_eq!(bench.release("a", &grant, grant.floor), "not_held");
    assert_eq!(bench.record(0), None);
}
