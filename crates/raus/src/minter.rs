//! The door between a leased machine ID and what mints from it.

use std::{fmt, time::Duration};

use crate::event::Loss;

/// What mints timestamps under a machine ID: it is told what it may use, and asked what it used.
///
/// `snowflake::Generator` implements it; so can a generator of your own. Attach it with
/// [`MachineId::attach`](crate::MachineId::attach). All calls come from the heartbeat, one at a time; they must not
/// block. Timestamps are Unix milliseconds.
///
/// The promise that no two IDs are equal rests on three rules: mint only `floor <= t < horizon`, mint no pair of
/// machine ID and timestamp and sequence twice, and mint nothing after [`close`](Self::close) has returned.
pub trait Minter: fmt::Debug + Send + Sync + 'static {
    /// What its IDs look like: the fields, the unit of time and the epoch, so that two minters have one text if and only
    /// if they would mint equal IDs from equal machine IDs and timestamps. One namespace has one layout. At most 128
    /// bytes without control characters; empty for a minter whose numbers no other minter of the namespace can repeat.
    fn layout(&self) -> String;

    /// A slot was granted, at first or after a loss: from now on mint under this grant only.
    fn grant(&self, grant: &Grant);

    /// The store acknowledged a higher horizon for the grant with this fence; one for another grant than the current one
    /// changes nothing.
    fn extend(&self, fence: u64, horizon_ms: u64);

    /// The timestamp last minted, under any grant; `None` where nothing was minted yet.
    fn last_minted_ms(&self) -> Option<u64>;

    /// The slot is another's: mint nothing until the next grant.
    fn revoke(&self, loss: &Loss);

    /// Nothing may be minted any more, by any thread. Returns the horizon to leave behind: the first timestamp that was
    /// never handed out, under any grant, and never will be, in a batch that is still in use neither. `None` if that is
    /// unknown: then the horizon in the store stays. Called again, it returns the same.
    fn close(&self) -> Option<u64>;
}

/// A slot and the timestamps that may be minted under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The slot.
    pub machine_id: u32,
    /// The fencing token of this grant: above that of every earlier holder of the slot.
    pub fence: u64,
    /// The first timestamp that may be minted, Unix ms: earlier ones may be a former holder's.
    pub floor_ms: u64,
    /// The first timestamp that may *not* be minted, Unix ms.
    pub horizon_ms: u64,
    /// How long to wait before minting, so that timestamps do not run further ahead of the server's clock than
    /// `max_clock_skew`. Zero unless a former holder left a horizon far ahead.
    pub delay: Duration,
}
