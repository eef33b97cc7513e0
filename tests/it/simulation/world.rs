//! One run: a store, some processes, faults drawn from a seed, and the checks after every step.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    store::embedded::{Embedded, Snapshot},
};

use super::{
    ledger::Ledger,
    mutants::Mutant,
    process::{Process, TTL},
};

/// What became of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) violation: Option<String>,
    pub(super) history: Vec<String>,
    pub(super) ids: u64,
    pub(super) grants: u64,
    pub(super) faults: u64,
    pub(super) losses: u64,
    pub(super) virtual_seconds: u64,
}

pub(super) struct World {
    rng: fastrand::Rng,
    mutant: Mutant,
    clock: TokioClock,
    embedded: Embedded,
    ledger: Arc<Mutex<Ledger>>,
    slots: u32,
    processes: Vec<Process>,
    next_number: usize,
    snapshots: Vec<Snapshot>,
    /// What ends when: a pause, a partition, an outage.
    repairs: Vec<(Instant, Repair)>,
    /// Until then one process is spared, and so is the server: it has forgotten everything and somebody must tell.
    calm: Option<(Instant, usize)>,
    history: Vec<String>,
    faults: u64,
    losses: u64,
}

#[derive(Debug, Clone, Copy)]
enum Repair {
    Resume(usize),
    Heal(usize),
    Available,
    Continue,
}

impl World {
    const FAULTY: Duration = Duration::from_secs(40);
    const SETTLE: Duration = Duration::from_secs(40);

