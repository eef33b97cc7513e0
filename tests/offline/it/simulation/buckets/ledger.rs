//! What must never happen to buckets.

use std::collections::{HashMap, hash_map::Entry};

use crate::simulation::{plan::Number, record::Record};

/// A bucket in which a process may do something right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) bucket: u32,
    pub(super) epoch: u64,
}

/// What a process may act in, and whether it may have been taken for dead since it was last heard.
pub(super) struct Holdings {
    pub(super) number: Number,
    pub(super) all: Vec<Holding>,
    pub(super) is_leapt_over: bool,
}

/// The highest epoch of each bucket that was ever seen, and which process has it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    epochs: HashMap<u32, (u64, Number)>,
    owners: HashMap<u32, Number>,
}

impl Ledger {
    /// The store has forgotten what it granted.
    pub(super) fn forget(&mut self) {
        self.epochs.clear();
    }

    /// No two processes may act in one bucket, and whoever may has the highest epoch that was ever seen of it.
    pub(super) fn check(&mut self, record: &Record, all: &[Holdings]) {
        self.owners.clear();
        for Holdings { number, all, .. } in all.iter().filter(|one| !one.is_leapt_over) {
            for &Holding { bucket, epoch } in all {
                let owner = *self.owners.entry(bucket).or_insert(*number);
                if owner != *number {
                    return record.fail(format!(
                        "bucket {bucket} is owned by #{owner} and #{number}"
                    ));
                }
                match self.epochs.entry(bucket) {
                    Entry::Vacant(vacant) => {
                        vacant.insert((epoch, *number));
                    }
                    Entry::Occupied(mut known) => {
                        let (highest, last) = *known.get();
                        if epoch < highest || (epoch == highest && last != *number) {
                            return record.fail(format!(
                                "bucket {bucket}: epoch {epoch} of #{number} does not rise above {highest} of #{last}"
                            ));
                        }
                        known.insert((epoch, *number));
                    }
                }
            }
        }
    }
}
