//! What `beat` and `join` make of a server's clock that is set forward: whose lease is over, and who lives all the same.

use super::{
    bench::Bench,
    members::{GROUP, Member, SETTLE, TTL, counts, group, member, rest, settle},
};

/// The clock was set forward, or nothing arrived for long: nobody's word that others are dead is worth anything.
pub(super) fn nobody_is_taken_for_dead_by_who_was_away_itself(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    bench.advance(10 * TTL);
    members[0].beat(&bench, &[]);
    assert_eq!((members[0].told.members, members[0].owned.len()), (2, 2));
    assert_eq!(members[0].told.again, 1_500, "a sixth of the ttl");
    bench.advance(1_500);
    members[0].beat(&bench, &[]);
    bench.advance(1_499);
    members[0].beat(&bench, &[]);
    assert_eq!((members[0].told.members, members[0].told.again), (2, 1));
    assert_eq!(members[1].beat(&bench, &[]), "ok", "it lives");
    bench.advance(1);
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 2);
}

pub(super) fn who_stays_away_is_reaped_after_a_third_of_a_ttl(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    bench.advance(10 * TTL);
    members[0].beat(&bench, &[]);
    bench.advance(1_500);
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 2);
    bench.advance(1_500);
    rest(&bench, &mut members[..1]);
    assert_eq!((members[0].told.members, members[0].owned.len()), (1, 4));
}

/// The first to be heard after a step finds that no lease is over yet; the one that it leaves with little time has as much
/// as any other to be heard.
pub(super) fn a_step_is_noticed_before_it_ends_a_lease(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    for _ in 0..2 {
        members[0].beat(&bench, &[]);
    }
    assert_ne!(members[0].told.state, "");
    bench.advance(TTL - 100);
    assert_eq!(
        members[0].glance(&bench),
        "ok",
        "this is more than a glance"
    );
    bench.advance(1_000);
    members[0].beat(&bench, &[]);
    assert_eq!((members[0].told.members, members[0].told.again), (2, 1_500));
    assert_eq!(members[1].beat(&bench, &[]), "ok", "it lives");
}

/// A longer silence than half a ttl may be a step, whoever breaks it.
pub(super) fn a_silence_of_half_a_ttl_is_passing_time(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    for _ in 0..2 {
        bench.advance(TTL / 2);
        members[0].beat(&bench, &[]);
    }
    assert_eq!(members[0].told.members, 1);
    let mut members = [members[0].clone(), member("b", 4).joined(&bench)];
    settle(&bench, &mut members);
    bench.advance(TTL / 2 - 1);
    members[0].beat(&bench, &[]);
    bench.advance(TTL / 2 + 1);
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 2);
}

pub(super) fn steps_that_follow_one_another_end_no_lease_that_is_renewed(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4), member("c", 4)]);
    for round in 0..40 {
        for step in 0..8 {
            bench.advance(TTL + 7 * step);
            // Whoever is heard first may not take the other for dead, and its own word is as good the second time.
            assert_eq!(members[0].beat(&bench, &[]), "ok");
            assert_eq!(members[2].beat(&bench, &[]), "ok");
            bench.advance(100);
            assert_eq!(members[0].beat(&bench, &[]), "ok");
            assert_eq!(members[0].told.members, 3, "round {round}, step {step}");
        }
        assert_eq!(
            members[1].beat(&bench, &[]),
            "ok",
            "round {round}: it lives"
        );
    }
    rest(&bench, &mut members);
    assert_eq!(counts(&members), [2, 1, 1]);
}

/// What looks like time may be a step that is too short to be told from it.
pub(super) fn no_call_counts_for_more_than_a_sixth_of_a_ttl(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    bench.advance(TTL);
    members[0].beat(&bench, &[]);
    bench.advance(TTL / 2);
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 2);
    assert_eq!(members[1].beat(&bench, &[]), "ok", "it lives");
}

pub(super) fn a_clock_that_never_stops_stepping_keeps_no_dead(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    let before = members[1].holds();
    let mut beats = 0;
    while members[0].told.members == 2 {
        bench.advance(TTL);
        assert_eq!(members[0].beat(&bench, &[]), "ok");
        beats += 1;
        assert!(beats <= 1 + 9 + 9, "two waits of nine steps");
    }
    assert_eq!(beats, 1 + 9, "it was dead when the first one began");
    rest(&bench, &mut members[..1]);
    for (bucket, epoch) in before {
        assert!(epoch < members[0].owned[&bucket]);
    }
}

/// Nothing that was heard after the clock was set back is older than what was heard before.
pub(super) fn a_clock_set_back_during_a_wait_makes_nobody_dead(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    bench.advance(20 * TTL);
    members[0].beat(&bench, &[]);
    bench.set_clock(bench.now() - 20 * TTL);
    for member in &mut members {
        assert_eq!(member.beat(&bench, &[]), "ok");
    }
    for _ in 0..9 {
        bench.advance(TTL);
        assert_eq!(members[0].beat(&bench, &[]), "ok");
    }
    assert_eq!(members[1].beat(&bench, &[]), "ok", "it lives");
    bench.advance(TTL);
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 2);
    assert_eq!(members[1].beat(&bench, &[]), "ok", "it still does");
}

/// In the hash of the group, where anybody may write.
pub(super) fn garbage_in_the_place_of_the_clock_ends_no_lease_and_keeps_no_dead(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    for garbage in [
        "99999999999999999",
        "",
        "x",
        "-1",
        "9e99",
        "1 2 3 4",
        "1 99999999999999 0 0 0",
    ] {
        for _ in 0..2 {
            assert_eq!(members[0].beat(&bench, &[]), "ok");
        }
        bench.send(&["HSET", GROUP, "heard", garbage]);
        assert_eq!(members[0].glance(&bench), "ok", "{garbage:?}");
        assert_eq!(members[0].told.members, 2);
    }
    assert_eq!(members[1].beat(&bench, &[]), "ok", "it lives");
    let endless = format!("{} 99999999999999 0 0 0", bench.now());
    bench.send(&["HSET", GROUP, "heard", &endless]);
    for _ in 0..6 {
        bench.advance(1_500);
        members[0].beat(&bench, &[]);
    }
    assert_eq!(members[0].told.members, 1);
}

