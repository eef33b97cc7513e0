//! A process of clients: holders that mint, or workers that hold buckets, each recording what it does.

mod holder;
mod tasks;
mod worker;

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::history::{Recorder, What};

/// What the members of a process are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// They lease machine IDs and mint.
    Holders,
    /// They share buckets.
    Workers,
}

/// The order to one process, in the environment variable [`Job::VARIABLE`]: it bears a password.
#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    /// What its members are.
    pub role: Role,
    /// What its history is called.
    pub name: String,
    /// Where histories and logs go.
    pub directory: PathBuf,
    /// Where the store is.
    pub url: String,
    /// How many members.
    pub members: u32,
    /// What they do by chance.
    pub seed: u64,
    /// The ttl of leases and memberships, ms.
    pub ttl_ms: u64,
    /// How many IDs a holder mints in each 25 ms.
    pub ids_a_tick: u32,
    /// The highest machine ID.
    pub highest: u32,
    /// How many buckets there are.
    pub buckets: u32,
}

impl Job {
    /// Where a process finds its job.
    pub const VARIABLE: &str = "COORD_CHAOS_JOB";

    /// Members differ: every second one has three quarters of the ttl.
    fn ttl_of(&self, member: u32) -> Duration {
        let ttl = Duration::from_millis(self.ttl_ms);
        if self.is_odd(member) {
            ttl * 3 / 4
        } else {
            ttl
        }
    }

    fn heartbeat_of(&self, member: u32) -> Duration {
        HEARTBEAT / if self.is_odd(member) { 2 } else { 1 }
    }

    const fn is_odd(&self, member: u32) -> bool {
        (self.seed >> 32) % 2 != member as u64 % 2
    }

    fn rng(&self, member: u32) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed.wrapping_add(u64::from(member)))
    }
}

/// What a member needs besides its job.
#[derive(Debug, Clone)]
struct Member {
    number: u32,
    recorder: Arc<Recorder>,
    stopped: watch::Receiver<bool>,
}

impl Member {
    fn record(&self, what: What) {
        self.recorder.record(self.number, what);
    }

    /// Records an event by its name and what follows.
    fn say(&self, event: &impl std::fmt::Debug) {
        self.record(What::Said(format!("{event:?}")));
    }

    /// Waits until the process is to end.
    async fn is_stopped(&mut self) {
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Runs the job in the environment until `SIGTERM`.
///
/// # Errors
///
/// When the job cannot be read, or its parts cannot be built.
pub fn run() -> Result<()> {
    let job = std::env::var(Job::VARIABLE).context(Job::VARIABLE)?;
    let job: Arc<Job> = Arc::new(serde_json::from_str(&job).context("reading the job")?);
    log_to_file(&job)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(work(job))
}

async fn work(job: Arc<Job>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let recorder = Arc::new(Recorder::create(&job.directory, &job.name)?);
    let (stop, stopped) = watch::channel(false);
    let mut members = JoinSet::new();
    for number in 0..job.members {
        let member = Member {
            number,
            recorder: Arc::clone(&recorder),
            stopped: stopped.clone(),
        };
        match job.role {
            Role::Holders => members.spawn(holder::run(Arc::clone(&job), member)),
            Role::Workers => members.spawn(worker::run(Arc::clone(&job), member)),
        };
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => { stop.send_replace(true); }
            ended = members.join_next() => match ended {
                Some(ended) => ended.context("a member panicked")??,
                None => return Ok(()),
            }
        }
    }
}

/// Everything the libraries say goes to a file, so that it can be searched for what must not be in it.
fn log_to_file(job: &Job) -> Result<()> {
    let path = job.directory.join(&job.name).with_extension("log");
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    tracing_subscriber::fmt()
        .with_env_filter("debug,coord_core=trace,raus=trace,redbuckets=trace,snowflake=trace")
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .init();
    Ok(())
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

const TICK: Duration = Duration::from_millis(25);
const HEARTBEAT: Duration = Duration::from_millis(500);
const DISCOVERY: Duration = Duration::from_millis(1_500);
/// A replaced master answers nobody for longer: clients ask where the master is before they send anything to one of which
/// they heard nothing for 2 s.
pub(crate) const FAILOVER_BOUND: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);
