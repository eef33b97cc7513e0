//! One run: a store, some processes, faults drawn from a seed, and the checks after every step.

mod replicas;
mod server;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    store::embedded::Embedded,
};

use self::replicas::Replicas;
use super::{
    ledger::{Holder, Ledger},
    mutants::Mutant,
    peer::Peer,
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
    /// How likely a step breaks something, and how much of that concerns the server.
    fault_rate: f64,
    server_share: f64,
    processes: Vec<Process>,
    next_number: usize,
    replicas: Replicas,
    peer: Option<Peer>,
    /// What ends when: a pause, a partition, an outage.
    repairs: Vec<(Instant, Repair)>,
    /// Until then one process is spared, and so is the server: it has forgotten everything and somebody must tell.
    calm: Option<(Instant, usize)>,
    /// Whether anything may still break.
    is_faulty: bool,
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
    const MOST_PROCESSES: usize = 10;

    pub(super) fn new(seed: u64, mutant: Mutant) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
        let embedded = Embedded::with_seed(Arc::new(clock.clone()), rng.u64(..));
        let replicated = rng.u8(0..3) == 0;
        Self {
            // Spare slots are what a failover that replicas vouch for grants at once.
            slots: rng.u32(2..=if replicated { 8 } else { 5 }),
            fault_rate: 0.01 + 0.11 * rng.f64(),
            server_share: if rng.u8(0..3) == 0 {
                0.0
            } else {
                0.3 * rng.f64()
            },
            rng,
            mutant,
            ledger: Arc::new(Mutex::new(Ledger::new(clock.clone()))),
            clock,
            replicas: Replicas::new(replicated, &embedded),
            embedded,
            processes: Vec::new(),
            next_number: 0,
            peer: None,
            repairs: Vec::new(),
            calm: None,
            is_faulty: true,
            faults: 0,
            losses: 0,
        }
    }

    pub(super) async fn run(mut self) -> Outcome {
        let processes = self.rng.usize(3..=8);
        let replicas = if self.replicas.are_wanted() {
            "with"
        } else {
            "no"
        };
        self.log(&format!(
            "{} slots, {processes} processes, {replicas} replicas",
            self.slots
        ));
        for _ in 0..processes {
            self.start_process();
        }
        let end = self.clock.now() + Self::FAULTY;
        while self.clock.now() < end && self.ledger().violation.is_none() {
            self.step().await;
            if self.rng.f64() < self.fault_rate {
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
        self.step_peer();
        self.check();
        let critical = self.calm.is_none() && self.replicas.are_wanted() && self.is_faulty;
        if critical && self.ledger().newest.is_some() && self.rng.f64() < 0.02 {
            self.fail_over_after_grant();
        }
        if self.calm.is_none() && self.rng.f64() < 0.05 && self.ledger().grants > 0 {
            self.replicas.remember(&self.embedded);
        }
    }

    /// A peer comes and goes; while it is there, nobody changes its key.
    fn step_peer(&mut self) {
        match self.peer.take() {
            None if self.rng.f64() < 0.01 => {
                let slot = self.rng.u32(0..self.slots);
                self.peer = Peer::claim(&self.embedded, slot, self.rng.u64(..));
                if self.peer.is_some() {
                    self.log(&format!("a peer claims slot {slot}"));
                    // It may have found the lock of a living holder evicted, who then has to give way.
                    self.ledger().excuse(2 * TTL);
                }
            }
            None => {}
            Some(peer) if self.rng.f64() < 0.01 => peer.release(&self.embedded),
            Some(peer) => match peer.refresh(&self.embedded) {
                Ok(()) => self.peer = Some(peer),
                Err(violation) => self.ledger().fail(violation),
            },
        }
    }

    fn check(&mut self) {
        let holders: Vec<Holder> = self
            .processes
            .iter()
            .filter_map(|process| process.holder(self.mutant))
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
            self.log(&format!("{repair:?}"));
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
        let concerns_server = self.rng.f64() < self.server_share;
        if self.calm.is_some() && (concerns_server || is_spared) {
            return;
        }
        self.faults += 1;
        if concerns_server {
            self.break_server();
        } else {
            self.break_process(index);
        }
    }

    fn break_process(&mut self, index: usize) {
        let process = &self.processes[index];
        let (number, faults) = (process.number, process.store.faults().clone());
        let milliseconds =
            |rng: &mut fastrand::Rng, up_to: u64| Duration::from_millis(rng.u64(1..=up_to));
        let what = match self.rng.u32(0..75) {
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
                // Now and then so slow that requests arrive when nobody waits for them any more.
                let slowest = if self.rng.bool() { 400 } else { 4_000 };
                faults.set_request_delay(milliseconds(&mut self.rng, slowest));
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
        self.log(&format!("process {number} {what}"));
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
        self.log("all faults end");
        self.is_faulty = false;
        self.repairs.clear();
        if let Some(peer) = self.peer.take() {
            peer.release(&self.embedded);
        }
        self.embedded.set_available(true);
        self.embedded.resume();
        // A replica that is held back for ever lets nobody in, and says so; that is no fault that ends by itself.
        if self.replicas.are_wanted() {
            self.embedded.set_replicas(self.rng.u32(0..=2), false);
        }
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
        while self.clock.now() < give_up && self.ledger().violation.is_none() {
            self.step().await;
            if let Some(peer) = self.peer.take() {
                peer.release(&self.embedded);
            }
            let is_settled =
                |process: &Process| process.holder(Mutant::None).is_some() && process.mint();
            if self.processes.iter().all(is_settled) {
                return;
            }
        }
        let holders: Vec<_> = self
            .processes
            .iter()
            .map(|process| process.holder(Mutant::None))
            .collect();
        self.ledger().fail(format!(
            "not every process holds a slot again and mints: {holders:?}"
        ));
    }

    fn outcome(self) -> Outcome {
        let ledger = std::mem::replace(&mut *self.ledger(), Ledger::new(self.clock.clone()));
        Outcome {
            violation: ledger.violation,
            history: ledger.history,
            ids: ledger.ids,
            grants: ledger.grants,
            faults: self.faults,
            losses: self.losses,
            virtual_seconds: self.clock.now().since_boot().as_secs(),
        }
    }

    fn log(&self, what: &str) {
        self.ledger().log(what);
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("not poisoned")
    }
}
