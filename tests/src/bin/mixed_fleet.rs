//! Holders that mint and workers that visit buckets, many in one process, with everything that they do on standard
//! output: one line each, `<boot time, µs> <who> <what> …`. [`coord_tests::mixed_fleet`] starts it and reads it.

use std::{
    io::{LineWriter, Write},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use coord_core::clock::{Clock, Instant, SystemClock};
use raus::Raus;
use redbuckets::{Instance, Redbuckets};
use serde_json::Value;
use snowflake::Generator;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::MissedTickBehavior,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mixed_fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let text = std::env::args().nth(1).context("one argument: JSON")?;
    let options: Arc<Value> = Arc::new(serde_json::from_str(&text)?);
    let (stop, stopped) = watch::channel(false);
    let out = Out::default();
    let mut tasks = JoinSet::new();
    for number in 0..number(&options, "holders") {
        let who = format!("{}/h{number}", options["name"].as_str().unwrap_or_default());
        tasks.spawn(hold(
            out.named(who),
            Arc::clone(&options),
            number,
            stopped.clone(),
        ));
    }
    for number in 0..number(&options, "workers") {
        let who = format!("{}/w{number}", options["name"].as_str().unwrap_or_default());
        tasks.spawn(work(out.named(who), Arc::clone(&options), stopped.clone()));
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            _ = terminate.recv() => { let _ = stop.send(true); }
            done = tasks.join_next() => match done {
                Some(done) => outcome = outcome.and(done?),
                None => return outcome,
            },
        }
    }
}

/// Leases a machine ID and mints under it until stopped.
async fn hold(
    out: Out,
    options: Arc<Value>,
    seed: u64,
    mut stopped: watch::Receiver<bool>,
) -> Result<()> {
    let range = 0..=u32::try_from(number(&options, "highest"))?;
    let raus = Raus::builder(text(&options, "raus"), range)
        .ttl(millis(&options, "ttl_ms"))
        .heartbeat(millis(&options, "heartbeat_ms"))
        .discovery(millis(&options, "discovery_ms"))
        .failover_bound(millis(&options, "failover_bound_ms"))
        .acknowledge(u32::try_from(number(&options, "acknowledge"))?)
        .build()?;
    let acquired = tokio::select! {
        acquired = raus.acquire_within(millis(&options, "patience_ms")) => acquired,
        () = ended(&mut stopped) => return Ok(()),
    };
    let machine_id = match acquired {
        Ok(machine_id) => machine_id,
        Err(error) => {
            out.say(&format!("failed {error:?}"));
            return Err(error.into());
        }
    };
    out.say(&format!(
        "acquired {} {}",
        machine_id.id(),
        machine_id.fence()
    ));
    let mut events = machine_id.events();
    let generator = Generator::from_raus(machine_id.clone()).await?;
    let mut until = Until::default();
    let mut ticks = tokio::time::interval(millis(&options, "tick_ms"));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Spread over the tick, so that twenty holders do not print at one moment.
    tokio::time::sleep(Duration::from_millis(seed % 7)).await;
    loop {
        tokio::select! {
            biased;
            () = ended(&mut stopped) => break,
            Some(event) = events.next() => describe_holding(&out, &event),
            _ = ticks.tick() => {
                until.note(&out, machine_id.deadline());
                let ids: Vec<String> = (0..2)
                    .filter_map(|_| Some(generator.try_next().ok()?.to_string()))
                    .collect();
                if !ids.is_empty() {
                    out.say(&format!("ids {}", ids.join(" ")));
                }
            }
        }
    }
    drop(machine_id);
    match generator.release().await {
        Ok(()) => out.say("released"),
        Err(error) => out.say(&format!("unreleased {error:?}")),
    }
    Ok(())
}

fn describe_holding(out: &Out, event: &raus::Event) {
    match event {
        raus::Event::Reacquired { new, fence, .. } => {
            out.say(&format!("acquired {new} {fence}"));
        }
        raus::Event::Lost(loss) => out.say(&format!("lost {} {}", loss.id, loss.fence)),
        _ => {}
    }
    out.say(&format!("event {event:?}"));
}

