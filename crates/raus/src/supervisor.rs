//! The task that follows one machine ID from its grant to its release.

use std::{
    collections::HashSet,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    candidate,
    heartbeat::{Heartbeat, LeaseHandle},
    store::{Reply, StoreError},
};
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::{
    acquire::{Acquisition, Granted, Obstacle, Patience, Releases},
    chain::Entropy,
    error::{AcquireError, ReleaseError},
    event::Event,
    protocol::{self, Identity, Leaves},
    renewal::Renewal,
    search::Search,
    spans,
    tenure::{Status, Tenure},
};

/// What the handles ask of the supervisor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control {
    pub(crate) stop: bool,
    pub(crate) reacquire: bool,
}

/// What does not change over a machine ID's life.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) range: RangeInclusive<u32>,
    pub(crate) discovery: Duration,
    pub(crate) max_candidates: usize,
    pub(crate) release_timeout: Duration,
    pub(crate) own: OwnSlots,
    pub(crate) releases: Releases,
    /// Whether a seed determines everything.
    pub(crate) seeded: bool,
}

impl Settings {
    /// Where the next acquisition draws from what no other process may draw.
    pub(crate) fn entropy(&self, rng: &mut fastrand::Rng) -> Entropy {
        if self.seeded {
            return Entropy::Seeded(rng.fork());
        }
        Entropy::System
    }
}

/// The slots that this process holds out of one range: no use offering them again.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnSlots(Arc<Mutex<HashSet<u32>>>);

impl OwnSlots {
    pub(crate) fn insert(&self, slot: u32) {
        self.lock().insert(slot);
    }

    pub(crate) fn remove(&self, slot: u32) {
        self.lock().remove(&slot);
    }

    pub(crate) fn snapshot(&self) -> HashSet<u32> {
        self.lock().clone()
    }

    /// One insertion or removal is always complete, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Supervisor {
    pub(crate) heartbeat: Heartbeat,
    pub(crate) settings: Settings,
    pub(crate) tenure: Arc<Tenure>,
    pub(crate) control: watch::Receiver<Control>,
    pub(crate) rng: fastrand::Rng,
}

impl Supervisor {
    /// Follows the machine ID until it is released, and says how that went.
    pub(crate) async fn run(
        mut self,
        lease: LeaseHandle,
        done: watch::Sender<Option<Result<(), ReleaseError>>>,
    ) {
        let lease = self.follow(lease).await;
        let span = spans::release(&self.tenure.identity, &self.tenure.slot());
        let outcome = self.release(lease).instrument(span.clone()).await;
        spans::note_release(span, &outcome);
        done.send_replace(Some(outcome));
    }

    /// Returns when the machine ID is to be given back, with its lease where one is held.
    async fn follow(&mut self, mut lease: LeaseHandle) -> Option<LeaseHandle> {
        loop {
            tokio::select! {
                biased;
                () = wanted(&mut self.control, |control| control.stop) => return Some(lease),
                () = lease.lost() => self.tenure.handle_abandoned(),
            }
            drop(lease);
            self.settings.own.remove(self.tenure.slot().number);
            wanted(&mut self.control, |control| {
                control.stop || control.reacquire
            })
            .await;
            lease = self.reacquire().await?;
        }
    }

    /// Another slot, as soon as there is one; `None` where the machine ID is given back first.
    async fn reacquire(&mut self) -> Option<LeaseHandle> {
        let mut control = self.control.clone();
        loop {
            let outcome = tokio::select! {
                biased;
                () = wanted(&mut control, |control| control.stop) => return None,
                outcome = self.search_again() => outcome,
            };
            match outcome {
                Ok(None) => return None,
                Ok(Some(granted)) => return Some(self.go_on(&granted)),
                Err(error) => self.tenure.tell(Event::ReacquireFailed {
                    error: Arc::new(error),
                }),
            }
            let pause = self
                .tenure
                .identity
                .timing
                .heartbeat()
                .min(Self::REACQUIRE_PAUSE);
            let pause = pause.mul_f64(0.5 + 0.5 * self.rng.f64());
            // A stop ends the pause; the next turn of the loop sees it.
            let _ = tokio::time::timeout(pause, wanted(&mut control, |control| control.stop)).await;
        }
    }

    /// Goes on with another grant.
    fn go_on(&self, granted: &Granted) -> LeaseHandle {
        let (old, new) = (self.tenure.slot(), granted.slot);
        self.settings.own.insert(new.number);
        self.tenure.install(granted);
        let lease = keep(&self.heartbeat, &self.tenure, granted);
        self.tenure.tell(Event::Reacquired {
            old: old.number,
            new: new.number,
            fence: new.fence,
        });
        lease
    }

