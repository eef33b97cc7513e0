//! The door through which a lease drives a generator.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{GrantError, error::Reason, grants::Span, inner::Inner};

/// Grants, extends and revokes the right of a [`crate::Generator`] to mint.
///
/// Whoever holds a machine ID with a reserved span of time drives this: [`Reservation::grant`] after every
/// acquisition, [`Reservation::extend`] after every acknowledged renewal, [`Reservation::revoke`] upon loss,
/// [`Reservation::close`] before release. Users of `raus` never touch it.
///
/// What it must promise: from a grant on, all timestamps from `floor_ms` up to the latest horizon belong to that machine
/// ID's grant alone, for ever, even after it is lost.
#[derive(Clone)]
pub struct Reservation {
    inner: Arc<Inner>,
}

impl Reservation {
    pub(crate) const fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// From now on, or once `delay` has passed, mints under `machine_id` timestamps `t` with
    /// `floor_ms <= t < horizon_ms` (milliseconds since the Unix epoch). Nothing is minted under an earlier grant any more.
    ///
    /// # Errors
    ///
    /// [`GrantError::Layout`] if the machine ID does not fit the layout, [`GrantError::Closed`] after
    /// [`Reservation::close`]; then nothing has changed. [`GrantError::SharedMachineId`] if another generator of a pool has
    /// the machine ID; then nothing is minted until the next grant.
    pub fn grant(
        &self,
        machine_id: u32,
        floor_ms: u64,
        horizon_ms: u64,
        delay: Option<Duration>,
    ) -> Result<(), GrantError> {
        let span = Span::new(machine_id, floor_ms, horizon_ms);
        self.inner.grant(span, delay)
    }

    /// As [`Reservation::grant`], for a store that numbers its grants: `fence` is what [`Reservation::extend_under`] names
    /// the grant by.
    ///
    /// # Errors
    ///
    /// As [`Reservation::grant`].
    pub fn grant_under(
        &self,
        fence: u64,
        machine_id: u32,
        floor_ms: u64,
        horizon_ms: u64,
        delay: Option<Duration>,
    ) -> Result<(), GrantError> {
        let span = Span {
            fence: Some(fence),
            ..Span::new(machine_id, floor_ms, horizon_ms)
        };
        self.inner.grant(span, delay)
    }

    /// The layout of the IDs.
    #[must_use]
    pub fn layout(&self) -> crate::Layout {
        self.inner.state.fields().layout
    }

    /// Moves the horizon of the present grant to `horizon_ms`, in milliseconds since the Unix epoch, once the store has
    /// acknowledged it. Never moves it back. Does nothing without a grant.
    pub fn extend(&self, horizon_ms: u64) {
        self.inner.extend(None, horizon_ms);
    }

    /// As [`Reservation::extend`], but does nothing unless the present grant is the one with this `fence`: an
    /// acknowledgement for an earlier or a later grant says nothing about this one's timestamps.
    pub fn extend_under(&self, fence: u64, horizon_ms: u64) {
        self.inner.extend(Some(fence), horizon_ms);
    }

    /// The last millisecond since the Unix epoch that an ID may carry by now, or `None` if nothing was ever granted.
    /// The next holder of the machine ID must begin after it. May be later than what was really minted, never earlier
    /// than what a call that has returned minted.
    #[must_use]
    pub fn last_minted_ms(&self) -> Option<u64> {
        self.inner.last_minted_ms()
    }

    /// Stops minting at once; until the next grant, callers learn `reason` and `since_ms`, in milliseconds since the
    /// Unix epoch.
    pub fn revoke(&self, reason: Arc<dyn Error + Send + Sync>, since_ms: u64) {
        self.inner.revoke(Reason::new(reason), since_ms);
    }

    /// Tells the recorder of the `metrics` facade what was counted since the last time.
    #[cfg(feature = "raus")]
    pub(crate) fn publish(&self) {
        self.inner.publish();
    }

    /// Stops minting for good, and returns the horizon to leave behind, in milliseconds since the Unix epoch: no ID that
    /// was handed out, is reserved or is still on its way carries it or a later time. 0 if nothing was ever granted.
    /// `None` if it is unknown, which is so in a fork of the process that mints: what is on record must then stay.
    /// Every further call returns the same.
    #[must_use = "a clean release tells the store where the next holder may begin"]
    pub fn close(&self) -> Option<u64> {
        self.inner.close()
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}
