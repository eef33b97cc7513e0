//! What `beat` and `leave` promise of memberships: who is in step, who is alive, who has gone.

use super::{
    bench::Bench,
    members::{Member, SETTLE, TTL, counts, group, key, member, rest, settle},
};

pub(super) fn a_grant_stays_in_the_inbox_until_it_was_received(bench: Bench) {
    let mut a = member("a", 4).joined(&bench);
    a.beat(&bench, &[]);
    let granted = a.told.grants.clone();
    assert_eq!(granted.len(), 4);
    // The answer never arrived.
    (a.got, a.thorough) = (0, true);
    a.beat(&bench, &[]);
    assert_eq!(a.told.grants, granted);
    a.beat(&bench, &[]);
    assert_eq!(
        (
            a.told.grants.len(),
            bench.number(&["LLEN", &key("inbox:1")])
        ),
        (0, 0)
    );
}

pub(super) fn a_request_that_was_executed_before_changes_nothing(bench: Bench) {
    let [mut a, b] = group(&bench, [member("a", 4), member("b", 4)]);
    let before = bench.everything();
    assert_eq!(a.send_beat(&bench, &[], "", ""), "stale");
    a.seq -= 1;
    assert_eq!(a.send_beat(&bench, &[], "", ""), "stale");
    assert_eq!(bench.everything(), before);
    assert_eq!(counts(&[a, b]), [2, 2]);
}

pub(super) fn a_member_that_is_out_of_step_is_told_to_claim(bench: Bench) {
    let [a] = group(&bench, [member("a", 4)]);
    let before = bench.everything();
    let asked = |change: &dyn Fn(&mut Member)| {
        let mut changed = a.clone();
        change(&mut changed);
        changed.beat(&bench, &[])
    };
    assert_eq!(asked(&|a| a.generation = "1".to_owned()), "resync");
    assert_eq!(
        asked(&|a| a.got += 1),
        "resync",
        "the store never gave that"
    );
    assert_eq!(asked(&|a| a.got -= 1), "resync", "it was received once");
    assert_eq!(
        asked(&|a| a.heard += 5),
        "resync",
        "an answer that the store knows nothing of"
    );
    assert_eq!(asked(&|a| a.number = 7), "resync");
    assert_eq!(asked(&|a| a.id = "another".to_owned()), "resync");
    assert_eq!(bench.everything(), before);
}

pub(super) fn a_lost_key_of_the_group_is_noticed_by_a_beat(bench: Bench) {
    for lost in ["group", "members", "lease", "count:1"] {
        let bench = Bench::new(bench.scripts());
        let [mut a, _] = group(&bench, [member("a", 4), member("b", 4)]);
        bench.send(&["DEL", &key(lost)]);
        assert_eq!(a.beat(&bench, &[]), "resync", "{lost}");
    }
    let [mut a] = group(&bench, [member("a", 4)]);
    let mut b = member("b", 4).spoken(&bench);
    bench.advance(SETTLE);
    let mut waiting = a.clone();
    a.beat(&bench, &a.holds()[..2]);
    waiting.seq = a.seq;
    bench.send(&["DEL", &key("inbox:2")]);
    assert_eq!(b.beat(&bench, &[]), "resync", "its inbox");
}

pub(super) fn a_crashed_member_is_reaped_when_its_lease_is_over(bench: Bench) {
    let mut members = group(
        &bench,
        [
            member("a", 4),
            Member {
                grace: 2_000,
                ..member("b", 4)
            },
        ],
    );
    let before = members[1].holds();
    let began = bench.now();
    for at in [3_000, 6_000, 9_000, TTL + 2_000 - 1] {
        bench.set_clock(began + at);
        members[0].beat(&bench, &[]);
        assert_eq!(
            (members[0].told.members, members[0].owned.len()),
            (2, 2),
            "after {at} ms"
        );
    }
    bench.advance(1);
    rest(&bench, &mut members[..1]);
    assert_eq!((members[0].told.members, members[0].owned.len()), (1, 4));
    for (bucket, epoch) in before {
        assert!(epoch < members[0].owned[&bucket]);
    }
    assert_eq!(
        members[1].beat(&bench, &[]),
        "resync",
        "it is a member no more"
    );
}

pub(super) fn a_leaver_frees_its_own_and_wakes_others(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    let stranger = Member {
        token: members[0].token.clone(),
        ..members[1].clone()
    };
    assert_eq!(stranger.leave(&bench, false), "not_member");
    let before = bench.embedded.stats().get("command:publish").copied();
    assert_eq!(members[1].leave(&bench, false), "left");
    assert_eq!(
        bench.embedded.stats().get("command:publish").copied(),
        Some(before.unwrap_or(0) + 1)
    );
    assert_eq!(members[1].leave(&bench, false), "not_member");
    rest(&bench, &mut members[..1]);
    assert_eq!((members[0].told.members, members[0].owned.len()), (1, 4));
    for name in ["members", "ids"] {
        assert_eq!(bench.number(&["HLEN", &key(name)]), 1);
    }
    for name in ["lease", "count:1", "order:1"] {
        assert_eq!(bench.number(&["ZCARD", &key(name)]), 1, "{name}");
    }
}

