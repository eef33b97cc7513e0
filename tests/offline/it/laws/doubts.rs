//! What a group does when its store has forgotten something, or may have: how long nothing is granted, and to whom it is said.

use super::{
    bench::Bench,
    members::{GROUP, Member, TTL, counts, group, key, member, rest, settle},
};

/// Time passes while a member beats once a second.
fn pass(bench: &Bench, member: &mut Member, seconds: u64) {
    for _ in 0..seconds {
        bench.advance(1_000);
        assert_eq!(member.beat(bench, &[]), "ok");
    }
}

fn flush(bench: &Bench) {
    bench.embedded.flush_all();
}

/// A ttl and a failover bound that the store has forgotten count as soon as one member claims that knows of them.
pub(super) fn a_claim_brings_the_longest_terms_back(bench: Bench) {
    let slow = Member {
        ttl: 60_000,
        bound: 15_000,
        ..member("slow", 4)
    };
    let [_, b] = group(&bench, [slow, member("b", 4)]);
    assert_eq!(b.told.longest, "60000 15000 0");
    let mut b = Member {
        known: "60000 15000 0",
        ..b
    };
    bench.advance(1_000);
    flush(&bench);
    b.claim_all(&bench);
    b.beat(&bench, &[]);
    assert_eq!((b.told.doubt, b.told.grants.len()), (75_000, 0));
    assert_eq!(b.told.longest, "60000 15000 0");
    pass(&bench, &mut b, 74);
    assert_eq!(b.owned.len(), 2);
    pass(&bench, &mut b, 1);
    assert_eq!(b.owned.len(), 4);
}

/// Who claims first need not know of the longest ttl; who knows of it prolongs what has begun.
pub(super) fn a_later_claim_brings_longer_terms(bench: Bench) {
    let [mut a, b] = group(&bench, [member("a", 4), member("b", 4)]);
    let mut b = Member {
        known: "60000 0 0",
        ..b
    };
    bench.advance(1_000);
    flush(&bench);
    a.claim_all(&bench);
    pass(&bench, &mut a, 2);
    assert_eq!(a.told.doubt, TTL - 2_000);
    b.claim_all(&bench);
    a.beat(&bench, &[]);
    assert_eq!(a.told.doubt, 58_000, "since the first claim");
}

/// Everybody who misses something says so; what was lost before the first of them did was lost once.
pub(super) fn one_loss_begins_one_quarantine(bench: Bench) {
    let [mut a, mut b] = group(&bench, [member("a", 4), member("b", 4)]);
    bench.advance(1_000);
    flush(&bench);
    a.claim_all(&bench);
    pass(&bench, &mut a, 5);
    b.claim_all(&bench);
    a.beat(&bench, &[]);
    assert_eq!(a.told.doubt, TTL - 5_000);
    assert_eq!(b.beat(&bench, &[]), "ok");
    pass(&bench, &mut a, 1);
    // What b was answered in the quarantine is forgotten, too.
    (b.seq, b.heard) = (b.seq + 10, b.heard + 10);
    b.claim_all(&bench);
    a.beat(&bench, &[]);
    assert_eq!(a.told.doubt, TTL, "another loss");
}

/// Another one had made the group anew before the member that lost its membership was heard.
pub(super) fn a_member_without_a_bucket_proves_a_loss(bench: Bench) {
    let [_, mut b] = group(&bench, [member("a", 1), member("b", 1)]);
    assert!(b.owned.is_empty());
    bench.advance(1_000);
    flush(&bench);
    let mut c = Member {
        discovery: 1_000,
        ..member("c", 1)
    }
    .joined(&bench);
    assert_eq!(b.beat(&bench, &[]), "resync");
    b.claim_all(&bench);
    c.beat(&bench, &[]);
    assert_eq!(c.told.doubt, TTL);
}

pub(super) fn everybody_hears_of_a_doubt(bench: Bench) {
    let [mut a, mut b] = group(&bench, [member("a", 4), member("b", 4)]);
    for _ in 0..2 {
        b.beat(&bench, &[]);
    }
    (a.seq, a.heard) = (a.seq + 10, a.seq + 10);
    a.claim_all(&bench);
    assert_eq!(b.glance(&bench), "ok");
    assert_eq!(b.told.doubt, TTL);
}

/// A member says its ttl only now and then; the windows of others who say theirs all the time are short.
pub(super) fn a_ttl_is_remembered_while_a_lease_lasts(bench: Bench) {
    let slow = Member {
        ttl: 60_000,
        ..member("slow", 4)
    };
    let [mut slow, mut b] = group(&bench, [slow, member("b", 4)]);
    b.thorough = true;
    for _ in 0..3 {
        slow.thorough = true;
        assert_eq!(slow.beat(&bench, &[]), "ok");
        slow.thorough = false;
        pass(&bench, &mut b, 29);
        slow.seq += u64::from(slow.seq % 8 == 0);
        assert_eq!(slow.beat(&bench, &[]), "ok");
        pass(&bench, &mut b, 59);
        assert_eq!(b.told.longest, "60000 0 0", "its lease runs");
    }
    pass(&bench, &mut b, 300);
    assert_eq!(b.told.longest, "9000 0 0", "nobody uses it");
}

