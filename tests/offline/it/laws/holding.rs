//! What `renew` promises, and what neither it nor `release` touches.

use super::{
    bench::Bench,
    slots::{Grant, QUARANTINE, Record, Renewal, SKEW, SLOTS, TTL, by, former, lock, quarantine},
};

/// Slot 0, held by "a", one second later.
pub(super) fn held(bench: Bench) -> (Bench, Grant) {
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
        [
            "renewed",
            &(now + TTL).to_string(),
            &now.to_string(),
            "10000 15000 10000"
        ]
    );
    let Record {
        fence,
        horizon,
        floor,
        till,
        chain,
        label,
    } = bench.recorded(0);
    assert_eq!(
        (fence, floor, label),
        (grant.fence, grant.floor, String::new())
    );
    assert_eq!(chain, grant.renewal("a").chain);
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
        now + SKEW + TTL,
        "no right clock has come further"
    );
    let set_back = Renewal {
        wall: Some(now + SKEW + 1),
        ..minted
    };
    assert_eq!(
        horizon(&set_back),
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
        floor: grant.horizon,
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
    let now = bench.now().to_string();
    assert_eq!(reply[..3], ["reasserted", &horizon, &now]);
    assert_eq!((bench.holder(0), bench.lasts(0)), ("a".to_owned(), 10_000));
    assert_eq!(bench.recorded(0).fence, grant.fence);
    assert_eq!(
        bench.history(SLOTS)[2],
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
        chain,
        label,
    } = bench.recorded(0);
    assert_eq!((fence, horizon, floor), (grant.fence, now + TTL, now - 100));
    assert_eq!((till, &*label), (now + TTL, "label"));
    assert_eq!(chain, renewal.chain);
    assert_eq!(bench.acquire(&by("b"), &[1]), quarantine(QUARANTINE));
    bench.send(&["HDEL", SLOTS, "0"]);
    let far = Renewal {
        horizon: now + 70_000,
        ..renewal
    };
    bench.renew(&far);
    assert_eq!(
        bench.recorded(0).horizon,
        now + 70_000,
        "what was acknowledged"
    );
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
    assert_eq!(bench.acquire(&by("b"), &[1]), quarantine(QUARANTINE));
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

/// A Go process has taken what the store has forgotten; the grant is lost, and what was minted under it is not.
pub(super) fn a_holder_that_is_succeeded_after_a_loss_leaves_its_horizon(bench: Bench) {
    let leave = |bench: &Bench, renewal: &Renewal| {
        assert_eq!(bench.leave(renewal, renewal.horizon, true), "not_held");
    };
    let renew = |bench: &Bench, renewal: &Renewal| {
        assert_eq!(bench.renew(renewal), ["lost", "foreign"]);
    };
    for notice in [leave, renew] {
        for older in [None, Some(former(0, 0))] {
            let (bench, grant) = held(Bench::new(bench.scripts()));
            bench.send(&["HDEL", SLOTS, "0"]);
            if let Some(older) = &older {
                bench.set_record(0, older);
            }
            bench.send(&["SET", &lock(0), "go", "PX", "5000"]);
            let renewal = grant.renewal("a");
            notice(&bench, &renewal);
            let record = bench.recorded(0);
            assert_eq!((record.horizon, record.till), (grant.horizon, 0));
            let fence = older.map_or(grant.fence, |older| older.fence);
            assert_eq!(record.fence, fence);
            assert_eq!((bench.holder(0), bench.lasts(0)), ("go".to_owned(), 5_000));
            assert_eq!(bench.acquire(&by("b"), &[1]), quarantine(QUARANTINE));
            bench.send(&["HDEL", SLOTS, "0"]);
            bench.advance(TTL);
            let before = bench.record(0);
            bench.send(&["SET", &lock(0), "go", "PX", "5000"]);
            notice(&bench, &renewal);
            assert_eq!(bench.record(0), before, "its lease is over");
        }
    }
}

/// An older copy of the data, from before the grant or before a renewal, had the slot free, and it was granted.
pub(super) fn a_holder_whose_successor_begins_too_low_tells_of_the_loss(bench: Bench) {
    for is_renewal in [true, false] {
        for with_lock in [true, false] {
            let (bench, grant) = held(Bench::new(bench.scripts()));
            let successor = Record {
                fence: grant.fence + 1,
                floor: grant.horizon - 1,
                horizon: grant.horizon - 1,
                ..bench.recorded(0)
            };
            bench.set_record(0, &successor);
            let lock_key = lock(0);
            bench.send(&["DEL", &lock_key]);
            if with_lock {
                bench.send(&["SET", &lock_key, "b", "PX", "5000"]);
            }
            let renewal = grant.renewal("a");
            if is_renewal {
                assert_eq!(bench.renew(&renewal)[0], "lost");
            } else {
                let left = bench.leave(&renewal, renewal.horizon, false);
                assert_eq!(left, "not_held");
            }
            let kept = Record {
                horizon: grant.horizon,
                ..successor
            };
            assert_eq!(bench.recorded(0), kept);
            assert_eq!(bench.acquire(&by("c"), &[1]), quarantine(QUARANTINE));
        }
    }
}

/// Two layouts would mint equal IDs.
pub(super) fn a_layout_is_kept_by_those_who_use_it(bench: Bench) {
    let (bench, grant) = held(bench);
    let minting = |layout| Renewal {
        layout,
        ..grant.renewal("a")
    };
    bench.layout("41/10/12");
    assert_eq!(bench.renew(&minting("41/10/12"))[0], "renewed");
    assert_eq!(bench.renew(&minting(""))[0], "renewed", "it mints nothing");
    let before = bench.everything();
    assert_eq!(
        bench.renew(&minting("41/8/14")),
        ["lost", "layout", "41/10/12"]
    );
    assert_eq!(bench.everything(), before);
    bench.embedded.flush_all();
    assert_eq!(bench.renew(&minting(""))[0], "reasserted");
    assert_eq!(bench.text(&["HGET", SLOTS, "layout"]), "");
    assert_eq!(bench.renew(&minting("41/8/14"))[0], "renewed");
    assert_eq!(bench.text(&["HGET", SLOTS, "layout"]), "41/8/14");
}
