//! Machine IDs: holders that mint, a peer that knows nothing but the lock keys, and what must hold of them.

mod ledger;
mod minter;
mod peer;
mod process;

use std::collections::BTreeMap;

use self::{
    ledger::{Holder, Ledger},
    peer::Peer,
    process::Process,
};
use super::{
    coverage::{Window, Windows},
    mutants::Mutant,
    plan::Number,
    stage::{Stage, TTL},
    subject::Subject,
};

pub(super) struct MachineIds {
    slots: u32,
    ledger: Ledger,
    processes: BTreeMap<Number, Process>,
    peer: Option<Peer>,
    peers: u64,
    losses: u64,
    holders: Vec<Holder>,
}

impl MachineIds {
    pub(super) fn new(stage: &Stage, slots: u32) -> Self {
        Self {
            slots,
            ledger: Ledger::new(stage.record.clone()),
            processes: BTreeMap::new(),
            peer: None,
            peers: 0,
            losses: 0,
            holders: Vec::new(),
        }
    }

    fn is_overdue(&self, stage: &Stage, number: Number) -> bool {
        let deadline = self.processes.get(&number).and_then(Process::deadline);
        deadline.is_some_and(|deadline| deadline <= stage.now())
    }
}

impl Subject for MachineIds {
    fn start(&mut self, stage: &mut Stage, number: Number, _again: Option<Number>) {
        let process = Process::start(stage, number, self.slots, self.ledger.clone());
        self.processes.insert(number, process);
    }

    fn act(&mut self, stage: &mut Stage, number: Number) {
        let shell = stage.shells.get_mut(&number).expect("it is there");
        if shell.rng.u8(0..4) != 0
            && let Some(process) = self.processes.get(&number)
        {
            process.mint();
        }
    }

    fn leave(&mut self, _stage: &mut Stage, number: Number) {
        if let Some(process) = self.processes.get(&number) {
            process.release();
        }
    }

    fn kill(&mut self, stage: &mut Stage, number: Number) {
        if let Some(process) = self.processes.remove(&number) {
            process.kill();
            stage.shells.remove(&number);
        }
    }

    fn windows(&self, stage: &Stage, number: Number) -> Windows {
        let Some(process) = self.processes.get(&number) else {
            return Windows::NONE;
        };
        let now = stage.now();
        let left = process
            .deadline()
            .map(|deadline| deadline.saturating_since(now));
        let is_last_fifth = left.is_some_and(|left| !left.is_zero() && left < TTL / 5);
        Windows::NONE
            .with(Window::LastFifth, is_last_fifth)
            .with(Window::Overdue, left.is_some_and(|left| left.is_zero()))
            .with(Window::HandOver, process.is_releasing())
    }

    fn witness(&mut self, stage: &Stage) -> Option<Option<Number>> {
        let is_witness = |(number, process): &(&Number, &Process)| {
            stage.shells[number].gate.is_running() && process.holder(stage, Mutant::None).is_some()
        };
        let mut processes = self.processes.iter();
        let (&number, _) = processes.find(is_witness)?;
        self.peer = None;
        Some(Some(number))
    }

    fn forgotten(&mut self, stage: &mut Stage) {
        self.ledger.excuse(stage.now() + 4 * TTL);
        // What it had may be another's now.
        self.peer = None;
    }

    fn may_fail_over(&self, _stage: &Stage) -> bool {
        true
    }

    fn peer(&mut self, stage: &mut Stage, slot: u32) -> bool {
        if self.peer.is_some() {
            return false;
        }
        self.peers += 1;
        self.peer = Peer::claim(&stage.embedded, slot, self.peers);
        // It may have found the lock of a living holder evicted, who then has to give way.
        self.ledger.excuse(stage.now() + 2 * TTL);
        self.peer.is_some()
    }

    fn peer_leaves(&mut self, stage: &mut Stage) {
        if let Some(peer) = self.peer.take() {
            peer.release(&stage.embedded);
        }
    }

    fn evict(&mut self, stage: &mut Stage, slot: u32) -> bool {
        self.peer.take_if(|peer| peer.slot() == slot);
        stage.embedded.expire_evict(&format!("sim:id:{slot}"))
    }

    fn check(&mut self, stage: &mut Stage) {
        self.holders.clear();
        for process in self.processes.values() {
            self.holders.extend(process.holder(stage, stage.mutant));
        }
        self.ledger.check_holders(stage.now(), &mut self.holders);
        let overdue = self
            .processes
            .keys()
            .filter(|&&number| self.is_overdue(stage, number));
        self.losses += overdue.count() as u64;
        if let Some(peer) = &self.peer
            && let Err(violation) = peer.refresh(&stage.embedded)
        {
            stage.record.fail(violation);
        }
    }

    /// As many processes as there are slots must soon hold one each and mint, with clocks that agree.
    fn end_faults(&mut self, stage: &mut Stage) {
        // Who alone may tell of a past that was forgotten stays (seed 710708).
        let spared = stage.calm.map(|(_, number)| number);
        while self.slots < u32::try_from(self.processes.len()).expect("a few") {
            let mut numbers = self.processes.keys().copied();
            let number = numbers.find(|&number| spared != Some(number));
            self.kill(stage, number.expect("more than one"));
        }
        let server_error_ms = stage.server_error_ms;
        for shell in stage.shells.values_mut() {
            shell.set_clock(server_error_ms);
        }
    }

    fn is_settled(&mut self, stage: &mut Stage) -> bool {
        let mut processes = self.processes.values();
        processes.all(|process| process.holder(stage, Mutant::None).is_some() && process.mint())
    }

    fn shares(&self, stage: &Stage) -> String {
        let holders: Vec<_> = self
            .processes
            .values()
            .map(|process| process.holder(stage, Mutant::None))
            .collect();
        format!("{holders:?} of {} slots", self.slots)
    }

    fn totals(&self) -> (u64, u64) {
        (self.losses, 0)
    }
}
