//! Runs many seeds on all cores, until one fails or there have been enough.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coord_core::clock::{Clock, Instant, SystemClock};

use super::{
    coverage::{Coverage, Kind},
    mutants::Mutant,
    plan::{Plan, Subject},
    world::{self, Outcome},
};

/// How much is run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// The first seed.
    pub(super) start: u64,
    pub(super) seeds: u64,
    pub(super) time: Option<Duration>,
}

/// Which seeds: all, those of machine IDs, or those of buckets.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    All,
    MachineIds,
    Buckets,
}

/// The lowest seed that failed, as far as they were run.
pub(super) type Failure = Option<(u64, String)>;

/// Runs seeds until one fails or the budget is used up.
pub(super) fn search(budget: Budget, which: Which, mutant: Mutant) -> (Failure, Totals) {
    let started = SystemClock.now();
    let end = budget.time.map(|time| started + time);
    let next = AtomicU64::new(0);
    let failure: Mutex<Failure> = Mutex::new(None);
    let totals = Mutex::new(Totals::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let is_over = end.is_some_and(|end| end <= SystemClock.now());
            if budget.seeds <= index || is_over || failure.lock().expect("not poisoned").is_some() {
                return;
            }
            let seed = which.seed(budget.start, index);
            let plan = Plan::draw(seed);
            let outcome = run(&plan, mutant, false);
            let mut totals = totals.lock().expect("not poisoned");
            totals.of(&plan).add(&plan, &outcome);
            let done = totals.seeds();
            if done.is_multiple_of(PROGRESS) {
                println!("{done} seeds in {:?}", elapsed(started));
            }
            drop(totals);
            if let Some(violation) = outcome.violation {
                let mut failure = failure.lock().expect("not poisoned");
                if failure.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
                    *failure = Some((seed, violation));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut totals = totals.into_inner().expect("not poisoned");
    totals.took = elapsed(started);
    (failure.into_inner().expect("not poisoned"), totals)
}

/// Runs a plan; a panic is a violation too.
pub(super) fn run(plan: &Plan, mutant: Mutant, is_recorded: bool) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| world::run(plan, mutant, is_recorded)));
    outcome.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            violation: Some(format!("it panicked: {}", text.unwrap_or_default())),
            ..Outcome::default()
        }
    })
}

fn elapsed(since: Instant) -> Duration {
    SystemClock.now().saturating_since(since)
}

impl Which {
    /// The seed so many after the one at `start`.
    const fn seed(self, start: u64, index: u64) -> u64 {
        match self {
            Self::All => start + index,
            Self::MachineIds => (start & !1) + 2 * index,
            Self::Buckets => (start | 1) + 2 * index,
        }
    }
}

/// What a search went through.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) ids: Total,
    pub(super) buckets: Total,
    took: Duration,
}

/// What the runs of one subject went through.
#[derive(Debug, Default)]
pub(super) struct Total {
    pub(super) seeds: u64,
    pub(super) largest: u64,
    pub(super) ids: u64,
    pub(super) grants: u64,
    pub(super) losses: u64,
    pub(super) moves: u64,
    pub(super) virtual_time: Duration,
    pub(super) coverage: Coverage,
}

impl Totals {
    pub(super) const fn seeds(&self) -> u64 {
        self.ids.seeds + self.buckets.seeds
    }

    fn of(&mut self, plan: &Plan) -> &mut Total {
        match plan.scene.subject {
            Subject::MachineIds { .. } => &mut self.ids,
            Subject::Buckets(_) => &mut self.buckets,
        }
    }
}

impl Total {
    fn add(&mut self, plan: &Plan, outcome: &Outcome) {
        self.seeds += 1;
        self.largest = self.largest.max(plan.instances() as u64);
        self.ids += outcome.ids;
        self.grants += outcome.grants;
        self.losses += outcome.losses;
        self.moves += outcome.moves;
        self.virtual_time += outcome.virtual_time;
        self.coverage.add(&outcome.coverage);
    }

    /// What was never hit of all that can be.
    pub(super) fn gaps(&self, of_machine_ids: bool) -> Vec<String> {
        let is_for_ids = |kind| matches!(kind, Kind::Eviction | Kind::Peer | Kind::Clone);
        self.coverage
            .gaps(|kind| of_machine_ids || !is_for_ids(kind))
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, total) in [("machine IDs", &self.ids), ("buckets", &self.buckets)] {
            if total.seeds == 0 {
                continue;
            }
            writeln!(
                f,
                "{name}: {} seeds, {} h of virtual time, up to {} instances, {} IDs, {} grants, {} faults, \
                 {} losses seen, {} moves judged\n{}",
                total.seeds,
                total.virtual_time.as_secs() / 3_600,
                total.largest,
                total.ids,
                total.grants,
                total.coverage.faults(),
                total.losses,
                total.moves,
                total.coverage,
            )?;
        }
        write!(f, "{} seeds in {:?}", self.seeds(), self.took)
    }
}

const PROGRESS: u64 = 50_000;
