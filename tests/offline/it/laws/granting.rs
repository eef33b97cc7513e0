//! What `acquire` promises.

use super::{
    bench::Bench,
    slots::{
        Ask, QUARANTINE, Record, SKEW, SLOTS, TTL, Terms, by, for_ttl, former, link, lock,
        quarantine, refused, taken,
    },
};

pub(super) fn a_clock_that_is_off_either_way_is_refused(bench: Bench) {
    let bench = bench.founded();
    let (now, before) = (bench.now(), bench.everything());
    for wall in [now - SKEW - 1, now + SKEW + 1] {
        let ask = Ask {
            wall: Some(wall),
            ..by("a")
        };
        assert_eq!(bench.acquire(&ask, &[0]), ["skew", &now.to_string()]);
        assert_eq!(bench.everything(), before);
    }
    for (slot, wall) in [(0, now - SKEW), (1, now + SKEW)] {
        bench.grant(
            &Ask {
                wall: Some(wall),
                ..by("a")
            },
            &[slot],
        );
    }
}

pub(super) fn a_hash_of_another_type_is_named_and_kept(bench: Bench) {
    bench.send(&["SET", SLOTS, "mine"]);
    let before = bench.everything();
    let (keys, args) = bench.acquisition(&by("a"), &[0]);
    let reply = bench.try_call("acquire", &keys, &args);
    assert_eq!(
        reply,
        Ok(["wrongtype", SLOTS, "string"].map(str::to_owned).to_vec())
    );
    assert_eq!(bench.everything(), before);
}

pub(super) fn the_same_holder_is_given_its_grant_again(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[1]);
    bench.advance(4_000);
    let again = bench.grant(&by("a"), &[0, 1]);
    assert_eq!(
        (again.slot, again.fence, again.floor),
        (1, grant.fence, grant.floor)
    );
    assert_eq!(again.horizon, bench.now() + TTL);
    assert_eq!(bench.lasts(1), 10_000);
    let record = bench.recorded(1);
    assert_eq!(
        (record.till, record.horizon),
        (bench.now() + TTL, again.horizon)
    );
    assert_eq!(bench.holder(0), "");
}

/// It has the grant from its disk, and may have been succeeded by a replica that has given it to somebody else.
pub(super) fn a_server_that_restarted_gives_nothing_again_at_once(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.embedded.restart();
    assert_eq!(bench.acquire(&by("a"), &[0]), quarantine(QUARANTINE));
    assert_eq!(bench.lasts(0), 10_000);
}

pub(super) fn a_slot_is_free_when_its_lock_is_gone_and_its_lease_is_over(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    assert_eq!(bench.acquire(&by("b"), &[0]), taken(1, 10_000));
    bench.send(&["DEL", &lock(0)]);
    assert_eq!(bench.acquire(&by("b"), &[0]), taken(1, 10_000));
    bench.advance(TTL - 1);
    assert_eq!(bench.acquire(&by("b"), &[0]), taken(1, 1));
    bench.advance(1);
    assert_eq!(bench.grant(&by("b"), &[0]).slot, 0);
    assert_eq!(bench.holder(0), "b");
}

pub(super) fn a_lock_of_another_type_is_held(bench: Bench) {
    let bench = bench.founded();
    bench.send(&["RPUSH", &lock(0), "mine"]);
    let before = bench.everything();
    assert_eq!(bench.acquire(&by("a"), &[0]), taken(1, -1));
    assert_eq!(bench.everything(), before);
}

pub(super) fn a_far_horizon_is_passed_over_until_it_is_asked_for(bench: Bench) {
    let bench = bench.founded();
    let far = bench.now() + SKEW + 1;
    bench.set_record(0, &former(far + 4, 0));
    bench.set_record(1, &former(far - 1, 0));
    bench.set_record(2, &former(far, 0));
    let nearest = refused(0, 2, -1, false, 1, "");
    assert_eq!(bench.acquire(&by("a"), &[2, 0]), nearest);
    assert_eq!(
        bench.grant(&by("a"), &[0, 1]).slot,
        1,
        "that far it is tolerated"
    );
    let grant = bench.grant(
        &Ask {
            lenient: true,
            ..by("b")
        },
        &[0],
    );
    assert_eq!(grant.floor, far + 4);
    // What lies further ahead than clocks may differ must not grow from holder to holder.
    assert_eq!(grant.horizon, bench.now() + SKEW + TTL);
}

