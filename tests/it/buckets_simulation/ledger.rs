//! What happened so far, and what must never happen.

use std::collections::HashMap;

use coord_core::clock::{Clock, TokioClock};

use super::process::Holding;

/// The invariants that are checked after every step.
pub(super) struct Ledger {
    clock: TokioClock,
    /// Per bucket: the highest epoch ever seen, and which process has it.
    epochs: HashMap<u32, (u64, usize)>,
    pub(super) history: Vec<String>,
    pub(super) violation: Option<String>,
    pub(super) grants: u64,
}

impl Ledger {
    pub(super) fn new(clock: TokioClock) -> Self {
        Self {
            clock,
            epochs: HashMap::new(),
            history: Vec::new(),
            violation: None,
            grants: 0,
        }
    }

    pub(super) fn log(&mut self, what: &str) {
        let at = self.clock.now().since_boot().as_millis();
        self.history.push(format!("{at:>7} ms  {what}"));
    }

    pub(super) fn fail(&mut self, violation: String) {
        self.log(&violation);
        self.violation.get_or_insert(violation);
    }

    /// No two processes may act in one bucket, and whoever may has the highest epoch that was ever seen of it.
    pub(super) fn check_holdings(&mut self, all: &[(usize, Vec<Holding>)]) {
        let mut owners: HashMap<u32, usize> = HashMap::new();
        for (process, holdings) in all {
            for holding in holdings {
                let bucket = holding.bucket;
                let owner = *owners.entry(bucket).or_insert(*process);
                if owner != *process {
                    return self.fail(format!("bucket {bucket} is owned by {owner} and {process}"));
                }
                let known = self.epochs.get(&bucket).copied();
                match known {
                    Some((epoch, last)) if holding.epoch < epoch => {
                        return self.fail(format!(
                            "bucket {bucket}: epoch {} of {process} does not rise above {epoch} of {last}",
                            holding.epoch
                        ));
                    }
                    Some((epoch, last)) if holding.epoch == epoch && last != *process => {
                        return self.fail(format!(
                            "bucket {bucket}: epoch {epoch} does not rise from {last} to {process}"
                        ));
                    }
                    Some((epoch, _)) if holding.epoch == epoch => {}
                    _ => {
                        self.grants += 1;
                        self.epochs.insert(bucket, (holding.epoch, *process));
                    }
                }
            }
        }
    }
}
