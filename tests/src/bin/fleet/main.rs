//! One process of a fleet under load: see `coord_tests::fleet`. Its only argument is a job as JSON.

mod holders;
mod workers;

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use coord_tests::fleet::{Job, Line, Role, now_us};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

/// As many as the machine of a small service has.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .context("the runtime")
        .and_then(|runtime| runtime.block_on(run()));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let job = std::env::args().nth(1).context("a job is wanted")?;
    let job: Arc<Job> = Arc::new(serde_json::from_str(&job).context("reading the job")?);
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = watch::channel(false);
    let (started, mut ready) = watch::channel(0);
    let mut members = JoinSet::new();
    match job.role {
        Role::Holders => holders::start(&job, &mut members, &stopped, &started)?,
        Role::Workers => workers::start(&job, &mut members, &stopped, &started)?,
        _ => anyhow::bail!("an unknown role"),
    }
    let watched = Arc::clone(&job);
    tokio::spawn(async move {
        if ready
            .wait_for(|count| *count == watched.members)
            .await
            .is_err()
        {
            return;
        }
        print(&Line::Ready { at: now_us() });
        if let Some(block) = watched.block {
            tokio::time::sleep(Duration::from_millis(block.after_ms)).await;
            block_everything(Duration::from_millis(block.for_ms));
        }
    });
    tokio::spawn(async move {
        terminate.recv().await;
        stop.send_replace(true);
        // Kept, so that members see the word and not its end.
        stop.closed().await;
    });
    while let Some(outcome) = members.join_next().await {
        outcome.context("a member panicked")??;
    }
    Ok(())
}

/// Every worker thread sleeps, and with them every task of the runtime.
fn block_everything(duration: Duration) {
    event(0, "blocked", format!("{duration:?}"));
    for _ in 0..WORKER_THREADS {
        tokio::spawn(async move { std::thread::sleep(duration) });
    }
}

/// Waits until the process is to end.
async fn is_stopped(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn event(who: u32, kind: &str, detail: impl Into<String>) {
    print(&Line::Event {
        at: now_us(),
        who,
        kind: kind.to_owned(),
        detail: detail.into(),
    });
}

/// The name of an event's variant, in lower case, and the rest.
fn event_of(who: u32, event: &impl std::fmt::Debug) {
    let text = format!("{event:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    let (kind, detail) = text.split_at(end.unwrap_or(text.len()));
    self::event(who, &kind.to_lowercase(), detail);
}

/// An error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn print(line: &Line) {
    let text = serde_json::to_string(line).expect("lines are plain data");
    let mut out = std::io::stdout().lock();
    // A harness that is gone reads nothing any more, and ends this process.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