    async fn search_again(&mut self) -> Result<Option<Granted>, AcquireError> {
        let (_present, caller) = watch::channel(());
        let preferred = [self.tenure.slot().number];
        let mut acquisition = Acquisition {
            store: Arc::clone(self.heartbeat.store()),
            clock: Arc::clone(self.heartbeat.clock()),
            identity: self.tenure.identity.clone(),
            gate: None,
            discovery: self.settings.discovery,
            releases: self.settings.releases.clone(),
            held_before: true,
            patience: Patience::Prompt,
            rng: self.rng.fork(),
            entropy: self.settings.entropy(&mut self.rng),
            caller,
        };
        let (settings, identity) = (&self.settings, &self.tenure.identity);
        let span = spans::reacquire(identity, &self.tenure.slot());
        let found = acquisition
            .run(
                |rng| new_search(settings, identity, &preferred, rng),
                &Obstacle::default(),
            )
            .instrument(span.clone())
            .await;
        spans::note_search(span, &found);
        found
    }

    /// Close, stop renewing, give back: in this order, so that nothing is minted or renewed after the last word.
    async fn release(&mut self, lease: Option<LeaseHandle>) -> Result<(), ReleaseError> {
        let leaves = self.tenure.close();
        let held = matches!(&*self.tenure.status().borrow(), Status::Held);
        if let Some(lease) = lease {
            lease.stop().await;
        }
        let slot = self.tenure.slot();
        self.settings.own.remove(slot.number);
        // A lost slot needs no release; one attempt frees it early where the store kept it all the same.
        let within = if held {
            self.settings.release_timeout
        } else {
            Duration::ZERO
        };
        let outcome = self.give_back(leaves, within).await;
        match outcome {
            Err(error) if held => {
                let error = Arc::new(error);
                self.tenure.finish(Event::ReleaseFailed {
                    id: slot.number,
                    error: Arc::clone(&error),
                });
                Err(ReleaseError::Unconfirmed {
                    id: slot.number,
                    within: self.settings.release_timeout,
                    source: error,
                })
            }
            _ => {
                self.tenure.finish(Event::Released {
                    id: slot.number,
                    fence: slot.fence,
                });
                Ok(())
            }
        }
    }

    async fn give_back(&mut self, leaves: Leaves, within: Duration) -> Result<(), StoreError> {
        let slot = self.tenure.slot();
        let command = [self.tenure.release(leaves)];
        let give_up_at = self.heartbeat.clock().now() + within;
        let mut pause = Self::FIRST_BACKOFF;
        loop {
            let reply = self
                .heartbeat
                .store()
                .pipeline(&command, Heartbeat::RESPONSE_TIMEOUT)
                .await
                .pop()
                .unwrap_or_else(|| Err(StoreError::unexpected("release", &Reply::Nil)));
            let error = match reply.and_then(|reply| protocol::parse_release(&reply)) {
                Ok(was_held) => {
                    tracing::debug!(id = slot.number, was_held, "machine ID released");
                    return Ok(());
                }
                Err(error) => error,
            };
            let now = self.heartbeat.clock().now();
            if give_up_at <= now + pause || !error.is_transient() {
                return Err(error);
            }
            tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * self.rng.f64())).await;
            pause = (pause * 2).min(Self::MAX_BACKOFF);
        }
    }

    const FIRST_BACKOFF: Duration = Duration::from_millis(25);
    const MAX_BACKOFF: Duration = Duration::from_secs(1);
    const REACQUIRE_PAUSE: Duration = Duration::from_secs(1);
}

/// Puts a granted slot under the heartbeat's care; the tenure knows of the grant already.
pub(crate) fn keep(heartbeat: &Heartbeat, tenure: &Arc<Tenure>, granted: &Granted) -> LeaseHandle {
    let renewal = Renewal::new(Arc::clone(tenure), &granted.slot);
    let lease = heartbeat.adopt(granted.sent, tenure.identity.timing, Box::new(renewal));
    tenure.adopt(granted.slot.fence, lease.validity());
    lease
}

/// A walk through the range: the same one for the same label, a random one without.
pub(crate) fn new_search(
    settings: &Settings,
    identity: &Identity,
    preferred: &[u32],
    rng: &mut fastrand::Rng,
) -> Search {
    let mut walk_rng = match identity.label.as_str() {
        "" => rng.fork(),
        label => fastrand::Rng::with_seed(candidate::seed_of(label)),
    };
    Search::new(
        settings.range.clone(),
        preferred,
        settings.own.snapshot(),
        settings.max_candidates,
        identity.max_clock_skew(),
        &mut walk_rng,
    )
}

/// Waits until the handles want what `condition` says. Handles that are all gone want everything to end.
async fn wanted(control: &mut watch::Receiver<Control>, condition: impl Fn(&Control) -> bool) {
    let _ = control.wait_for(condition).await;
}
