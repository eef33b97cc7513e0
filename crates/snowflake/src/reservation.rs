//! The door through which a lease drives a generator.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::{
    GrantError,
    error::{MintError, Reason},
    inner::Inner,
    state::{Authority, Closed},
};

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

/// Where a generator's right to mint stands.
#[derive(Debug)]
pub(crate) enum Status {
    Vacant,
    /// Granted, but not before `at` by the boot-time clock.
    Pending {
        authority: Authority,
        machine_id: u32,
        at: Duration,
    },
    Active {
        machine_id: u32,
    },
    Revoked {
        reason: Reason,
        since_ms: u64,
    },
    Closed,
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
    /// [`Reservation::close`]. Then nothing has changed.
    pub fn grant(
        &self,
        machine_id: u32,
        floor_ms: u64,
        horizon_ms: u64,
        delay: Option<Duration>,
    ) -> Result<(), GrantError> {
        self.inner.grant(machine_id, floor_ms, horizon_ms, delay)
    }

    /// Moves the horizon of the present grant to `horizon_ms`, in milliseconds since the Unix epoch, once the store has
    /// acknowledged it. Never moves it back. Does nothing without a grant.
    pub fn extend(&self, horizon_ms: u64) {
        self.inner.extend(horizon_ms);
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

    /// Stops minting for good. Returns what [`Reservation::last_minted_ms`] means, with nothing in flight that could
    /// still mint beyond it.
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

impl Inner {
    pub(crate) fn grant(
        &self,
        machine_id: u32,
        floor_ms: u64,
        horizon_ms: u64,
        delay: Option<Duration>,
    ) -> Result<(), GrantError> {
        let fields = *self.state.fields();
        let layout = fields.layout;
        layout.check_machine_id(machine_id)?;
        let mut status = self.status();
        if matches!(*status, Status::Closed) {
            return Err(GrantError::Closed);
        }
        self.state.revoke();
        // A unit counts only if all of it is ours.
        let floor = layout.timestamp_at_ms(floor_ms).saturating_add(u64::from(
            layout.unit_start_ms(layout.timestamp_at_ms(floor_ms)) < floor_ms,
        ));
        let authority = fields.authority(machine_id, layout.timestamp_at_ms(horizon_ms));
        {
            // Together, or a caller between the two would be told to wait for the floor.
            let mut timeline = self.timeline();
            self.skipped(self.state.raise(fields.first(floor)));
            timeline.raise(self.read_clocks(), self.unit_time(floor));
        }
        *status = match delay.filter(|delay| !delay.is_zero()) {
            Some(delay) => Status::Pending {
                authority,
                machine_id,
                at: self.source.boot() + delay,
            },
            None => {
                self.state.publish(authority);
                Status::Active { machine_id }
            }
        };
        drop(status);
        self.waiters.wake_all();
        Ok(())
    }

    pub(crate) fn extend(&self, horizon_ms: u64) {
        let fields = *self.state.fields();
        let horizon = fields.layout.timestamp_at_ms(horizon_ms);
        let mut status = self.status();
        match &mut *status {
            Status::Pending {
                authority,
                machine_id,
                ..
            } => {
                let horizon = horizon.max(fields.horizon(*authority));
                *authority = fields.authority(*machine_id, horizon);
            }
            Status::Active { machine_id } => {
                let before = self
                    .state
                    .authority()
                    .map_or(0, |authority| fields.horizon(authority));
                self.state
                    .publish(fields.authority(*machine_id, horizon.max(before)));
            }
            Status::Vacant | Status::Revoked { .. } | Status::Closed => return,
        }
        drop(status);
        self.waiters.wake_all();
    }

    fn last_minted_ms(&self) -> Option<u64> {
        let status = self.status();
        match *status {
            Status::Vacant | Status::Closed => None,
            Status::Pending { .. } | Status::Active { .. } | Status::Revoked { .. } => {
                self.state.peek().map(|next| self.last_ms_before(next))
            }
        }
    }

    fn revoke(&self, reason: Reason, since_ms: u64) {
        let mut status = self.status();
        if matches!(*status, Status::Closed) {
            return;
        }
        self.state.revoke();
        *status = Status::Revoked { reason, since_ms };
        drop(status);
        self.waiters.wake_all();
    }

    pub(crate) fn close(&self) -> Option<u64> {
        let mut status = self.status();
        let granted = !matches!(*status, Status::Vacant | Status::Closed);
        *status = Status::Closed;
        let closed = self.state.close();
        drop(status);
        self.waiters.wake_all();
        self.publish();
        let Closed::Now(next) = closed else {
            return None;
        };
        if let Some(claim) = &self.guards.claim {
            claim.release(next);
        }
        granted.then(|| self.last_ms_before(next))
    }

    /// Why there is no authority; `None` if there is one by now.
    pub(crate) fn refusal(&self) -> Option<MintError> {
        let mut status = self.status();
        match &*status {
            Status::Vacant => Some(MintError::NotGranted),
            Status::Active { .. } => None,
            Status::Revoked { reason, since_ms } => Some(MintError::Lost {
                reason: reason.clone(),
                since_ms: *since_ms,
            }),
            Status::Closed => Some(MintError::Closed),
            Status::Pending {
                authority,
                machine_id,
                at,
            } => {
                let left = at.saturating_sub(self.source.boot());
                if left.is_zero() {
                    self.state.publish(*authority);
                    *status = Status::Active {
                        machine_id: *machine_id,
                    };
                    return None;
                }
                let until = self.source.wall() + left;
                Some(MintError::Wait {
                    duration: left,
                    until_ms: crate::clock::millis(until),
                })
            }
        }
    }
}
