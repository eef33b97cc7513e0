//! One run: a store, some processes, faults drawn from a seed, and the checks after every step.

mod faults;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    store::embedded::{Embedded, Snapshot},
};
use coord_tests::shares::{self, Share};
use redbuckets::{Acknowledge, Assignment, Event};

use super::{
    ledger::Ledger,
    mutants::Mutant,
    process::{Group, Holding, Process, Setup, TTL},
};

/// What became of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) violation: Option<String>,
    pub(super) history: Vec<String>,
    pub(super) grants: u64,
    pub(super) faults: u64,
    pub(super) losses: u64,
    pub(super) moves: u64,
    pub(super) virtual_seconds: u64,
}

pub(super) struct World {
    pub(super) rng: fastrand::Rng,
    mutant: Mutant,
    pub(super) clock: TokioClock,
    embedded: Embedded,
    pub(super) ledger: Ledger,
    pub(super) group: Group,
    weighted: bool,
    /// How likely a step breaks something, and how much of that concerns the server.
    fault_rate: f64,
    server_share: f64,
    pub(super) processes: Vec<Process>,
    /// They leave and are then gone.
    leaving: Vec<(Instant, Process)>,
    next_number: usize,
    snapshots: Vec<Snapshot>,
    /// How many replicas there are when all is well, and whether they are connected.
    replicas: u32,
    connected: bool,
    /// What ends when: a pause, a partition, an outage.
    repairs: Vec<(Instant, Repair)>,
    /// Until then one process is spared, and so is the server: it has forgotten everything and somebody must tell.
    calm: Option<(Instant, usize)>,
    faults: u64,
    losses: u64,
    pub(super) moves: u64,
    /// Nothing may stir.
    quiet: bool,
    /// Whether the history says what the members say.
    verbose: bool,
}

#[derive(Debug, Clone, Copy)]
enum Repair {
    Resume(usize),
    Heal(usize),
    Available,
    Continue,
    Replicas,
    FailOver,
}

impl World {
    const FAULTY: Duration = Duration::from_secs(20);

    pub(super) fn new(seed: u64, mutant: Mutant, verbose: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let clock = TokioClock::new(Duration::from_secs(1_800_000_000));
        let embedded = Embedded::with_seed(Arc::new(clock.clone()), rng.u64(..));
        let replicas = if rng.bool() { rng.u32(1..=2) } else { 0 };
        embedded.set_replicas(replicas, false);
        let group = Group {
            buckets: rng.u32(1..=24),
            assignment: match rng.u8(0..3) {
                0 => Assignment::Contiguous,
                _ => Assignment::Sticky,
            },
            // With a ttl of discovery nobody has to tell that the store was emptied.
            discovery: rng.bool().then_some(TTL),
            chunk: rng.u32(1..=8),
            max_moves: *rng.choice([1, 3, 64].iter()).expect("not empty"),
            acknowledge: match rng.u8(0..4) {
                0 if replicas != 0 => Acknowledge::AtLeast(1),
                1 => Acknowledge::Never,
                _ => Acknowledge::All,
            },
        };
        Self {
            group,
            weighted: rng.u8(0..3) == 0,
            fault_rate: 0.01 + 0.09 * rng.f64(),
            server_share: if rng.u8(0..3) == 0 {
                0.0
            } else {
                0.3 * rng.f64()
            },
            rng,
            mutant,
            ledger: Ledger::new(clock.clone()),
            clock,
            embedded,
            processes: Vec::new(),
            leaving: Vec::new(),
            next_number: 0,
            snapshots: Vec::new(),
            replicas,
            connected: true,
            repairs: Vec::new(),
            calm: None,
            faults: 0,
            losses: 0,
            moves: 0,
            quiet: false,
            verbose,
        }
    }

    pub(super) async fn run(mut self) -> Outcome {
        let processes = self.rng.usize(2..=6);
        let group = self.group;
        self.ledger
            .log(&format!("{group:?}, {processes} processes"));
        for _ in 0..processes {
            self.start_new();
        }
        let end = self.clock.now() + Self::FAULTY;
        while self.clock.now() < end && self.ledger.violation.is_none() {
            self.step().await;
            if self.rng.f64() < self.fault_rate {
                self.break_something();
            }
        }
        self.end_faults();
        if self.ledger.violation.is_none() {
            self.settle().await;
        }
        if self.ledger.violation.is_none() {
            self.stay_quiet().await;
        }
        for change in ["join", "leave", "crash"] {
            if self.ledger.violation.is_none() {
                self.change_once(change).await;
            }
        }
        self.outcome()
    }

