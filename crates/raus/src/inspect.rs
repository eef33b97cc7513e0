//! What operators see and do: who holds which slot, how to take one away, and how to mend and move a namespace.
//!
//! The entry point is [`Raus::inspector`](crate::Raus::inspector). Nothing here is needed to lease a machine ID.

mod first_use;
mod layout;
mod moving;
mod repair;
mod reply;

#[cfg(feature = "fuzzing")]
pub(crate) use self::reply::fuzz;
pub use self::{
    first_use::FirstUse,
    layout::LayoutChange,
    moving::{Export, ImportError, Imported, SlotExport},
    repair::{Outcome, Repair, SlotRepair},
};

use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use coord_core::{
    heartbeat::Heartbeat,
    history::Terms,
    store::{Command, Reply, Script, Store, StoreError},
};

use crate::{protocol::Identity, scripts};

/// Reads the slots of one range, and takes them away. From [`Raus::inspector`](crate::Raus::inspector).
pub struct Inspector {
    // Connections run where the heartbeat does, and end with it.
    heartbeat: Heartbeat,
    identity: Identity,
    range: RangeInclusive<u32>,
    discovery: Duration,
}

/// What is on record of the slots of a range, as of one moment of each 1,024 slots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The server's clock, Unix ms.
    pub server_ms: u64,
    /// Whether the store can vouch for its past.
    pub history: History,
    /// Whether the server tells its identity (INFO is allowed). Otherwise nobody sees that it restarted or failed over.
    pub tells_identity: bool,
    /// How many slots of the whole namespace have a record, those outside the range included.
    pub recorded: u64,
    /// The layout of the IDs that are minted in the namespace; empty if none is on record.
    pub layout: String,
    /// The timestamp below which forgotten holders may have minted, Unix ms; 0 if none are.
    pub floor_ms: u64,
    /// The longest terms that clients of the namespace use.
    pub longest: Terms,
    /// The slots of the range that have a lock or a record, by number.
    pub slots: Vec<SlotRecord>,
}

/// Whether a store can vouch for its own past, and so grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum History {
    /// It can.
    Known,
    /// It may have forgotten holders (failover, restart, flush), and grants nothing new.
    Quarantine {
        /// For how long.
        left: Duration,
        /// Whether it has begun. If nobody has renewed or asked since the server changed, the next one begins it.
        has_begun: bool,
    },
    /// It has no record at all: never used, or emptied.
    Absent,
}

/// What is on record of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotRecord {
    /// The slot.
    pub id: u32,
    /// Its lock key, where there is one.
    pub lock: Option<Lock>,
    /// The fencing token of the last grant; 0 where none is on record.
    pub fence: u64,
    /// The timestamp below which the last holder alone may have minted, Unix ms; 0 where none is on record.
    pub horizon_ms: u64,
    /// The first timestamp of the last grant, Unix ms; 0 where none is on record.
    pub floor_ms: u64,
    /// What is left of the lease on record; zero where it is over or was released.
    pub lease_left: Duration,
    /// The last holder's label.
    pub label: String,
}

/// The lock key of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Its value: the holder's UUID.
    pub holder: String,
    /// What is left of its ttl; `None` for a key without one, which no process of ours leaves.
    pub ttl: Option<Duration>,
}

/// Where a slot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlotState {
    /// Held under a lease on record.
    Held,
    /// Its lock is held by a process that keeps no record: the Go original.
    Unrecorded,
    /// A lease on record runs, but its lock is gone (evicted, deleted). The holder puts it back; nobody else gets it.
    Unlocked,
    /// Taken away by an operator; free once the lease of its last holder is over.
    Revoked,
    /// Free.
    Free,
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The holder's next renewal tells it that it has lost the slot.
    Revoked {
        /// The fence on record now, above the revoked one; 0 where there is no record.
        fence: u64,
        /// How long until the slot may be granted again.
        free_in: Duration,
    },
    /// The slot is not as it was read: nothing was changed.
    Changed,
    /// Nobody holds it: nothing was changed.
    Free,
    /// Its holder keeps no record and would not hear of it (the Go original): nothing was changed.
    Unrecorded,
}

