//! Holds a machine ID and prints everything that happens to it as JSON lines, until signalled.
//!
//! ```console
//! $ cargo run -p raus --example lease -- --redis redis://localhost:6379 --range 0-1023 --label payments-7f9c
//! {"event":"acquired","fence":"1764000000000000","id":417,"t_mono_us":…,"t_wall_us":…}
//! ```

#[path = "common/failure.rs"]
mod failure;

use std::{io::Write, ops::RangeInclusive, process::ExitCode, time::Duration};

use clap::Parser;
use raus::{Clock, ConfigError, Event, MachineId, Raus, StoreError, SystemClock};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// Holds a machine ID and prints every event as a JSON line.
#[derive(Parser)]
struct Options {
    /// Where to lease from: redis://…, redis+unix://… or memory://….
    #[arg(long, default_value = "memory://demo")]
    redis: String,
    /// Which machine IDs, lowest-highest.
    #[arg(long, default_value = "0-1023", value_parser = parse_range)]
    range: RangeInclusive<u32>,
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
        Err(error) => failure::tell("lease", &*error),
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let raus = Raus::builder(&options.redis, options.range.clone())
        .ttl(Duration::from_millis(options.ttl_ms))
        .heartbeat(Duration::from_millis(options.heartbeat_ms))
        .discovery(Duration::from_millis(options.discovery_ms))
        .label(options.label.as_str())
        .reacquire(true)
        .build()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let machine_id = tokio::select! {
        machine_id = raus.acquire() => machine_id?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let mut events = machine_id.events();
    print("acquired", identity(&machine_id))?;
    let release = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        machine_id.clone().release().await
    };
    let (released, printed) = tokio::join!(release, async {
        while let Some(event) = events.next().await {
            let (name, fields) = describe(&event);
            print(name, fields)?;
        }
        std::io::Result::Ok(())
    });
    printed?;
    Ok(released?)
}

fn identity(machine_id: &MachineId) -> Value {
    json!({ "id": machine_id.id(), "fence": machine_id.fence().to_string() })
}

fn describe(event: &Event) -> (&'static str, Value) {
    match event {
        Event::AtRisk { id, cause, .. } => (
            "at_risk",
            json!({ "id": id, "cause": cause.as_deref().map(|cause| causes(cause)) }),
        ),
        Event::Reasserted { id, fence } => (
            "reasserted",
            json!({ "id": id, "fence": fence.to_string() }),
        ),
        Event::Lost(loss) => (
            "lost",
            json!({ "id": loss.id, "fence": loss.fence.to_string(), "cause": causes(loss) }),
        ),
        Event::Reacquired { old, new, fence } => (
            "reacquired",
            json!({ "old": old, "id": new, "fence": fence.to_string() }),
        ),
        Event::Released { id, fence } => {
            ("released", json!({ "id": id, "fence": fence.to_string() }))
        }
        Event::RenewalFailed { id, error, .. } | Event::ReleaseFailed { id, error } => {
            ("error", json!({ "id": id, "cause": causes(&**error) }))
        }
        Event::ReacquireFailed { error } => ("error", json!({ "cause": causes(&**error) })),
        other => ("error", json!({ "cause": format!("{other:?}") })),
    }
}

/// One JSON object a line, with the times by which lines of several processes can be merged.
fn print(event: &str, mut fields: Value) -> std::io::Result<()> {
    fields["event"] = event.into();
    fields["t_mono_us"] = monotonic_us().into();
    fields["t_wall_us"] = u64::try_from(SystemClock.wall().as_micros())
        .unwrap_or(u64::MAX)
        .into();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{fields}")?;
    out.flush()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lines of several processes are merged by CLOCK_MONOTONIC, which the library's clock does not offer"
)]
fn monotonic_us() -> u64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .expect("every Unix has this clock");
    u64::try_from(Duration::from(time).as_micros()).unwrap_or(u64::MAX)
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

fn parse_range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (low, high) = text
        .split_once('-')
        .ok_or_else(|| format!("{text:?} is not of the form LOWEST-HIGHEST"))?;
    let parse = |part: &str| {
        part.parse::<u32>()
            .map_err(|error| format!("{part:?} in {text:?}: {error}"))
    };
    Ok(parse(low)?..=parse(high)?)
}
