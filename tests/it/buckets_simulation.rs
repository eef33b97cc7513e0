//! Many members in one process, on the embedded store, in virtual time, under seeded faults: pauses, partitions, lost
//! replies, crashes, half-finished drains, failovers that lose writes, replicas that lag or go away, empty restarts. After every step no two may act
//! in one bucket and epochs only rise; once the faults have ended every bucket has an owner, shares are fair, nothing
//! stirs, and a change moves the least that it must.
//!
//! `SIM_SEEDS` says how many seeds run, `SIM_SEED` runs one and prints its history.

mod ledger;
mod mutants;
mod process;
mod world;

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use self::{mutants::Mutant, world::Outcome};

/// Seeds in a plain `cargo test`; `cargo xtask sim` and CI run thousands in release mode.
const SEEDS: u64 = if cfg!(debug_assertions) { 30 } else { 2_000 };
/// How many seeds a mutant may survive before the test that should catch it counts as blind.
const PATIENCE: u64 = if cfg!(debug_assertions) { 400 } else { 2_000 };

fn simulate(seed: u64, mutant: Mutant) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let verbose = number_from("SIM_SEED").is_some();
    runtime.block_on(async {
        // Timers fire on whole milliseconds; a world that begins on one replays to the microsecond.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        world::World::new(seed, mutant, verbose).run().await
    })
}

/// Runs seeds on all cores until one fails or `count` are done; returns the failure with the lowest seed seen.
fn search(count: u64, mutant: Mutant) -> (Option<(u64, Outcome)>, Totals) {
    let next = AtomicU64::new(0);
    let failure: Mutex<Option<(u64, Outcome)>> = Mutex::new(None);
    let totals = Mutex::new(Totals::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if count <= seed || failure.lock().expect("not poisoned").is_some() {
                        return;
                    }
                    let outcome = simulate(seed, mutant);
                    totals.lock().expect("not poisoned").add(&outcome);
                    if outcome.violation.is_some() {
                        failure
                            .lock()
                            .expect("not poisoned")
                            .get_or_insert((seed, outcome));
                    }
                }
            });
        }
    });
    (
        failure.into_inner().expect("not poisoned"),
        totals.into_inner().expect("not poisoned"),
    )
}

/// What a search went through.
#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    grants: u64,
    faults: u64,
    losses: u64,
    moves: u64,
    virtual_seconds: u64,
}

impl Totals {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.grants += outcome.grants;
        self.faults += outcome.faults;
        self.losses += outcome.losses;
        self.moves += outcome.moves;
        self.virtual_seconds += outcome.virtual_seconds;
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text:?} is not a number")),
    )
}

#[test]
fn every_bucket_has_one_owner_under_every_fault() {
    if let Some(seed) = number_from("SIM_SEED") {
        let outcome = simulate(seed, Mutant::None);
        println!("{}", outcome.history.join("\n"));
        assert_eq!(outcome.violation, None, "seed {seed}");
        return;
    }
    let (failure, totals) = search(number_from("SIM_SEEDS").unwrap_or(SEEDS), Mutant::None);
    println!("{totals:?}");
    if let Some((seed, outcome)) = failure {
        panic!(
            "{}\n{}\nseed {seed} failed; replay it with `cargo xtask sim --replay {seed}`",
            outcome.history.join("\n"),
            outcome.violation.unwrap_or_default(),
        );
    }
    assert!(
        totals.losses > 0 && totals.faults > totals.seeds && totals.moves > totals.seeds,
        "the faults had no effect: {totals:?}"
    );
}

#[test]
fn the_same_seed_replays_the_same_history() {
    for seed in 0..5 {
        let (first, second) = (simulate(seed, Mutant::None), simulate(seed, Mutant::None));
        assert_eq!(first.history, second.history, "seed {seed}");
    }
}

const TWO_OWNERS: &str = "is owned by";
const FALLING: &str = "does not rise";
const RESTLESS: &str = "is restless";
const TOO_MANY: &str = "buckets moved on a";
const UNSETTLED: &str = "does not settle";

#[track_caller]
fn must_be_caught(mutant: Mutant, by: &[&str]) {
    let (failure, totals) = search(PATIENCE, mutant);
    let (seed, outcome) = failure.unwrap_or_else(|| panic!("{mutant:?} survived: {totals:?}"));
    let violation = outcome.violation.unwrap_or_default();
    println!("{mutant:?} was caught by seed {seed}: {violation}");
    assert!(
        by.iter().any(|by| violation.contains(by)),
        "{mutant:?} was caught by another invariant: {violation}"
    );
}

#[test]
fn a_release_without_epoch_check_is_caught() {
    // Counts that do not fit what is owned keep a group from settling.
    must_be_caught(
        Mutant::ReleaseWithoutEpochCheck,
        &[TWO_OWNERS, FALLING, UNSETTLED],
    );
}

// Caught by fewer than one seed in 500, so only release mode has the patience; `cargo xtask sim` and CI run it.
#[cfg(not(debug_assertions))]
#[test]
fn a_deadline_counted_from_the_reply_is_caught() {
    must_be_caught(Mutant::DeadlineFromReply, &[TWO_OWNERS, FALLING]);
}

#[test]
fn a_tie_break_without_rank_is_caught() {
    must_be_caught(
        Mutant::TieBreakWithoutRank,
        &[TOO_MANY, RESTLESS, UNSETTLED],
    );
}

#[test]
fn a_reap_without_epoch_bump_is_caught() {
    must_be_caught(Mutant::ReapWithoutEpochBump, &[FALLING]);
}

#[test]
fn an_ignored_history_is_caught() {
    must_be_caught(Mutant::HistoryIgnored, &[TWO_OWNERS, FALLING]);
}

#[test]
fn a_grant_that_takes_effect_before_replicas_have_it_is_caught() {
    must_be_caught(Mutant::EffectiveUnacknowledged, &[TWO_OWNERS, FALLING]);
}

#[test]
fn a_lease_taken_for_over_after_a_failover_is_caught() {
    must_be_caught(Mutant::VouchedLeasesEnd, &[TWO_OWNERS, FALLING]);
}