/// A slot could not be read or revoked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The store failed, or did not answer in time.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Something else lives under a key of the namespace.
    #[error(
        "key {key:?} holds a {found}, which is not this crate's; choose another namespace or remove it"
    )]
    WrongType {
        /// The key.
        key: String,
        /// The type found there.
        found: String,
    },
    /// A newer version of this crate has written in the namespace.
    #[error(
        "the namespace was written by a newer version of this crate (its records have version {version}, this crate knows \
         version 1); use that version"
    )]
    NewerVersion {
        /// The version of what is on record.
        version: u64,
    },
    /// The server does not tell its identity, so nobody could see that it restarted or failed over.
    #[error(
        "the server does not tell its identity (INFO is forbidden), so nobody could see that it has forgotten a lease; \
         grant the user +info, or allow an unverified history and lose that protection"
    )]
    Unverified,
    /// Fields of the namespace hold no record of this crate, so that nobody knows what their slots must not forget.
    #[error(
        "slots {fields:?} of {key:?} hold no record of this crate; once nobody holds them, remove the fields (HDEL)"
    )]
    Garbled {
        /// The key.
        key: String,
        /// The fields.
        fields: Vec<String>,
    },
}

impl Inspection {
    /// The timestamp beyond which no floor and no horizon of a free slot lies, unless a clock was far ahead: the server's
    /// time, the longest ttl (or what is left of a quarantine) and the longest clock skew. `None` in a namespace without a
    /// history.
    #[must_use]
    pub fn limit_ms(&self) -> Option<u64> {
        let ttl = Duration::from_millis(self.longest.ttl_ms);
        let reserved = match self.history {
            History::Known => ttl,
            History::Quarantine { left, .. } => ttl.max(left),
            History::Absent => return None,
        };
        let skew = Duration::from_millis(self.longest.max_clock_skew_ms);
        let ahead = u64::try_from((reserved + skew).as_millis()).unwrap_or(u64::MAX);
        Some(self.server_ms.saturating_add(ahead))
    }
}

impl SlotRecord {
    /// Where the slot stands.
    #[must_use]
    pub fn state(&self) -> SlotState {
        match &self.lock {
            Some(lock) if lock.holder == Lock::REVOKED => SlotState::Revoked,
            Some(_) if self.lease_left.is_zero() => SlotState::Unrecorded,
            Some(_) => SlotState::Held,
            None if self.lease_left.is_zero() => SlotState::Free,
            None => SlotState::Unlocked,
        }
    }
}

impl SlotState {
    /// One word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Unrecorded => "unrecorded",
            Self::Unlocked => "unlocked",
            Self::Revoked => "revoked",
            Self::Free => "free",
        }
    }
}

impl Lock {
    /// What the lock of a revoked slot holds.
    pub const REVOKED: &str = "revoked";
}

impl Inspector {
    /// How many slots one call of the script looks at.
    pub const PAGE: usize = 1_024;

    pub(crate) const fn new(
        heartbeat: Heartbeat,
        identity: Identity,
        range: RangeInclusive<u32>,
        discovery: Duration,
    ) -> Self {
        Self {
            heartbeat,
            identity,
            range,
            discovery,
        }
    }

