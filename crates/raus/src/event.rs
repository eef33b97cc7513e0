//! What happens to a machine ID while it is held.

use std::{fmt, sync::Arc, time::Duration};

use coord_core::{
    clock::Instant,
    event_log::{EventReader, Missed},
    store::StoreError,
};

use crate::error::AcquireError;

/// Something happened to a machine ID. From [`MachineId::events`](crate::MachineId::events).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A renewal failed; it is tried again until the deadline. The slot is still held.
    RenewalFailed {
        /// The slot.
        id: u32,
        /// Why.
        error: Arc<StoreError>,
        /// When the slot is lost unless a renewal succeeds before.
        deadline: Instant,
    },
    /// The lease was prolonged, but the horizon could not be raised: minting stops at it.
    HorizonStuck {
        /// The slot.
        id: u32,
        /// What the server said, such as `OOM …`.
        error: String,
    },
    /// The machine ID could not be announced to the others. Costs nothing but their convenience; said once.
    AnnouncementRefused {
        /// Why; on Redis 7 an ACL user needs `&<namespace>:broadcast`.
        error: Arc<StoreError>,
    },
    /// The wall clock differs from the server's by more than `max_clock_skew`. Said once until it agrees again.
    ClockSkewed {
        /// How far the two are apart.
        skew: Duration,
    },
    /// Two thirds of the ttl have passed without an acknowledgement.
    AtRisk {
        /// The slot.
        id: u32,
        /// When it is lost unless a renewal succeeds before.
        deadline: Instant,
        /// Why the last renewal failed, where one did.
        cause: Option<Arc<StoreError>>,
    },
    /// The store had forgotten the slot (expiry, failover, flush), nobody was granted it since, and it was put back.
    Reasserted {
        /// The slot.
        id: u32,
        /// Its fencing token, unchanged.
        fence: u64,
    },
    /// The slot is lost.
    Lost(Loss),
    /// No other slot could be leased yet after a loss; it is tried again.
    ReacquireFailed {
        /// Why.
        error: Arc<AcquireError>,
    },
    /// Another slot, or the same one, was leased after a loss.
    Reacquired {
        /// The slot that was lost.
        old: u32,
        /// The slot that is held now.
        new: u32,
        /// Its fencing token.
        fence: u64,
    },
    /// The slot was given back. The last event.
    Released {
        /// The slot.
        id: u32,
        /// Its fencing token.
        fence: u64,
    },
    /// The slot could not be given back in time; its ttl frees it. The last event.
    ReleaseFailed {
        /// The slot.
        id: u32,
        /// Why the last attempt failed.
        error: Arc<StoreError>,
    },
    /// This reader fell behind and missed events.
    Missed {
        /// How many.
        count: u64,
    },
}

/// A slot was lost: which, when and why.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loss {
    /// The slot.
    pub id: u32,
    /// Its fencing token.
    pub fence: u64,
    /// The wall clock when the loss was noticed, Unix ms.
    pub since_ms: u64,
    /// Why.
    pub cause: LossCause,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "machine ID {} (fence {}) was lost: {}",
            self.id, self.fence, self.cause
        )
    }
}

impl std::error::Error for Loss {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            LossCause::Expired { error: Some(error) } => Some(&**error),
            _ => None,
        }
    }
}

/// Why a slot was lost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LossCause {
    /// No renewal was acknowledged before the deadline.
    Expired {
        /// Why the last renewal failed; `None` where none was even tried, as after a pause of the process.
        error: Option<Arc<StoreError>>,
    },
    /// The slot's key holds another holder's value.
    Foreign,
    /// Somebody was granted the slot since.
    Superseded {
        /// The later grant's fencing token.
        fence: u64,
    },
    /// The store has forgotten the grant, and heard of it again only when its ttl was over.
    Forgotten,
    /// Another process renews the same lease: this one was copied with its memory (a cloned machine, a restored
    /// snapshot). Both lose it.
    Cloned,
    /// The layout of the namespace's IDs was changed.
    Layout {
        /// The layout on record.
        stored: String,
    },
    /// The runtime that the heartbeat ran on was shut down.
    Abandoned,
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { error: None } => {
                f.write_str("the process was paused past the deadline")
            }
            Self::Expired { error: Some(_) } => {
                f.write_str("no renewal was acknowledged before the deadline")
            }
            Self::Foreign => f.write_str("its key holds another holder's value"),
            Self::Superseded { fence } => {
                write!(f, "it was granted to another holder (fence {fence})")
            }
            Self::Forgotten => f.write_str("the store has forgotten it, and its ttl is over"),
            Self::Cloned => {
                f.write_str("another process, a copy of this one, renews the same lease")
            }
            Self::Layout { stored } => {
                write!(f, "the namespace's layout was changed to {stored}")
            }
            Self::Abandoned => f.write_str("the runtime of its heartbeat was shut down"),
        }
    }
}

/// The events of one machine ID, from the moment it was acquired for the first reader, from the call for others.
#[derive(Debug)]
pub struct Events {
    reader: EventReader<Event>,
}

impl Events {
    pub(crate) const fn new(reader: EventReader<Event>) -> Self {
        Self { reader }
    }

    /// The next event; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Safe: an event is either returned or kept.
    pub async fn next(&mut self) -> Option<Event> {
        let next = self.reader.next().await?;
        Some(next.unwrap_or_else(|Missed { count }| Event::Missed { count }))
    }
}
