//! What a grant, an extension, a loss and the end do to a generator.

use std::{sync::Arc, time::Duration};

use crate::{
    GrantError,
    error::{MintError, Reason},
    inner::Inner,
    roster::Roster,
    state::Authority,
};

/// Where a generator's right to mint stands.
#[derive(Debug)]
pub(crate) enum Status {
    Vacant,
    /// Granted, but not before `at` by the boot-time clock.
    Pending {
        authority: Authority,
        grant: Granted,
        at: Duration,
    },
    Active(Granted),
    Revoked {
        reason: Reason,
        since_ms: u64,
    },
    /// Granted, but another generator of a pool mints under the machine ID.
    Shared {
        machine_id: u32,
    },
    /// For good: the horizon file is not what it was.
    Stopped(Reason),
    Closed(End),
}

/// What the present grant is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) machine_id: u32,
    /// `None` if the store does not number its grants.
    fence: Option<u64>,
}

impl Granted {
    /// Whether an extension for `fence` is for this grant; one that names none is for whatever grant there is.
    fn answers_to(self, fence: Option<u64>) -> bool {
        fence.is_none() || fence == self.fence
    }
}

/// The timestamps of one grant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) machine_id: u32,
    pub(crate) fence: Option<u64>,
    pub(crate) floor_ms: u64,
    pub(crate) horizon_ms: u64,
    /// Up to when timestamps may run ahead of the clock at once; the floor, unless that has to be waited for.
    pub(crate) begun_ms: u64,
}

impl Span {
    /// Of a grant without a number.
    pub(crate) const fn new(machine_id: u32, floor_ms: u64, horizon_ms: u64) -> Self {
        Self {
            machine_id,
            fence: None,
            floor_ms,
            horizon_ms,
            begun_ms: floor_ms,
        }
    }
}

/// What a generator left behind when it was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing was ever granted, so nothing was minted.
    Unused,
    /// The first millisecond since the Unix epoch that no ID carries or ever will.
    At(u64),
}

impl Inner {
    pub(crate) fn grant(&self, span: Span, delay: Option<Duration>) -> Result<(), GrantError> {
        let Span {
            machine_id,
            fence,
            floor_ms,
            horizon_ms,
            begun_ms,
        } = span;
        let grant = Granted { machine_id, fence };
        let fields = *self.state.fields();
        let layout = fields.layout;
        layout.check_machine_id(machine_id)?;
        let mut status = self.status();
        if matches!(*status, Status::Closed(_) | Status::Stopped(_)) {
            return Err(GrantError::Closed);
        }
        self.state.revoke();
        // A unit counts only if all of it is ours.
        let floor = layout.timestamp_at_ms(floor_ms).saturating_add(u64::from(
            layout.unit_start_ms(layout.timestamp_at_ms(floor_ms)) < floor_ms,
        ));
        let authority = fields.authority(machine_id, layout.timestamp_at_ms(horizon_ms));
        if !self
            .pools
            .admit(machine_id, floor, fields.horizon(authority))
        {
            *status = Status::Shared { machine_id };
            drop(status);
            self.waiters.wake_all();
            return Err(GrantError::SharedMachineId { machine_id });
        }
        {
            // Together, or a caller between the two would be told to wait for the floor.
            let mut timeline = self.timeline();
            self.skipped(self.state.raise(fields.first(floor)));
            let clocks = self.read_clocks();
            // What need not be waited for, and the present, from where the wait is counted.
            let begun = if begun_ms < floor_ms {
                Duration::from_millis(begun_ms).max(clocks.wall)
            } else {
                self.unit_time(floor)
            };
            timeline.raise(clocks, begun);
        }
        *status = match delay.filter(|delay| !delay.is_zero()) {
            Some(delay) => Status::Pending {
                authority,
                grant,
                at: self.source.boot() + delay,
            },
            None => {
                self.state.publish(authority);
                Status::Active(grant)
            }
        };
        drop(status);
        self.waiters.wake_all();
        Ok(())
    }

    pub(crate) fn extend(&self, fence: Option<u64>, horizon_ms: u64) {
        let fields = *self.state.fields();
        let horizon = fields.layout.timestamp_at_ms(horizon_ms);
        let mut status = self.status();
        match &mut *status {
            Status::Pending { grant, .. } | Status::Active(grant) if !grant.answers_to(fence) => {
                return;
            }
            Status::Pending {
                authority, grant, ..
            } => {
                let horizon = horizon.max(fields.horizon(*authority));
                self.pools.extend(grant.machine_id, horizon);
                *authority = fields.authority(grant.machine_id, horizon);
            }
            Status::Active(grant) => {
                let before = self
                    .state
                    .authority()
                    .map_or(0, |authority| fields.horizon(authority));
                let horizon = horizon.max(before);
                // Before it is used, or a generator that comes after this one would not know.
                self.pools.extend(grant.machine_id, horizon);
                self.state
                    .publish(fields.authority(grant.machine_id, horizon));
            }
            Status::Vacant
            | Status::Revoked { .. }
            | Status::Shared { .. }
            | Status::Stopped(_)
            | Status::Closed(_) => {
                return;
            }
        }
        drop(status);
        self.waiters.wake_all();
    }

