//! What must never happen, checked from what did.

use std::{collections::HashMap, time::Duration};

use coord_core::clock::{Clock, Instant, TokioClock};
use raus::{Grant, Loss};

/// Everything that was minted and granted in one run.
#[derive(Debug)]
pub(super) struct Ledger {
    clock: TokioClock,
    pub(super) history: Vec<String>,
    minted: HashMap<(u32, u64, u32), usize>,
    fences: HashMap<u32, (u64, usize)>,
    /// Until then a holder may find its slot in another's hands: the store has forgotten something.
    excused: Instant,
    pub(super) ids: u64,
    pub(super) grants: u64,
    /// Who was granted a slot last.
    pub(super) newest: Option<usize>,
    pub(super) violation: Option<String>,
}

impl Ledger {
    pub(super) fn new(clock: TokioClock) -> Self {
        Self {
            clock,
            history: Vec::new(),
            minted: HashMap::new(),
            fences: HashMap::new(),
            excused: Instant::from_boot(Duration::ZERO),
            ids: 0,
            grants: 0,
            newest: None,
            violation: None,
        }
    }

    pub(super) fn log(&mut self, what: &str) {
        let at = self.clock.now().since_boot().as_secs_f64();
        self.history.push(format!("{at:8.3} s  {what}"));
    }

    /// `process` minted sequence number `sequence` of millisecond `ms` under `slot`.
    pub(super) fn record_id(&mut self, process: usize, slot: u32, ms: u64, sequence: u32) {
        self.ids += 1;
        if let Some(earlier) = self.minted.insert((slot, ms, sequence), process) {
            self.fail(format!(
                "ID {slot}/{ms}/{sequence} was minted twice: by process {earlier} and by process {process}"
            ));
        }
    }

    /// The store forgets something: for a while, a late message may win over a living holder, who then loses its slot.
    pub(super) fn excuse(&mut self, for_now: Duration) {
        self.excused = self.clock.now() + for_now;
    }

    /// `process` is told that its slot is another's, though its lease had not ended. Only a store that forgets may do
    /// that.
    pub(super) fn record_theft(&mut self, process: usize, loss: &Loss) {
        self.log(&format!("process {process}: {loss}"));
        if self.excused < self.clock.now() {
            self.fail(format!("process {process} was robbed: {loss}"));
        }
    }

    /// `process` was granted a slot.
    pub(super) fn record_grant(&mut self, process: usize, grant: &Grant) {
        let (slot, fence) = (grant.machine_id, grant.fence);
        self.grants += 1;
        self.newest = Some(process);
        self.log(&format!(
            "process {process} gets slot {slot}, fence {fence}, from {} to {} ms",
            grant.floor_ms, grant.horizon_ms
        ));
    }

    /// The processes that may act on a slot right now: one for each slot, and each with a higher fence than the one
    /// before it.
    pub(super) fn check_holders(&mut self, holders: &[Holder]) {
        let mut seen: HashMap<u32, usize> = HashMap::new();
        for holder in holders {
            let Holder {
                slot,
                fence,
                process,
            } = *holder;
            if let Some(other) = seen.insert(slot, process) {
                self.fail(format!(
                    "slot {slot} is held by process {other} and by process {process}"
                ));
            }
            let (highest, last) = *self.fences.get(&slot).unwrap_or(&(0, process));
            if fence < highest || (fence == highest && last != process) {
                self.fail(format!(
                    "slot {slot}: fence {fence} of process {process} does not rise above {highest} of process {last}"
                ));
            }
            self.fences.insert(slot, (fence, process));
        }
    }

    pub(super) fn fail(&mut self, violation: String) {
        self.violation.get_or_insert(violation);
    }
}

/// A process that may act on a slot right now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) slot: u32,
    pub(super) fence: u64,
    pub(super) process: usize,
}
