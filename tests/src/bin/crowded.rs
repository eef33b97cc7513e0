//! What a full range with as many who wait as there are holders costs a server, beside the same without them:
//!
//!     cargo run --release -p coord-tests --bin crowded
//!
//! Fails where a holder loses its machine ID, or somebody who waits is told anything but that the range is full.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{Context, Result, ensure};
use coord_tests::server::RedisServer;
use futures_util::future::{join_all, try_join_all};
use raus::{AcquireError, MachineId, Raus};

const SLOTS: usize = 1_024;
/// Of those that wait.
const PROCESSES: usize = 8;
const TTL: Duration = Duration::from_secs(10);
const LASTS: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    let server = RedisServer::start()?;
    let holders = of_a_process(&server)?;
    let held = try_join_all((0..SLOTS).map(|_| holders.acquire())).await?;
    println!("nobody waits: {}", usage(&server).await?);
    let waiting: Vec<Raus> = (0..PROCESSES)
        .map(|_| of_a_process(&server))
        .collect::<Result<_>>()?;
    let waits = (0..SLOTS).map(|at| waiting[at % PROCESSES].acquire_within(LASTS + TTL));
    let watch = async {
        // All ask at once at first.
        tokio::time::sleep(TTL / 2).await;
        usage(&server).await
    };
    let (crowded, outcomes) = tokio::join!(watch, join_all(waits));
    println!("1,024 wait:   {}", crowded?);
    for outcome in outcomes {
        let error = outcome.err().context("granted, although all is held")?;
        let is_full = matches!(error, AcquireError::RangeExhausted { held: 1_024, .. });
        ensure!(is_full, "{error:?}");
    }
    let kept = held.iter().filter(|id| MachineId::is_held(id)).count();
    ensure!(kept == SLOTS, "{kept} of {SLOTS} are held");
    Ok(())
}

fn of_a_process(server: &RedisServer) -> Result<Raus> {
    let raus = Raus::builder(&server.url(), 0..=SLOTS as u32 - 1).ttl(TTL);
    Ok(raus.build()?)
}

/// What a server did in [`LASTS`].
struct Usage {
    /// In seconds.
    processor: f64,
    scripts: u64,
    connections: u64,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.processor / LASTS.as_secs_f64() * 100.0;
        let (scripts, connections) = (self.scripts, self.connections);
        write!(
            f,
            "{share:.2} % of a processor, {scripts} scripts in {LASTS:?}, {connections} connections"
        )
    }
}

async fn usage(server: &RedisServer) -> Result<Usage> {
    let scripts = || -> Result<u64> {
        let calls = server.commandstats()?;
        Ok(calls.get("evalsha").copied().unwrap_or(0))
    };
    let processor = || -> Result<f64> {
        let user: f64 = info(server, "cpu", "used_cpu_user")?;
        Ok(user + info::<f64>(server, "cpu", "used_cpu_sys")?)
    };
    let before = (processor()?, scripts()?);
    tokio::time::sleep(LASTS).await;
    Ok(Usage {
        processor: processor()? - before.0,
        scripts: scripts()? - before.1,
        connections: info(server, "clients", "connected_clients")?,
    })
}

fn info<T: FromStr>(server: &RedisServer, section: &str, field: &str) -> Result<T> {
    let info = server.info(section)?;
    let text = info.get(field).with_context(|| field.to_owned())?;
    text.parse()
        .ok()
        .with_context(|| format!("{field}: {text}"))
}
