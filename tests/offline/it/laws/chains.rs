//! What `renew` and `release` promise of a holder and its clone: a process that was copied with its memory.

use super::{
    bench::Bench,
    holding::held,
    slots::{Record, Renewal, SLOTS, TTL, by, link, lock, taken},
};

/// The number that the grant bore.
const FIRST: u64 = link(1, 7);

pub(super) fn a_renewal_that_knows_the_last_one_continues_the_chain(bench: Bench) {
    let (bench, grant) = held(bench);
    let renewal = grant.renewal("a");
    let (second, third, fourth) = (link(2, 1), link(3, 1), link(4, 1));
    for chain in [
        vec![second, FIRST],
        vec![third, second, FIRST],
        vec![fourth, third, second, FIRST],
        vec![link(5, 1), fourth],
    ] {
        let renewal = renewal.linked(&chain);
        assert_eq!(bench.renew(&renewal)[0], "renewed");
        assert_eq!(bench.recorded(0).chain, renewal.chain);
        assert_eq!(bench.renew(&renewal)[0], "renewed", "it was heard twice");
    }
    bench.set_record(
        0,
        &Record {
            chain: "-".to_owned(),
            ..bench.recorded(0)
        },
    );
    assert_eq!(bench.renew(&renewal)[0], "renewed", "there is none yet");
}

/// Its answer was given up on.
pub(super) fn a_renewal_that_comes_late_changes_nothing(bench: Bench) {
    let (bench, grant) = held(bench);
    let renewal = grant.renewal("a");
    let (second, third, fourth) = (link(2, 1), link(3, 1), link(4, 1));
    let late = renewal.linked(&[second, FIRST]);
    bench.renew(&renewal.linked(&[third, second, FIRST]));
    bench.advance(1_000);
    let before = bench.everything();
    assert_eq!(bench.renew(&late), ["late"]);
    assert_eq!(bench.everything(), before);
    bench.renew(&renewal.linked(&[fourth, second, third]));
    let before = bench.everything();
    assert_eq!(bench.renew(&late), ["late"]);
    assert_eq!(bench.everything(), before);
}

pub(super) fn a_slot_that_was_given_back_is_not_locked_by_a_late_renewal(bench: Bench) {
    let (bench, grant) = held(bench);
    let renewal = grant.renewal("a");
    let late = renewal.linked(&[link(2, 1), FIRST]);
    let end = renewal.linked(&[link(3, 1), link(2, 1), FIRST]);
    assert_eq!(bench.leave(&end, grant.floor, true), "released");
    let before = bench.everything();
    assert_eq!(bench.renew(&late), ["late"]);
    assert_eq!(bench.everything(), before);
    assert_eq!(bench.grant(&by("b"), &[0]).slot, 0);
}

/// "a" has renewed once, and so has its clone.
fn cloned(bench: Bench) -> (Bench, Renewal, Renewal) {
    let (bench, grant) = held(bench);
    let renewal = grant.renewal("a");
    let (one, other) = (link(2, 1), link(2, 2));
    assert_eq!(bench.renew(&renewal.linked(&[one, FIRST]))[0], "renewed");
    let next = Renewal {
        till: bench.now() + TTL,
        ..renewal.linked(&[link(3, 1), one])
    };
    (bench, next, renewal.linked(&[other, FIRST]))
}

pub(super) fn a_holder_and_its_clone_both_lose_the_lease(bench: Bench) {
    let (bench, next, clone) = cloned(bench);
    assert_eq!(bench.renew(&clone), ["lost", "cloned"]);
    let before = bench.everything();
    for lost in [&next, &clone] {
        assert_eq!(bench.renew(lost), ["lost", "cloned"]);
        assert_eq!(bench.leave(lost, 0, true), "not_held");
    }
    assert_eq!(bench.everything(), before);
    assert_eq!(
        bench.acquire(&by("b"), &[0]),
        taken(1, 10_000),
        "either may go on until then"
    );
    bench.advance(TTL);
    assert_eq!(bench.grant(&by("b"), &[0]).slot, 0);
}

/// The clone was answered as often as the other, by a store that was rewound.
pub(super) fn a_clone_is_not_taken_for_a_rewind(bench: Bench) {
    let (bench, _, clone) = cloned(bench);
    let answered = clone.linked(&[link(3, 2), link(2, 2)]);
    assert_eq!(bench.renew(&answered), ["lost", "cloned"]);
}

/// Or anything that was on its way for long would end the lease of those who live.
pub(super) fn a_message_from_before_the_lease_poisons_nothing(bench: Bench) {
    let (bench, next, clone) = cloned(bench);
    let before = bench.everything();
    let late = Renewal {
        till: bench.now(),
        ..clone
    };
    assert_eq!(bench.renew(&late), ["lost", "cloned"]);
    assert_eq!(bench.everything(), before);
    assert_eq!(bench.renew(&next)[0], "renewed");
}

pub(super) fn a_clone_gives_nothing_back(bench: Bench) {
    let (bench, next, clone) = cloned(bench);
    let before = bench.everything();
    assert_eq!(bench.leave(&clone, 0, true), "not_held");
    assert_eq!(bench.everything(), before);
    assert_eq!(bench.renew(&next)[0], "renewed");
    bench.send(&["DEL", &lock(0)]);
    assert_eq!(bench.leave(&clone, 0, true), "not_held");
    assert_ne!(bench.text(&["HGET", SLOTS, "0"]), "");
    assert_eq!(bench.recorded(0).till, bench.now() + TTL);
}
