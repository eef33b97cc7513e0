//! What the heartbeat, the supervisor and the handles of one machine ID share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant},
    event_log::EventLog,
    heartbeat::Validity,
    store::StoreError,
};
use tokio::sync::watch;

use crate::{
    error::AttachError,
    event::{Event, Loss, LossCause},
    metrics::Meter,
    minter::{Grant, Minter},
    protocol::{Identity, Slot},
};

/// Where a machine ID stands, as waiters see it.
#[derive(Debug, Clone)]
pub(crate) enum Status {
    Held,
    Lost(Loss),
    Released,
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
    slot: Slot,
    /// `None` only until the heartbeat has taken the slot over.
    validity: Option<Arc<Validity>>,
    minter: Option<Arc<dyn Minter>>,
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
}

impl Tenure {
    /// How many events a slow reader may fall behind.
    const EVENTS: usize = 256;

    pub(crate) fn new(identity: Identity, clock: Arc<dyn Clock>, slot: Slot) -> Self {
        Self {
            meter: Meter::new(identity.keys.namespace()),
            identity,
            clock,
            events: EventLog::new(Self::EVENTS),
            status: watch::Sender::new(Status::Held),
            state: Mutex::new(State {
                slot,
                validity: None,
                minter: None,
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
    pub(crate) fn adopt(&self, validity: Arc<Validity>) {
        self.state().validity = Some(validity);
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Connects what mints; it learns the current grant before this returns, and every change after.
    pub(crate) fn attach(&self, minter: Arc<dyn Minter>) -> Result<(), AttachError> {
        let mut state = self.state();
        if state.minter.is_some() {
            return Err(AttachError {
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
        state.minter = Some(minter);
        Ok(())
    }

    /// Counts what happened and tells every reader.
    pub(crate) fn tell(&self, event: Event) {
        self.meter.observe(&event);
        self.events.push(event);
    }

    /// Goes on with another grant, after a loss.
    pub(crate) fn install(&self, slot: Slot, validity: Arc<Validity>) {
        let old = {
            let mut state = self.state();
            let old = std::mem::replace(&mut state.slot, slot);
            state.validity = Some(validity);
            (state.last_error, state.horizon_stuck) = (None, false);
            if let Some(minter) = &state.minter {
                minter.grant(&self.grant(&slot));
            }
            self.status.send_replace(Status::Held);
            old
        };
        self.tell(Event::Reacquired {
            old: old.number,
            new: slot.number,
            fence: slot.fence,
        });
    }

    /// The timestamp that the next holder must not go below, as far as the store cannot know it better.
    pub(crate) fn last_minted_ms(&self) -> u64 {
        let state = self.state();
        let last = state
            .minter
            .as_ref()
            .and_then(|minter| minter.last_minted_ms());
        last.unwrap_or(0).max(state.slot.floor_ms)
    }

    pub(crate) fn handle_renewed(&self, horizon_ms: u64, wall_ms: u64, server_ms: u64) {
        let mut state = self.state();
        state.last_error = None;
        if state.slot.horizon_ms < horizon_ms {
            state.slot.horizon_ms = horizon_ms;
            state.horizon_stuck = false;
            if let Some(minter) = &state.minter {
                minter.extend(horizon_ms);
            }
        }
        let skew = Duration::from_millis(wall_ms.abs_diff(server_ms));
        let skewed = self.identity.max_clock_skew < skew;
        let changed = std::mem::replace(&mut state.clock_skewed, skewed) != skewed;
        drop(state);
        self.meter.clocks(wall_ms, server_ms);
        if changed && skewed {
            self.tell(Event::ClockSkewed { skew });
        }
    }

    pub(crate) fn handle_stuck(&self, error: String) {
        let mut state = self.state();
        let changed = !std::mem::replace(&mut state.horizon_stuck, true);
        let id = state.slot.number;
        drop(state);
        if changed {
            self.tell(Event::HorizonStuck { id, error });
        }
    }

    pub(crate) fn handle_failed(&self, error: StoreError) {
        let error = Arc::new(error);
        let (id, deadline) = {
            let mut state = self.state();
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

    pub(crate) fn handle_at_risk(&self, deadline: Instant) {
        let (id, cause) = {
            let state = self.state();
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
    pub(crate) fn handle_expired(&self) {
        let error = self.state().last_error.clone();
        self.lose(LossCause::Expired { error }, false);
    }

    /// The store says that the slot is another's.
    pub(crate) fn handle_taken(&self, cause: LossCause) {
        self.lose(cause, true);
    }

    /// The driver went away without a word.
    pub(crate) fn handle_abandoned(&self) {
        if matches!(&*self.status.borrow(), Status::Held) {
            self.lose(LossCause::Abandoned, false);
        }
    }

    /// Closes the minter and returns the horizon to leave behind.
    pub(crate) fn close(&self) -> u64 {
        match &self.state().minter {
            // Nothing minted: the script puts the grant's own floor in its place.
            Some(minter) => minter.close().map_or(0, |last| last.saturating_add(1)),
            // Whoever used the number without a minter may have minted up to now.
            None => self.clock.wall_ms().saturating_add(1),
        }
    }

    /// Only now do waiters learn that it is over, and readers of events come to their end.
    pub(crate) fn finish(&self, last: Event) {
        self.status.send_replace(Status::Released);
        self.tell(last);
        self.events.close();
    }

    fn lose(&self, cause: LossCause, revoke: bool) {
        let loss = {
            let state = self.state();
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
        let limit = slot.server_ms.saturating_add(
            u64::try_from(self.identity.max_clock_skew.as_millis()).unwrap_or(u64::MAX),
        );
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
