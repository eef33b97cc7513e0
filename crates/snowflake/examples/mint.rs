//! Mints IDs under a leased machine ID and prints them, one decimal ID a line.
//!
//! ```console
//! $ cargo run -p raus-snowflake --example mint -- --redis redis://localhost:6379 --count 3
//! 2124331836174233600
//! 2124331836174233601
//! 2124331836174233602
//! ```

#[path = "../../raus/examples/common/failure.rs"]
mod failure;

use std::{
    io::{BufWriter, StdoutLock, Write},
    ops::RangeInclusive,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use raus::{ConfigError, Raus, StoreError};
use snowflake::{Generator, Id, Layout, MintError};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Interval, MissedTickBehavior},
};

/// Mints IDs under a leased machine ID and prints them, one a line.
#[derive(Parser)]
struct Options {
    /// Where to lease the machine ID from: redis://…, redis+unix://… or memory://….
    #[arg(long, default_value = "memory://demo")]
    redis: String,
    /// Which machine IDs, lowest-highest.
    #[arg(long, default_value = "0-1023", value_parser = parse_range)]
    range: RangeInclusive<u32>,
    /// How many IDs; without it, until signalled.
    #[arg(long)]
    count: Option<u64>,
    /// How many IDs a second; without it, as many as there are.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How long a silent holder keeps its machine ID, in ms.
    #[arg(long, default_value_t = 60_000)]
    ttl_ms: u64,
    /// How often it is renewed, in ms.
    #[arg(long, default_value_t = 1_000)]
    heartbeat_ms: u64,
    /// How long an unknown namespace is listened to, in ms.
    #[arg(long, default_value_t = 3_000)]
    discovery_ms: u64,
    /// A name for this process.
    #[arg(long, default_value = "")]
    label: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell("mint", error.as_ref()),
    }
}

async fn run(options: &Options) -> Result<()> {
    let raus = Raus::builder(&options.redis, options.range.clone())
        .ttl(Duration::from_millis(options.ttl_ms))
        .heartbeat(Duration::from_millis(options.heartbeat_ms))
        .discovery(Duration::from_millis(options.discovery_ms))
        .label(options.label.as_str())
        .build()?;
    let mut stop = Stop::new()?;
    let machine_id = tokio::select! {
        machine_id = raus.acquire() => machine_id?,
        () = stop.signalled() => return Ok(()),
    };
    let mut events = machine_id.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            eprintln!("mint: {event:?}");
        }
    });
    let generator = Generator::from_raus(machine_id).await?;
    let printed = print(&generator, options, &mut stop).await;
    generator.release().await.context("release")?;
    printed
}

/// Prints IDs until there are enough or a signal comes.
async fn print(generator: &Generator, options: &Options, stop: &mut Stop) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut pace = options.rate.map(pace);
    let mut left = options.count.unwrap_or(u64::MAX);
    while left > 0 {
        if let Some((interval, _)) = &mut pace {
            tokio::select! {
                _ = interval.tick() => {}
                () = stop.signalled() => break,
            }
        }
        let burst = pace.as_ref().map_or(1_000, |(_, burst)| *burst).min(left);
        for _ in 0..burst {
            let Some(id) = next(generator, &mut out, stop).await? else {
                return Ok(());
            };
            writeln!(out, "{id}")?;
        }
        left -= burst;
        if pace.is_some() {
            out.flush()?;
        }
    }
    Ok(out.flush()?)
}

/// The next ID; `None` where a signal comes first. What was minted is printed before anything is waited for.
async fn next(
    generator: &Generator,
    out: &mut BufWriter<StdoutLock<'_>>,
    stop: &mut Stop,
) -> Result<Option<Id>> {
    match generator.try_next() {
        Ok(id) => return Ok(Some(id)),
        Err(MintError::Wait { .. }) => {}
        Err(error) => eprintln!("mint: {error}; waiting"),
    }
    out.flush()?;
    loop {
        tokio::select! {
            outcome = generator.next_within(Duration::from_secs(60)) => match outcome {
                Ok(id) => return Ok(Some(id)),
                // Lost for a whole minute: it goes on when another machine ID was leased.
                Err(error) if is_passing(&error) => eprintln!("mint: {error}; waiting"),
                Err(error) => return Err(error.into()),
            },
            () = stop.signalled() => return Ok(None),
        }
    }
}

const fn is_passing(error: &MintError) -> bool {
    matches!(
        error,
        MintError::Wait { .. }
            | MintError::Lost { .. }
            | MintError::HorizonReached { .. }
            | MintError::NotGranted
    )
}

/// Ticks and how many IDs each: at most a thousand ticks a second, because timers count milliseconds.
fn pace(rate: u32) -> (Interval, u64) {
    let ticks = rate.min(1_000);
    let mut interval = tokio::time::interval(Duration::from_secs(1) / ticks);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    (interval, u64::from(rate / ticks))
}

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn parse_range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (low, high) = text
        .split_once('-')
        .ok_or_else(|| format!("{text:?} is not of the form LOWEST-HIGHEST"))?;
    let parse = |part: &str| {
        part.parse::<u32>()
            .map_err(|error| format!("{part:?} in {text:?}: {error}"))
    };
    let range = parse(low)?..=parse(high)?;
    let fits = Layout::default().check_range(&range);
    fits.map_err(|error| error.to_string())?;
    Ok(range)
}
