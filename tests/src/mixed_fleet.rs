//! Fleets: processes with many holders and workers each, and what they did, read and judged.

mod log;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use coord_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};

pub use self::log::{Line, Log};
use crate::{
    process::Process,
    program::{Program, Running},
    wait,
};

/// What a [`Fleet`] does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where raus leases, the namespace included.
    pub raus: String,
    /// Where redbuckets shares, without a namespace.
    pub redis: String,
    /// The group of buckets.
    pub group: String,
    /// How many processes.
    pub processes: usize,
    /// How many holders in each.
    pub holders: usize,
    /// How many workers in each.
    pub workers: usize,
    /// The highest machine ID.
    pub highest: u32,
    /// How many buckets the group has.
    pub buckets: u32,
    /// The ttl of leases and memberships.
    pub ttl: Duration,
    /// How often they are renewed.
    pub heartbeat: Duration,
    /// How long an unknown namespace or group is listened to.
    pub discovery: Duration,
    /// How long an acquisition may take.
    pub patience: Duration,
    /// For how long a replaced master may go on answering.
    pub failover_bound: Duration,
    /// How many replicas must have grants and renewals.
    pub acknowledge: u32,
}

impl Plan {
    /// Four processes with 5 holders and 2 workers each over 1,024 buckets, in the namespace and group `name` of the
    /// deployment at `url`; ttl 8 s, a heartbeat every 500 ms.
    #[must_use]
    pub fn new(url: &str, name: &str) -> Self {
        Self {
            raus: format!("{url}?ns={name}"),
            redis: url.to_owned(),
            group: name.to_owned(),
            processes: 4,
            holders: 5,
            workers: 2,
            highest: 63,
            buckets: 1_024,
            ttl: Duration::from_secs(8),
            heartbeat: Duration::from_millis(500),
            discovery: Duration::from_millis(1_500),
            patience: Duration::from_secs(30),
            failover_bound: Duration::from_secs(3),
            acknowledge: 0,
        }
    }

    fn argument(&self, name: &str) -> Value {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        json!({
            "name": name, "raus": self.raus, "redis": self.redis, "group": self.group,
            "holders": self.holders, "workers": self.workers, "highest": self.highest, "buckets": self.buckets,
            "ttl_ms": ms(self.ttl), "heartbeat_ms": ms(self.heartbeat), "discovery_ms": ms(self.discovery),
            "patience_ms": ms(self.patience), "tick_ms": TICK_MS,
            "failover_bound_ms": ms(self.failover_bound), "acknowledge": self.acknowledge,
        })
    }

    /// Starts the processes, named `name`, with the program `mixed_fleet` at `program`.
    ///
    /// # Errors
    ///
    /// When one cannot be started.
    pub fn start(&self, program: &str, name: &str) -> Result<Fleet> {
        let start = |number| {
            let name = format!("{name}{number}");
            let argument = self.argument(&name).to_string();
            Program::at(program).named(name).args([argument]).spawn()
        };
        let running = (0..self.processes).map(start).collect::<Result<Vec<_>>>()?;
        Ok(Fleet {
            plan: self.clone(),
            running,
        })
    }
}

/// Started processes; killed when dropped.
#[derive(Debug)]
pub struct Fleet {
    plan: Plan,
    running: Vec<Running>,
}

impl Fleet {
    /// Waits until every holder holds and mints, and every bucket is owned.
    ///
    /// # Errors
    ///
    /// When it is not so within `within`, or somebody gave up; says what is missing.
    pub fn wait_steady(&self, within: Duration) -> Result<()> {
        wait::until_ok(within, || {
            let log = self.log()?;
            self.check_well(&log)?;
            let (holders, buckets) = (log.holding().len(), log.owned().len());
            let wanted = self.plan.processes * self.plan.holders;
            ensure!(holders == wanted, "{holders} of {wanted} hold a machine ID");
            let wanted = self.wanted_buckets();
            ensure!(buckets == wanted, "{buckets} of {wanted} buckets are owned");
            Ok(())
        })
    }

    /// Waits until every holder holds and every worker is a member.
    ///
    /// # Errors
    ///
    /// When it is not so within `within`, or somebody gave up; says what is missing.
    pub fn wait_served(&self, within: Duration) -> Result<()> {
        wait::until_ok(within, || {
            let log = self.log()?;
            self.check_well(&log)?;
            let served = log.everybody().len();
            let wanted = self.plan.processes * (self.plan.holders + self.plan.workers);
            ensure!(served == wanted, "{served} of {wanted} are served");
            Ok(())
        })
    }

    fn wanted_buckets(&self) -> usize {
        match self.plan.workers {
            0 => 0,
            _ => usize::try_from(self.plan.buckets).unwrap_or(usize::MAX),
        }
    }

    fn check_well(&self, log: &Log) -> Result<()> {
        if let Some(line) = log.lines.iter().find(|line| line.what == "failed") {
            bail!("{line:?}");
        }
        for running in &self.running {
            ensure!(
                running.process().ended().is_none(),
                "{} ended: {}",
                running.name(),
                running.stderr()
            );
        }
        Ok(())
    }

    /// Waits until everybody has renewed what was sent after `after_us`, and returns who did and when.
    ///
    /// # Errors
    ///
    /// When somebody has not within `within`; names them.
    pub fn wait_renewed(&self, after_us: u64, within: Duration) -> Result<BTreeMap<String, u64>> {
        wait::until_ok(within, || {
            let log = self.log()?;
            self.check_well(&log)?;
            let renewed = log.renewed(after_us, self.plan.ttl);
            let late: Vec<String> = log
                .everybody()
                .into_iter()
                .filter(|who| !renewed.contains_key(who))
                .collect();
            ensure!(
                late.is_empty(),
                "not renewed: {late:?}, {} are",
                renewed.len()
            );
            Ok(renewed)
        })
    }

    /// Everything that was printed so far.
    ///
    /// # Errors
    ///
    /// When a line cannot be read; shows it.
    pub fn log(&self) -> Result<Log> {
        let mut lines = Vec::new();
        for running in &self.running {
            log::read(&running.stdout_path(), &mut lines)
                .with_context(|| format!("output of {}", running.name()))?;
        }
        lines.sort_by_key(|line| line.at_us);
        Ok(Log { lines })
    }

    /// Stops all processes (`SIGSTOP`).
    ///
    /// # Errors
    ///
    /// When one has ended.
    pub fn stop(&self) -> Result<()> {
        let mut processes = self.running.iter().map(Running::process);
        processes.try_for_each(Process::stop)
    }

    /// Lets stopped processes go on.
    ///
    /// # Errors
    ///
    /// When one has ended.
    pub fn cont(&self) -> Result<()> {
        let mut processes = self.running.iter().map(Running::process);
        processes.try_for_each(Process::cont)
    }

    /// Ends all processes politely and returns everything that they printed.
    ///
    /// # Errors
    ///
    /// When one does not end within `within`, or fails; with its standard error.
    pub fn finish(mut self, within: Duration) -> Result<Log> {
        for running in &self.running {
            running.process().terminate()?;
        }
        for running in &mut self.running {
            let status = running.wait(within)?;
            ensure!(
                status.success(),
                "{} ended with {status}: {}",
                running.name(),
                running.stderr()
            );
        }
        self.log()
    }
}

/// The boot-time clock, as the lines bear it.
#[must_use]
pub fn now_us() -> u64 {
    u64::try_from(SystemClock.now().since_boot().as_micros()).unwrap_or(u64::MAX)
}

/// How often a holder mints and a worker enters a bucket.
const TICK_MS: u64 = 20;