    /// The store that is asked.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        self.heartbeat.store()
    }

    /// The range that is looked at.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<u32> {
        self.range.clone()
    }

    /// Reads the whole range, in pages of 1,024 slots.
    ///
    /// # Errors
    ///
    /// [`InspectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn read(&self) -> Result<Inspection, InspectError> {
        let mut whole: Option<Inspection> = None;
        let mut first = u64::from(*self.range.start());
        let end = u64::from(*self.range.end());
        while first <= end {
            let last = end.min(first + Self::PAGE as u64 - 1);
            let numbers: Vec<u32> = (first..=last)
                .filter_map(|number| u32::try_from(number).ok())
                .collect();
            let page = self.read_page(&numbers).await?;
            match &mut whole {
                Some(whole) => whole.slots.extend(page.slots),
                None => whole = Some(page),
            }
            first = last + 1;
        }
        whole.ok_or_else(|| StoreError::unexpected("inspect", &Reply::Nil).into())
    }

    /// Reads one slot; `None` where it has neither lock nor record.
    ///
    /// # Errors
    ///
    /// [`InspectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn read_slot(&self, id: u32) -> Result<Option<SlotRecord>, InspectError> {
        Ok(self.read_page(&[id]).await?.slots.pop())
    }

    /// Takes a slot away, provided that it still is as `read`. Its holder hears of it with its next renewal; nobody is
    /// granted the slot before the holder's lease is over.
    ///
    /// # Errors
    ///
    /// [`InspectError`]; after a timeout the slot may have been revoked all the same.
    ///
    /// # Cancel safety
    ///
    /// The slot may have been revoked or not.
    pub async fn revoke(&self, read: &SlotRecord) -> Result<Revocation, InspectError> {
        self.take_away(read, "0").await
    }

    /// As [`revoke`](Self::revoke), and the slot is free at once: its holder may go on using it until its next renewal,
    /// or, where the server cannot be reached, until its deadline, while another one already has it. IDs stay unique
    /// where holders mint below a horizon, because the next one begins above it; for any other use two are at work.
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke).
    ///
    /// # Cancel safety
    ///
    /// The slot may have been revoked or not.
    pub async fn revoke_at_once(&self, read: &SlotRecord) -> Result<Revocation, InspectError> {
        self.take_away(read, "1").await
    }

    /// The server's clock, since the Unix epoch. Touches no key.
    ///
    /// # Errors
    ///
    /// [`InspectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn server_time(&self) -> Result<Duration, InspectError> {
        let reply = self
            .ask(
                &scripts::CLOCK,
                vec![self.identity.keys.slots()],
                Vec::new(),
            )
            .await?;
        Ok(reply::parse_clock(&reply)?)
    }

    async fn read_page(&self, numbers: &[u32]) -> Result<Inspection, InspectError> {
        let locks = numbers
            .iter()
            .map(|&number| self.identity.keys.lock(number));
        let keys = std::iter::once(self.identity.keys.slots())
            .chain(locks)
            .collect();
        let args = numbers.iter().map(u32::to_string).collect();
        let reply = self.ask(&scripts::INSPECT, keys, args).await?;
        reply::parse_inspect(&reply)
    }

    async fn take_away(
        &self,
        read: &SlotRecord,
        at_once: &str,
    ) -> Result<Revocation, InspectError> {
        let holder = read.lock.as_ref().map(|lock| lock.holder.clone());
        let args = vec![
            read.id.to_string(),
            holder.unwrap_or_default(),
            read.fence.to_string(),
            at_once.to_owned(),
        ];
        let keys = vec![self.identity.keys.slots(), self.identity.keys.lock(read.id)];
        let reply = self.ask(&scripts::REVOKE, keys, args).await?;
        reply::parse_revoke(&reply)
    }

    fn terms(&self, known: Terms) -> String {
        self.identity.policy.as_arg(known)
    }

    async fn ask(
        &self,
        script: &'static Script,
        keys: Vec<String>,
        args: Vec<String>,
    ) -> Result<Reply, StoreError> {
        let command = Command::Eval { script, keys, args };
        let mut replies = self.store().pipeline(&[command], Self::TIMEOUT).await;
        replies
            .pop()
            .unwrap_or_else(|| Err(StoreError::unexpected(script.name(), &Reply::Nil)))
    }

    /// An operator would rather wait than hear that a busy server did not answer.
    const TIMEOUT: Duration = Duration::from_secs(2);
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("store", self.store())
            .field("namespace", &self.identity.keys.namespace())
            .field("range", &self.range)
            .finish()
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests;
