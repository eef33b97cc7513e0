//! One process of a soak: a machine ID with a generator, a member of the group, and now and then one more lease.

use std::{
    fs::{self, OpenOptions},
    mem,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use coord_core::{
    clock::{Clock, Instant, SystemClock},
    endpoint::Endpoint,
    store::{self, Store},
};
use raus::Raus;
use redbuckets::{Instance, Redbuckets};
use serde::{Deserialize, Serialize};
use snowflake::Generator;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};

use crate::{
    log::Log,
    minting::Minting,
    raw::{self, Line},
};

/// What a process is told, as JSON in its one argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) url: String,
    /// Its files are `<folder>/<number>.jsonl` and `<folder>/<number>.ids`.
    pub(crate) folder: PathBuf,
    pub(crate) number: u32,
    pub(crate) seed: u64,
    pub(crate) buckets: u32,
    pub(crate) ids_per_second: u32,
    pub(crate) ttl_ms: u64,
}

/// The namespace and the group of every process.
pub(crate) const NAME: &str = "soak";
/// The machine IDs of the default layout.
pub(crate) const RANGE: std::ops::RangeInclusive<u32> = 0..=1023;

/// Works until it is terminated.
pub(crate) async fn run(job: Job) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let log = Arc::new(Log::new(open(&job, "jsonl")?));
    let endpoint = Endpoint::parse(&job.url)?;
    let store = crate::timed::Timed::new(store::redis::open(&endpoint, None)?, Arc::clone(&log));
    let outcome = match start(&job, Arc::new(store), &log).await {
        Ok(mut working) => working.work_until(&job, &mut terminate).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &outcome {
        log.failed(format!("{error:#}"))?;
    }
    outcome
}

async fn start(job: &Job, store: Arc<dyn Store>, log: &Arc<Log>) -> Result<Working> {
    let ttl = Duration::from_millis(job.ttl_ms);
    // Nothing else has ever used this server, so nobody is listened for.
    let raus = Raus::with_store(Arc::clone(&store), NAME, RANGE)
        .ttl(ttl)
        .discovery(Duration::ZERO)
        .build()?;
    let group = Redbuckets::with_store(store, NAME)
        .ttl(ttl)
        .discovery(Duration::ZERO)
        .buckets(job.buckets)
        .build()?;
    let asked = SystemClock.now();
    let machine_id = raus.acquire_within(PATIENCE).await.context("acquiring")?;
    log.took("acquire (new process)", since(asked));
    let machine_events = machine_id.events();
    let generator = Generator::from_raus(machine_id).await?;
    let asked = SystemClock.now();
    let instance = group.join().await.context("joining")?;
    log.took("join", since(asked));
    Ok(Working {
        joined: asked,
        events: instance.events(),
        machine_events,
        minting: Some(Minting::new(generator, open(job, "ids")?, Arc::clone(log))),
        instance: Some(instance),
        raus,
        log: Arc::clone(log),
        rng: fastrand::Rng::with_seed(job.seed),
        is_first: true,
    })
}

struct Working {
    joined: Instant,
    events: redbuckets::Events,
    machine_events: raus::Events,
    minting: Option<Minting>,
    instance: Option<Instance>,
    raus: Raus,
    log: Arc<Log>,
    rng: fastrand::Rng,
    is_first: bool,
}

impl Working {
    /// A signal never interrupts a burst, whose IDs would then be missing from the record.
    async fn work_until(&mut self, job: &Job, terminate: &mut Signal) -> Result<()> {
        let per_burst = job.ids_per_second / 4;
        let mut bursts = tokio::time::interval(Minting::PERIOD);
        bursts.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut flushes = tokio::time::interval(FLUSH);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_lease = SystemClock.now() + self.pause();
        loop {
            let lease_in = next_lease.saturating_since(SystemClock.now());
            tokio::select! {
                biased;
                _ = terminate.recv() => return self.leave().await,
                Some(event) = self.events.next() => self.note(&event)?,
                Some(event) = self.machine_events.next() => self.note_machine(&event)?,
                _ = flushes.tick() => self.log.flush(self.owned())?,
                _ = bursts.tick() => match &mut self.minting {
                    Some(minting) => minting.burst(per_burst).await?,
                    None => return Ok(()),
                },
                () = tokio::time::sleep(lease_in) => {
                    self.lease_once().await?;
                    next_lease = SystemClock.now() + self.pause();
                }
            }
        }
    }