    /// Lets some time pass, works, and checks.
    pub(super) async fn step(&mut self) {
        let pause = Duration::from_millis(self.rng.u64(1..=60));
        tokio::time::sleep(pause).await;
        self.repair();
        for process in &mut self.processes {
            if process.gate.is_running() {
                process.work(&mut self.rng);
            }
        }
        self.check();
        if self.calm.is_none() && self.rng.f64() < 0.05 && self.ledger.grants > 0 {
            self.snapshots.push(self.embedded.snapshot());
            let excess = self.snapshots.len().saturating_sub(3);
            self.snapshots.drain(..excess);
        }
    }

    fn check(&mut self) {
        let mutant = self.mutant;
        let now = self.clock.now();
        self.leaving.retain(|(until, _)| now < *until);
        let processes = self
            .processes
            .iter_mut()
            .chain(self.leaving.iter_mut().map(|(_, process)| process));
        let all: Vec<(usize, Vec<Holding>)> = processes
            .map(|process| (process.setup.number, process.holdings(mutant)))
            .collect();
        self.losses += self
            .processes
            .iter()
            .filter(|process| process.is_lost())
            .count() as u64;
        self.ledger.check_holdings(&all);
        self.listen();
    }

    fn repair(&mut self) {
        let now = self.clock.now();
        if self.calm.is_some_and(|(until, _)| until <= now) {
            self.calm = None;
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.repairs)
            .into_iter()
            .partition(|&(at, _)| at <= now);
        self.repairs = later;
        for (_, repair) in due {
            self.ledger.log(&format!("{repair:?}"));
            match repair {
                Repair::Resume(number) => {
                    if let Some(process) = self.find(number) {
                        process.gate.resume();
                    }
                    // The worst moment: the process acts before its timers have told it how late it is.
                    let mut rng = self.rng.fork();
                    if let Some(process) = self.find(number) {
                        process.work(&mut rng);
                    }
                }
                Repair::Heal(number) => {
                    if let Some(process) = self.find(number) {
                        process.store.faults().heal();
                    }
                }
                Repair::Available => self.embedded.set_available(true),
                Repair::Continue => self.embedded.resume(),
                Repair::Replicas => self.mend_replicas(),
                Repair::FailOver => self.fail_over(),
            }
        }
    }

    fn find(&mut self, number: usize) -> Option<&mut Process> {
        self.processes
            .iter_mut()
            .find(|process| process.setup.number == number)
    }

    fn start_new(&mut self) {
        let rng = &mut self.rng;
        let setup = Setup {
            number: self.next_number,
            weight: if self.weighted { rng.u32(1..=3) } else { 1 },
            grace: Duration::from_millis(if rng.u8(0..3) == 0 { 1_500 } else { 0 }),
            stable_id: rng.bool(),
        };
        self.start_again(&setup);
    }

    /// The same instance id where it is a stable one, but another process.
    fn start_again(&mut self, setup: &Setup) {
        let offset_us = self.rng.i64(-30_000_000..=30_000_000);
        let setup = Setup {
            number: if setup.stable_id {
                setup.number
            } else {
                self.next_number
            },
            ..setup.clone()
        };
        self.next_number += 1;
        let process = Process::start(
            setup,
            &self.group,
            &self.embedded,
            self.clock.sibling(offset_us),
            self.rng.u64(..),
            self.mutant,
        );
        self.processes.push(process);
    }

    /// Nothing breaks any more, and what is broken is mended.
    fn end_faults(&mut self) {
        self.ledger.log("all faults end");
        self.repairs.clear();
        self.embedded.set_available(true);
        self.embedded.resume();
        self.mend_replicas();
        let leaving = self.leaving.iter().map(|(_, process)| process);
        for process in self.processes.iter().chain(leaving) {
            process.store.faults().heal();
            process.gate.resume();
        }
        while self.processes.len() < 2 {
            self.start_new();
        }
    }

    /// Which process owns each bucket; `None` unless every bucket has an owner and everybody has its share.
    pub(super) fn balanced(&self) -> Option<BTreeMap<u32, usize>> {
        let weights: u32 = self
            .processes
            .iter()
            .map(|process| process.setup.weight)
            .sum();
        let mut owners = BTreeMap::new();
        for process in &self.processes {
            let (buckets, _) = process.share()?;
            let share = f64::from(self.group.buckets) * f64::from(process.setup.weight)
                / f64::from(weights);
            let own = u32::try_from(buckets.len()).ok()?;
            if 1.0 <= (f64::from(own) - share).abs() {
                return None;
            }
            let is_range = buckets.windows(2).all(|pair| pair[0] + 1 == pair[1]);
            if self.group.assignment == Assignment::Contiguous && !is_range {
                return None;
            }
            for bucket in buckets {
                owners.insert(bucket, process.setup.number);
            }
        }
        (owners.len() == self.group.buckets as usize).then_some(owners)
    }