/// The group may be an old copy, whose members went on elsewhere: they are given time to say so.
pub(super) fn a_silent_group_listens(bench: Bench) {
    let listening = |id| Member {
        discovery: 1_000,
        ..member(id, 4)
    };
    let [a] = group(&bench, [listening("a")]);
    assert_eq!(a.leave(&bench, false), "left");
    bench.advance(TTL);
    let mut b = listening("b").joined(&bench);
    b.beat(&bench, &[]);
    assert_eq!((b.told.doubt, b.owned.len()), (0, 4), "not for longer");
    assert_eq!(b.leave(&bench, false), "left");
    bench.advance(TTL + 1);
    let published = || bench.embedded.stats().get("command:publish").copied();
    let before = published();
    let mut c = listening("c").joined(&bench);
    assert_eq!(
        published(),
        before.map(|count| count + 1),
        "others are asked"
    );
    c.beat(&bench, &[]);
    assert_eq!((c.told.doubt, c.owned.len()), (1_000, 0));
    bench.advance(999);
    c.beat(&bench, &[]);
    assert_eq!((c.told.doubt, c.owned.len()), (1, 0));
    bench.advance(1);
    c.beat(&bench, &[]);
    assert_eq!((c.told.doubt, c.owned.len()), (0, 4), "and not for longer");
    let mut d = Member {
        discovery: 0,
        ..listening("d")
    };
    assert_eq!(c.leave(&bench, false), "left");
    bench.advance(TTL + 1);
    d = d.joined(&bench);
    d.beat(&bench, &[]);
    assert_eq!(d.owned.len(), 4, "it does not listen");
}

/// The copy is older than what its members were answered.
pub(super) fn an_old_copy_is_claimed_from_while_it_listens(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    let (old, mut late) = (a.clone(), member("late", 4));
    bench.advance(TTL + 1);
    late.discovery = 1_000;
    let mut late = late.joined(&bench);
    (a.seq, a.heard) = (old.seq + 9, old.heard + 9);
    bench.advance(500);
    assert_eq!(a.beat(&bench, &[]), "resync");
    a.claim_all(&bench);
    bench.advance(500);
    late.beat(&bench, &[]);
    assert_eq!((late.told.doubt, late.told.grants.len()), (TTL - 500, 0));
    assert_eq!(counts(&[a, late]), [4, 0]);
}

pub(super) fn a_clock_set_back_prolongs_no_discovery(bench: Bench) {
    let mut a = Member {
        discovery: 1_000,
        ..member("a", 4)
    }
    .joined(&bench);
    bench.set_clock(bench.now() - 7_200_000);
    for _ in 0..3 {
        a.beat(&bench, &[]);
        bench.advance(500);
    }
    a.beat(&bench, &[]);
    assert_eq!((a.told.doubt, a.owned.len()), (0, 4));
}

pub(super) fn a_record_that_is_expected_and_absent_was_lost(bench: Bench) {
    let mut a = Member {
        flags: "e",
        discovery: 1_000,
        ..member("a", 4)
    }
    .joined(&bench);
    a.beat(&bench, &[]);
    assert_eq!(a.told.doubt, TTL);
}

/// A process that was a member, or keys that are left, are witnesses of a past.
pub(super) fn a_group_that_somebody_knows_of_was_lost(bench: Bench) {
    for deed in ["the group", "its past and its members", "everything"] {
        let bench = Bench::new(bench.scripts());
        let [a] = group(&bench, [member("a", 4)]);
        let mut witness = member("b", 4);
        if deed == "everything" {
            flush(&bench);
            witness.previous = a.token;
        } else if deed == "the group" {
            bench.send(&["DEL", GROUP]);
        } else {
            bench.send(&["DEL", &key("members")]);
            bench.send(&["HSET", GROUP, "history", "garbage"]);
        }
        let mut witness = witness.joined(&bench);
        witness.beat(&bench, &[]);
        assert_eq!(witness.told.doubt, TTL, "{deed}");
    }
}

/// They may have a group of which the store knows nothing any more.
pub(super) fn who_makes_a_group_wakes_the_members_of_a_lost_one(bench: Bench) {
    let published = || bench.embedded.stats().get("command:publish").copied();
    assert_eq!(published(), None);
    member("a", 4).joined(&bench);
    assert_eq!(published(), Some(1), "all at once");
    member("b", 4).joined(&bench);
    assert_eq!(published(), Some(1), "it is there");
}

pub(super) fn a_newer_group_is_left_alone(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    bench.send(&["HSET", GROUP, "history", "2 of whatever kind"]);
    let before = bench.everything();
    a.seq += 1;
    let newer = ["newer", "2"];
    assert_eq!(member("b", 4).join(&bench), newer);
    assert_eq!(
        a.try_beat(&bench, &[], "", "").expect("understood"),
        ["resync"]
    );
    assert_eq!(a.claim(&bench, &[]), newer);
    assert_eq!(a.leave(&bench, false), "not_member");
    let asked = ["1", "4"].map(str::to_owned);
    for script in ["members", "owners"] {
        assert_eq!(bench.call(script, &[GROUP.to_owned()], &asked), newer);
    }
    assert_eq!(super::members::drain(&bench, "a", true), newer);
    assert_eq!(bench.everything(), before);
}

/// The server's identity is looked at when a member asks for that, and the group's members claim at once.
pub(super) fn a_quarantine_begins_with_a_beat(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    bench.embedded.restart();
    let [a, b] = &mut members;
    a.thorough = true;
    assert_eq!(a.beat(&bench, &[]), "resync");
    a.claim_all(&bench);
    assert_eq!(b.beat(&bench, &[]), "resync");
    b.claim_all(&bench);
    for member in [a, b] {
        member.beat(&bench, &[]);
        assert_eq!(member.leave(&bench, false), "left");
        bench.advance(TTL / 3);
    }
    let mut late = member("late", 4).joined(&bench);
    late.beat(&bench, &[]);
    assert_eq!(
        (late.told.doubt, late.owned.len()),
        (TTL - 2 * (TTL / 3), 0)
    );
    bench.advance(TTL / 3);
    let mut late = [late];
    rest(&bench, &mut late);
    settle(&bench, &mut late);
    assert_eq!(counts(&late), [4]);
    assert_eq!(bench.number(&["HLEN", &key("members")]), 1);
}
