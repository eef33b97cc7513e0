//! `cargo xtask chaos`: faults on real servers under real clients, and a verdict.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use coord_chaos::{
    client,
    nemesis::Load,
    plan::{Bounds, Kind, Plan, Topology},
    run::Run,
};

/// Breaks real servers and clients, records what clients are granted and mint, and judges it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    internal: Option<Internal>,
    /// standalone, sentinel, cluster, or all, one after the other.
    #[arg(long, default_value = "all")]
    topology: String,
    /// How long each run breaks things, in minutes.
    #[arg(long, default_value_t = 2.0, conflicts_with = "seconds")]
    minutes: f64,
    /// The same in seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Which plan; by default a random one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these faults, separated by commas.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Kind>,
    /// For how many seconds servers are left alone after each of their faults, at least: where that exceeds a quarantine,
    /// the report says of every fault how soon everything worked again.
    #[arg(long, default_value_t = 0)]
    gap: u64,
    /// Passes two documented limits, to show what happens: a server's clock is stepped while clients are silent, and a
    /// server forgets everything before the time that its clock was set to has come.
    #[arg(long)]
    beyond: bool,
    /// Prints the faults there are and runs nothing.
    #[arg(long)]
    list_faults: bool,
    /// Keeps histories and logs of a run that found nothing, too.
    #[arg(long)]
    keep: bool,
    /// How many IDs each holder reserves in each 25 ms.
    #[arg(long, default_value_t = 512)]
    ids: u32,
    /// Where reports, and what failed runs recorded, are kept.
    #[arg(long, default_value = "target/chaos")]
    target: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Internal {
    /// One process of clients.
    #[command(hide = true)]
    Client,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.internal {
        Some(Internal::Client) => client::run().map(|()| true),
        None => run(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let kinds = match arguments.faults.is_empty() {
        true => Kind::ALL,
        false => &arguments.faults,
    };
    if arguments.list_faults {
        kinds.iter().for_each(|kind| println!("{}", kind.name()));
        return Ok(true);
    }
    let topologies = match arguments.topology.as_str() {
        "all" => Topology::ALL.to_vec(),
        name => vec![name.parse().map_err(anyhow::Error::msg)?],
    };
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let mut is_good = true;
    for topology in topologies {
        is_good &= run_one(arguments, topology, seed, kinds)?;
    }
    Ok(is_good)
}

fn run_one(arguments: &Arguments, topology: Topology, seed: u64, kinds: &[Kind]) -> Result<bool> {
    let seconds = arguments
        .seconds
        .map_or(arguments.minutes * 60.0, |seconds| seconds as f64);
    let lasts_ms = (seconds.max(1.0) * 1_000.0) as u64;
    let mut replay = format!(
        "cargo xtask chaos --topology {} --seconds {} --seed {seed}",
        topology.name(),
        lasts_ms / 1_000
    );
    if kinds != Kind::ALL {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        replay += &format!(" --faults {}", names.join(","));
    }
    let bounds = match arguments.beyond {
        true => Bounds::Beyond,
        false => Bounds::Promised,
    };
    if arguments.beyond {
        replay += " --beyond";
    }
    if arguments.gap != 0 {
        replay += &format!(" --gap {}", arguments.gap);
    }
    println!("{replay}");
    let run = Run {
        plan: Plan::with_gap(
            topology,
            seed,
            lasts_ms,
            kinds,
            bounds,
            1_000 * arguments.gap,
        ),
        load: Load {
            ids_a_tick: arguments.ids.max(1),
            ..Load::default()
        },
        program: std::env::current_exe()?,
        target: arguments.target.clone(),
        keep: arguments.keep,
        replay,
    };
    let outcome = run.execute()?;
    println!("{}", outcome.summary);
    println!("report: {}", outcome.report.display());
    if let Some(kept) = &outcome.kept {
        println!("histories and logs: {}", kept.display());
        println!("again: {}", run.replay);
    }
    Ok(outcome.is_good)
}
