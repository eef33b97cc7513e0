//! Why there is no ID.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use thiserror::Error;

use crate::LayoutError;

/// Why no ID was minted, and what must happen first.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum MintError {
    /// Every ID that may exist by now was minted: wait, then ask again. `next` and `next_blocking` do.
    #[error("no ID is left for now; the next is due in {duration:?}")]
    Wait {
        /// How long, from when the call looked at the clock.
        duration: Duration,
        /// The time that the next ID will carry, in milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// No unit of time has that many IDs.
    #[error(
        "{count} IDs at once are more than the {max} that a unit of time has; ask for fewer, or use `fill`"
    )]
    BatchTooLarge {
        /// How many were asked for.
        count: u64,
        /// The largest batch.
        max: u64,
    },
    /// The right to mint ends here until it is renewed; minting goes on by itself once it was.
    #[error(
        "nothing may be minted from {horizon_ms} ms on, and it is {now_ms} ms; the reservation was not renewed in time"
    )]
    HorizonReached {
        /// The first millisecond since the Unix epoch that may not be used.
        horizon_ms: u64,
        /// The wall clock, or the next timestamp if that is later, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// The horizon file could not be written, so that what it holds is where minting ends.
    #[error("the horizon file could not be written")]
    HorizonFile(
        /// Why: a [`crate::HorizonFileError`].
        #[source]
        Reason,
    ),
    /// The horizon file was removed, replaced or written to by something else. The generator has stopped for good: another
    /// process may mint the same IDs.
    #[error("the horizon file is not the one that the generator minted by; make a new generator")]
    HorizonFileReplaced(
        /// Which file, and what happened: a [`crate::HorizonFileError`].
        #[source]
        Reason,
    ),
    /// The layout has no timestamp for today: IDs end here for good.
    #[error(
        "timestamps of {bits} bits ended at {expired_ms} ms, and it is {now_ms} ms; move to a wider layout or a later epoch"
    )]
    TimestampExhausted {
        /// Bits of the layout's timestamp.
        bits: u8,
        /// The first millisecond since the Unix epoch that does not fit.
        expired_ms: u64,
        /// The wall clock, or the next timestamp if that is later, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// No machine ID was granted yet.
    #[error("no machine ID was granted yet")]
    NotGranted,
    /// The machine ID was lost. Minting goes on by itself if another is granted.
    #[error("the machine ID was lost at {since_ms} ms and no other was granted since")]
    Lost {
        /// Why.
        #[source]
        reason: Reason,
        /// When, in milliseconds since the Unix epoch by the wall clock.
        since_ms: u64,
    },
    /// The machine ID was granted with a wait that is longer than a ttl, so it is not waited for: on record is that its
    /// former holder may have minted that far ahead. Most often a clock was wrong once, the server's or a holder's.
    #[error(
        "the machine ID may be minted under only in {delay:?}, which is more than its ttl of {ttl:?}: on record is that its former holder may have minted for times that far ahead; check the clocks of the server and of the holders, then reset the machine ID's horizon, or release it and lease another"
    )]
    DelayTooLong {
        /// What is left of the wait.
        delay: Duration,
        /// The lease's ttl.
        ttl: Duration,
    },
    /// The machine ID that was granted is that of another generator of the pool, which may mint the same IDs. The next grant
    /// ends this.
    #[error(
        "machine ID {machine_id} was granted while another generator of the pool has it, so that both would mint the same IDs; lease the machine IDs of a pool from one namespace, or from ranges that do not overlap"
    )]
    SharedMachineId {
        /// The machine ID.
        machine_id: u32,
    },
    /// The generator was closed.
    #[error("the generator was closed")]
    Closed,
    /// This process is a fork of the one that the generator belongs to, which may mint the same IDs.
    #[error(
        "the generator belongs to process {owner}, of which this one, {pid}, is a fork; make a new generator after forking"
    )]
    Forked {
        /// The process that made the generator.
        owner: u32,
        /// This process.
        pid: u32,
    },
}

impl MintError {
    /// Whether minting may go on by itself later.
    pub(crate) const fn may_pass(&self) -> bool {
        match self {
            Self::Wait { .. }
            | Self::HorizonFile(_)
            | Self::HorizonReached { .. }
            | Self::NotGranted
            | Self::SharedMachineId { .. }
            | Self::Lost { .. } => true,
            Self::TimestampExhausted { .. }
            | Self::BatchTooLarge { .. }
            | Self::HorizonFileReplaced(_)
            | Self::DelayTooLong { .. }
            | Self::Closed
            | Self::Forked { .. } => false,
        }
    }
}

/// Why a machine ID was lost.
#[derive(Clone)]
pub struct Reason(Arc<dyn Error + Send + Sync>);

impl Reason {
    pub(crate) fn new(reason: Arc<dyn Error + Send + Sync>) -> Self {
        Self(reason)
    }

    /// The reason itself, to downcast it or to walk its sources.
    #[must_use]
    pub fn get(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Reason {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Why a grant was refused: see [`crate::Reservation::grant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The machine ID does not fit the layout.
    #[error("the machine ID cannot be minted under")]
    Layout(#[from] LayoutError),
    /// Another generator of a pool has the machine ID, or had it for times that this grant reaches.
    #[error("machine ID {machine_id} is that of another generator of the pool")]
    SharedMachineId {
        /// The machine ID.
        machine_id: u32,
    },
    /// The generator was closed.
    #[error("the generator was closed and mints no more")]
    Closed,
}
