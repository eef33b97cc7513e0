//! The tasks that are one call of cargo.

use anyhow::{Context, Result, bail};

use crate::{args::SimRun, cargo::Call, setup};

/// Runs the demonstration with this terminal: machine IDs first, then buckets.
pub(crate) fn demo(redis: Option<&str>) -> Result<()> {
    for (package, example) in [("snowflake", "demo"), ("redbuckets", "ownership")] {
        let run = format!("run --quiet --package {package} --example {example} --");
        let call = match redis {
            Some(url) => Call::cargo(&run).arg("--redis").arg(url),
            None => Call::cargo(&run),
        };
        // The call is not shown: a URL may carry a password.
        call.run().context("the demonstration failed")?;
    }
    Ok(())
}

/// Sets up, then runs every test.
pub(crate) fn test() -> Result<()> {
    setup::setup()?;
    println!("running `{}`", tests());
    tests().run().with_context(|| format!("`{}`", tests()))
}

/// All tests and doctests, in one build. Most of the time they wait for servers that fail, so more of them run side by
/// side than there are processors.
pub(crate) fn tests() -> Call {
    Call::cargo("test --workspace --all-features").env("RUST_TEST_THREADS", 6)
}

/// Runs the benchmark `what`.
pub(crate) fn bench(what: &str, quick: bool) -> Result<()> {
    let call = Call::cargo("run --release --package bench-snowflake --").arg(what);
    let call = if quick { call.arg("--quick") } else { call };
    call.run().with_context(|| format!("`{call}`"))
}

/// Runs the simulation.
pub(crate) fn sim(run: SimRun) -> Result<()> {
    let listed = simulation("", "--list").output()?;
    if !listed.contains(": test") {
        // A filter that matches nothing would pass.
        bail!("no test is named simulation; tests/it has to have such a module");
    }
    let call = match run {
        SimRun::Search {
            seeds,
            minutes,
            start,
        } => {
            let limits = [
                ("SIM_SEEDS", seeds),
                ("SIM_MINUTES", minutes),
                ("SIM_START", start),
            ];
            let given = limits
                .into_iter()
                .filter_map(|(name, limit)| Some((name, limit?)));
            given.fold(simulation("", "--nocapture"), |call, (name, limit)| {
                call.env(name, limit)
            })
        }
        SimRun::Replay { seed, keep } => {
            let call = simulation("what_is_promised_holds", "--nocapture").env("SIM_SEED", seed);
            keep.into_iter()
                .fold(call, |call, keep| call.env("SIM_KEEP", keep))
        }
    };
    call.run().with_context(|| format!("`{call}`"))
}

/// The tests whose names begin with `simulation::` and this.
fn simulation(tests: &str, option: &str) -> Call {
    let call = "test --release --package coord-tests --all-features --test it --";
    Call::cargo(&format!("{call} simulation::{tests} {option}"))
}
