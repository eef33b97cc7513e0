//! Many processes on one server for hours: joins and leaves throughout, and everything measured.
//!
//! `cargo xtask soak` runs it; docs/testing/soak.md says what it does and what it has found.

mod ending;
mod figures;
mod log;
mod member;
mod minting;
mod plot;
mod plots;
mod raw;
mod recording;
mod report;
mod run;
mod sampling;
mod timed;
mod totals;
mod verdict;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use coord_core::clock::{Clock, SystemClock};
use coord_tests::server::Version;

use crate::{member::Job, raw::Setting};

#[derive(Parser)]
#[command(about = "Many processes on one server for hours, with everything measured")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs, then reports.
    Run(Options),
    /// Makes the report of a run anew.
    Report {
        /// The run's folder.
        folder: PathBuf,
    },
    /// One process of a run.
    #[command(hide = true)]
    Member {
        /// JSON.
        job: String,
    },
}

#[derive(clap::Args)]
struct Options {
    /// How long processes come and go.
    #[arg(long, default_value_t = 120.0)]
    minutes: f64,
    /// How many processes there are most of the time.
    #[arg(long, default_value_t = 64)]
    processes: u32,
    /// Determines who ends when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Mean seconds between two processes that end.
    #[arg(long, default_value_t = 10.0)]
    every: f64,
    /// Where the run's folder is made; named by the time of its start.
    #[arg(long, default_value = "target/soak")]
    into: PathBuf,
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(options) => run(&options),
        Command::Report { folder } => report::report(&folder).map(passed),
        Command::Member { job } => {
            let job: Job = serde_json::from_str(&job)?;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(member::run(job))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run(options: &Options) -> Result<ExitCode> {
    if options.processes == 0 || !options.minutes.is_finite() || options.minutes <= 0.0 {
        bail!(
            "--processes {} and --minutes {} have to be above 0",
            options.processes,
            options.minutes
        );
    }
    let setting = Setting {
        started_ms: raw::now_ms(),
        started_wall_ms: SystemClock.wall_ms(),
        minutes: options.minutes,
        processes: options.processes,
        seed: options.seed,
        every: options.every,
        buckets: 1_024,
        ids_per_second: 200,
        ttl_ms: 10_000,
        server: Version::Redis8_2.name().to_owned(),
        processors: std::thread::available_parallelism()?.get(),
    };
    let folder = options.into.join(setting.started_wall_ms.to_string());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    println!("writing to {}", folder.display());
    run::run(&folder, &setting)?;
    report::report(&folder).map(passed)
}

fn passed(passed: bool) -> ExitCode {
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
