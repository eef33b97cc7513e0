//! The scripts' arguments and replies in terms of this crate: pure conversions.

mod parse;

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    history::{Mode, Policy, Terms},
    lease::Timing,
    store::Command,
};
use uuid::Uuid;

pub(crate) use self::parse::{parse_acquire, parse_layout, parse_release, parse_renew};
use crate::{keys::Keys, scripts};

/// What every request for one machine ID has in common.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) keys: Keys,
    pub(crate) label: String,
    pub(crate) timing: Timing,
    pub(crate) policy: Policy,
    /// How many replicas must have a grant or a renewal before it counts.
    pub(crate) acknowledge: u32,
    pub(crate) longest: Longest,
}

/// The longest terms of the namespace, as the store told them last; shared by all that one `Raus` leases.
#[derive(Debug, Clone, Default)]
pub(crate) struct Longest(Arc<Mutex<Terms>>);

impl Longest {
    pub(crate) fn get(&self) -> Terms {
        *self.lock()
    }

    pub(crate) fn set(&self, terms: Terms) {
        *self.lock() = terms;
    }

    /// One assignment is always complete, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Terms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store keeps of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    pub(crate) holder: Uuid,
    pub(crate) fence: u64,
    pub(crate) floor_ms: u64,
    /// As acknowledged last.
    pub(crate) horizon_ms: u64,
    pub(crate) server_ms: u64,
}

/// One question for a free slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) holder: Uuid,
    pub(crate) slots: &'a [u32],
    pub(crate) wall_ms: u64,
    pub(crate) mode: &'a Mode,
    pub(crate) lenient: bool,
    /// `None` if an earlier question of this holder may have been granted.
    pub(crate) range: Option<&'a RangeInclusive<u32>>,
    /// Of the holder's chain.
    pub(crate) number: u64,
}

/// What a holder says of itself when it renews or gives back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing<'a> {
    /// The server's time at which the last acknowledged lease ends.
    pub(crate) till_ms: u64,
    pub(crate) chain: &'a str,
}

/// The horizon that a holder leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// Nothing from this timestamp on was minted or ever will be, Unix ms.
    Exactly(u64),
    /// Unknown: the horizon on record stays.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AcquireReply {
    Granted {
        slot: Slot,
        longest: Terms,
        layout: String,
        garbled: Option<u32>,
    },
    Taken(Taken),
    Quarantine {
        wait: Duration,
    },
    /// `is_quiet`: there is a record, but nobody was seen for long.
    Absent {
        token: String,
        is_quiet: bool,
    },
    Unverified,
    NewerVersion {
        version: u64,
    },
    Ahead {
        by: Duration,
    },
    Skew {
        server_ms: u64,
    },
    WrongType {
        key: String,
        found: String,
    },
}

/// No slot of an offer is free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) held: u64,
    /// Free, but with a horizon too far ahead.
    pub(crate) ahead: u64,
    /// When the first lease ends.
    pub(crate) frees_within: Option<Duration>,
    /// Whether this is said of the whole range, not only of what was offered.
    pub(crate) whole: bool,
    /// How far the nearest of those ahead is too far.
    pub(crate) ahead_by: Duration,
    /// A slot that counts as held, because its record was overwritten.
    pub(crate) garbled: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RenewReply {
    Renewed(Renewed),
    Reasserted(Renewed),
    Capped { server_ms: u64, error: String },
    Foreign,
    Superseded { fence: u64 },
    Forgotten,
    Cloned,
    Layout { stored: String },
    Late,
    NewerVersion { version: u64 },
    WrongType { key: String, found: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Renewed {
    pub(crate) horizon_ms: u64,
    pub(crate) server_ms: u64,
    pub(crate) longest: Terms,
}

impl Identity {
    pub(crate) fn acquire(&self, offer: &Offer<'_>) -> Command {
        let slots = offer.slots;
        let keys = std::iter::once(self.keys.slots())
            .chain(slots.iter().map(|&slot| self.keys.lock(slot)))
            .collect();
        let range = offer
            .range
            .map(|range| format!("{}-{}", range.start(), range.end()));
        let mut args = vec![
            offer.holder.to_string(),
            self.terms(),
            offer.wall_ms.to_string(),
            self.label.clone(),
            offer.mode.as_arg(),
            u8::from(offer.lenient).to_string(),
            range.unwrap_or_default(),
            offer.number.to_string(),
        ];
        args.extend(slots.iter().map(u32::to_string));
        Command::Eval {
            script: &scripts::ACQUIRE,
            keys,
            args,
        }
    }

    pub(crate) fn renew(
        &self,
        slot: &Slot,
        wall_ms: u64,
        last_ms: u64,
        standing: Standing<'_>,
        layout: &str,
    ) -> Command {
        Command::Eval {
            script: &scripts::RENEW,
            keys: vec![self.keys.slots(), self.keys.lock(slot.number)],
            args: vec![
                slot.holder.to_string(),
                slot.number.to_string(),
                slot.fence.to_string(),
                self.terms(),
                wall_ms.to_string(),
                last_ms.to_string(),
                self.label.clone(),
                standing.till_ms.to_string(),
                standing.chain.to_owned(),
                layout.to_owned(),
                slot.horizon_ms.to_string(),
            ],
        }
    }

    pub(crate) fn release(&self, slot: &Slot, leaves: Leaves, standing: Standing<'_>) -> Command {
        let (horizon_ms, lowers) = match leaves {
            Leaves::Exactly(horizon_ms) => (horizon_ms, "1"),
            Leaves::Unknown => (slot.horizon_ms, "0"),
        };
        Command::Eval {
            script: &scripts::RELEASE,
            keys: vec![self.keys.slots(), self.keys.lock(slot.number)],
            args: vec![
                slot.holder.to_string(),
                slot.number.to_string(),
                slot.fence.to_string(),
                horizon_ms.to_string(),
                lowers.to_owned(),
                self.terms(),
                standing.till_ms.to_string(),
                standing.chain.to_owned(),
                self.label.clone(),
                self.keys.freed(),
            ],
        }
    }

    /// Puts a layout on record, unless there is one.
    pub(crate) fn record_layout(&self, layout: &str) -> Command {
        Command::Eval {
            script: &scripts::LAYOUT,
            keys: vec![self.keys.slots()],
            args: vec![layout.to_owned()],
        }
    }

    /// What the original publishes at every heartbeat and listens for at discovery.
    pub(crate) fn announce(&self, slot: &Slot) -> Command {
        Command::Publish {
            channel: self.keys.broadcast(),
            payload: format!("{}:{}", slot.holder, slot.number),
        }
    }

    pub(crate) fn max_clock_skew(&self) -> Duration {
        Duration::from_millis(self.policy.terms.max_clock_skew_ms)
    }

    fn terms(&self) -> String {
        self.policy.as_arg(self.longest.get())
    }
}

#[cfg(test)]
mod tests;