    /// One more machine ID, given back at once.
    async fn lease_once(&self) -> Result<()> {
        let asked = SystemClock.now();
        let acquired = match self.raus.acquire().await {
            Ok(acquired) => acquired,
            Err(error) => return self.log.failed(format!("acquiring one more: {error:?}")),
        };
        self.log.took("acquire", since(asked));
        let asked = SystemClock.now();
        match acquired.release().await {
            Ok(()) => self.log.took("release", since(asked)),
            Err(error) => self.log.failed(format!("releasing one more: {error:?}"))?,
        }
        Ok(())
    }

    async fn leave(&mut self) -> Result<()> {
        let asked = SystemClock.now();
        if let Some(instance) = self.instance.take() {
            instance.leave().await.context("leaving")?;
            self.log.took("leave", since(asked));
        }
        if let Some(minting) = self.minting.take() {
            minting
                .into_generator()
                .release()
                .await
                .context("releasing")?;
        }
        self.log.flush(0)?;
        self.log.write(&Line::Left {
            at_ms: raw::now_ms(),
        })
    }

    fn note(&mut self, event: &redbuckets::Event) -> Result<()> {
        use redbuckets::Event;
        let (at_ms, text) = (raw::now_ms(), format!("{event:?}"));
        match event {
            Event::Granted { bucket, epoch } => {
                if mem::take(&mut self.is_first) {
                    self.log.took("first bucket", since(self.joined));
                }
                self.log.granted(*bucket, *epoch);
                Ok(())
            }
            Event::Lost { .. } | Event::Fenced { .. } => {
                self.log.write(&Line::Lost { at_ms, text })
            }
            Event::BeatFailed { .. } | Event::AtRisk { .. } | Event::Reasserted { .. } => {
                self.log.write(&Line::Retried { at_ms, text })
            }
            Event::RejoinFailed { .. }
            | Event::Revoking { overdue: true, .. }
            | Event::Missed { .. } => self.log.failed(text),
            _ => Ok(()),
        }
    }

    fn note_machine(&self, event: &raus::Event) -> Result<()> {
        use raus::Event;
        let (at_ms, text) = (raw::now_ms(), format!("{event:?}"));
        match event {
            Event::Lost(_) => self.log.write(&Line::Lost { at_ms, text }),
            Event::RenewalFailed { .. } | Event::AtRisk { .. } | Event::Reasserted { .. } => {
                self.log.write(&Line::Retried { at_ms, text })
            }
            _ => self.log.failed(text),
        }
    }

    fn owned(&self) -> u32 {
        let owned = self
            .instance
            .as_ref()
            .map(|instance| instance.owned().len());
        owned.map_or(0, |owned| u32::try_from(owned).unwrap_or(u32::MAX))
    }

    fn pause(&mut self) -> Duration {
        LEASE_EVERY.mul_f64(0.5 + self.rng.f64())
    }
}

fn open(job: &Job, extension: &str) -> Result<fs::File> {
    let path = job.folder.join(format!("{}.{extension}", job.number));
    let file = OpenOptions::new().create_new(true).append(true).open(&path);
    file.with_context(|| path.display().to_string())
}

fn since(earlier: Instant) -> Duration {
    SystemClock.now().saturating_since(earlier)
}

const PATIENCE: Duration = Duration::from_secs(20);
const FLUSH: Duration = Duration::from_secs(5);
/// On average.
const LEASE_EVERY: Duration = Duration::from_secs(20);
