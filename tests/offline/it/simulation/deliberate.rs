//! Every deliberate mistake is caught, by what it breaks, and what is printed of it is short.

use super::{
    PATIENCE, command,
    mutants::Mutant,
    plan::Plan,
    search::{Budget, Which, run, search},
    shrink::shrink,
    timeline,
};

const TWO_HOLDERS: &str = "is held by";
const TWO_OWNERS: &str = "is owned by";
const FALLING: &str = "does not rise";
const CHANGED: &str = "a peer's, was changed";
const ROBBED: &str = "was robbed";
const COPIED: &str = "both renew the lease";
const WAITS: &str = "a newcomer waits";
const TWICE: &str = "was minted twice";
const RESTLESS: &str = "is restless";
const TOO_MANY: &str = "buckets moved on a";
const UNSETTLED: &str = "does not settle";

/// A mistake, and by which invariants it may be caught.
struct Case {
    mutant: Mutant,
    which: Which,
    by: &'static [&'static str],
}

const fn ids(mutant: Mutant, by: &'static [&'static str]) -> Case {
    Case {
        mutant,
        which: Which::MachineIds,
        by,
    }
}

const fn buckets(mutant: Mutant, by: &'static [&'static str]) -> Case {
    Case {
        mutant,
        which: Which::Buckets,
        by,
    }
}

static CASES: &[(&str, Case)] = &[
    (
        "a renewal without owner check",
        ids(
            Mutant::RenewWithoutOwnerCheck,
            &[TWO_HOLDERS, TWICE, FALLING, ROBBED, CHANGED],
        ),
    ),
    ("an ignored horizon", ids(Mutant::HorizonIgnored, &[TWICE])),
    (
        "a lease of a machine ID that counts from the reply",
        ids(Mutant::DeadlineFromReply, &[TWO_HOLDERS, FALLING]),
    ),
    (
        "a lease of a machine ID that trusts the server's clock",
        ids(Mutant::ClocksTrusted, &[TWO_HOLDERS, FALLING]),
    ),
    (
        "a release without owner check",
        ids(
            Mutant::ReleaseWithoutOwnerCheck,
            &[TWO_HOLDERS, TWICE, FALLING, ROBBED, CHANGED, WAITS],
        ),
    ),
    (
        "a release that lowers the horizon to the floor",
        ids(Mutant::ReleaseLowersToFloor, &[TWICE]),
    ),
    (
        "a lease without a chain",
        ids(Mutant::NoChain, &[COPIED, TWO_HOLDERS, TWICE, FALLING]),
    ),
    (
        "a quarantine that only a newcomer begins",
        ids(
            Mutant::QuarantineWithNewcomer,
            &[WAITS, TWO_HOLDERS, TWICE, FALLING],
        ),
    ),
    (
        "machine IDs on a server that failed over unseen",
        ids(Mutant::FailoverIgnored, &[TWO_HOLDERS, TWICE, FALLING]),
    ),
    (
        "a release of a bucket without epoch check",
        // Counts that do not fit what is owned keep a group from settling.
        buckets(
            Mutant::ReleaseWithoutEpochCheck,
            &[TWO_OWNERS, FALLING, UNSETTLED],
        ),
    ),
    (
        "a lease of a member that counts from the reply",
        buckets(Mutant::DeadlineFromReply, &[TWO_OWNERS, FALLING]),
    ),
    (
        "a tie-break without rank",
        buckets(
            Mutant::TieBreakWithoutRank,
            &[TOO_MANY, RESTLESS, UNSETTLED],
        ),
    ),
    (
        "a reap without epoch bump",
        buckets(Mutant::ReapWithoutEpochBump, &[FALLING]),
    ),
    (
        "an ignored history",
        buckets(Mutant::HistoryIgnored, &[TWO_OWNERS, FALLING]),
    ),
    (
        "buckets without a failover bound",
        buckets(Mutant::NoFailoverBound, &[TWO_OWNERS, FALLING]),
    ),
    (
        "buckets on a server that failed over unseen",
        buckets(Mutant::FailoverIgnored, &[TWO_OWNERS, FALLING]),
    ),
];

/// How many steps are enough to see any of them.
const MOST_STEPS: usize = 12;

/// Catches a mistake and makes what it does short.
fn check(name: &str, case: &Case) {
    let Case { mutant, which, by } = *case;
    let budget = Budget {
        start: 0,
        seeds: PATIENCE,
        time: None,
    };
    let (failure, totals) = search(budget, which, mutant);
    let (seed, violation) = failure.unwrap_or_else(|| panic!("{name} survived: {totals}"));
    let is_meant = |violation: &str| by.iter().any(|by| violation.contains(by));
    assert!(
        is_meant(&violation),
        "{name} was caught by another invariant: {violation}"
    );
    let plan = Plan::draw(seed);
    let (shortest, violation) = shrink(&plan, mutant);
    let lines = timeline(&shortest, mutant);
    println!(
        "{name}: caught by seed {seed}, after {} seeds; {} of {} steps are enough, {} lines: {violation}",
        totals.seeds(),
        shortest.steps.len(),
        plan.steps.len(),
        lines.len(),
    );
    assert!(is_meant(&violation), "{name}, made short: {violation}");
    assert!(
        shortest.steps.len() <= MOST_STEPS,
        "{name}: {} steps\n{}",
        shortest.steps.len(),
        lines.join("\n")
    );
    // What is named in the report is the same plan, and fails in the same way; without the mistake nothing fails.
    let named = Plan::draw(seed).keep(&shortest.indices());
    assert_eq!(
        run(&named, mutant, false).violation,
        Some(violation),
        "{name}"
    );
    assert_eq!(
        run(&named, Mutant::None, false).violation,
        None,
        "{name}: without it as well, see {}",
        command(seed, &shortest)
    );
}

/// All of them take thousands of seeds, for which a build without optimisation is too slow: there, those that take few.
#[test]
fn every_mistake_is_caught_and_its_history_is_short() {
    let is_quick = |case: &Case| {
        matches!(
            case.mutant,
            Mutant::ReapWithoutEpochBump
                | Mutant::ReleaseWithoutEpochCheck
                | Mutant::HistoryIgnored
        )
    };
    let wanted = std::env::var("SIM_MISTAKE").unwrap_or_default();
    let mut checked = 0;
    for (name, case) in CASES.iter().filter(|(name, _)| name.contains(&wanted)) {
        if !cfg!(debug_assertions) || is_quick(case) {
            check(name, case);
            checked += 1;
        }
    }
    assert!(
        !wanted.is_empty() || 3 <= checked,
        "{checked} of {} mistakes",
        CASES.len()
    );
}
