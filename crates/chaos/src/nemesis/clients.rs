//! The processes of clients, and what breaks them.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use coord_tests::{
    clock::FakeClock,
    program::{Program, Running},
    wait,
};

use crate::{
    client::{Job, Role},
    history::EXTENSION,
    plan::{Kind, Step},
};

/// How many clients there are.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Processes of each role.
    pub processes: u32,
    /// Members of a process of holders.
    pub holders: u32,
    /// Members of a process of workers.
    pub workers: u32,
    /// How many IDs a holder reserves in each 25 ms.
    pub ids_a_tick: u32,
    /// How many machine IDs there are.
    pub slots: u32,
    /// How many buckets there are.
    pub buckets: u32,
}

impl Default for Load {
    /// 4 processes with 4 holders each for 32 machine IDs, 4 with 2 workers each over 96 buckets.
    fn default() -> Self {
        Self {
            processes: 4,
            holders: 4,
            workers: 2,
            ids_a_tick: 512,
            slots: 32,
            buckets: 96,
        }
    }
}

/// All processes of one role; killed when dropped.
#[derive(Debug)]
pub struct Clients {
    role: Role,
    load: Load,
    ttl_ms: u64,
    seed: u64,
    program: PathBuf,
    directory: PathBuf,
    urls: Vec<String>,
    processes: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    clock: FakeClock,
    incarnations: u32,
    running: Option<Running>,
}

impl Clients {
    /// Starts the processes of `role` with this very program, recording into `directory`.
    ///
    /// # Errors
    ///
    /// When one cannot be started, or libfaketime is missing.
    pub fn start(
        role: Role,
        load: Load,
        ttl_ms: u64,
        seed: u64,
        program: PathBuf,
        directory: PathBuf,
        urls: Vec<String>,
    ) -> Result<Self> {
        let mut clients = Self {
            role,
            load,
            ttl_ms,
            seed,
            program,
            directory,
            urls,
            processes: Vec::new(),
        };
        for place in 0..load.processes {
            clients.processes.push(Client {
                clock: FakeClock::new()?,
                incarnations: 0,
                running: None,
            });
            clients.spawn(place)?;
        }
        Ok(clients)
    }

    fn spawn(&mut self, place: u32) -> Result<()> {
        let index = usize::try_from(place)?;
        let client = &mut self.processes[index];
        client.incarnations += 1;
        let letter = match self.role {
            Role::Holders => 'h',
            Role::Workers => 'w',
        };
        let name = format!("{letter}{place}-{}", client.incarnations);
        let job = Job {
            role: self.role,
            name: name.clone(),
            directory: self.directory.clone(),
            url: self.urls[index % self.urls.len()].clone(),
            members: match self.role {
                Role::Holders => self.load.holders,
                Role::Workers => self.load.workers,
            },
            seed: self.seed ^ u64::from(place) << 32 ^ u64::from(client.incarnations) << 8,
            ttl_ms: self.ttl_ms,
            ids_a_tick: self.load.ids_a_tick,
            highest: self.load.slots - 1,
            buckets: self.load.buckets,
        };
        let program = Program::at(&self.program).named(name).args(["client"]);
        let program = program.env(Job::VARIABLE, serde_json::to_string(&job)?);
        let running = client.running.insert(program.clock(&client.clock).spawn()?);
        // From then on it knows what SIGTERM means.
        let history = self
            .directory
            .join(running.name())
            .with_extension(EXTENSION);
        wait::until(BEGINS_WITHIN, || {
            (history.exists() || running.process().ended().is_some()).then_some(())
        })
        .with_context(|| format!("{} does not begin", running.name()))
    }

    /// Begins a fault of clients.
    ///
    /// # Errors
    ///
    /// When that fails, or the process has ended by itself.
    pub fn begin(&mut self, step: &Step) -> Result<()> {
        self.check_alive()?;
        let place = step.target % self.load.processes;
        let client = &mut self.processes[usize::try_from(place)?];
        let running = client.running.as_mut().context("a process is missing")?;
        match step.kind {
            Kind::KillClient => running.kill(),
            Kind::PauseClient => running.process().stop(),
            Kind::RestartClient => running.process().terminate(),
            Kind::StepClientClock => client.clock.set_offset_ms(step.by_ms),
            other => bail!("{} is no fault of clients", other.name()),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// When that fails, or a process that was asked to end does not.
    pub fn end(&mut self, step: &Step) -> Result<()> {
        let place = step.target % self.load.processes;
        let index = usize::try_from(place)?;
        match step.kind {
            Kind::PauseClient => {
                let running = self.processes[index].running.as_ref();
                running.context("a process is missing")?.process().cont()
            }
            Kind::StepClientClock => self.processes[index].clock.set_offset_ms(0),
            Kind::RestartClient => {
                self.finish(index)?;
                self.spawn(place)
            }
            _ => {
                self.keep_stderr(index)?;
                self.spawn(place)
            }
        }
    }

    /// The names of the processes that run, as their histories are called.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let running = self.processes.iter().filter_map(|it| it.running.as_ref());
        running.map(|running| running.name().to_owned()).collect()
    }

    /// Fails if a process has ended that nobody ended.
    ///
    /// # Errors
    ///
    /// With what it wrote to standard error.
    pub fn check_alive(&self) -> Result<()> {
        for running in self.processes.iter().filter_map(|it| it.running.as_ref()) {
            let ended = running.process().ended();
            if let Some(status) = ended {
                bail!("{} ended: {status}: {}", running.name(), running.stderr());
            }
        }
        Ok(())
    }

    /// Ends all processes politely.
    ///
    /// # Errors
    ///
    /// When one does not end in time, or with an error.
    pub fn finish_all(mut self) -> Result<()> {
        for running in self.processes.iter().filter_map(|it| it.running.as_ref()) {
            running.process().terminate()?;
        }
        (0..self.processes.len()).try_for_each(|index| self.finish(index))
    }

    fn finish(&mut self, index: usize) -> Result<()> {
        let running = self.processes[index].running.as_mut();
        let running = running.context("a process is missing")?;
        let status = running.wait(ENDS_WITHIN)?;
        ensure!(
            status.success(),
            "{}: {status}: {}",
            running.name(),
            running.stderr()
        );
        self.keep_stderr(index)
    }

    fn keep_stderr(&self, index: usize) -> Result<()> {
        let Some(running) = &self.processes[index].running else {
            return Ok(());
        };
        let path = self.directory.join(running.name()).with_extension("stderr");
        fs::write(&path, running.stderr()).with_context(|| path.display().to_string())
    }
}

const BEGINS_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(60);
