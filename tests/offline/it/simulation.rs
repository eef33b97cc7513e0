//! Many processes in one, on the embedded store, in virtual time, under faults of every kind: machine IDs with what mints
//! under them where the seed is even, buckets where it is odd. What was promised is checked after every step. A seed that
//! fails is thinned to the few steps that it takes and prints their timeline. docs/testing/simulation.md explains it.
//!
//! `SIM_SEEDS`, `SIM_MINUTES` and `SIM_START` say what runs, `SIM_SUBJECT` (`ids`, `buckets`) which of both alone;
//! `SIM_SEED`, with `SIM_KEEP`, runs one and prints it; `SIM_MISTAKE` leaves deliberate mistakes out whose name does not contain it.

mod amnesty;
mod buckets;
mod coverage;
mod deliberate;
mod ids;
mod mutants;
mod plan;
mod record;
mod replicas;
mod route;
mod search;
mod shrink;
mod slewed;
mod stage;
mod subject;
mod wire;
mod world;

use std::time::Duration;

use self::{
    mutants::Mutant,
    plan::Plan,
    search::{Budget, Which, run, search},
};

/// Seeds in a plain `cargo test`; `cargo xtask sim` and CI run more, in release mode.
const SEEDS: u64 = if cfg!(debug_assertions) { 150 } else { 10_000 };
/// From so many seeds of a subject on every kind of fault must have hit every window.
const ENOUGH_FOR_COVERAGE: u64 = 5_000;
/// How many seeds a mutant may survive before the test that should catch it counts as blind.
const PATIENCE: u64 = if cfg!(debug_assertions) { 400 } else { 20_000 };

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text:?} is not a number")),
    )
}

/// The subject that alone is searched, or both.
fn subjects() -> Which {
    match std::env::var("SIM_SUBJECT").as_deref() {
        Err(_) => Which::All,
        Ok("ids") => Which::MachineIds,
        Ok("buckets") => Which::Buckets,
        Ok(other) => panic!("SIM_SUBJECT={other:?} is neither ids nor buckets"),
    }
}

/// The steps to keep: `3,7,9`.
fn kept() -> Option<Vec<usize>> {
    let text = std::env::var("SIM_KEEP").ok()?;
    let number = |part: &str| {
        part.trim()
            .parse()
            .unwrap_or_else(|_| panic!("SIM_KEEP={text:?}: {part:?} is not a number"))
    };
    let parts = text.split(',').filter(|part| !part.is_empty());
    Some(parts.map(number).collect())
}

/// The timeline of a run, line by line; what repeats itself is told once.
fn timeline(plan: &Plan, mutant: Mutant) -> Vec<String> {
    let outcome = run(plan, mutant, true);
    outcome.timeline.iter().map(ToString::to_string).collect()
}

fn replay(seed: u64) {
    let plan = Plan::draw(seed);
    let plan = kept().map_or_else(|| plan.clone(), |indices| plan.keep(&indices));
    println!("{}", timeline(&plan, Mutant::None).join("\n"));
    assert_eq!(
        run(&plan, Mutant::None, false).violation,
        None,
        "seed {seed}"
    );
}

/// What a failing seed prints: the shortest plan that fails, what happens in it, and how to see it again.
fn report(seed: u64, mutant: Mutant) -> String {
    let plan = Plan::draw(seed);
    let (shortest, violation) = shrink::shrink(&plan, mutant);
    format!(
        "{}\nseed {seed}: {violation}\n{} of {} steps are enough; see them again with\n    {}",
        timeline(&shortest, mutant).join("\n"),
        shortest.steps.len(),
        plan.steps.len(),
        command(seed, &shortest)
    )
}

/// Shows the steps of a seed that are in `plan`.
fn command(seed: u64, plan: &Plan) -> String {
    let kept: Vec<String> = plan.indices().iter().map(ToString::to_string).collect();
    format!("cargo xtask sim --replay {seed} --keep {}", kept.join(","))
}

#[test]
fn what_is_promised_holds_under_all_faults_together() {
    if let Some(seed) = number_from("SIM_SEED") {
        return replay(seed);
    }
    let time = number_from("SIM_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let by_default = if time.is_some() { u64::MAX } else { SEEDS };
    let budget = Budget {
        start: number_from("SIM_START").unwrap_or(0),
        seeds: number_from("SIM_SEEDS").unwrap_or(by_default),
        time,
    };
    let (failure, totals) = search(budget, subjects(), Mutant::None);
    println!("{totals}");
    if let Some((seed, _)) = failure {
        panic!("{}", report(seed, Mutant::None));
    }
    for (total, is_of_ids) in [(&totals.ids, true), (&totals.buckets, false)] {
        if 50 <= total.seeds {
            let moves = is_of_ids || 0 < total.moves;
            assert!(0 < total.losses && moves, "the faults had no effect");
        }
        if ENOUGH_FOR_COVERAGE <= total.seeds {
            assert_eq!(total.gaps(is_of_ids), [""; 0], "IDs: {is_of_ids}");
        }
    }
}

#[test]
fn the_same_seed_replays_the_same_timeline() {
    for seed in 0..20 {
        let plan = Plan::draw(seed);
        let first = timeline(&plan, Mutant::None);
        assert_eq!(first, timeline(&plan, Mutant::None), "seed {seed}");
        assert!(1 < first.len(), "seed {seed}: {first:?}");
    }
}