    pub(crate) fn last_minted_ms(&self) -> Option<u64> {
        let status = self.status();
        match *status {
            Status::Vacant | Status::Closed(End::Unused) => None,
            // A renewal may still be on its way: it must not say less than the release.
            Status::Closed(End::At(end_ms)) => Some(end_ms.saturating_sub(1)),
            Status::Pending { .. }
            | Status::Active(_)
            | Status::Revoked { .. }
            | Status::Shared { .. }
            | Status::Stopped(_) => self.state.peek().map(|next| self.last_ms_before(next)),
        }
    }

    pub(crate) fn revoke(&self, reason: Reason, since_ms: u64) {
        let mut status = self.status();
        if matches!(*status, Status::Closed(_) | Status::Stopped(_)) {
            return;
        }
        self.state.revoke();
        self.pools.leave();
        *status = Status::Revoked { reason, since_ms };
        drop(status);
        self.waiters.wake_all();
    }

    /// Stops minting for good, for a reason that no grant mends.
    pub(crate) fn stop(&self, reason: Reason) {
        let mut status = self.status();
        if matches!(*status, Status::Closed(_) | Status::Stopped(_)) {
            return;
        }
        self.state.revoke();
        self.pools.leave();
        *status = Status::Stopped(reason);
        drop(status);
        self.waiters.wake_all();
    }

    pub(crate) fn close(&self) -> Option<u64> {
        if self.is_child() {
            self.state.revoke();
            return None;
        }
        let end = self.end();
        self.waiters.wake_all();
        self.publish();
        Some(match end {
            End::Unused => 0,
            End::At(end_ms) => end_ms,
        })
    }

    /// Ends minting, or says how it ended.
    fn end(&self) -> End {
        let mut status = self.status();
        if let Status::Closed(end) = *status {
            return end;
        }
        let granted = !matches!(*status, Status::Vacant);
        let next = self.state.close();
        self.pools.leave();
        let end = if granted {
            End::At(self.last_ms_before(next).saturating_add(1))
        } else {
            End::Unused
        };
        *status = Status::Closed(end);
        if let Some(claim) = &self.guards.claim {
            claim.release(next);
        }
        end
    }

    /// Enters the generator into a pool. The machine ID, if another member has the same.
    pub(crate) fn join(&self, roster: &Arc<Roster>, member: usize) -> Result<(), u32> {
        let fields = self.state.fields();
        // No grant may come between the look and the entry.
        let status = self.status();
        let present = match &*status {
            Status::Pending {
                authority, grant, ..
            } => Some((grant.machine_id, fields.horizon(*authority))),
            Status::Active(grant) => self
                .state
                .authority()
                .map(|authority| (grant.machine_id, fields.horizon(authority))),
            _ => None,
        };
        if self.pools.join(roster, member, present) {
            return Ok(());
        }
        Err(present.map_or(0, |(machine_id, _)| machine_id))
    }

    /// Why there is no authority; `None` if there is one by now.
    pub(crate) fn refusal(&self) -> Option<MintError> {
        let mut status = self.status();
        match &*status {
            Status::Vacant => Some(MintError::NotGranted),
            Status::Active(_) => None,
            Status::Revoked { reason, since_ms } => Some(MintError::Lost {
                reason: reason.clone(),
                since_ms: *since_ms,
            }),
            Status::Shared { machine_id } => Some(MintError::SharedMachineId {
                machine_id: *machine_id,
            }),
            Status::Stopped(reason) => Some(MintError::HorizonFileReplaced(reason.clone())),
            Status::Closed(_) => Some(MintError::Closed),
            Status::Pending {
                authority,
                grant,
                at,
            } => {
                let left = at.saturating_sub(self.source.boot());
                if left.is_zero() {
                    self.state.publish(*authority);
                    *status = Status::Active(*grant);
                    return None;
                }
                if let Some(ttl) = self.longest_delay().filter(|&ttl| ttl < left) {
                    return Some(MintError::DelayTooLong { delay: left, ttl });
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
