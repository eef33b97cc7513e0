//! What must never happen to machine IDs, checked from what did.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use coord_core::clock::Instant;
use raus::{Loss, LossCause};

use crate::simulation::{
    plan::Number,
    record::{Record, Who},
};

/// Everything that was minted and granted in one run; clones are the same ledger.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    record: Record,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    minted: HashMap<(u32, u64, u32), Number>,
    /// Instances that may have been granted what nobody could know to be another's.
    pardoned: BTreeSet<Number>,
    fences: BTreeMap<u32, (u64, Number)>,
    /// Until then a holder may find its slot in another's hands: the store has forgotten something.
    excused: Instant,
    clones_excused: Instant,
    /// Holdings, by slot and fence, beside which there was another because of a step of the server's clock.
    leapt_over: BTreeSet<(u32, u64)>,
}

/// A process that may act on a slot right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) slot: u32,
    pub(super) fence: u64,
    pub(super) number: Number,
    /// Whether the server's clock was set forward since it was heard: it may be taken for dead until it is heard again.
    pub(super) is_leapt_over: bool,
    /// Whether it has this because it is the copy of another process.
    pub(super) is_copy: bool,
}

impl Ledger {
    pub(super) fn new(record: Record) -> Self {
        let shared = Shared {
            minted: HashMap::new(),
            pardoned: BTreeSet::new(),
            fences: BTreeMap::new(),
            excused: Instant::from_boot(Duration::ZERO),
            clones_excused: Instant::from_boot(Duration::ZERO),
            leapt_over: BTreeSet::new(),
        };
        Self {
            record,
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    pub(super) fn say(&self, number: Number, what: impl FnOnce() -> String) {
        self.record.say(Who::Instance(number), what);
    }

    /// Process `number` minted this under `slot`.
    pub(super) fn record_id(&self, number: Number, slot: u32, ms: u64, sequence: u32) {
        self.record.count_id();
        let mut shared = self.shared();
        let earlier = shared.minted.insert((slot, ms, sequence), number);
        let is_pardoned = |number: &Number| shared.pardoned.contains(number);
        if let Some(earlier) = earlier
            && !is_pardoned(&earlier)
            && !is_pardoned(&number)
        {
            self.record.fail(format!(
                "ID {slot}/{ms}/{sequence} was minted twice: by #{earlier} and by #{number}"
            ));
        }
    }

    /// The IDs of this process do not count any more.
    pub(super) fn pardon(&self, number: Number) {
        self.shared().pardoned.insert(number);
    }

    /// The store forgets something: for a while, a late message may win over a living holder, who then loses its slot.
    pub(super) fn excuse(&self, until: Instant) {
        let mut shared = self.shared();
        shared.excused = shared.excused.max(until);
    }

    /// The server's clock was set back: a late message seems to come in time, and then is a clone's (seed 757984).
    pub(super) fn excuse_clones(&self, until: Instant) {
        self.shared().clones_excused = until;
    }

    /// Process `number` is told that its slot is another's, though its lease had not ended. Only a store that forgets may
    /// do that.
    pub(super) fn record_theft(&self, now: Instant, number: Number, loss: &Loss) {
        self.say(number, || loss.to_string());
        let shared = self.shared();
        let is_clone = matches!(loss.cause, LossCause::Cloned);
        if shared.excused < now && !(is_clone && now <= shared.clones_excused) {
            self.record.fail(format!("#{number} was robbed: {loss}"));
        }
    }

    /// The processes that may act on a slot right now: one for each slot, and each with a higher fence than the one
    /// before it. Where a step of the server's clock led to a second holder, and the store then forgets that one, it is the
    /// second who is told, and until then both go on (seed 520178).
    pub(super) fn check_holders(&self, now: Instant, holders: &mut [Holder]) {
        holders.sort_unstable();
        let mut shared = self.shared();
        for (index, holder) in holders.iter().enumerate() {
            let Holder {
                slot,
                fence,
                number,
                is_leapt_over,
                is_copy,
            } = *holder;
            // A lease and its copy have one fence.
            let next = holders[index + 1..].iter().find(|next| {
                let is_copied = next.fence == fence && (is_copy || next.is_copy);
                next.slot == slot && !is_copied
            });
            if is_leapt_over {
                if next.is_some() {
                    shared.leapt_over.insert((slot, fence));
                }
                continue;
            }
            if now <= shared.excused && shared.leapt_over.contains(&(slot, fence)) {
                continue;
            }
            if let Some(next) = next {
                let other = next.number;
                self.record
                    .fail(format!("slot {slot} is held by #{number} and by #{other}"));
            }
            if is_copy {
                continue;
            }
            let (highest, last) = *shared.fences.get(&slot).unwrap_or(&(0, number));
            if fence < highest || (fence == highest && last != number) {
                self.record.fail(format!(
                    "slot {slot}: fence {fence} of #{number} does not rise above {highest} of #{last}"
                ));
            }
            shared.fences.insert(slot, (fence, number));
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("not poisoned")
    }
}
