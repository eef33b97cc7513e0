//! What the heartbeat, the supervisor and the handles of one machine ID share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant},
    event_log::EventLog,
    heartbeat::Validity,
    store::{Command, StoreError},
};
use tokio::sync::watch;

use crate::{
    acquire::Granted,
    chain::Chain,
    error::AttachError,
    event::{Event, Loss, LossCause},
    metrics::Meter,
    minter::{Grant, Minter},
    protocol::{Identity, Leaves, Renewed, Slot, Standing},
};

/// Where a machine ID stands, as waiters see it.
#[derive(Debug, Clone)]
pub(crate) enum Status {
    Held,
    Lost(Loss),
    Released,
}

/// A renewal and its hints, with the renewal's number in the holder's chain.
pub(crate) struct NextRenewal {
    pub(crate) number: u64,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug)]
pub(crate) struct Tenure {
    pub(crate) identity: Identity,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: EventLog<Event>,
    pub(crate) meter: Meter,
    status: watch::Sender<Status>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// With the horizon and the server's time that were acknowledged last.
    slot: Slot,
    chain: Chain,
    /// `None` only until the heartbeat has taken the slot over.
    validity: Option<Arc<Validity>>,
    minter: Option<Arc<dyn Minter>>,
    /// Of the IDs that the minter mints; empty without one.
    layout: String,
    /// The latest wall clock that a renewal was sent at, Unix ms.
    latest_wall_ms: u64,
    last_error: Option<Arc<StoreError>>,
    announcement_refused: bool,
    clock_skewed: bool,
    horizon_stuck: bool,
}

impl State {
    fn deadline(&self) -> Instant {
        self.validity
            .as_ref()
            .map_or(Instant::from_boot(Duration::ZERO), |validity| {
                validity.deadline()
            })
    }

    /// The timestamp that the next holder must not go below, as far as the store cannot know it better.
    fn last_minted_ms(&self) -> u64 {
        let minter = self.minter.as_ref();
        let last = minter.and_then(|minter| minter.last_minted_ms());
        last.unwrap_or(0).max(self.slot.floor_ms)
    }
}

impl Tenure {
    /// How many events a slow reader may fall behind.
    const EVENTS: usize = 256;

    pub(crate) fn new(identity: Identity, clock: Arc<dyn Clock>, granted: &Granted) -> Self {
        Self {
            meter: Meter::new(identity.keys.namespace()),
            identity,
            clock,
            events: EventLog::new(Self::EVENTS),
            status: watch::Sender::new(Status::Held),
            state: Mutex::new(State {
                slot: granted.slot,
                chain: granted.chain.clone(),
                validity: None,
                minter: None,
                layout: String::new(),
                latest_wall_ms: 0,
                last_error: None,
                announcement_refused: false,
                clock_skewed: false,
                horizon_stuck: false,
            }),
        }
    }

    pub(crate) fn slot(&self) -> Slot {
        self.state().slot
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.state().deadline()
    }