pub(super) fn a_label_finds_the_slot_it_had_unless_that_is_not_free(bench: Bench) {
    let bench = bench.founded();
    let mine = |till, horizon| Record {
        label: "me".to_owned(),
        ..former(horizon, till)
    };
    let asked = |bench: &Bench, label| {
        let grant = bench.grant(&Ask { label, ..by("a") }, &[0, 1, 2]);
        bench.release("a", &grant, grant.floor);
        bench.send(&["HDEL", SLOTS, "0"]);
        grant.slot
    };
    let now = bench.now();
    bench.set_record(2, &mine(now + 1, 0));
    assert_eq!(asked(&bench, "me"), 0, "its lease runs");
    bench.set_record(2, &mine(now, now + SKEW + 1));
    assert_eq!(asked(&bench, "me"), 0, "its horizon is far ahead");
    bench.set_record(2, &mine(now, now));
    assert_eq!(asked(&bench, "another"), 0);
    assert_eq!(asked(&bench, "me"), 2, "before those that nobody ever had");
}

pub(super) fn what_nobody_holds_goes_before_the_lease_that_ended_first(bench: Bench) {
    let bench = bench.founded();
    bench.set_past(0, bench.now() - 10);
    bench.set_past(1, bench.now() - 20);
    bench.set_past(2, bench.now() - 10);
    let order = ["a", "b", "c", "d"].map(|holder| bench.grant(&by(holder), &[0, 1, 2, 3]).slot);
    assert_eq!(order, [3, 1, 0, 2]);
}

pub(super) fn a_holder_begins_at_the_horizon_of_the_last_one(bench: Bench) {
    let bench = bench.founded();
    let first = bench.grant(&by("a"), &[0]);
    bench.release("a", &first, first.server + 500);
    let second = bench.grant(&by("b"), &[0]);
    assert_eq!(second.floor, first.server + 500);
    bench.advance(TTL);
    let third = bench.grant(&by("c"), &[0]);
    assert_eq!(third.floor, second.horizon, "it was never released");
}

pub(super) fn fences_rise_whatever_the_clock_and_the_store_forget(bench: Bench) {
    let bench = bench.founded();
    let first = bench.grant(&by("a"), &[0]);
    assert_eq!(
        first.fence,
        bench.now() * 1_000,
        "the server's time in microseconds"
    );
    bench.release("a", &first, first.floor);
    bench.set_clock(bench.now() - 5_000);
    let second = bench.grant(&by("b"), &[0]);
    assert_eq!(second.fence, first.fence + 1, "the clock was set back");
    bench.release("b", &second, second.floor);
    bench.send(&["HDEL", SLOTS, "0"]);
    bench.advance(5_001);
    let third = bench.grant(&by("c"), &[0]);
    assert!(second.fence < third.fence, "its record was lost");
}

pub(super) fn a_grant_is_written_where_it_belongs_and_nowhere_else(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[3]);
    let other = bench.recorded(3);
    bench.advance(1_000);
    let grant = bench.grant(
        &Ask {
            label: "me",
            ..for_ttl("b", 20_000)
        },
        &[3, 4, 5],
    );
    let now = bench.now();
    assert_eq!(
        (grant.slot, grant.floor, grant.horizon),
        (4, 0, now + 20_000)
    );
    assert_eq!(
        (grant.server, &*grant.longest, &*grant.layout),
        (now, "20000 15000 10000", "")
    );
    let Record {
        fence,
        horizon,
        floor,
        till,
        chain,
        label,
    } = bench.recorded(4);
    assert_eq!((fence, horizon, floor), (grant.fence, grant.horizon, 0));
    assert_eq!((till, &*label), (now + 20_000, "me"));
    assert_eq!(chain, link(1, 7).to_string());
    assert_eq!((bench.holder(4), bench.lasts(4)), ("b".to_owned(), 20_000));
    assert_eq!((bench.holder(3), bench.lasts(3)), ("a".to_owned(), 9_000));
    assert_eq!(bench.recorded(3), other);
    assert_eq!(
        bench.number(&["HLEN", SLOTS]),
        3,
        "two slots and the history"
    );
}

