//! The checkers catch what is planted and pass what is right.

use coord_tests::{
    history::{self, Holding, Violation},
    ids::{self, Source},
};
use serde_json::json;

fn holding(who: &str, slot: u32, fence: u64, from_us: u64, to_us: u64) -> Holding {
    Holding {
        slot,
        fence,
        from_us,
        to_us,
        who: who.to_owned(),
    }
}

#[track_caller]
fn check(holdings: &[Holding], expected: &[&str]) {
    let found: Vec<String> = history::violations(holdings)
        .iter()
        .map(|violation| match violation {
            Violation::Reversed(holding) => format!("reversed {}", holding.who),
            Violation::Overlap(first, second) => format!("overlap {} {}", first.who, second.who),
            Violation::FenceFell(first, second) => format!("fence {} {}", first.who, second.who),
            other => other.to_string(),
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn distinct_ids_pass_and_are_counted() {
    let sources = [Source::new("a", vec![1, 2]), Source::new("b", vec![3])];
    assert_eq!(ids::assert_all_distinct(&sources), 3);
    assert_eq!(ids::assert_all_distinct(&[]), 0);
}

#[test]
fn a_planted_duplicate_is_found_across_sources_and_within_one() {
    let sources = [
        Source::new("a", vec![5, 1, 5]),
        Source::new("b", vec![2, 1]),
    ];
    let found = ids::duplicates(&sources);
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[0].to_string(),
        "ID 1 was minted by a (no. 1) and by b (no. 1)"
    );
    assert_eq!(
        found[1].to_string(),
        "ID 5 was minted by a (no. 0) and by a (no. 2)"
    );
}

#[test]
#[should_panic(
    expected = "1 duplicates among 3 IDs: ID 9 was minted by north (no. 0) and by south"
)]
fn a_duplicate_fails_the_test_and_names_both_sources() {
    let _ = ids::assert_all_distinct(&[
        Source::new("north", vec![9, 8]),
        Source::new("south", vec![9]),
    ]);
}

#[test]
fn a_line_that_is_no_id_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ids");
    std::fs::write(&path, "1\n18446744073709551615\n-2\n").unwrap();
    let message = format!("{:#}", Source::read(&path).unwrap_err());
    assert!(message.contains("line 3: \"-2\""), "{message}");
    std::fs::write(&path, "1\n2\n34").unwrap();
    assert_eq!(Source::read(&path).unwrap().ids, [1, 2]);
}

#[test]
fn holdings_one_after_another_pass() {
    let holdings = [
        holding("c", 1, 12, 20, 30),
        holding("a", 1, 10, 0, 10),
        holding("b", 1, 11, 10, 20),
        holding("elsewhere", 2, 1, 5, 25),
    ];
    check(&holdings, &[]);
    assert_eq!(history::assert_exclusive(&holdings), 4);
}

#[test]
fn an_overlap_is_found_also_past_a_short_holding_in_between() {
    check(
        &[holding("a", 1, 1, 0, 10), holding("b", 1, 2, 9, 20)],
        &["overlap a b"],
    );
    check(
        &[
            holding("long", 1, 1, 0, 100),
            holding("short", 1, 2, 10, 20),
            holding("late", 1, 3, 50, 60),
        ],
        &["overlap long short", "overlap long late"],
    );
}

#[test]
fn a_fence_that_does_not_rise_is_found() {
    check(
        &[holding("a", 1, 5, 0, 10), holding("b", 1, 5, 10, 20)],
        &["fence a b"],
    );
    check(
        &[
            holding("a", 1, 9, 0, 1),
            holding("b", 1, 3, 1, 2),
            holding("c", 1, 4, 2, 3),
        ],
        &["fence a b", "fence a c"],
    );
}

#[test]
fn a_holding_that_ends_before_it_begins_is_found() {
    check(&[holding("a", 1, 5, 10, 9)], &["reversed a"]);
}

#[test]
#[should_panic(expected = "slot 7: held twice: a from 0 to 10 µs with fence 1; b from 5 to 9 µs")]
fn an_overlap_fails_the_test_and_names_both_holders() {
    let _ = history::assert_exclusive(&[holding("a", 7, 1, 0, 10), holding("b", 7, 2, 5, 9)]);
}

#[test]
fn events_become_holdings() {
    let events = [
        json!({"t_mono_us": 10, "event": "acquired", "id": 4, "fence": "100"}),
        json!({"t_mono_us": 15, "event": "at_risk", "id": 4}),
        json!({"t_mono_us": 20, "event": "lost", "id": 4}),
        json!({"t_mono_us": 30, "event": "reacquired", "id": 5, "fence": "101"}),
    ];
    let holdings = history::from_events("p", &events, 99).unwrap();
    let expected = [holding("p", 4, 100, 10, 20), holding("p", 5, 101, 30, 99)];
    assert_eq!(holdings, expected);
    let incomplete = [json!({"t_mono_us": 10, "event": "acquired", "id": 4})];
    let error = history::from_events("p", &incomplete, 99).unwrap_err();
    assert!(error.to_string().contains("fence"), "{error}");
}
