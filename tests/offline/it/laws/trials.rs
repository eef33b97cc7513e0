//! What the scripts of redbuckets promise where members die soon after they came, one after another.

use super::{
    bench::Bench,
    members::{Member, SETTLE, TTL, group, key, member},
};

/// So much time, in which these go on.
fn passes(bench: &Bench, living: &mut [&mut Member], ms: u64) {
    let until = bench.now() + ms;
    while bench.now() < until {
        bench.advance((TTL / 6).min(until - bench.now()));
        for member in &mut *living {
            while member.beat(bench, &[]) == "ok" && member.told.more {}
            if 0 < member.told.surplus {
                let all = member.holds();
                member.beat(bench, &all);
            }
        }
    }
}

/// A member with all the buckets, after two others died young; one of them came after the other was dead.
fn unlucky(bench: &Bench) -> Member {
    let [mut a] = group(bench, [member("a", 6)]);
    for id in ["first", "second"] {
        let _dies = member(id, 6).spoken(bench);
        passes(bench, &mut [&mut a], TTL + TTL / 3);
    }
    assert_eq!((a.told.members, a.told.quota), (1, 6));
    a
}

pub(super) fn who_comes_after_a_series_of_deaths_has_no_share_before_it_has_lived(bench: Bench) {
    let mut a = unlucky(&bench);
    let mut b = member("b", 6).spoken(&bench);
    assert_eq!((b.told.members, b.told.quota), (2, 0));
    passes(&bench, &mut [&mut a, &mut b], TTL - TTL / 6);
    assert_eq!((a.owned.len(), b.owned.len()), (6, 0));
    passes(&bench, &mut [&mut a, &mut b], TTL / 6 + SETTLE + TTL / 3);
    assert_eq!((a.owned.len(), b.owned.len()), (3, 3));
}

pub(super) fn one_that_dies_young_is_forgiven(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 6)]);
    let _dies = member("first", 6).spoken(&bench);
    passes(&bench, &mut [&mut a], TTL + TTL / 3);
    let b = member("b", 6).spoken(&bench);
    assert_eq!((b.told.members, b.told.quota), (2, 3));
}

pub(super) fn many_that_die_together_are_no_series(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 6)]);
    for id in ["first", "second", "third"] {
        let _dies = member(id, 6).spoken(&bench);
    }
    passes(&bench, &mut [&mut a], TTL + TTL / 3);
    assert_eq!(a.told.members, 1);
    let b = member("b", 6).spoken(&bench);
    assert_eq!((b.told.members, b.told.quota), (2, 3));
}

pub(super) fn who_lived_for_long_is_no_sign(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 6)]);
    for id in ["first", "second"] {
        let mut dies = member(id, 6).spoken(&bench);
        passes(&bench, &mut [&mut a, &mut dies], 3 * TTL + TTL / 6);
        passes(&bench, &mut [&mut a], TTL + TTL / 3);
    }
    let b = member("b", 6).spoken(&bench);
    assert_eq!((b.told.members, b.told.quota), (2, 3));
}

pub(super) fn who_leaves_for_a_while_is_no_sign(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 6)]);
    for id in ["first", "second"] {
        let graceful = Member {
            grace: TTL,
            ..member(id, 6)
        };
        let leaves = graceful.spoken(&bench);
        assert_eq!(leaves.leave(&bench, true), "left");
        passes(&bench, &mut [&mut a], TTL + TTL / 3);
    }
    let b = member("b", 6).spoken(&bench);
    assert_eq!((b.told.members, b.told.quota), (2, 3));
}

pub(super) fn a_trial_is_longer_where_it_was_survived_in_vain(bench: Bench) {
    let mut a = unlucky(&bench);
    let mut third = member("third", 6).spoken(&bench);
    passes(&bench, &mut [&mut a, &mut third], TTL + SETTLE);
    assert_eq!(third.told.quota, 3);
    passes(&bench, &mut [&mut a], TTL + TTL / 3);
    assert_eq!(a.told.members, 1);
    let mut b = member("b", 6).spoken(&bench);
    passes(&bench, &mut [&mut a, &mut b], 2 * TTL - TTL / 6);
    assert_eq!(b.told.quota, 0);
    passes(&bench, &mut [&mut a, &mut b], TTL / 3);
    assert_eq!(b.told.quota, 3);
}