    pub(super) fn new(seed: u64, mutant: Mutant) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
        let embedded = Embedded::with_seed(Arc::new(clock.clone()), rng.u64(..));
        Self {
            slots: rng.u32(2..=5),
            rng,
            mutant,
            clock,
            embedded,
            ledger: Arc::default(),
            processes: Vec::new(),
            next_number: 0,
            snapshots: Vec::new(),
            repairs: Vec::new(),
            calm: None,
            history: Vec::new(),
            faults: 0,
            losses: 0,
        }
    }

    pub(super) async fn run(mut self) -> Outcome {
        let processes = self.rng.usize(3..=8);
        self.log(format!("{} slots, {processes} processes", self.slots));
        for _ in 0..processes {
            self.start_process();
        }
        let end = self.clock.now() + Self::FAULTY;
        while self.clock.now() < end && self.ledger().violation.is_none() {
            self.step().await;
            if self.rng.f64() < 0.12 {
                self.break_something();
            }
        }
        if self.ledger().violation.is_none() {
            self.settle().await;
        }
        self.outcome()
    }

    /// Lets some time pass, mints, and checks.
    async fn step(&mut self) {
        let pause = Duration::from_millis(self.rng.u64(1..=80));
        tokio::time::sleep(pause).await;
        self.repair();
        for index in 0..self.processes.len() {
            let process = &self.processes[index];
            if process.gate.is_running() && self.rng.f64() < 0.7 {
                process.mint();
            }
        }
        self.check();
        if self.calm.is_none() && self.rng.f64() < 0.05 && self.ledger().grants > 0 {
            self.snapshots.push(self.embedded.snapshot());
            let excess = self.snapshots.len().saturating_sub(3);
            self.snapshots.drain(..excess);
        }
    }

    fn check(&mut self) {
        let holders: Vec<(u32, usize)> = self
            .processes
            .iter()
            .filter_map(|process| Some((process.held_slot(self.mutant)?, process.number)))
            .collect();
        self.losses += self
            .processes
            .iter()
            .filter(|process| process.is_lost())
            .count() as u64;
        self.ledger().check_holders(&holders);
    }

    fn repair(&mut self) {
        let now = self.clock.now();
        if self.calm.is_some_and(|(until, _)| until <= now) {
            self.calm = None;
        }
        let (due, later) = std::mem::take(&mut self.repairs)
            .into_iter()
            .partition(|&(at, _)| at <= now);
        self.repairs = later;
        let due: Vec<(Instant, Repair)> = due;
        for (_, repair) in due {
            self.log(format!("{repair:?}"));
            match repair {
                Repair::Resume(number) => {
                    if let Some(process) = self
                        .processes
                        .iter()
                        .find(|process| process.number == number)
                    {
                        process.gate.resume();
                        // The worst moment: the process acts before its timers have told it how late it is.
                        process.mint();
                    }
                }
                Repair::Heal(number) => {
                    if let Some(process) = self
                        .processes
                        .iter()
                        .find(|process| process.number == number)
                    {
                        process.store.faults().heal();
                    }
                }
                Repair::Available => self.embedded.set_available(true),
                Repair::Continue => self.embedded.resume(),
            }
        }
    }

    fn break_something(&mut self) {
        let index = self.rng.usize(0..self.processes.len());
        let number = self.processes[index].number;
        let is_spared = self.calm.is_some_and(|(_, spared)| spared == number);
        let kind = self.rng.u32(0..100);
        if kind < 75 && is_spared || kind >= 75 && self.calm.is_some() {
            return;
        }
        self.faults += 1;
        match kind {
            0..75 => self.break_process(index, kind),
            _ => self.break_server(kind),
        }
    }

    fn break_process(&mut self, index: usize, kind: u32) {
        let process = &self.processes[index];
        let (number, faults) = (process.number, process.store.faults().clone());
        let milliseconds =
            |rng: &mut fastrand::Rng, up_to: u64| Duration::from_millis(rng.u64(1..=up_to));
        let what = match kind {
            0..18 => {
                process.gate.pause();
                let until = self.clock.now() + milliseconds(&mut self.rng, 8_000);
                self.repairs.push((until, Repair::Resume(number)));
                "is paused".to_owned()
            }
            18..36 => {
                match self.rng.u32(0..3) {
                    0 => faults.cut_requests(),
                    1 => faults.cut_replies(),
                    _ => faults.cut(),
                }
                let until = self.clock.now() + milliseconds(&mut self.rng, 6_000);
                self.repairs.push((until, Repair::Heal(number)));
                "is cut off".to_owned()
            }
            36..44 => {
                faults.drop_next_requests(self.rng.u64(1..4));
                "loses requests".to_owned()
            }
            44..52 => {
                faults.drop_next_replies(self.rng.u64(1..4));
                "loses replies".to_owned()
            }
            52..61 => {
                faults.set_request_delay(milliseconds(&mut self.rng, 900));
                faults.set_reply_delay(milliseconds(&mut self.rng, 480));
                let until = self.clock.now() + milliseconds(&mut self.rng, 5_000);
                self.repairs.push((until, Repair::Heal(number)));
                "is slow".to_owned()
            }
            61..65 => {
                let by_ms = self.rng.i64(-4_000..=4_000);
                process.clock.step_wall(by_ms * 1_000);
                format!("has its clock stepped by {by_ms} ms")
            }
            65..70 => {
                process.kill();
                self.processes.remove(index);
                self.start_process();
                "is killed".to_owned()
            }
            _ => format!("releases: {}", process.release()),
        };
        self.log(format!("process {number} {what}"));
    }

    fn break_server(&mut self, kind: u32) {
        let rng = &mut self.rng;
        let what = match kind {
            75..80 => {
                self.embedded.set_available(false);
                let until = self.clock.now() + Duration::from_millis(rng.u64(100..=5_000));
                self.repairs.push((until, Repair::Available));
                "is down"
            }
            80..85 => {
                self.embedded.pause();
                let until = self.clock.now() + Duration::from_millis(rng.u64(100..=6_000));
                self.repairs.push((until, Repair::Continue));
                "hangs"
            }
            85..89 => {
                self.embedded.restart();
                "restarts with its data"
            }
            89..94 => {
                if let Some(snapshot) = rng.choice(&self.snapshots) {
                    self.embedded.rollback(snapshot);
                }
                "fails over and loses its last writes"
            }
            94..97 => {
                let slot = rng.u32(0..self.slots);
                self.embedded.expire_evict(&format!("sim:id:{slot}"));
                "evicts a lock"
            }
            _ => return self.forget_everything(),
        };
        self.log(format!("the server {what}"));
    }

    /// An empty restart or a flush. What is promised then rests on one living holder that is heard, so one is spared.
    fn forget_everything(&mut self) {
        let witness = self
            .processes
            .iter()
            .find(|process| process.gate.is_running() && process.held_slot(Mutant::None).is_some());
        let Some(witness) = witness else { return };
        witness.store.faults().heal();
        let number = witness.number;
        self.embedded.set_available(true);
        self.embedded.resume();
        self.repairs
            .retain(|(_, repair)| !matches!(repair, Repair::Available | Repair::Continue));
        self.calm = Some((self.clock.now() + TTL, number));
        self.snapshots.clear();
        if self.rng.bool() {
            self.embedded.restart_empty();
        } else {
            self.embedded.flush_all();
        }
        self.log(format!(
            "the server forgets everything; process {number} is a witness"
        ));
    }

    fn start_process(&mut self) {
        let offset_us = self.rng.i64(-3_000_000..=3_000_000);
        let process = Process::start(
            self.next_number,
            &self.embedded,
            self.clock.sibling(offset_us),
            self.slots,
            self.rng.u64(..),
            self.mutant,
            Arc::clone(&self.ledger),
        );
        self.next_number += 1;
        self.processes.push(process);
    }

    /// All faults end; as many processes as there are slots must soon hold one each and mint.
    async fn settle(&mut self) {
        self.log("all faults end".to_owned());
        self.repairs.clear();
        self.embedded.set_available(true);
        self.embedded.resume();
        let true_ms = self.clock.wall_ms();
        while self.processes.len() > self.slots as usize {
            self.processes.remove(0).kill();
        }
        for process in &self.processes {
            process.store.faults().heal();
            process.gate.resume();
            let behind_ms = i64::try_from(true_ms).expect("fits")
                - i64::try_from(process.clock.wall_ms()).expect("fits");
            process.clock.step_wall(behind_ms * 1_000);
        }
        let give_up = self.clock.now() + Self::SETTLE;
        loop {
            self.step().await;
            let all_mint = self
                .processes
                .iter()
                .all(|process| process.held_slot(Mutant::None).is_some() && process.mint());
            if all_mint || self.ledger().violation.is_some() {
                return;
            }
            if give_up <= self.clock.now() {
                let held: Vec<_> = self
                    .processes
                    .iter()
                    .map(|process| process.held_slot(Mutant::None))
                    .collect();
                self.ledger().fail(format!(
                    "not every process holds a slot again and mints: {held:?}"
                ));
                return;
            }
        }
    }

    fn outcome(self) -> Outcome {
        let ledger = std::mem::take(&mut *self.ledger());
        Outcome {
            violation: ledger.violation,
            history: self.history,
            ids: ledger.ids,
            grants: ledger.grants,
            faults: self.faults,
            losses: self.losses,
            virtual_seconds: self.clock.now().since_boot().as_secs(),
        }
    }

    fn log(&mut self, what: String) {
        let at = self.clock.now().since_boot().as_secs_f64();
        let grants = self.ledger().grants;
        self.history
            .push(format!("{at:8.3} s  {what} (grants so far: {grants})"));
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("not poisoned")
    }
}
