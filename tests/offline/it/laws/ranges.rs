//! What `acquire` promises where everything is held: when to ask again, at little cost, and that nothing is held for ever.

use super::{
    bench::Bench,
    slots::{Ask, SKEW, SLOTS, TTL, by, claiming, for_ttl, former, lock, of_range, refused, taken},
};

/// Of holders that keep no record, the lock is all that there is.
pub(super) fn the_next_expiry_is_the_earliest_of_records_and_locks(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.send(&["SET", &lock(1), "go", "PX", "4000"]);
    bench.send(&["SET", &lock(2), "for ever"]);
    assert_eq!(bench.acquire(&by("b"), &[0]), taken(1, 10_000));
    assert_eq!(bench.acquire(&by("b"), &[0, 1, 2]), taken(3, 4_000));
    assert_eq!(bench.acquire(&by("b"), &[0, 2]), taken(2, 10_000));
    assert_eq!(
        bench.acquire(&of_range("b", "2-2"), &[2]),
        refused(1, 0, -1, true, 0, ""),
        "it may be deleted at any time"
    );
    assert_eq!(bench.text(&["HGET", SLOTS, "full"]), "");
    bench.set_past(1, bench.now() + 6_000);
    assert_eq!(
        bench.acquire(&by("b"), &[0, 1, 2]),
        taken(3, 6_000),
        "it is free once both are over"
    );
}

/// Two slots, the range "0-1", that are held for another 9 s and 10 s.
fn full(bench: Bench) -> Bench {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.advance(1_000);
    bench.grant(&by("b"), &[1]);
    assert_eq!(
        bench.acquire(&of_range("c", "0-1"), &[0, 1]),
        refused(2, 0, 9_000, true, 0, "")
    );
    bench
}

pub(super) fn a_full_range_is_found_once_for_all_who_wait(bench: Bench) {
    let bench = full(bench);
    let till = bench.now() + 9_000;
    assert_eq!(bench.text(&["HGET", SLOTS, "full"]), format!("0-1 {till}"));
    // Behind the back of the scripts, to see that nothing is looked at.
    bench.send(&["DEL", &lock(0)]);
    bench.send(&["HDEL", SLOTS, "0"]);
    let hasty = Ask {
        range: "0-1",
        ..for_ttl("e", 3_000)
    };
    let told = refused(2, 0, 9_000, true, 0, "");
    for who in [of_range("d", "0-1"), hasty] {
        assert_eq!(bench.acquire(&who, &[0, 1]), told);
    }
    bench.advance(8_999);
    let told = refused(2, 0, 1, true, 0, "");
    assert_eq!(bench.acquire(&of_range("d", "0-1"), &[0, 1]), told);
    assert_eq!(bench.acquire(&of_range("d", "0-1"), &[1]), told);
    let before = bench.everything();
    bench.grant(&of_range("d", "0-2"), &[2]);
    assert_ne!(bench.everything(), before, "another range is looked at");
    bench.advance(1);
    assert_eq!(bench.grant(&of_range("d", "0-1"), &[0, 1]).slot, 0);
}

pub(super) fn who_may_have_a_grant_looks_for_it_in_a_full_range(bench: Bench) {
    let bench = full(bench);
    assert_eq!(bench.grant(&by("a"), &[0, 1]).slot, 0);
}

pub(super) fn a_range_is_full_only_if_all_of_it_was_offered_and_is_held(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.grant(&by("b"), &[1]);
    let whole = |range, slots: &[u32]| {
        let reply = bench.acquire(&of_range("c", range), slots);
        assert_eq!(reply[0], "taken");
        reply[4] == "1" || !bench.text(&["HGET", SLOTS, "full"]).is_empty()
    };
    assert!(!whole("0-2", &[0, 1]), "2 may be free");
    assert!(!whole("", &[0, 1]), "the range is not told");
    bench.set_record(2, &former(bench.now() + SKEW + 1, 0));
    assert!(!whole("0-2", &[0, 1, 2]), "2 is free for the lenient");
    bench.send(&["HSET", SLOTS, "3", "garbage"]);
    bench.grant(&by("d"), &[4]);
    assert!(!whole("3-4", &[3, 4]), "of 3 nobody knows");
    assert!(whole("0-1", &[0, 1]));
}

