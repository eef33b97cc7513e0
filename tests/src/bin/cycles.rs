//! Leases and memberships, taken and given back over and over in one process, with what the process uses before and
//! after: one JSON line each. `tests/it/leaks.rs` starts it and judges.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};
use coord_core::clock::{Clock, SystemClock};
use peak_alloc::PeakAlloc;
use raus::{Placement, Raus};
use redbuckets::{Event, Redbuckets};
use serde_json::json;
use snowflake::Generator;
use tokio::runtime::Handle;

/// Counts what is allocated and not yet freed, to the byte.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, what, cycles, forgets] = arguments.as_slice() else {
        bail!(
            "four arguments: a URL, what to repeat, how often, and how often of that to forget it"
        );
    };
    let (cycles, forgets) = (cycles.parse()?, forgets.parse()?);
    // On this runtime its tasks are counted; on a thread of its own, threads and connections come and go.
    let here = Placement::Runtime(Handle::current());
    let apart = Placement::OwnThread;
    match what.as_str() {
        "lease" => {
            let raus = raus(url, here)?;
            repeat(cycles, forgets, async |forget| lease(&raus, forget).await).await
        }
        "lease-anew" => {
            repeat(cycles, forgets, async |forget| {
                lease(&raus(url, apart.clone())?, forget).await
            })
            .await
        }
        "membership" => {
            let group = group(url, here)?;
            repeat(cycles, forgets, async |forget| member(&group, forget).await).await
        }
        "membership-anew" => {
            repeat(cycles, forgets, async |forget| {
                member(&group(url, apart.clone())?, forget).await
            })
            .await
        }
        other => bail!("cannot repeat {other}"),
    }
}

/// Does `cycle` so often, and says what the process uses after the first tenth and at the end.
async fn repeat(cycles: u32, forgets: u32, cycle: impl AsyncFn(bool) -> Result<()>) -> Result<()> {
    let warm_up = cycles / 10;
    for _ in 0..warm_up {
        cycle(false).await?;
    }
    // Standard output makes its buffer with the first line, which is no leak.
    Usage::now()?.say("warm");
    tokio::time::sleep(PAUSE).await;
    let before = Usage::now()?;
    before.say("before");
    for number in warm_up..cycles {
        // The last ones, as a member that is forgotten keeps its buckets from those that join later.
        cycle(cycles <= number + forgets).await?;
    }
    // What was forgotten never ends.
    let patience = if forgets == 0 { PATIENCE } else { PAUSE };
    before.settled_again(patience).await?.say("after");
    Ok(())
}

/// Leases a machine ID, mints under it and gives it back.
async fn lease(raus: &Raus, forget: bool) -> Result<()> {
    let generator = Generator::from_raus(raus.acquire().await.context("acquiring")?).await?;
    generator.next().await.context("minting")?;
    if forget {
        std::mem::forget(generator);
        return Ok(());
    }
    generator.release().await.context("releasing")
}

/// Joins, waits for the first bucket, works in it and leaves.
async fn member(group: &Redbuckets, forget: bool) -> Result<()> {
    let instance = group.join().await.context("joining")?;
    let mut events = instance.events();
    let bucket = loop {
        match events.next().await.context("it has ended")? {
            Event::Granted { bucket, .. } => break bucket,
            Event::Lost { cause, .. } => bail!("lost: {cause}"),
            _ => {}
        }
    };
    let guard = instance.enter(bucket).context("a granted bucket")?;
    drop(guard);
    if forget {
        std::mem::forget(instance);
        return Ok(());
    }
    instance.leave().await.context("leaving")
}

fn raus(url: &str, placement: Placement) -> Result<Raus> {
    // So few that all of them have their record on the server after the warm-up.
    let raus = Raus::builder(url, 0..=63).discovery(Duration::ZERO);
    Ok(raus.placement(placement).build()?)
}

fn group(url: &str, placement: Placement) -> Result<Redbuckets> {
    let group = Redbuckets::builder(url, "cycles").discovery(Duration::ZERO);
    Ok(group.buckets(64).placement(placement).build()?)
}

/// What this process uses.
struct Usage {
    tasks: usize,
    threads: u64,
    files: usize,
    rss: u64,
    heap: usize,
}

impl Usage {
    /// What is used now; first gives what ends in the background the time to end, until no more is there than before.
    async fn settled_again(&self, patience: Duration) -> Result<Self> {
        let deadline = SystemClock.now() + patience;
        loop {
            let now = Self::now()?;
            if now.is_within(self) || deadline <= SystemClock.now() {
                return Ok(now);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn now() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.with_context(|| format!("no {name}"))?.parse()?)
        };
        Ok(Self {
            tasks: Handle::current().metrics().num_alive_tasks(),
            threads: field("Threads:")?,
            files: fs::read_dir("/proc/self/fd")?.count(),
            rss: field("VmRSS:")? * 1_024,
            heap: HEAP.current_usage(),
        })
    }

    const fn is_within(&self, before: &Self) -> bool {
        self.tasks <= before.tasks && self.threads <= before.threads && self.files <= before.files
    }

    fn say(&self, event: &str) {
        let line = json!({
            "event": event,
            "tasks": self.tasks,
            "threads": self.threads,
            "files": self.files,
            "rss": self.rss,
            "heap": self.heap,
        });
        println!("{line}");
    }
}

/// For what ends in the background.
const PAUSE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(60);
