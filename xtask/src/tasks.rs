//! The tasks that are one call of cargo.

use std::fmt;

use anyhow::{Context, Result, bail};

use crate::{
    args::SimRun,
    cargo::{Call, target},
    features::Published,
    setup,
};

/// Runs the demonstration with this terminal: machine IDs first, then buckets.
pub(crate) fn demo(redis: Option<&str>) -> Result<()> {
    for (package, example) in [("raus-snowflake", "demo"), ("redbuckets", "ownership")] {
        // Not quiet, as `run` below is: the first build takes minutes, which nobody should spend before an empty screen.
        let build = Call::cargo(&format!("build --package {package} --example {example}"));
        build.run().with_context(|| format!("`{build}`"))?;
        let run = format!("run --quiet --package {package} --example {example} --");
        let call = match redis {
            Some(url) => Call::cargo(&run).arg("--redis").arg(url),
            None => Call::cargo(&run),
        };
        // The call is not shown: a URL may carry a password. What is wrong was said by the program.
        match call.code()? {
            Some(0) => {}
            Some(MISUSE) => return Err(Misuse.into()),
            _ => bail!("the demonstration failed"),
        }
    }
    Ok(())
}

/// What was asked for cannot be, as the program that was called says.
#[derive(Debug)]
pub(crate) struct Misuse;

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was changed; `cargo xtask COMMAND --help` says what can be asked for")
    }
}

impl std::error::Error for Misuse {}

/// The exit code of every program here for what cannot be asked for.
pub(crate) const MISUSE: i32 = 2;

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

/// Packages and builds what is published, all at once: they depend on each other and are on no registry yet.
pub(crate) fn package(quick: bool) -> Result<()> {
    let call = Published::read()?.packaging();
    let call = if quick { call.arg("--no-verify") } else { call };
    call.run().with_context(|| format!("`{call}`"))
}

/// Runs the benchmark `what`.
pub(crate) fn bench(what: &str, quick: bool) -> Result<()> {
    let call = Call::cargo("run --release --package bench-snowflake --").arg(what);
    let call = if quick { call.arg("--quick") } else { call };
    call.run().with_context(|| format!("`{call}`"))
}

/// Builds the guides.
pub(crate) fn book() -> Result<()> {
    if Call::program("mdbook", "--version").output().is_err() {
        bail!("mdbook is not on the PATH; install it with `cargo install --locked mdbook`");
    }
    Call::program("mdbook", "build docs/book")
        .run()
        .context("`mdbook build docs/book`")?;
    println!("open target/book/index.html");
    Ok(())
}

/// Runs the simulation.
pub(crate) fn sim(run: SimRun) -> Result<()> {
    let listed = simulation("", "--list").output()?;
    if !listed.contains(": test") {
        // A filter that matches nothing would pass.
        bail!("no test is named simulation; tests/offline/it has to have such a module");
    }
    let call = match run {
        SimRun::Search {
            seeds,
            minutes,
            start,
            only,
        } => {
            let number = |limit: Option<u64>| limit.map(|limit| limit.to_string());
            let limits = [
                ("SIM_SEEDS", number(seeds)),
                ("SIM_MINUTES", number(minutes)),
                ("SIM_START", number(start)),
                ("SIM_SUBJECT", only),
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

/// Runs the soak, or makes the report of one anew.
pub(crate) fn soak(options: &[String]) -> Result<()> {
    let call = Call::cargo("run --release --package coord-soak --");
    let call = options.iter().fold(call, |call, option| call.arg(option));
    call.run().with_context(|| format!("`{call}`"))
}

/// Runs the faults on real servers.
pub(crate) fn chaos(options: &[String]) -> Result<()> {
    setup::setup()?;
    // With the features that the tests are built with, so that nothing is compiled twice.
    let build = Call::cargo("build --quiet --workspace --all-features --bin coord-chaos");
    build.run().with_context(|| format!("`{build}`"))?;
    let program = target().join("debug/coord-chaos");
    let call = Call::program(program.to_string_lossy().into_owned(), "");
    let call = options.iter().fold(call, |call, option| call.arg(option));
    call.run().with_context(|| format!("`{call}`"))
}

/// The tests whose names begin with `simulation::` and this.
fn simulation(tests: &str, option: &str) -> Call {
    let call = "test --release --package coord-offline --test offline --";
    Call::cargo(&format!("{call} simulation::{tests} {option}"))
}