    /// Within bounded time every bucket has an owner and everybody has its share.
    pub(super) async fn settle(&mut self) -> BTreeMap<u32, usize> {
        // Two ttls of doubt and expiry, grace, leaves under way, settle; work that outlasts drains comes on top.
        let give_up = self.clock.now() + Duration::from_secs(40);
        while self.clock.now() < give_up && self.ledger.violation.is_none() {
            self.step().await;
            if let Some(owners) = self.balanced() {
                return owners;
            }
        }
        let shares: Vec<_> = self
            .processes
            .iter()
            .map(|process| (process.setup.number, process.setup.weight, process.share()))
            .collect();
        self.ledger
            .fail(format!("the group does not settle: {shares:?}"));
        BTreeMap::new()
    }

    /// A settled group does nothing.
    async fn stay_quiet(&mut self) {
        // Whoever was killed or left last is gone by then: its lease, its grace, and drains that take their time.
        let calm_from = self.clock.now() + Duration::from_secs(7);
        while self.clock.now() < calm_from {
            self.step().await;
        }
        self.quiet = true;
        let until = self.clock.now() + Duration::from_secs(2);
        while self.clock.now() < until && self.ledger.violation.is_none() {
            self.step().await;
        }
        self.quiet = false;
    }

    /// Keeps a record of what the members say. One that was fenced, by a process with its id that was long paused, ends
    /// and is started again.
    fn listen(&mut self) {
        let mut fenced = Vec::new();
        for (index, process) in self.processes.iter_mut().enumerate() {
            let number = process.setup.number;
            for event in process.news() {
                if matches!(event, Event::Fenced { .. }) {
                    fenced.push(index);
                }
                let restless = matches!(
                    event,
                    Event::Granted { .. } | Event::Revoking { .. } | Event::Lost { .. }
                );
                if self.quiet && restless {
                    self.ledger.fail(format!(
                        "{number} is restless in a settled group: {event:?}"
                    ));
                }
                if self.verbose {
                    self.ledger.log(&format!("  {number}: {event:?}"));
                }
            }
        }
        for index in fenced.into_iter().rev() {
            let mut process = self.processes.remove(index);
            process.kill();
            self.start_again(&process.setup);
        }
    }

    fn outcome(self) -> Outcome {
        Outcome {
            violation: self.ledger.violation,
            history: self.ledger.history,
            grants: self.ledger.grants,
            faults: self.faults,
            losses: self.losses,
            moves: self.moves,
            virtual_seconds: self.clock.now().since_boot().as_secs(),
        }
    }

    /// One change of membership in a settled group; the buckets that moved are counted against the least that must.
    async fn change_once(&mut self, change: &str) {
        let before = self.settle().await;
        // Nothing may be under way.
        for _ in 0..20 {
            self.step().await;
        }
        let before = self.balanced().unwrap_or(before);
        self.ledger.log(change);
        match change {
            "join" => self.start_new(),
            "leave" if 1 < self.processes.len() => {
                let index = self.rng.usize(0..self.processes.len());
                self.leave(index);
            }
            _ if 1 < self.processes.len() => {
                let index = self.rng.usize(0..self.processes.len());
                self.processes.remove(index).kill();
            }
            _ => return,
        }
        let after = self.settle().await;
        if self.ledger.violation.is_some() || self.group.assignment == Assignment::Contiguous {
            return;
        }
        let moved = before
            .iter()
            .filter(|(bucket, owner)| after.get(*bucket) != Some(*owner));
        let moved = moved.count();
        let least = self.least(&before);
        self.moves += moved as u64;
        if moved != least {
            self.ledger.fail(format!(
                "{moved} buckets moved on a {change}, {least} had to"
            ));
        }
    }

    /// The least number of buckets that have to move for everybody to have its share.
    fn least(&self, before: &BTreeMap<u32, usize>) -> usize {
        let owned = |process: &Process| {
            let number = process.setup.number;
            let own = before.values().filter(|&&owner| owner == number).count();
            (process.setup.weight, own)
        };
        let members: Vec<Share> = self.processes.iter().map(owned).collect();
        shares::least_moves(self.group.buckets, &members)
    }
}