pub(super) fn who_leaves_for_a_while_finds_its_buckets_again(bench: Bench) {
    let mut members = group(
        &bench,
        [
            member("a", 4),
            Member {
                grace: 2_000,
                ..member("b", 4)
            },
        ],
    );
    let before = members[1].holds();
    assert_eq!(members[1].leave(&bench, true), "left");
    bench.advance(1_999);
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 2);
    let again = Member {
        uuid: "second".to_owned(),
        grace: 2_000,
        ..member("b", 4)
    };
    let mut again = again.joined(&bench);
    again.beat(&bench, &[]);
    for (bucket, epoch) in before {
        assert!(epoch < again.owned[&bucket]);
    }
    assert_eq!(counts(&[members[0].clone(), again.clone()]), [2, 2]);
    assert_eq!(again.leave(&bench, true), "left");
    bench.advance(2_000);
    rest(&bench, &mut members[..1]);
    assert_eq!((members[0].told.members, members[0].owned.len()), (1, 4));
}

pub(super) fn a_number_names_one_member_at_a_time(bench: Bench) {
    let [a, b] = group(&bench, [member("a", 4), member("b", 4)]);
    assert_eq!(b.leave(&bench, false), "left");
    // What is free still names its last owner.
    let c = member("c", 4).joined(&bench);
    assert_eq!((a.number, b.number, c.number), (1, 2, 3));
    let mut members = [a, c];
    settle(&bench, &mut members);
    let d = member("d", 4).joined(&bench);
    assert_eq!(d.number, 2, "nothing names it any more");
    assert_eq!(d.leave(&bench, false), "left");
    let e = member("e", 4).joined(&bench);
    assert_eq!(e.number, 2, "nothing ever named it");
}

/// However many come and go, and whether or not anything is free when they come.
pub(super) fn numbers_are_used_again(bench: Bench) {
    for round in 0..20 {
        let mut alone = member(&format!("alone-{round}"), 200).joined(&bench);
        assert!(alone.number <= 2, "{} in round {round}", alone.number);
        for _ in 0..5 {
            alone.beat(&bench, &[]);
        }
        assert_eq!(alone.owned.len(), 200);
        assert_eq!(alone.leave(&bench, false), "left");
    }
    for round in 0..20 {
        let ghost = member(&format!("ghost-{round}"), 200).joined(&bench);
        assert!(ghost.number <= 2, "{} in round {round}", ghost.number);
        assert_eq!(ghost.leave(&bench, false), "left");
    }
}

/// An idle member of an idle group is told so, and its lease runs anew all the same.
pub(super) fn a_glance_renews_the_lease_where_nothing_has_changed(bench: Bench) {
    let mut members = group(
        &bench,
        [
            Member {
                grace: 500,
                ..member("a", 4)
            },
            member("b", 4),
        ],
    );
    for _ in 0..2 {
        members[0].beat(&bench, &[]);
        members[1].beat(&bench, &[]);
    }
    let idle = members[0].clone();
    bench.advance(3_000);
    assert_eq!(members[0].glance(&bench), "same");
    let until = bench.text(&["ZSCORE", &key("lease"), "1"]);
    assert_eq!(until, (bench.now() + TTL + 500).to_string());
    assert_eq!(
        idle.clone().glance(&bench),
        "stale",
        "its number is on record"
    );
    member("c", 4).joined(&bench);
    assert_eq!(members[1].glance(&bench), "ok", "the group has changed");
}

pub(super) fn a_glance_hides_no_lease_that_is_over(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    for _ in 0..2 {
        members[0].beat(&bench, &[]);
    }
    assert_ne!(members[0].told.state, "");
    bench.advance(4_000);
    assert_eq!(members[0].glance(&bench), "same");
    bench.advance(4_000);
    assert_eq!(members[0].glance(&bench), "same");
    bench.advance(TTL - 8_000);
    assert_eq!(members[0].glance(&bench), "ok");
    assert_eq!(members[0].told.members, 1);
}

pub(super) fn every_beat_begins_the_ttl_anew_with_its_grace(bench: Bench) {
    let [mut a, _] = group(
        &bench,
        [
            Member {
                grace: 500,
                ..member("a", 4)
            },
            member("b", 4),
        ],
    );
    for thorough in [false, true] {
        bench.advance(1_000);
        a.thorough = thorough;
        a.beat(&bench, &[]);
        let until = bench.text(&["ZSCORE", &key("lease"), "1"]);
        assert_eq!(
            until,
            (bench.now() + TTL + 500).to_string(),
            "thorough: {thorough}"
        );
    }
}
