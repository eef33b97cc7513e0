//! The run itself: starts processes, lets them come and go, and looks at everything.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use coord_core::clock::{Clock, Instant, SystemClock};
use coord_tests::{
    process::Process,
    server::{RedisServer, Version},
};

use crate::{
    ending,
    member::Job,
    raw::{self, Change, Setting, Turn},
    sampling,
};

/// Runs `setting` and leaves everything in `folder`, which is made.
pub(crate) fn run(folder: &Path, setting: &Setting) -> Result<()> {
    fs::create_dir_all(folder.join(raw::MEMBERS)).context("making the run's folder")?;
    raw::write_value(&folder.join(raw::SETTING), setting)?;
    let server = RedisServer::builder().version(Version::Redis8_2).start()?;
    let mut soak = Soak::new(folder, setting, &server)?;
    soak.work()?;
    soak.end()?;
    let mut end = ending::look(&server, setting)?;
    (end.misbehaved, end.unseen) = (soak.misbehaved, soak.unseen);
    raw::write_value(&folder.join(raw::END), &end)
}

struct Soak<'a> {
    setting: &'a Setting,
    server: &'a RedisServer,
    folder: PathBuf,
    samples: File,
    changes: File,
    rng: fastrand::Rng,
    running: BTreeMap<u32, Process>,
    leaving: BTreeMap<u32, (Process, Instant)>,
    next: u32,
    misbehaved: Vec<String>,
    unseen: Vec<String>,
}

impl<'a> Soak<'a> {
    fn new(folder: &Path, setting: &'a Setting, server: &'a RedisServer) -> Result<Self> {
        let open = |name| {
            OpenOptions::new()
                .create_new(true)
                .append(true)
                .open(folder.join(name))
        };
        Ok(Self {
            setting,
            server,
            folder: folder.join(raw::MEMBERS),
            samples: open(raw::SAMPLES)?,
            changes: open(raw::CHANGES)?,
            rng: fastrand::Rng::with_seed(setting.seed),
            running: BTreeMap::new(),
            leaving: BTreeMap::new(),
            next: 0,
            misbehaved: Vec::new(),
            unseen: Vec::new(),
        })
    }

