//! Grants of one slot or bucket, compared with each other.

use std::collections::BTreeMap;

use super::{Holding, Violation};
use crate::history::Kind;

pub(super) fn check(holdings: &[Holding], violations: &mut Vec<Violation>) {
    let mut by_number: BTreeMap<(Kind, u32), Vec<&Holding>> = BTreeMap::new();
    for holding in holdings {
        let number = (holding.grant.kind, holding.grant.number);
        by_number.entry(number).or_default().push(holding);
    }
    for holdings in by_number.values_mut() {
        check_overlaps(holdings, violations);
        check_fences(holdings, violations);
        check_ends(holdings, violations);
    }
}

/// A grant that a worker was to give away may stay with it; it is then entered anew under the same token.
fn is_same(first: &Holding, second: &Holding) -> bool {
    first.grant.fence == second.grant.fence && first.who == second.who
}

fn pair(first: &Holding, second: &Holding) -> Box<[Holding; 2]> {
    Box::new([first.clone(), second.clone()])
}

fn check_overlaps(holdings: &mut [&Holding], violations: &mut Vec<Violation>) {
    holdings.sort_by_key(|holding| (holding.from, holding.grant.fence));
    let mut longest: Option<&Holding> = None;
    // One that was over before its client had it was never used.
    for holding in holdings.iter().filter(|it| it.from < it.valid_to()) {
        if let Some(before) = longest.filter(|before| holding.from < before.valid_to()) {
            violations.push(Violation::Overlap(pair(before, holding)));
        }
        if longest.is_none_or(|longest| longest.valid_to() < holding.valid_to()) {
            longest = Some(holding);
        }
    }
}

/// As far as real time orders two grants, their tokens have to follow it; and no token is two's.
fn check_fences(holdings: &mut [&Holding], violations: &mut Vec<Violation>) {
    holdings.sort_by_key(|holding| (holding.asked, holding.from));
    let mut complete: Vec<&Holding> = holdings.to_vec();
    complete.sort_by_key(|holding| holding.from);
    let mut complete = complete.into_iter().peekable();
    let mut highest: Option<&Holding> = None;
    for holding in holdings.iter() {
        while let Some(earlier) = complete.next_if(|earlier| earlier.from < holding.asked) {
            if highest.is_none_or(|highest| highest.grant.fence < earlier.grant.fence) {
                highest = Some(earlier);
            }
        }
        let fell = highest.filter(|it| holding.grant.fence <= it.grant.fence);
        if let Some(earlier) = fell.filter(|earlier| !is_same(earlier, holding)) {
            violations.push(Violation::FenceFell(pair(earlier, holding)));
        }
    }
    holdings.sort_by_key(|holding| (holding.grant.fence, holding.from));
    for two in holdings.windows(2) {
        if two[0].grant.fence == two[1].grant.fence && two[0].who != two[1].who {
            violations.push(Violation::FenceFell(pair(two[0], two[1])));
        }
    }
}

fn check_ends(holdings: &mut [&Holding], violations: &mut Vec<Violation>) {
    holdings.sort_by_key(|holding| (holding.grant.fence, holding.from));
    for two in holdings.windows(2) {
        if !is_same(two[0], two[1]) && two[1].from < two[0].free_from() {
            violations.push(Violation::TakenTooEarly(pair(two[0], two[1])));
        }
    }
}