/// A client whose clock runs ahead, as far as that is tolerated, has a horizon by its own clock.
pub(super) fn a_horizon_follows_the_holders_clock_within_the_tolerance(bench: Bench) {
    let bench = bench.founded();
    let now = bench.now();
    for (slot, wall) in [(0, now + 700), (1, now - 700)] {
        let grant = bench.grant(
            &Ask {
                wall: Some(wall),
                ..by("a")
            },
            &[slot],
        );
        assert_eq!(grant.horizon, wall + TTL);
    }
}

/// A process that was copied with its memory has the name of the other; a grant that was given back is nobody's.
pub(super) fn a_grant_is_given_again_to_its_number_alone(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    let clone = Ask {
        number: link(1, 8),
        ..by("a")
    };
    let before = bench.everything();
    assert_eq!(bench.acquire(&clone, &[0]), taken(1, 10_000));
    assert_eq!(bench.everything(), before);
    assert_eq!(bench.grant(&clone, &[0, 1]).slot, 1);
    bench.renew(&grant.renewal("a"));
    assert_eq!(
        bench.acquire(&by("a"), &[0]),
        taken(1, 10_000),
        "it was renewed since"
    );
}

pub(super) fn a_full_range_is_told_with_its_numbers(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.advance(1_000);
    bench.grant(&by("b"), &[1]);
    bench.send(&["DEL", &lock(1)]);
    let far = bench.now() + SKEW + 3;
    bench.set_record(2, &former(far, 0));
    assert_eq!(
        bench.acquire(&by("c"), &[0, 1, 2]),
        refused(2, 1, 9_000, false, 3, "")
    );
    assert_eq!(bench.acquire(&by("c"), &[0]), taken(1, 9_000));
    assert_eq!(bench.acquire(&by("c"), &[1]), taken(1, 10_000));
}

/// What lies further ahead was written when a clock was wrong.
pub(super) fn the_lenient_accept_what_right_clocks_may_have_left(bench: Bench) {
    let bench = bench.founded();
    let lenient = |holder| Ask {
        lenient: true,
        ..by(holder)
    };
    let far = bench.now() + TTL + SKEW;
    bench.set_record(0, &former(far + 2, 0));
    assert_eq!(
        bench.acquire(&lenient("a"), &[0]),
        refused(0, 1, -1, false, 2, "")
    );
    bench.set_record(0, &former(far, 0));
    assert_eq!(bench.grant(&lenient("a"), &[0]).floor, far);
    bench.grant(
        &Ask {
            terms: Terms {
                skew: SKEW + 2_000,
                ..Terms::of_ttl(30_000)
            },
            ..by("b")
        },
        &[1],
    );
    bench.set_record(2, &former(bench.now() + 30_000 + SKEW + 2_000, 0));
    assert_eq!(bench.grant(&lenient("c"), &[2]).slot, 2, "others use that");
}

pub(super) fn a_floor_that_is_too_far_ahead_is_told(bench: Bench) {
    let bench = bench.founded();
    let furthest = bench.now() + TTL + SKEW;
    bench.set_history(SLOTS, FLOOR, furthest + 3);
    assert_eq!(bench.acquire(&by("a"), &[0]), ["ahead", "3"]);
    assert_eq!((bench.holder(0), bench.record(0)), (String::new(), None));
    bench.set_history(SLOTS, FLOOR, furthest);
    assert_eq!(bench.grant(&by("a"), &[0]).floor, furthest);
    bench.set_history(SLOTS, FLOOR, furthest + 3);
    assert_eq!(
        bench.acquire(&by("a"), &[0]),
        ["ahead", "3"],
        "nor is anything given again"
    );
}

/// The layout that a holder has to find in place.
pub(super) fn a_grant_tells_the_layout_on_record(bench: Bench) {
    let bench = bench.founded();
    assert_eq!(bench.layout("41/10/12"), ["layout", "41/10/12"]);
    assert_eq!(bench.layout("41/8/14"), ["layout", "41/10/12"]);
    assert_eq!(bench.text(&["HGET", SLOTS, "layout"]), "41/10/12");
    assert_eq!(bench.grant(&by("a"), &[0]).layout, "41/10/12");
    bench.send(&["DEL", SLOTS]);
    bench.send(&["SET", SLOTS, "mine"]);
    assert_eq!(bench.layout("41/10/12"), ["wrongtype", SLOTS, "string"]);
}

/// Where the history has the floor.
const FLOOR: usize = 3;
