//! Histories with every violation, each of which must be found, and histories without any.

use proptest::prelude::*;
use snowflake::Layout;

use super::*;
use crate::history::{End, Kind, Record};

fn history(name: &str, records: impl IntoIterator<Item = (u64, What)>) -> History {
    let records = records.into_iter();
    History {
        name: name.to_owned(),
        records: records
            .map(|(at, what)| Record {
                at,
                member: 0,
                what,
            })
            .collect(),
    }
}

fn grant(kind: Kind, fence: u64) -> Grant {
    Grant {
        kind,
        number: 7,
        fence,
    }
}

fn granted(kind: Kind, fence: u64, asked: u64) -> What {
    let grant = grant(kind, fence);
    What::Granted { grant, asked }
}

fn until(kind: Kind, deadline: u64) -> What {
    What::Until { kind, deadline }
}

fn ended(kind: Kind, fence: u64, how: End) -> What {
    let grant = grant(kind, fence);
    What::Ended { grant, how }
}

/// A history of one grant: asked for and completed at `from`, valid until `deadline`, perhaps ended before.
fn tenure(
    name: &str,
    kind: Kind,
    fence: u64,
    (from, deadline): (u64, u64),
    end: Option<(u64, End)>,
) -> History {
    let mut records = vec![
        (from, granted(kind, fence, from)),
        (from, until(kind, deadline)),
    ];
    records.extend(end.map(|(at, how)| (at, ended(kind, fence, how))));
    history(name, records)
}

fn id(slot: u32, sequence: u64) -> u64 {
    let id = Layout::default().encode(1_000, slot, sequence);
    id.expect("fits").as_u64()
}

fn minter(name: &str, slot: u32, runs: &[(u64, u32)]) -> History {
    let grant = Grant {
        kind: Kind::Slot,
        number: slot,
        fence: u64::from(slot),
    };
    let first = (0, What::Granted { grant, asked: 0 });
    let runs = runs
        .iter()
        .map(|&(first, count)| (1, What::Ids { first, count }));
    history(name, std::iter::once(first).chain(runs))
}