/// Joins a group and visits one owned bucket after the other until stopped.
async fn work(out: Out, options: Arc<Value>, mut stopped: watch::Receiver<bool>) -> Result<()> {
    let buckets = Redbuckets::builder(text(&options, "redis"), text(&options, "group"))
        .buckets(u32::try_from(number(&options, "buckets"))?)
        .ttl(millis(&options, "ttl_ms"))
        .period(millis(&options, "heartbeat_ms"))
        .settle(Duration::from_millis(250))
        .discovery(millis(&options, "discovery_ms"))
        .register_timeout(millis(&options, "patience_ms"))
        .failover_bound(millis(&options, "failover_bound_ms"))
        .acknowledge(u32::try_from(number(&options, "acknowledge"))?)
        .build()?;
    let joined = tokio::select! {
        joined = buckets.join() => joined,
        () = ended(&mut stopped) => return Ok(()),
    };
    let instance = match joined {
        Ok(instance) => instance,
        Err(error) => {
            out.say(&format!("failed {error:?}"));
            return Err(error.into());
        }
    };
    out.say("joined");
    let mut events = instance.events();
    let mut until = Until::default();
    let mut ticks = tokio::time::interval(millis(&options, "tick_ms"));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = 0;
    loop {
        tokio::select! {
            biased;
            () = ended(&mut stopped) => break,
            Some(event) = events.next() => describe_bucket(&out, &event),
            _ = ticks.tick() => {
                until.note(&out, instance.deadline());
                last = visit(&out, &instance, last).await;
            }
        }
    }
    match instance.leave().await {
        Ok(()) => out.say("left"),
        Err(error) => out.say(&format!("unleft {error:?}")),
    }
    Ok(())
}

/// Visits the owned bucket after `last`, for a millisecond or two, and returns it.
async fn visit(out: &Out, instance: &Instance, last: u32) -> u32 {
    let owned = instance.owned();
    let next = owned.ids().find(|&bucket| last < bucket);
    let Some(bucket) = next.or_else(|| owned.ids().next()) else {
        return 0;
    };
    if let Some(guard) = instance.enter(bucket) {
        out.say(&format!("enter {bucket} {}", guard.epoch()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        // Work has to be over at the deadline; a worker that looks, as this one, does not count what comes later.
        let word = if guard.is_valid() { "exit" } else { "cut" };
        out.say(&format!("{word} {bucket} {}", guard.epoch()));
    }
    bucket
}

fn describe_bucket(out: &Out, event: &redbuckets::Event) {
    use redbuckets::Event;
    match event {
        Event::Granted { bucket, epoch } => out.say(&format!("granted {bucket} {epoch}")),
        Event::Released { bucket, epoch } => out.say(&format!("gave {bucket} {epoch}")),
        Event::Lost { bucket, epoch, .. } => out.say(&format!("lost {bucket} {epoch}")),
        // One for each bucket on its way; what comes of it is said above.
        Event::Revoking { .. } | Event::Kept { .. } => {}
        other => out.say(&format!("event {other:?}")),
    }
}

async fn ended(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Says when a deadline rises: that is an acknowledged renewal.
#[derive(Default)]
struct Until(Option<Instant>);

impl Until {
    fn note(&mut self, out: &Out, deadline: Instant) {
        if self.0.is_none_or(|last| last < deadline) {
            self.0 = Some(deadline);
            out.say(&format!("until {}", deadline.since_boot().as_micros()));
        }
    }
}

/// Standard output, whole lines at a time.
#[derive(Clone)]
struct Out {
    who: String,
    stdout: Arc<Mutex<LineWriter<std::io::Stdout>>>,
}

impl Default for Out {
    fn default() -> Self {
        Self {
            who: String::new(),
            stdout: Arc::new(Mutex::new(LineWriter::new(std::io::stdout()))),
        }
    }
}

impl Out {
    fn named(&self, who: String) -> Self {
        Self {
            who,
            stdout: Arc::clone(&self.stdout),
        }
    }

    fn say(&self, what: &str) {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        let at = SystemClock.now().since_boot().as_micros();
        // Whoever reads this is gone when it fails, and so soon is this process.
        let _ = writeln!(stdout, "{at} {} {what}", self.who);
    }
}

fn text<'a>(options: &'a Value, key: &str) -> &'a str {
    options[key].as_str().unwrap_or_default()
}

fn number(options: &Value, key: &str) -> u64 {
    options[key].as_u64().unwrap_or_default()
}

fn millis(options: &Value, key: &str) -> Duration {
    Duration::from_millis(number(options, key))
}