/// Nobody is waited for any more, and still one's own lease is only one's own.
pub(super) fn who_comes_back_late_does_not_reap_itself(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    bench.advance(10 * TTL);
    members[1].beat(&bench, &[]);
    bench.advance(3_000);
    assert_eq!(members[0].beat(&bench, &[]), "ok");
    assert_eq!(members[0].told.members, 2);
    assert_eq!(members[0].beat(&bench, &[]), "ok");
}

/// Who was not heard since the store has forgotten something may still work, whatever the clock says.
pub(super) fn a_step_ends_no_doubt(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    let [a, b] = &mut members;
    bench.embedded.restart();
    a.thorough = true;
    assert_eq!(a.beat(&bench, &[]), "resync");
    let claimed = a.holds()[..1].to_vec();
    a.claim(&bench, &claimed);
    let lacks = a.owned.pop_last();
    bench.advance(TTL);
    a.claim(&bench, &claimed);
    a.beat(&bench, &[]);
    assert_eq!((a.told.members, a.told.grants.len()), (2, 0));
    assert_eq!(a.told.doubt, 3_000);
    assert_eq!(b.beat(&bench, &[]), "resync", "it lives");
    b.claim_all(&bench);
    for _ in 0..2 {
        bench.advance(1_500);
        b.beat(&bench, &[]);
    }
    rest(&bench, &mut members);
    assert_eq!((counts(&members), members[0].told.doubt), (vec![2, 2], 0));
    assert!(lacks < members[0].owned.pop_last(), "it is granted anew");
}

const TWO_HOURS: u64 = 7_200_000;

/// What the dead had been given would last until the clock is there again.
pub(super) fn a_clock_set_back_keeps_nothing_of_the_dead(bench: Bench) {
    let patient = Member {
        grace: 2 * TWO_HOURS,
        ..member("a", 4)
    };
    let mut members = group(&bench, [patient, member("b", 4), member("c", 4)]);
    bench.set_clock(bench.now() - TWO_HOURS);
    for _ in 0..3 {
        members[0].beat(&bench, &[]);
        assert_eq!(members[0].told.members, 3);
        bench.advance(TTL / 3);
    }
    members[0].beat(&bench, &[]);
    rest(&bench, &mut members[..1]);
    assert_eq!((members[0].told.members, members[0].owned.len()), (1, 4));
}

/// Whoever lives has all of its lease, and a grace is as long as it was.
pub(super) fn a_clock_set_back_ends_no_lease(bench: Bench) {
    let patient = Member {
        grace: TTL,
        ..member("b", 4)
    };
    let mut members = group(&bench, [member("a", 4), patient]);
    for by in [TTL / 12 - 1, TTL / 12, TWO_HOURS, 4 * TWO_HOURS] {
        bench.advance(TTL / 3);
        bench.set_clock(bench.now() - by);
        members[0].beat(&bench, &[]);
        for wait in [TTL / 3, TTL / 3] {
            bench.advance(wait);
            members[0].beat(&bench, &[]);
        }
        assert_eq!(members[0].told.members, 2, "set back by {by} ms");
        assert_eq!(members[1].beat(&bench, &[]), "ok", "it lives");
    }
    bench.set_clock(bench.now() - TWO_HOURS);
    for _ in 0..5 {
        members[0].beat(&bench, &[]);
        bench.advance(TTL / 3);
    }
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 2, "the grace is not over");
    bench.advance(TTL / 3);
    members[0].beat(&bench, &[]);
    assert_eq!(members[0].told.members, 1);
}

pub(super) fn a_time_that_cannot_be_ends_no_grace(bench: Bench) {
    let patient = Member {
        grace: TTL,
        ..member("b", 4)
    };
    let mut members = group(&bench, [member("a", 4), patient]);
    bench.send(&["HSET", GROUP, "heard", "99999999999999999"]);
    for _ in 0..3 {
        members[0].beat(&bench, &[]);
    }
    assert_eq!(members[0].told.members, 2);
    assert_eq!(members[1].beat(&bench, &[]), "ok", "it lives");
}

pub(super) fn a_clock_set_back_keeps_nobody_waiting_for_its_share(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    let _b = member("b", 4).spoken(&bench);
    bench.set_clock(bench.now() - TWO_HOURS);
    a.beat(&bench, &[]);
    assert_eq!((a.told.surplus, a.told.again), (0, 1_000));
    bench.advance(SETTLE);
    a.beat(&bench, &[]);
    assert_eq!(a.told.surplus, 2);
}

/// The next process under the id of one that is dead waits for as long as for any other.
pub(super) fn a_clock_set_back_keeps_no_id(bench: Bench) {
    let [mut a, b] = group(&bench, [member("a", 4), member("b", 4)]);
    bench.set_clock(bench.now() - TWO_HOURS);
    let mut second = Member {
        uuid: "second".to_owned(),
        ..member("b", 4)
    };
    assert_eq!(second.join(&bench)[..2], ["occupied", "9000"]);
    for _ in 0..3 {
        bench.advance(TTL / 3);
        a.beat(&bench, &[]);
    }
    let mut second = second.joined(&bench);
    second.beat(&bench, &[]);
    assert!(second.owned.len() + b.owned.len() <= 4);
}