pub(super) fn a_slot_that_is_given_back_ends_what_is_said_of_its_range(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.grant(&by("b"), &[1]);
    bench.acquire(&of_range("c", "0-1"), &[0, 1]);
    assert_ne!(bench.text(&["HGET", SLOTS, "full"]), "");
    bench.release("a", &grant, grant.floor);
    let next = bench.grant(&of_range("c", "0-1"), &[0, 1]);
    assert_eq!(next.slot, 0);
    bench.acquire(&of_range("d", "0-1"), &[0, 1]);
    bench.revoke(0, "c", next.fence, true);
    assert_eq!(bench.grant(&of_range("d", "0-1"), &[0, 1]).slot, 0);
}

/// It was said before the clock was set back.
pub(super) fn what_is_said_of_a_range_holds_for_one_ttl_at_most(bench: Bench) {
    let bench = bench.founded();
    let say = |till: u64| bench.send(&["HSET", SLOTS, "full", &format!("0-0 {till}")]);
    say(bench.now() + TTL);
    assert_eq!(
        bench.acquire(&of_range("a", "0-0"), &[0]),
        refused(1, 0, 10_000, true, 0, "")
    );
    say(bench.now() + TTL + 1);
    assert_eq!(bench.grant(&of_range("a", "0-0"), &[0]).slot, 0);
    for garbage in ["", "0-0", "0-0 x", "0-0 9999999999999999999999"] {
        bench.send(&["HSET", SLOTS, "full", garbage]);
        assert_eq!(bench.acquire(&of_range("b", "0-0"), &[0])[3], "10000");
    }
}

/// Four holders crashed, and then the server's clock was set back by two hours.
pub(super) fn a_clock_set_back_keeps_no_slot_for_longer_than_a_ttl(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.grant(&by("b"), &[1]);
    bench.send(&["DEL", &lock(1)]);
    bench.send(&["SET", &lock(2), "go", "PX", "4000"]);
    bench.set_clock(bench.now() - 7_200_000);
    assert_eq!(bench.acquire(&by("c"), &[0, 1, 2]), taken(3, 10_000));
    assert_eq!((bench.lasts(0), bench.lasts(1)), (10_000, -2));
    assert_eq!(bench.lasts(2), 7_204_000, "that is for its owner to say");
    for slot in [0, 1] {
        assert_eq!(bench.recorded(slot).till, bench.now() + TTL);
    }
    bench.advance(TTL);
    let lenient = Ask {
        lenient: true,
        ..by("c")
    };
    let free = bench.acquire(&lenient, &[0, 1, 2]);
    assert_eq!(free[..3], ["taken", "1", "2"], "free, but far ahead");
}

/// The longest ttl in use is what tells a deadline that cannot be from one of somebody whose leases are longer.
pub(super) fn no_lease_is_cut_because_others_are_shorter(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&for_ttl("a", 60_000), &[0]);
    bench.grant(&by("b"), &[1]);
    let till = bench.recorded(0).till;
    assert_eq!(bench.acquire(&by("c"), &[0]), taken(1, 60_000));
    assert_eq!(bench.recorded(0).till, till);
    // Who has lost the record of it does not know.
    bench.send(&["HDEL", SLOTS, "history"]);
    assert_eq!(bench.acquire(&by("c"), &[0]), taken(1, 60_000));
    assert_eq!(
        bench.acquire(&claiming("c", "voice"), &[2])[0],
        "quarantine"
    );
    assert_eq!(bench.acquire(&by("c"), &[0]), taken(1, 60_000));
    assert_eq!((bench.recorded(0).till, bench.lasts(0)), (till, 60_000));
}

/// A quarantine that seems to last for hours was begun before the clock was set back.
pub(super) fn a_clock_set_back_in_a_quarantine_keeps_no_slot_either(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.embedded.restart();
    assert_eq!(bench.acquire(&by("b"), &[1])[0], "quarantine");
    bench.set_clock(bench.now() - 7_200_000);
    assert_eq!(bench.acquire(&by("b"), &[0]), taken(1, 10_000));
}
