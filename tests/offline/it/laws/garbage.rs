//! What somebody else writes into our keys is held, lost, or named; it is never a grant.

use super::{
    bench::Bench,
    members::{GROUP, Member, SETTLE, TTL, group, key, member},
    slots::{self, QUARANTINE, SLOTS, by, lock, quarantine, refused, taken},
};

pub(super) fn a_field_that_is_no_record_is_held_and_named(bench: Bench) {
    let bench = bench.founded();
    let held = refused(1, 0, 10_000, false, 0, "1");
    for garbage in [
        "",
        "1 2 3",
        "garbage",
        "1 1 1 9007199254740991 - x",
        "1 1 1 1 , x",
        "1 1 1 1 one x",
        "1 1 1 1 1,one x",
    ] {
        bench.send(&["HSET", SLOTS, "1", garbage]);
        assert_eq!(bench.acquire(&by("a"), &[1]), held, "{garbage:?}");
        let labelled = slots::Ask {
            label: "label",
            ..by("a")
        };
        assert_eq!(bench.acquire(&labelled, &[1]), held);
        assert_eq!(bench.text(&["HGET", SLOTS, "1"]), garbage);
    }
    assert_eq!(bench.grant(&by("a"), &[0, 1]).slot, 0);
}

pub(super) fn a_holder_whose_record_is_no_record_is_named(bench: Bench) {
    let bench = bench.founded();
    bench.grant(&by("a"), &[1]);
    bench.send(&["HSET", SLOTS, "1", "garbage"]);
    let held = refused(1, 0, 10_000, false, 0, "1");
    assert_eq!(bench.acquire(&by("a"), &[1]), held);
    bench.grant(&by("a"), &[2]);
    let reply = bench.acquire(&by("a"), &[1, 2]);
    assert_eq!((&*reply[0], &*reply[8]), ("granted", "1"));
}

pub(super) fn an_empty_lock_is_a_lock(bench: Bench) {
    let bench = bench.founded();
    bench.send(&["SET", &lock(0), ""]);
    assert_eq!(bench.acquire(&by("a"), &[0]), taken(1, -1));
}

pub(super) fn a_past_that_cannot_be_read_is_lost(bench: Bench) {
    let bench = bench.founded();
    for garbage in [
        "",
        "garbage",
        "1 run 0 0 0 0 0 0 0 0 0",
        "0 run 0 0 0 0 1 0 0 0 0 0",
        "1 run 0 0 0 0 3600001 0 0 0 0 0",
        "1 run 0 0 0 0 0 0 0 0 3600001 0",
        "1 run 9007199254740991 0 0 0 0 0 0 0 0 0",
    ] {
        bench.send(&["HSET", SLOTS, "history", garbage]);
        let reply = bench.acquire(&by("a"), &[0]);
        assert_eq!(reply, quarantine(QUARANTINE), "{garbage:?}");
        bench.advance(QUARANTINE);
        let grant = bench.grant(&by("a"), &[0]);
        bench.release("a", &grant, grant.floor);
    }
}

fn two(bench: &Bench) -> [Member; 2] {
    let members = group(bench, [member("a", 6), member("b", 6)]);
    assert!(members.iter().all(|member| member.owned.len() == 3));
    members
}

/// After `deed` members are told to claim; both have what they had, and a newcomer is granted nothing for one ttl.
fn made_anew(bench: &Bench, deed: &[&str]) {
    let bench = &Bench::new(bench.scripts());
    let [mut a, mut b] = two(bench);
    bench.send(deed);
    a.thorough = true;
    assert_eq!(a.beat(bench, &[]), "resync", "{deed:?}");
    let mut c = member("c", 6).joined(bench);
    c.beat(bench, &[]);
    assert_eq!(c.told.grants, [], "{deed:?}");
    a.claim_all(bench);
    b.claim_all(bench);
    assert_eq!((a.owned.len(), b.owned.len()), (3, 3), "{deed:?}");
    c.beat(bench, &[]);
    assert_eq!(c.told.grants, [], "{deed:?}");
    assert_eq!(c.told.doubt, TTL, "{deed:?}");
    for member in [&mut a, &mut b] {
        assert_eq!(member.beat(bench, &[]), "ok", "{deed:?}");
    }
}

/// One number of the group's state is raised beyond what can be.
fn raised(bench: &Bench, field: usize, value: u64) -> String {
    let state = bench.text(&["HGET", GROUP, "state"]);
    let mut fields: Vec<String> = state.split(' ').map(str::to_owned).collect();
    fields[field] = value.to_string();
    fields.join(" ")
}

pub(super) fn a_group_whose_numbers_cannot_be_is_made_anew(bench: Bench) {
    two(&bench);
    // Cursor, virgin, pool, top and members of the state, and a version without a next one.
    let numbers = [
        (1, 9_007_199_254_740_991),
        (4, 7),
        (5, 7),
        (6, 7),
        (7, 65_536),
        (10, 3),
    ];
    for (field, value) in numbers {
        let state = raised(&bench, field, value);
        made_anew(&bench, &["HSET", GROUP, "state", &state]);
    }
    for classes in ["", ";", "1:3;", "1:2,junk;"] {
        made_anew(&bench, &["HSET", GROUP, "classes", classes]);
    }
    made_anew(&bench, &["HSET", GROUP, "history", "garbage"]);
}

/// What a member's request trips over ends the group's life; the next request of each member is a claim.
pub(super) fn a_table_that_is_none_of_ours_is_given_up(bench: Bench) {
    // The high bytes of owner, predecessor and successor, and the low one of the predecessor.
    for (offset, byte) in [(0, "\u{7f}"), (8, "\u{7f}"), (11, "\u{7f}"), (10, "\u{5}")] {
        let bench = Bench::new(bench.scripts());
        let [mut a, mut b] = two(&bench);
        let _c = member("c", 6).spoken(&bench);
        bench.advance(SETTLE);
        a.beat(&bench, &[]);
        assert_eq!(a.told.surplus, 1);
        for node in 0..6 {
            let at = (node * 14 + offset).to_string();
            bench.send(&["SETRANGE", &key("table:0"), &at, byte]);
        }
        a.seq += 1;
        let releases = &a.holds()[..1];
        let error = a.try_beat(&bench, releases, "", "");
        let error = error.expect_err("the table cannot be read");
        assert!(error.contains("TRYAGAIN"), "{offset}: {error}");
        assert_eq!(a.beat(&bench, &[]), "resync");
        a.claim_all(&bench);
        b.claim_all(&bench);
        assert_eq!((a.owned.len(), b.owned.len()), (3, 3), "{offset}");
    }
}

pub(super) fn a_retired_number_that_is_none_of_ours_is_passed_over(bench: Bench) {
    let [a, _] = two(&bench);
    for garbage in [
        "garbage".to_owned(),
        "2".to_owned(),
        "0 0".to_owned(),
        "9 0".to_owned(),
        format!("{} 0", a.number),
    ] {
        bench.send(&["LPUSH", &key("retired"), &garbage]);
    }
    let c = member("c", 6).joined(&bench);
    assert_eq!(c.number, 3);
}
