//! Everything that a change must pass, in one command.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::{args::SimRun, cargo::Call, features::Published, setup, tasks};

/// Runs every step, the quickest to fail first; stops at the first failure.
pub(crate) fn ci() -> Result<()> {
    let mut report = Report::start();
    let done = steps(&mut report);
    report.print_summary();
    done
}

fn steps(report: &mut Report) -> Result<()> {
    report.step("setup", "cargo xtask setup", setup::setup)?;
    report.call("format", &Call::cargo("fmt --all --check"))?;
    let clippy = "clippy --workspace --all-targets --all-features -- -D warnings";
    report.call("clippy", &Call::cargo(clippy))?;
    // What `cargo xtask test` runs after its set-up, which is done.
    report.call("tests and doctests", &tasks::tests())?;
    let sim = format!("cargo xtask sim --seeds {SIM_SEEDS}");
    report.step("simulation", &sim, || tasks::sim(SimRun::seeds(SIM_SEEDS)))?;
    // The seed of the run is printed by itself.
    let chaos = format!("cargo xtask chaos --seconds {CHAOS_SECONDS}");
    let options = ["--seconds", CHAOS_SECONDS].map(str::to_owned);
    report.step("faults on real servers", &chaos, || tasks::chaos(&options))?;
    let bench = "cargo xtask bench snowflake --quick";
    report.step("benchmark", bench, || tasks::bench("snowflake", true))?;
    report.step("demo", "cargo xtask demo", || tasks::demo(None))?;
    let docs = Call::cargo("doc --workspace --no-deps --all-features");
    report.call("docs", &docs.env("RUSTDOCFLAGS", "-D warnings"))?;
    let published = Published::read()?;
    for check in published.checks() {
        report.call("a feature alone", &check)?;
    }
    let packages = "cargo xtask package --quick";
    report.step("packages", packages, || tasks::package(true))?;
    report.call("oldest Rust", &oldest_rust(&published))
}

/// A check of what is published with the oldest Rust that it promises to compile with.
fn oldest_rust(published: &Published) -> Call {
    let version = &published.rust_version;
    let installed = || {
        let list = Call::program("rustup", "toolchain list").output()?;
        matching(&list, version).context("rustup does not list it")
    };
    let found = installed().or_else(|_| {
        let install = format!("toolchain install {version} --profile minimal --no-self-update");
        println!("\ninstalling the oldest Rust: rustup {install}");
        Call::program("rustup", &install).output()?;
        installed()
    });
    let check = published.with_all_that_is_old_enough();
    match found {
        Ok(toolchain) => Call::program("rustup", &format!("run {toolchain} cargo {check}"))
            .arg("--target-dir=target/oldest-rust"),
        Err(error) => {
            println!("note: {error:#}, so what is published is checked with the current Rust");
            Call::cargo(&check)
        }
    }
}

/// The installed toolchain of this version, such as `1.88.0-x86_64-unknown-linux-gnu` for `1.88`.
fn matching(list: &str, version: &str) -> Option<String> {
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter_map(|name| Some((name, name.strip_prefix(version)?)))
        .find(|(_, rest)| rest.starts_with(['-', '.']))
        .map(|(name, _)| name.to_owned())
}

/// The steps so far, with the time that each took.
struct Report {
    started: Instant,
    steps: Vec<(String, Duration, bool)>,
}

impl Report {
    fn start() -> Self {
        Self {
            started: now(),
            steps: Vec::new(),
        }
    }

    fn call(&mut self, name: &str, call: &Call) -> Result<()> {
        self.step(name, &call.to_string(), || call.run())
    }

    fn step(&mut self, name: &str, repeat: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n==> {name}: {repeat}");
        let started = now();
        let done = run();
        let took = now() - started;
        println!("<== {name}: {:.1} s", took.as_secs_f64());
        self.steps.push((repeat.to_owned(), took, done.is_ok()));
        done.map_err(|error| anyhow!("{name}: {error:#}\nRepeat with:\n  {repeat}"))
    }

    fn print_summary(&self) {
        println!("\nSummary:");
        for (repeat, took, passed) in &self.steps {
            let verdict = if *passed { "ok    " } else { "FAILED" };
            println!("  {verdict} {:7.1} s  {repeat}", took.as_secs_f64());
        }
        let total = now() - self.started;
        println!("  in all {:7.1} s", total.as_secs_f64());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a report of how long steps took needs no lease's clock, and xtask stays small"
)]
fn now() -> Instant {
    Instant::now()
}

const SIM_SEEDS: u64 = 10_000;
/// For each of the three topologies.
const CHAOS_SECONDS: &str = "12";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_is_found_by_its_version_alone() {
        let list = "stable-x86_64 (default)\n1.881.0-x86_64\n1.88.0-x86_64\n";
        assert_eq!(matching(list, "1.88").as_deref(), Some("1.88.0-x86_64"));
        assert_eq!(matching(list, "1.87"), None);
    }
}