#[track_caller]
fn check_found(histories: &[History], expected: &[&str]) {
    let verdict = check(histories);
    let kind = |violation: &Violation| {
        let text = format!("{violation:?}");
        let end = text.find(|c: char| !c.is_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let found: Vec<String> = verdict.violations.iter().map(kind).collect();
    assert_eq!(found, expected, "{:?}", verdict.violations);
}

const KINDS: [Kind; 2] = [Kind::Slot, Kind::Bucket];

#[test]
fn nothing_is_found_where_one_grant_follows_another() {
    for kind in KINDS {
        let first = tenure("a", kind, 1, (10, 20), None);
        check_found(&[first.clone(), tenure("b", kind, 2, (20, 30), None)], &[]);
        let released = tenure("a", kind, 1, (10, 90), Some((15, End::Released)));
        check_found(&[released, tenure("b", kind, 2, (15, 30), None)], &[]);
        let lost = tenure("a", kind, 1, (10, 20), Some((25, End::Lost)));
        check_found(&[lost, tenure("b", kind, 2, (21, 30), None)], &[]);
        let verdict = check(&[first]);
        assert_eq!(verdict.holdings.len(), 1);
    }
}

#[test]
fn two_valid_at_once_are_found() {
    for kind in KINDS {
        let both = [
            tenure("a", kind, 1, (10, 20), None),
            tenure("b", kind, 2, (19, 30), None),
        ];
        check_found(&both, &["Overlap", "TakenTooEarly"]);
    }
}

#[test]
fn an_overlap_with_a_long_grant_behind_a_short_one_is_found() {
    let kind = Kind::Slot;
    let three = [
        tenure("a", kind, 1, (10, 100), None),
        tenure("b", kind, 2, (100, 100), None),
        tenure("c", kind, 3, (50, 60), None),
    ];
    let verdict = check(&three);
    let overlaps = verdict.violations.iter();
    let overlaps = overlaps.filter(|it| matches!(it, Violation::Overlap(_)));
    assert_eq!(overlaps.count(), 1);
}

#[test]
fn a_token_that_falls_or_stays_is_found() {
    for kind in KINDS {
        for later in [1, 2] {
            let both = [
                tenure("a", kind, 2, (10, 20), None),
                tenure("b", kind, later, (30, 40), None),
            ];
            let verdict = check(&both);
            let fell = |it: &Violation| matches!(it, Violation::FenceFell(_));
            assert!(verdict.violations.iter().any(fell), "{later}");
        }
    }
}

#[test]
fn a_token_may_be_lower_where_its_grant_was_asked_for_before_the_other_was_complete() {
    // Its client was stopped before it could record what it had, and had it no more when it went on.
    let kind = Kind::Slot;
    let stopped = history(
        "a",
        [
            (50, granted(kind, 1, 5)),
            (50, until(kind, 15)),
            (51, ended(kind, 1, End::Lost)),
        ],
    );
    check_found(&[stopped, tenure("b", kind, 2, (20, 60), None)], &[]);
}

#[test]
fn a_grant_that_was_only_found_lost_was_not_free_before_its_deadline() {
    for kind in KINDS {
        let lost = tenure("a", kind, 1, (10, 90), Some((15, End::Lost)));
        check_found(
            &[lost, tenure("b", kind, 2, (16, 30), None)],
            &["TakenTooEarly"],
        );
    }
}

#[test]
fn a_deadline_holds_for_who_was_killed() {
    let killed = tenure("a", Kind::Bucket, 1, (10, 90), None);
    let heir = tenure("b", Kind::Bucket, 2, (89, 100), None);
    check_found(&[killed, heir], &["Overlap", "TakenTooEarly"]);
}

#[test]
fn a_bucket_that_stays_after_all_is_entered_again_under_the_same_token() {
    let kind = Kind::Bucket;
    let kept = history(
        "a",
        [
            (10, granted(kind, 1, 9)),
            (10, until(kind, 50)),
            (20, ended(kind, 1, End::Released)),
            (21, granted(kind, 1, 9)),
        ],
    );
    check_found(std::slice::from_ref(&kept), &[]);
    // The deadline that was said before counts for it too.
    check_found(
        &[kept, tenure("b", kind, 2, (49, 60), None)],
        &["Overlap", "TakenTooEarly"],
    );
}

#[test]
fn an_id_that_was_minted_twice_is_found() {
    let long = minter("a", 3, &[(id(3, 0), 4_096)]);
    check_found(&[long.clone(), minter("b", 4, &[(id(4, 0), 4_096)])], &[]);
    let mut other = minter("b", 3, &[(id(3, 4_095), 1)]);
    // Granted to both in turn, so that the duplicate is all that is wrong.
    other.records[0].what = What::Granted {
        grant: Grant {
            kind: Kind::Slot,
            number: 3,
            fence: 9,
        },
        asked: 0,
    };
    check_found(&[long, other], &["DuplicateId"]);
}

#[test]
fn an_id_inside_a_run_that_reaches_over_others_is_found() {
    let one = minter("a", 3, &[(id(3, 0), 100), (id(3, 10), 1), (id(3, 50), 1)]);
    check_found(&[one], &["DuplicateId", "DuplicateId"]);
}

#[test]
fn an_id_under_a_machine_id_of_nobody_is_found() {
    check_found(&[minter("a", 3, &[(id(4, 0), 1)])], &["ForeignId"]);
    // A run that reaches into the next machine ID's numbers.
    check_found(&[minter("a", 3, &[(id(3, 4_095), 2)])], &["ForeignId"]);
}

#[test]
fn a_history_that_contradicts_itself_is_no_proof() {
    let kind = Kind::Slot;
    check_found(
        &[history("a", [(10, ended(kind, 1, End::Lost))])],
        &["Malformed"],
    );
    let twice = [(10, granted(kind, 1, 5)), (11, granted(kind, 2, 5))];
    check_found(&[history("a", twice)], &["Malformed"]);
}

/// A correct history of one slot or bucket: grants in turn, each released, lost at its deadline, or left to it.
fn turns() -> impl Strategy<Value = Vec<(u64, u64, Option<End>)>> {
    let end = prop_oneof![Just(None), Just(Some(End::Released)), Just(Some(End::Lost))];
    prop::collection::vec((0_u64..50, 2_u64..100, end), 2..12)
}

/// Plays turns; `hasten` lets the grant at this place come so much too early.
fn play(
    kind: Kind,
    turns: &[(u64, u64, Option<End>)],
    hasten: Option<(usize, u64)>,
) -> Vec<History> {
    let mut now = 1_000;
    let mut histories = Vec::new();
    for (place, (pause, lasts, end)) in turns.iter().enumerate() {
        let early = hasten.filter(|(at, _)| *at == place).map_or(0, |it| it.1);
        let from = now + pause - early.min(now + pause);
        let deadline = from + lasts;
        let (end, free) = match end {
            Some(End::Released) => (Some((deadline - 1, End::Released)), deadline - 1),
            Some(End::Lost) => (Some((deadline + 3, End::Lost)), deadline),
            None => (None, deadline),
        };
        let fence = u64::try_from(place).expect("few");
        let name = format!("p{place}");
        histories.push(tenure(&name, kind, fence + 1, (from, deadline), end));
        now = free;
    }
    histories
}

proptest! {
    #[test]
    fn correct_turns_pass(turns in turns(), of_slots: bool) {
        let kind = if of_slots { Kind::Slot } else { Kind::Bucket };
        let verdict = check(&play(kind, &turns, None));
        prop_assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
        let figures = verdict.figures;
        prop_assert_eq!(figures.slot_grants + figures.bucket_grants, turns.len());
    }

    #[test]
    fn a_grant_that_comes_too_early_is_found(turns in turns(), place in any::<prop::sample::Index>(), by in 1_u64..40) {
        let place = 1 + place.index(turns.len() - 1);
        let early = turns[place].0 + by;
        let verdict = check(&play(Kind::Slot, &turns, Some((place, early))));
        let early = |it: &Violation| matches!(it, Violation::TakenTooEarly(_));
        prop_assert!(verdict.violations.iter().any(early), "{:?}", verdict.violations);
    }

    #[test]
    fn every_duplicate_is_found(lengths in prop::collection::vec(1_u32..50, 2..20), place in any::<prop::sample::Index>()) {
        let mut first = id(3, 0);
        let mut runs = Vec::new();
        for length in lengths {
            runs.push((first, length));
            first += u64::from(length);
        }
        prop_assert!(check(&[minter("a", 3, &runs)]).violations.is_empty());
        let (first, count) = runs[place.index(runs.len())];
        runs.push((first + u64::from(count) - 1, 1));
        let found = check(&[minter("a", 3, &runs)]).violations;
        prop_assert!(matches!(found[..], [Violation::DuplicateId { .. }]), "{:?}", found);
    }
}
