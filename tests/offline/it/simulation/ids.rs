//! Machine IDs: holders that mint, a peer that knows nothing but the lock keys, and what must hold of them.

mod copy;
mod ledger;
mod minter;
mod peer;
mod process;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use coord_core::{clock::Instant, lease::Timing};

use self::{
    copy::Copy,
    ledger::{Holder, Ledger},
    peer::Peer,
    process::Process,
};
use super::{
    amnesty::Holding,
    coverage::{Window, Windows},
    mutants::Mutant,
    plan::Number,
    stage::{Shell, Stage},
    subject::Subject,
};

pub(super) struct MachineIds {
    slots: u32,
    ledger: Ledger,
    processes: BTreeMap<Number, Process>,
    copies: BTreeMap<Number, Copy>,
    /// Since when the store has surely known that it lost something.
    watched: Option<(Instant, Option<Instant>)>,
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
            copies: BTreeMap::new(),
            watched: None,
            peer: None,
            peers: 0,
            losses: 0,
            holders: Vec::new(),
        }
    }

    /// A lease and its copy may both be renewed once, at most one of the two twice: whoever comes second is told.
    fn check_copies(&mut self, stage: &Stage) {
        for (number, copy) in &self.copies {
            let heard = |number: &Number| stage.shells.get(number)?.wire.heard();
            let is_renewed =
                |number: &Number| heard(number).is_some_and(|heard| copy.since < heard);
            let original = self.processes.get(&copy.original);
            let original = original.and_then(|process| process.holder(stage, Mutant::None));
            let is_same = original.is_some_and(|holder| holder.fence == copy.fence);
            let is_certain =
                !stage.is_split() && stage.lost_at.is_none_or(|lost_at| lost_at < copy.since);
            let both = is_renewed(number) && is_renewed(&copy.original);
            if is_same && is_certain && copy.holder(stage).is_some() && both {
                let original = copy.original;
                stage.record.fail(format!(
                    "#{original} and its copy #{number} both renew the lease with fence {}",
                    copy.fence
                ));
            }
        }
    }

    /// A quarantine runs from the first renewal that sees the change, not from the first question of a newcomer.
    fn check_waits(&mut self, stage: &Stage) {
        let now = stage.now();
        let refused = stage
            .shells
            .values()
            .filter_map(|shell| shell.wire.take_quarantine());
        let refused: Vec<(Instant, Duration)> = refused.collect();
        let is_told = |lost_at: &Instant| !stage.is_split() && stage.rewound_at != Some(*lost_at);
        let Some(lost_at) = stage.lost_at.filter(is_told) else {
            return;
        };
        if self.watched.is_none_or(|(of, _)| of != lost_at) {
            let seen = |heard: Instant| lost_at + Self::LOOK < heard;
            let mut heard = self
                .processes
                .keys()
                .filter_map(|number| stage.shells[number].wire.heard());
            if heard.any(seen) {
                // What was answered in the very moment of the loss may count as a later one, and so does what a replaced
                // master answered.
                let is_late = |shell: &Shell| {
                    let answered = Some(lost_at) <= shell.wire.acknowledged();
                    shell.wire.heard() <= Some(lost_at) && (answered || stage.was_split())
                };
                let is_clear = !stage.shells.values().any(is_late);
                self.watched = Some((lost_at, is_clear.then_some(now)));
            }
        }
        let Some((_, Some(since))) = self.watched.filter(|&(of, _)| of == lost_at) else {
            return;
        };
        // Other losses and clocks that are set lengthen it.
        if stage.doubts != 1 || stage.server_error_ms != 0 || !stage.leaps.is_empty() {
            return;
        }
        let mut longest = stage.scene.longest_quarantine();
        if stage.scene.slewed {
            // By a clock that goes slow for all of it.
            longest += longest / (Timing::SLEW - 1);
        }
        // Where nobody was heard for so long, that is a reason of its own (seed 987026).
        let heard = stage.shells.values().filter_map(|shell| shell.wire.heard());
        let quiet_from = heard.max().map(|heard| heard + stage.scene.longest_ttl());
        for (at, wait) in refused {
            if quiet_from.is_none_or(|quiet_from| quiet_from < at) {
                continue;
            }
            let end = since + longest + Self::SLACK;
            if since < at && end < at + wait {
                stage.record.fail(format!(
                    "a newcomer waits until {:?} for a quarantine that began before {since:?}",
                    at + wait
                ));
            }
        }
    }

    /// How often renewals look who the server is, with what an answer takes.
    const LOOK: Duration = Duration::from_millis(1_600);
    const SLACK: Duration = Duration::from_millis(100);
    /// Longer than any request is on its way.
    const LATEST: Duration = Duration::from_secs(5);

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
            if shell.rng.bool() {
                process.hand_out();
            }
        }
    }

    fn leave(&mut self, stage: &mut Stage, number: Number) {
        if let (Some(process), Some(shell)) =
            (self.processes.get(&number), stage.shells.get_mut(&number))
        {
            process.release(shell.rng.u8(..));
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
        let ttl = stage.shells[&number].options.ttl;
        let is_last_fifth = left.is_some_and(|left| !left.is_zero() && left < ttl / 5);
        Windows::NONE
            .with(Window::LastFifth, is_last_fifth)
            .with(Window::Overdue, left.is_some_and(|left| left.is_zero()))
            .with(Window::HandOver, process.is_releasing())
    }

    fn witness(&mut self, stage: &Stage) -> Option<Option<Number>> {
        if stage.scene.expects {
            self.peer = None;
            return Some(None);
        }
        let is_witness = |(number, process): &(&Number, &Process)| {
            stage.shells[number].gate.is_running() && process.holder(stage, Mutant::None).is_some()
        };
        let mut processes = self.processes.iter();
        let (&number, _) = processes.find(is_witness)?;
        self.peer = None;
        Some(Some(number))
    }

    fn set_back(&mut self, stage: &Stage) {
        self.ledger.excuse_clones(stage.now() + Self::LATEST);
    }

    fn forgotten(&mut self, stage: &mut Stage) {
        self.ledger
            .excuse(stage.now() + 4 * stage.scene.longest_ttl());
        // What it had may be another's now.
        self.peer = None;
    }

    fn holdings(&mut self, stage: &Stage) -> HashSet<Holding> {
        let processes = self.processes.values();
        let held = processes.filter_map(|process| process.holder(stage, stage.mutant));
        held.map(|holder| (holder.number, holder.slot, holder.fence))
            .collect()
    }

    fn pardon(&mut self, stage: &mut Stage) {
        let now = stage.now();
        let holdings = self.holdings(stage);
        let shells = &stage.shells;
        // Whoever has acquired anew since says nothing of what it had.
        let heard = |number: Number, known: &HashSet<Holding>| {
            let mut still = holdings.iter().filter(|(holder, ..)| *holder == number);
            let says = still.any(|holding| known.contains(holding));
            shells.get(&number)?.wire.heard().filter(|_| says)
        };
        stage.amnesty.note(stage.record.take_granted());
        for number in stage.amnesty.look(now, heard) {
            self.ledger.pardon(number);
        }
        for (&number, process) in &self.processes {
            let Some(shell) = stage.shells.get(&number) else {
                continue;
            };
            if stage.amnesty.is_beyond(number, shell.wire.heard()) {
                self.ledger.pardon(number);
            }
            let Some(holder) = process.holder(stage, stage.mutant) else {
                continue;
            };
            if stage.amnesty.forgives((number, holder.slot, holder.fence)) {
                self.ledger.pardon(number);
            }
        }
    }

    fn copy(&mut self, stage: &mut Stage, number: Number, newcomer: Number) -> bool {
        let holder = self.processes.get(&number);
        let holder = holder.and_then(|process| process.holder(stage, Mutant::None));
        let copy = holder.and_then(|holder| Copy::start(stage, newcomer, &holder));
        let Some(copy) = copy else {
            return false;
        };
        // Both are told, sooner or later.
        self.ledger.excuse(stage.now() + Duration::from_secs(3_600));
        self.copies.insert(newcomer, copy);
        true
    }

    fn peer(&mut self, stage: &mut Stage, slot: u32) -> bool {
        if self.peer.is_some() {
            return false;
        }
        self.peers += 1;
        self.peer = Peer::claim(&stage.embedded, slot, self.peers);
        // It may have found the lock of a living holder evicted, who then has to give way.
        self.ledger
            .excuse(stage.now() + 2 * stage.scene.longest_ttl());
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
            let holder = process.holder(stage, stage.mutant);
            let counts = |one: &Holder| !stage.amnesty.forgives((one.number, one.slot, one.fence));
            self.holders.extend(holder.filter(counts));
        }
        for copy in self.copies.values() {
            let Some(holder) = copy.holder(stage) else {
                continue;
            };
            // What the copied one was granted.
            let granted = (copy.original, holder.slot, holder.fence);
            if !stage.amnesty.forgives(granted) {
                self.holders.push(holder);
            }
        }
        self.check_copies(stage);
        self.check_waits(stage);
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
        for (number, copy) in std::mem::take(&mut self.copies) {
            copy.kill();
            stage.shells.remove(&number);
        }
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