    /// The heartbeat has taken the slot over.
    pub(crate) fn adopt(&self, fence: u64, validity: Arc<Validity>) {
        let mut state = self.state();
        if state.slot.fence == fence {
            state.validity = Some(validity);
        }
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Connects what mints IDs of `layout`, which is on record; it learns the current grant before this returns, and every
    /// change after.
    pub(crate) fn attach(
        &self,
        minter: Arc<dyn Minter>,
        layout: String,
    ) -> Result<(), AttachError> {
        let mut state = self.state();
        if state.minter.is_some() {
            return Err(AttachError::Attached {
                id: state.slot.number,
            });
        }
        match &*self.status.borrow() {
            Status::Held => minter.grant(&self.grant(&state.slot)),
            Status::Lost(loss) => minter.revoke(loss),
            Status::Released => {
                minter.close();
            }
        }
        (state.minter, state.layout) = (Some(minter), layout);
        Ok(())
    }

    pub(crate) fn has_minter(&self) -> bool {
        self.state().minter.is_some()
    }

    /// Counts what happened and tells every reader.
    pub(crate) fn tell(&self, event: Event) {
        self.meter.observe(&event);
        self.events.push(event);
    }

    /// Goes on with another grant, after a loss. The heartbeat takes the slot over only after this: the first thing it
    /// learns of the new slot must not be said of the old one.
    pub(crate) fn install(&self, granted: &Granted) {
        let slot = granted.slot;
        let mut state = self.state();
        (state.slot, state.chain) = (slot, granted.chain.clone());
        (state.validity, state.last_error, state.horizon_stuck) = (None, None, false);
        if let Some(minter) = &state.minter {
            minter.grant(&self.grant(&slot));
        }
        // Before the heartbeat can say that this one is lost, too.
        self.status.send_replace(Status::Held);
    }

    /// The renewal to send now; `None` if the grant with this fence is not the current one any more.
    pub(crate) fn next_renewal(&self, fence: u64, wall_ms: u64) -> Option<NextRenewal> {
        let mut state = self.state();
        if state.slot.fence != fence {
            return None;
        }
        state.latest_wall_ms = state.latest_wall_ms.max(wall_ms);
        let last_ms = state.last_minted_ms();
        let (number, chain) = self.next_of_chain(&mut state);
        let slot = &state.slot;
        let standing = self.standing(slot, &chain);
        let renew = self
            .identity
            .renew(slot, wall_ms, last_ms, standing, &state.layout);
        Some(NextRenewal {
            number,
            commands: vec![renew, self.identity.announce(slot)],
        })
    }

    /// The command that gives the slot back.
    pub(crate) fn release(&self, leaves: Leaves) -> Command {
        let mut state = self.state();
        let (_, chain) = self.next_of_chain(&mut state);
        let standing = self.standing(&state.slot, &chain);
        self.identity.release(&state.slot, leaves, standing)
    }

    fn next_of_chain(&self, state: &mut State) -> (u64, String) {
        let now = self.clock.now();
        let ttl = self.identity.timing.ttl();
        let expired = Instant::from_boot(now.since_boot().saturating_sub(ttl));
        state.chain.next(now, expired)
    }

    fn standing<'a>(&self, slot: &Slot, chain: &'a str) -> Standing<'a> {
        Standing {
            till_ms: slot.server_ms.saturating_add(self.identity.timing.ttl_ms()),
            chain,
        }
    }

    /// A renewal of the grant with this fence was acknowledged. What is said of an earlier grant counts for nothing.
    pub(crate) fn handle_renewed(&self, fence: u64, number: u64, wall_ms: u64, renewed: &Renewed) {
        let mut state = self.state();
        if state.slot.fence != fence {
            return;
        }
        state.chain.handle_answered(number);
        state.last_error = None;
        state.slot.server_ms = renewed.server_ms;
        self.identity.longest.set(renewed.longest);
        if state.slot.horizon_ms < renewed.horizon_ms {
            state.slot.horizon_ms = renewed.horizon_ms;
            state.horizon_stuck = false;
            if let Some(minter) = &state.minter {
                minter.extend(fence, renewed.horizon_ms);
            }
        }
        let skew = Duration::from_millis(wall_ms.abs_diff(renewed.server_ms));
        let skewed = self.identity.max_clock_skew() < skew;
        let changed = std::mem::replace(&mut state.clock_skewed, skewed) != skewed;
        drop(state);
        self.meter.clocks(wall_ms, renewed.server_ms);
        if changed && skewed {
            self.tell(Event::ClockSkewed { skew });
        }
    }

    pub(crate) fn handle_stuck(&self, fence: u64, number: u64, server_ms: u64, error: String) {
        let mut state = self.state();
        if state.slot.fence != fence {
            return;
        }
        state.chain.handle_answered(number);
        state.slot.server_ms = server_ms;
        let changed = !std::mem::replace(&mut state.horizon_stuck, true);
        let id = state.slot.number;
        drop(state);
        if changed {
            self.tell(Event::HorizonStuck { id, error });
        }
    }

    pub(crate) fn handle_failed(&self, fence: u64, error: StoreError) {
        let error = Arc::new(error);
        let (id, deadline) = {
            let mut state = self.state();
            if state.slot.fence != fence {
                return;
            }
            state.last_error = Some(Arc::clone(&error));
            (state.slot.number, state.deadline())
        };
        tracing::debug!(id, error = %error, "renewal failed");
        self.tell(Event::RenewalFailed {
            id,
            error,
            deadline,
        });
    }

    pub(crate) fn handle_announced(&self, outcome: Option<&StoreError>) {
        let Some(error @ StoreError::Refused { .. }) = outcome else {
            return;
        };
        if !std::mem::replace(&mut self.state().announcement_refused, true) {
            self.tell(Event::AnnouncementRefused {
                error: Arc::new(error.clone()),
            });
        }
    }

    pub(crate) fn handle_at_risk(&self, fence: u64, deadline: Instant) {
        let (id, cause) = {
            let state = self.state();
            if state.slot.fence != fence {
                return;
            }
            (state.slot.number, state.last_error.clone())
        };
        tracing::warn!(id, "no renewal was acknowledged for two thirds of the ttl");
        self.tell(Event::AtRisk {
            id,
            deadline,
            cause,
        });
    }

    /// The deadline passed. The minter is *not* stopped: what it may mint is bounded by the horizon that the store
    /// acknowledged, and the next holder begins there.
    pub(crate) fn handle_expired(&self, fence: u64) {
        let error = self.state().last_error.clone();
        self.lose(fence, LossCause::Expired { error }, false);
    }

    /// The store says that the slot is another's.
    pub(crate) fn handle_taken(&self, fence: u64, cause: LossCause) {
        self.lose(fence, cause, true);
    }

    /// The driver went away without a word.
    pub(crate) fn handle_abandoned(&self) {
        let is_held = matches!(&*self.status.borrow(), Status::Held);
        if is_held {
            self.lose(self.slot().fence, LossCause::Abandoned, false);
        }
    }

    /// Closes the minter and returns the horizon to leave behind.
    pub(crate) fn close(&self) -> Leaves {
        let state = self.state();
        match &state.minter {
            Some(minter) => minter.close().map_or(Leaves::Unknown, Leaves::Exactly),
            // Whoever used the number without a minter may have minted up to now, or to a time from which the clock
            // was set back since.
            None => {
                let latest = state.latest_wall_ms.max(self.clock.wall_ms());
                Leaves::Exactly(latest.saturating_add(1))
            }
        }
    }

    /// Only now do waiters learn that it is over, and readers of events come to their end.
    pub(crate) fn finish(&self, last: Event) {
        self.status.send_replace(Status::Released);
        self.tell(last);
        self.events.close();
    }

    fn lose(&self, fence: u64, cause: LossCause, revoke: bool) {
        let loss = {
            let state = self.state();
            if state.slot.fence != fence {
                return;
            }
            let loss = Loss {
                id: state.slot.number,
                fence: state.slot.fence,
                since_ms: self.clock.wall_ms(),
                cause,
            };
            if let Some(minter) = state.minter.as_ref().filter(|_| revoke) {
                minter.revoke(&loss);
            }
            if let Some(validity) = &state.validity {
                validity.revoke();
            }
            self.status.send_replace(Status::Lost(loss.clone()));
            loss
        };
        tracing::error!(id = loss.id, fence = loss.fence, cause = %loss.cause, "machine ID lost");
        self.tell(Event::Lost(loss));
    }

    fn grant(&self, slot: &Slot) -> Grant {
        let limit = slot
            .server_ms
            .saturating_add(self.identity.policy.terms.max_clock_skew_ms);
        Grant {
            machine_id: slot.number,
            fence: slot.fence,
            floor_ms: slot.floor_ms,
            horizon_ms: slot.horizon_ms,
            delay: Duration::from_millis(slot.floor_ms.saturating_sub(limit)),
        }
    }

    /// Every change under this lock is complete before anything can panic, so a poisoned one is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