    /// Processes come and go until the time is over; for the last of it they only work, so that every lease of a process
    /// that was killed is over at the end.
    fn work(&mut self) -> Result<()> {
        let start = SystemClock.now();
        let length = Duration::from_secs_f64(self.setting.minutes * 60.0);
        let (end, tail) = (
            start + length,
            Duration::from_millis(self.setting.ttl_ms).mul_f64(1.3),
        );
        let quiet = start + length.saturating_sub(tail);
        for _ in 0..self.setting.processes {
            self.start()?;
            thread::sleep(START_PAUSE);
        }
        // A short run has as many samples as its report needs for averages.
        let sample_every = SAMPLE_EVERY.min(length / 60);
        let mut next_sample = start;
        let mut next_change = SystemClock.now() + self.pause();
        let mut wanted: Vec<Instant> = Vec::new();
        loop {
            let now = SystemClock.now();
            if end <= now {
                return Ok(());
            }
            if next_sample <= now {
                self.sample()?;
                next_sample = next_sample + sample_every;
            }
            if next_change <= now && now < quiet {
                self.one_ends(now)?;
                // The next one comes at once or only after a while, so that the group also shrinks and grows.
                wanted.push(now + SUCCESSOR_WITHIN.mul_f64(self.rng.f64()));
                next_change = now + self.pause();
            }
            let due = wanted.iter().filter(|at| **at <= now).count();
            wanted.retain(|at| now < *at);
            for _ in 0..due {
                self.start()?;
            }
            self.reap(now)?;
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Everybody leaves.
    fn end(&mut self) -> Result<()> {
        self.sample()?;
        let all: Vec<u32> = self.running.keys().copied().collect();
        for member in all {
            self.ask(SystemClock.now(), member)?;
        }
        while !self.leaving.is_empty() {
            self.reap(SystemClock.now())?;
            thread::sleep(LOOK_EVERY);
        }
        self.sample()
    }

    fn start(&mut self) -> Result<()> {
        let member = self.next;
        self.next += 1;
        let job = Job {
            url: self.server.url(),
            folder: self.folder.clone(),
            number: member,
            seed: self.setting.seed.wrapping_add(u64::from(member)),
            buckets: self.setting.buckets,
            ids_per_second: self.setting.ids_per_second,
            ttl_ms: self.setting.ttl_ms,
        };
        let mut command = Process::command(env::current_exe()?);
        command
            .arg("member")
            .arg(serde_json::to_string(&job)?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(self.folder.join(format!("{member}.stderr")))?);
        let child = Process::spawn(command).context("starting a process")?;
        let process = Process::new(format!("member {member}"), child);
        self.running.insert(member, process);
        self.note(member, Turn::Started)
    }

    /// A random process leaves or is killed.
    fn one_ends(&mut self, now: Instant) -> Result<()> {
        if self.running.is_empty() {
            return Ok(());
        }
        let index = self.rng.usize(..self.running.len());
        let member = *self
            .running
            .keys()
            .nth(index)
            .context("an index in range")?;
        if self.rng.bool() {
            return self.ask(now, member);
        }
        let process = self.running.remove(&member).context("a running member")?;
        if let Some(status) = process.ended() {
            self.misbehaved
                .push(format!("member {member} ended by itself, {status}"));
        }
        process.kill()?;
        self.note(member, Turn::Killed)
    }

    fn ask(&mut self, now: Instant, member: u32) -> Result<()> {
        let process = self.running.remove(&member).context("a running member")?;
        if let Err(error) = process.terminate() {
            self.misbehaved.push(format!("{error:#}"));
            return Ok(());
        }
        self.leaving.insert(member, (process, now));
        self.note(member, Turn::Asked)
    }

    /// Lets go of processes that have ended, and of those that do not leave in time.
    fn reap(&mut self, now: Instant) -> Result<()> {
        let ended = self
            .running
            .iter()
            .filter_map(|(member, process)| Some((*member, process.ended()?)));
        for (member, status) in ended.collect::<Vec<_>>() {
            self.running.remove(&member);
            self.misbehaved
                .push(format!("member {member} ended by itself, {status}"));
        }
        let mut left = Vec::new();
        for (member, (process, asked)) in &self.leaving {
            match process.ended() {
                Some(status) if status.success() => {}
                Some(status) => self
                    .misbehaved
                    .push(format!("member {member} left with {status}")),
                None if now < *asked + LEAVE_LIMIT => continue,
                None => self.misbehaved.push(format!(
                    "member {member} had not left after {LEAVE_LIMIT:?}"
                )),
            }
            left.push(*member);
        }
        for member in left {
            // Kills it where it still runs.
            self.leaving.remove(&member);
            self.note(member, Turn::Left)?;
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<()> {
        let leaving = self.leaving.values().map(|(process, _)| process);
        let pids = self.running.values().chain(leaving).map(Process::pid);
        match sampling::sample(self.server, pids) {
            Ok(sample) => raw::append(&mut self.samples, &sample),
            // A machine that is short of processors is no reason to give up a run of hours.
            Err(error) => {
                self.unseen.push(format!("{error:#}"));
                Ok(())
            }
        }
    }

    fn note(&mut self, member: u32, what: Turn) -> Result<()> {
        let at_ms = raw::now_ms();
        raw::append(
            &mut self.changes,
            &Change {
                at_ms,
                member,
                what,
            },
        )
    }

    /// The time to the next process that ends: memoryless, so that some come together.
    fn pause(&mut self) -> Duration {
        let uniform = 1.0 - self.rng.f64();
        Duration::from_secs_f64(self.setting.every * -uniform.ln())
    }
}

const START_PAUSE: Duration = Duration::from_millis(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
const SUCCESSOR_WITHIN: Duration = Duration::from_secs(8);
const LEAVE_LIMIT: Duration = Duration::from_secs(60);