/// They came before anybody knew that the first ones are dead.
pub(super) fn those_that_had_a_share_before_make_a_trial_no_longer(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 6)]);
    for id in ["first", "second", "third", "fourth"] {
        let _dies = member(id, 6).spoken(&bench);
        passes(&bench, &mut [&mut a], TTL / 3);
    }
    passes(&bench, &mut [&mut a], TTL + TTL / 3);
    let mut b = member("b", 6).spoken(&bench);
    assert_eq!((b.told.members, b.told.quota), (2, 0));
    passes(&bench, &mut [&mut a, &mut b], TTL + TTL / 6);
    assert_eq!(b.told.quota, 3);
}

/// Dying on trial costs nobody anything.
pub(super) fn a_trial_goes_on_while_they_die_in_it_and_grows_no_longer(bench: Bench) {
    let mut a = unlucky(&bench);
    for round in 0..12 {
        let _dies = member(&format!("dies-{round}"), 6).spoken(&bench);
        passes(&bench, &mut [&mut a], TTL + TTL / 3);
        assert_eq!(a.owned.len(), 6);
    }
    let mut b = member("b", 6).spoken(&bench);
    assert_eq!(b.told.quota, 0);
    passes(&bench, &mut [&mut a, &mut b], TTL + TTL / 6);
    assert_eq!(b.told.quota, 3);
}

pub(super) fn a_series_of_deaths_is_forgotten(bench: Bench) {
    let mut a = unlucky(&bench);
    passes(&bench, &mut [&mut a], 8 * TTL);
    let b = member("b", 6).spoken(&bench);
    assert_eq!((b.told.members, b.told.quota), (2, 3));
}

/// Nor does it wait for ever where somebody has written garbage there, or the clock was set back.
pub(super) fn who_is_alone_waits_for_no_trial(bench: Bench) {
    let a = unlucky(&bench);
    let mut b = member("b", 6).spoken(&bench);
    assert_eq!(b.told.quota, 0);
    assert_eq!(a.leave(&bench, false), "left");
    b.beat(&bench, &[]);
    assert_eq!((b.told.quota, b.owned.len()), (6, 6));
}

pub(super) fn what_stands_in_the_place_of_a_trial_holds_nobody_up_for_long(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 6)]);
    let far = bench.now() + 1_000_000;
    for garbage in ["x".to_owned(), format!("1000 {far}"), String::new()] {
        bench.send(&["HSET", &key("group"), "trial", &garbage]);
        let b = member("b", 6).spoken(&bench);
        assert_eq!(b.told.quota, 3, "{garbage:?}");
        b.clone().leave(&bench, false);
    }
    let longest = format!("99999999999 {}", bench.now());
    bench.send(&["HSET", &key("group"), "trial", &longest]);
    let mut b = member("b", 6).spoken(&bench);
    passes(&bench, &mut [&mut a, &mut b], 10 * TTL - TTL / 3);
    assert_eq!(b.told.quota, 0);
    passes(&bench, &mut [&mut a, &mut b], TTL / 2);
    assert_eq!(b.told.quota, 3);
}

/// The same id, again and again.
pub(super) fn a_successor_on_trial_keeps_nothing_of_what_the_dead_had(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 6)]);
    let incarnation = |uuid: &str| Member {
        uuid: uuid.to_owned(),
        ..member("b", 6)
    };
    for uuid in ["first", "second"] {
        let mut b = incarnation(uuid).spoken(&bench);
        passes(&bench, &mut [&mut a, &mut b], SETTLE + TTL / 3);
        assert_eq!((a.owned.len(), b.owned.len()), (3, 3), "{uuid}");
        passes(&bench, &mut [&mut a], TTL - TTL / 6);
        // Nobody has looked for the dead yet.
        bench.advance(TTL / 6 + 1);
    }
    let mut third = incarnation("third").spoken(&bench);
    passes(&bench, &mut [&mut a, &mut third], TTL / 2);
    assert_eq!((a.owned.len(), third.owned.len()), (6, 0));
}
