//! The load under which faults are tried: holders that mint and workers that share buckets, in several real processes
//! that record everything they do.
//!
//! A [`Load`] says how much of what, [`Fleet::start`] starts it, [`Fleet::finish`] ends it politely and returns the
//! [`Record`], which is then judged as a whole. The processes are the program `fleet` of this package.

mod line;
mod record;

use std::{collections::BTreeSet, path::Path, thread, time::Duration};

use anyhow::{Context, Result, bail};
use coord_core::clock::{Clock, SystemClock};

pub use self::{
    line::{Block, Job, Line, Role},
    record::{Counts, Event, Record},
};
use crate::{
    clock::FakeClock,
    program::{Program, Running},
    wait,
};

/// What a fleet is made of. The defaults are those of the failure tests: 4 processes with 5 holders each, 4 processes
/// with 2 workers each over 1,024 buckets.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where the processes of each role find the store, in turn.
    pub urls: Vec<String>,
    /// Processes of holders.
    pub holder_processes: u32,
    /// Processes of workers.
    pub worker_processes: u32,
    /// What a process of holders does; its name and URL are filled in.
    pub holders: Job,
    /// What a process of workers does; its name and URL are filled in.
    pub workers: Job,
}

impl Load {
    /// The default load on the store at `url`.
    #[must_use]
    pub fn on(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            holder_processes: 4,
            worker_processes: 4,
            holders: Job::holders(5),
            workers: Job::workers(2),
        }
    }

    /// The same with a second way to the store, for every other process.
    #[must_use]
    pub fn and_on(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    fn url(&self, process: u32) -> &str {
        let index = usize::try_from(process).unwrap_or(0) % self.urls.len().max(1);
        self.urls.get(index).map_or("", String::as_str)
    }
}

/// Processes under load; killed when dropped.
#[derive(Debug)]
pub struct Fleet {
    program: Program,
    buckets: u32,
    running: Vec<(Role, Running)>,
}

impl Fleet {
    /// Starts the processes of `load`; `program` is the program `fleet`.
    ///
    /// # Errors
    ///
    /// When one cannot be started.
    pub fn start(program: impl AsRef<Path>, load: &Load) -> Result<Self> {
        let mut fleet = Self {
            program: Program::at(program.as_ref()),
            buckets: load.workers.buckets,
            running: Vec::new(),
        };
        for process in 0..load.holder_processes {
            let job = load.holders.clone().named(format!("h{process}"));
            fleet.add(&job.at(load.url(process)), None)?;
        }
        for process in 0..load.worker_processes {
            let job = load.workers.clone().named(format!("w{process}"));
            fleet.add(&job.at(load.url(process)), None)?;
        }
        Ok(fleet)
    }

    /// Starts one more process, under `clock` where there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn add(&mut self, job: &Job, clock: Option<&FakeClock>) -> Result<()> {
        let mut program = self.program.clone().named(&job.name);
        program = program.args([serde_json::to_string(job)?]);
        if let Some(clock) = clock {
            program = program.clock(clock);
        }
        self.running.push((job.role, program.spawn()?));
        Ok(())
    }

    /// Waits until every holder mints and every bucket has its one owner.
    ///
    /// # Errors
    ///
    /// When that is not so within `within`, or a process has ended.
    pub fn wait_working(&self, within: Duration) -> Result<()> {
        for (role, running) in &self.running {
            let ready = |line: &str| line.starts_with(line::READY);
            if *role == Role::Holders {
                running.wait_for_line(within, ready)?;
            }
        }
        self.wait_shared(within)
    }

    /// Waits until every bucket has its one owner, as the workers see it.
    ///
    /// # Errors
    ///
    /// As [`Fleet::wait_working`].
    pub fn wait_shared(&self, within: Duration) -> Result<()> {
        let workers = || {
            self.running
                .iter()
                .filter(|(role, _)| *role == Role::Workers)
        };
        if workers().next().is_none() {
            return Ok(());
        }
        let mut owned = 0;
        let deadline = SystemClock.now() + within;
        while SystemClock.now() < deadline {
            owned = 0;
            for (_, running) in workers() {
                let last = running.last_line(|line| line.starts_with(line::OWNED));
                let Some(last) = last else { continue };
                if let Line::Owned { owned: own, .. } = serde_json::from_str(&last.text)? {
                    owned += own.iter().sum::<u32>();
                }
            }
            if owned == self.buckets {
                return Ok(());
            }
            self.check_alive()?;
            thread::sleep(LOOK_AGAIN);
        }
        bail!(
            "{owned} of {} buckets have an owner after {within:?}",
            self.buckets
        )
    }

    /// What the processes have recorded so far.
    ///
    /// # Errors
    ///
    /// When a process has ended or printed something else.
    pub fn record(&self) -> Result<Record> {
        self.check_alive()?;
        self.read()
    }

    /// The processes called `name`, for signals.
    #[must_use]
    pub fn processes(&self, name: &str) -> Vec<&Running> {
        let all = self.running.iter().map(|(_, running)| running);
        all.filter(|running| running.name() == name).collect()
    }

    /// Ends every process politely and returns everything they recorded.
    ///
    /// # Errors
    ///
    /// When one does not end within `within`, or ends with an error: with the end of what it wrote to standard error.
    pub fn finish(mut self, within: Duration) -> Result<Record> {
        for (_, running) in &self.running {
            running.process().terminate()?;
        }
        for (_, running) in &mut self.running {
            let status = running.wait(within)?;
            if !status.success() {
                bail!("{}: {status}: {}", running.name(), running.stderr());
            }
        }
        self.read()
    }

    fn check_alive(&self) -> Result<()> {
        for (_, running) in &self.running {
            if let Some(status) = running.process().ended() {
                bail!("{}: {status}: {}", running.name(), running.stderr());
            }
        }
        Ok(())
    }

    fn read(&self) -> Result<Record> {
        let names: BTreeSet<&str> = self.running.iter().map(|(_, it)| it.name()).collect();
        if names.len() != self.running.len() {
            bail!("two processes of a fleet have one name: {names:?}");
        }
        let mut record = Record::default();
        for (role, running) in &self.running {
            let lines = running.events()?;
            for line in lines {
                let line = serde_json::from_value(line)
                    .with_context(|| format!("a line of {}", running.name()))?;
                record.take(*role, running.name(), line);
            }
        }
        record.complete();
        Ok(record)
    }
}

/// The clock of all records: the machine's boot-time clock, µs.
#[must_use]
pub fn now_us() -> u64 {
    u64::try_from(SystemClock.now().since_boot().as_micros()).unwrap_or(u64::MAX)
}

/// Lets the fleet run for a while.
pub fn pause(duration: Duration) {
    let _ = wait::until(duration, || None::<()>);
}

const LOOK_AGAIN: Duration = Duration::from_millis(100);
