//! A member of a group that enters and leaves its buckets in a loop, and prints everything that happens as JSON lines,
//! until signalled.
//!
//! ```console
//! $ cargo run -p redbuckets --example worker -- --redis redis://localhost:6379 --group orders --buckets 64
//! {"event":"joined","instance":"…","t_mono_us":…,"t_wall_us":…}
//! {"bucket":0,"epoch":"1764000000000","event":"granted","instance":"…",…}
//! ```

#[path = "../../raus/examples/common/failure.rs"]
mod failure;

use std::{io::Write, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use redbuckets::{
    Assignment, BucketGuard, Clock, ConfigError, Event, Events, Instance, Redbuckets, StoreError,
    SystemClock,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// Enters and leaves its buckets in a loop and prints every event as a JSON line.
#[derive(Parser)]
struct Options {
    /// Where the group lives: redis://…, redis+unix://… or memory://….
    #[arg(long, default_value = "memory://")]
    redis: String,
    /// The group's name.
    #[arg(long, default_value = "demo")]
    group: String,
    /// How many buckets the group has.
    #[arg(long, default_value_t = 1_024)]
    buckets: u32,
    /// This instance's id; random where none is given.
    #[arg(long)]
    id: Option<String>,
    /// This instance's share in relation to the others'.
    #[arg(long, default_value_t = 1)]
    weight: u32,
    /// How long a silent instance keeps its buckets, in ms.
    #[arg(long, default_value_t = 10_000)]
    ttl_ms: u64,
    /// How often it registers, in ms.
    #[arg(long, default_value_t = 1_000)]
    period_ms: u64,
    /// How long membership has to be quiet before buckets move, in ms.
    #[arg(long, default_value_t = 1_000)]
    settle_ms: u64,
    /// After how long a bucket that is still worked in is reported overdue, in ms.
    #[arg(long, default_value_t = 10_000)]
    drain_timeout_ms: u64,
    /// For how long after its lease the buckets are kept for a process with the same id, in ms.
    #[arg(long, default_value_t = 0)]
    rejoin_grace_ms: u64,
    /// How long an empty store is given to prove that it forgot nothing, in ms; settle or period where none is given.
    #[arg(long)]
    discovery_ms: Option<u64>,
    /// How buckets are chosen.
    #[arg(long, value_enum, default_value_t = Choice::Sticky)]
    assignment: Choice,
    /// How long work in a bucket takes, in ms.
    #[arg(long, default_value_t = 1)]
    work_ms: u64,
    /// Print neither enter nor exit.
    #[arg(long)]
    quiet_work: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Choice {
    Sticky,
    Contiguous,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell("worker", &*error),
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Redbuckets::builder(&options.redis, &options.group)
        .buckets(options.buckets)
        .weight(options.weight)
        .ttl(Duration::from_millis(options.ttl_ms))
        .period(Duration::from_millis(options.period_ms))
        .settle(Duration::from_millis(options.settle_ms))
        .drain_timeout(Duration::from_millis(options.drain_timeout_ms))
        .rejoin_grace(Duration::from_millis(options.rejoin_grace_ms))
        .assignment(match options.assignment {
            Choice::Sticky => Assignment::Sticky,
            Choice::Contiguous => Assignment::Contiguous,
        });
    if let Some(id) = &options.id {
        builder = builder.instance_id(id);
    }
    if let Some(discovery) = options.discovery_ms {
        builder = builder.discovery(Duration::from_millis(discovery));
    }
    let buckets = builder.build()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let instance = tokio::select! {
        instance = buckets.join() => instance?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let printer = tokio::spawn(print_events(instance.events(), instance.id().to_owned()));
    let work = tokio::spawn(work(instance.clone(), options.work_ms, options.quiet_work));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        // Fenced: another process goes on under this id.
        _ = work => {}
    }
    let left = instance.leave().await;
    printer.await??;
    Ok(left?)
}

/// Works in one bucket after the other, for as long as there is anything to work in.
async fn work(instance: Instance, work_ms: u64, quiet: bool) -> std::io::Result<()> {
    let id = instance.id().to_owned();
    let pause = Duration::from_millis(work_ms.max(1));
    let mut changes = instance.events();
    loop {
        let owned: Vec<u32> = instance.owned().ids().collect();
        for bucket in &owned {
            let Some(guard) = instance.enter(*bucket) else {
                continue;
            };
            if !quiet {
                print(work_line("enter", &id, &guard))?;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = guard.revoked() => {}
            }
            if !quiet {
                print(work_line("exit", &id, &guard))?;
            }
        }
        if owned.is_empty() {
            let change = tokio::time::timeout(Duration::from_millis(100), changes.next()).await;
            if let Ok(None | Some(Event::Fenced { .. } | Event::Left { .. })) = change {
                return Ok(());
            }
        }
    }
}

fn work_line(event: &str, id: &str, guard: &BucketGuard) -> Value {
    json!({
        "event": event, "instance": id, "bucket": guard.bucket(), "epoch": guard.epoch().to_string(),
        "valid": guard.is_valid(),
    })
}

async fn print_events(mut events: Events, id: String) -> std::io::Result<()> {
    while let Some(event) = events.next().await {
        let mut line = describe(&event);
        line["instance"] = id.as_str().into();
        print(line)?;
    }
    Ok(())
}

fn describe(event: &Event) -> Value {
    let bucket = |name: &str, bucket: &u32, epoch: &u64| json!({ "event": name, "bucket": bucket, "epoch": epoch.to_string() });
    match event {
        Event::Joined { .. } => json!({ "event": "joined" }),
        Event::Granted { bucket: b, epoch } => bucket("granted", b, epoch),
        Event::Revoking {
            bucket: b,
            epoch,
            overdue,
        } => {
            let mut line = bucket("revoking", b, epoch);
            line["overdue"] = (*overdue).into();
            line
        }
        Event::Kept { bucket: b, epoch } => bucket("kept", b, epoch),
        Event::Released { bucket: b, epoch } => bucket("released", b, epoch),
        Event::Lost {
            bucket: b,
            epoch,
            cause,
        } => {
            let mut line = bucket("lost", b, epoch);
            line["cause"] = cause.to_string().into();
            line
        }
        Event::Fenced { .. } => json!({ "event": "fenced" }),
        Event::Left { .. } => json!({ "event": "left" }),
        Event::Reasserted { count } => json!({ "event": "reasserted", "count": count }),
        Event::Rebalanced {
            members,
            quota,
            moved,
            took,
        } => json!({
            "event": "rebalanced", "members": members, "quota": quota, "moved": moved, "took_us": micros(*took),
        }),
        Event::BeatFailed { error, .. } => {
            json!({ "event": "error", "cause": causes(&**error) })
        }
        Event::RejoinFailed { error } => json!({ "event": "error", "cause": causes(&**error) }),
        other => json!({ "event": "other", "cause": format!("{other:?}") }),
    }
}

/// One JSON object a line, with the times by which lines of several processes can be merged.
fn print(mut line: Value) -> std::io::Result<()> {
    line["t_mono_us"] = monotonic_us().into();
    line["t_wall_us"] = micros(SystemClock.wall()).into();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lines of several processes are merged by CLOCK_MONOTONIC, which the library's clock does not offer"
)]
fn monotonic_us() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .expect("every Unix has this clock");
    micros(Duration::from(time))
}

/// An error with all its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
