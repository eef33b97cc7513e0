//! Every ID once, and each under a machine ID of its minter's.

use std::collections::{BTreeMap, BTreeSet};

use snowflake::{Id, Layout};

use super::{Verdict, Violation, Who, holdings::who};
use crate::history::{History, Kind, What};

/// IDs that were recorded together.
struct Run {
    first: u64,
    count: u32,
    history: usize,
    member: u32,
}

pub(super) fn check(histories: &[History], verdict: &mut Verdict) {
    let mut runs = Vec::new();
    for (place, history) in histories.iter().enumerate() {
        collect(place, history, &mut runs, &mut verdict.violations);
    }
    runs.sort_unstable_by_key(|run| run.first);
    let who = |run: &Run| Who {
        process: histories[run.history].name.clone(),
        member: run.member,
    };
    let mut highest: Option<&Run> = None;
    for run in &runs {
        if let Some(before) = highest.filter(|before| run.first < end(before)) {
            verdict.violations.push(Violation::DuplicateId {
                id: run.first,
                first: who(before),
                second: who(run),
            });
        }
        // A long run may reach over several short ones.
        if highest.is_none_or(|highest| end(highest) < end(run)) {
            highest = Some(run);
        }
    }
    verdict.figures.runs = runs.len();
    verdict.figures.ids = runs.iter().map(|run| u64::from(run.count)).sum();
}

const fn end(run: &Run) -> u64 {
    run.first.saturating_add(run.count as u64)
}

fn collect(place: usize, history: &History, runs: &mut Vec<Run>, violations: &mut Vec<Violation>) {
    let layout = Layout::default();
    let mut granted: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for record in &history.records {
        match record.what {
            What::Granted { grant, .. } if grant.kind == Kind::Slot => {
                let slots = granted.entry(record.member).or_default();
                slots.insert(grant.number);
            }
            What::Ids { first, count } => {
                let last = first.saturating_add(u64::from(count.saturating_sub(1)));
                for id in [first, last] {
                    let slot = Id::from_u64(id).machine_id(&layout);
                    let slots = granted.get(&record.member);
                    if !slots.is_some_and(|slots| slots.contains(&slot)) {
                        violations.push(Violation::ForeignId {
                            id,
                            who: who(&history.name, record),
                        });
                        break;
                    }
                }
                runs.push(Run {
                    first,
                    count,
                    history: place,
                    member: record.member,
                });
            }
            _ => {}
        }
    }
}
