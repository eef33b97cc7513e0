//! What must never happen, checked from what did.

use std::collections::HashMap;

/// Everything that was minted and granted in one run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    minted: HashMap<(u32, u64, u32), usize>,
    fences: HashMap<u32, (u64, usize)>,
    pub(super) ids: u64,
    pub(super) grants: u64,
    pub(super) violation: Option<String>,
}

impl Ledger {
    /// `process` minted sequence number `sequence` of millisecond `ms` under `slot`.
    pub(super) fn record_id(&mut self, process: usize, slot: u32, ms: u64, sequence: u32) {
        self.ids += 1;
        if let Some(earlier) = self.minted.insert((slot, ms, sequence), process) {
            self.fail(format!(
                "ID {slot}/{ms}/{sequence} was minted twice: by process {earlier} and by process {process}"
            ));
        }
    }

    /// `process` was granted `slot` with `fence`.
    pub(super) fn record_grant(&mut self, process: usize, slot: u32, fence: u64) {
        self.grants += 1;
        if let Some(&(highest, holder)) = self.fences.get(&slot) {
            // The same holder may be given the same grant again, nobody else.
            let is_rising = highest < fence || (highest == fence && holder == process);
            if !is_rising {
                self.fail(format!(
                    "slot {slot}: fence {fence} of process {process} does not rise above {highest} of process {holder}"
                ));
            }
        }
        self.fences.insert(slot, (fence, process));
    }

    /// The processes that may act on a slot right now.
    pub(super) fn check_holders(&mut self, holders: &[(u32, usize)]) {
        let mut seen: HashMap<u32, usize> = HashMap::new();
        for &(slot, process) in holders {
            if let Some(other) = seen.insert(slot, process) {
                self.fail(format!(
                    "slot {slot} is held by process {other} and by process {process}"
                ));
            }
        }
    }

    pub(super) fn fail(&mut self, violation: String) {
        self.violation.get_or_insert(violation);
    }
}
