//! The task that follows one instance from its first membership to its leave.

use std::{sync::Arc, time::Duration};

use coord_core::{
    clock::Instant,
    heartbeat::{Heartbeat, LeaseHandle, Nudge},
    store::{Reply, Store, StoreError},
};
use tokio::sync::watch;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    bucket_set::BucketSet,
    error::LeaveError,
    event::{Event, LossCause},
    instance::Leaving,
    join::{Joined, Joining},
    membership::{Ending, Limits},
    protocol::{self, Identity},
    renewal::Renewal,
    shared::{Shared, Status},
    spans,
};

/// What the supervisor says once it is done.
pub(crate) type Done = watch::Sender<Option<Result<(), LeaveError>>>;

pub(crate) struct Supervisor {
    pub(crate) heartbeat: Heartbeat,
    pub(crate) shared: Arc<Shared>,
    pub(crate) identity: Identity,
    pub(crate) limits: Limits,
    pub(crate) register_timeout: Duration,
    pub(crate) leave_timeout: Duration,
    /// Changes when the instance is to leave; handles that are all gone want that too.
    pub(crate) leave: watch::Receiver<Leaving>,
    pub(crate) rng: fastrand::Rng,
}

impl Supervisor {
    /// Follows the instance until it has left, and says how that went.
    pub(crate) async fn run(mut self, lease: LeaseHandle, done: Done) {
        let lease = self.follow(lease).await;
        let span = spans::leave(&self.identity);
        let outcome = self.leave(lease).instrument(span.clone()).await;
        spans::note_end(span, &outcome);
        self.shared.finish();
        done.send_replace(Some(outcome));
    }

    /// Returns when the instance is to leave, with its lease where there is one.
    async fn follow(&mut self, mut lease: LeaseHandle) -> Option<LeaseHandle> {
        loop {
            let number = self.shared.number();
            let keys = &self.identity.keys;
            let channels = [
                (keys.wake(number), Self::MAX_WAKE_BACKOFF),
                // Who makes a lost group anew waits no longer for the others than this allows for.
                (keys.wake_all(), Heartbeat::RESPONSE_TIMEOUT),
            ];
            let [own, all] = channels.map(|(channel, patience)| {
                let store = Arc::clone(self.heartbeat.store());
                wake(store, channel, patience, lease.nudge(), self.rng.fork())
            });
            let waking = async { tokio::join!(own, all) };
            tokio::select! {
                biased;
                () = wanted(&mut self.leave) => return Some(lease),
                () = lease.lost() => {}
                _ = waking => {}
                () = renumbered(&self.shared, number) => continue,
            }
            // Where the driver is gone nobody else has said so.
            self.shared.lose(LossCause::Abandoned);
            drop(lease);
            if self.shared.status() == Status::Fenced {
                return None;
            }
            lease = self.rejoin().await?;
        }
    }

    /// A membership again, as soon as there can be one; `None` where the instance leaves first or was fenced.
    async fn rejoin(&mut self) -> Option<LeaseHandle> {
        let mut leave = self.leave.clone();
        let previous = self
            .shared
            .take_overtaken_by()
            .unwrap_or_else(|| self.identity.token.clone());
        let earlier = &mut self.identity.earlier;
        earlier.push(self.identity.incarnation);
        let forgotten = earlier.len().saturating_sub(Self::REMEMBERED);
        earlier.drain(..forgotten);
        self.identity.incarnation = incarnation(&mut self.rng);
        self.identity.told = self.shared.told();
        loop {
            let mut joining = Joining {
                store: Arc::clone(self.heartbeat.store()),
                clock: Arc::clone(&self.shared.clock),
                identity: self.identity.clone(),
                gate: None,
                previous: previous.clone(),
                register_timeout: self.register_timeout,
                rng: self.rng.fork(),
            };
            let span = spans::join(&self.identity);
            let outcome = tokio::select! {
                biased;
                () = wanted(&mut leave) => return None,
                outcome = joining.run().instrument(span.clone()) => outcome,
            };
            spans::note_join(span, &outcome);
            match outcome {
                Ok(joined) => {
                    self.shared.rejoin(joined.membership(self.limits.clone()));
                    self.identity.token.clone_from(&joined.token);
                    return Some(self.keep(&joined));
                }
                Err(crate::error::JoinError::DuplicateInstance { .. }) => {
                    self.shared.hear(self.shared.clock.now(), |_| {
                        crate::membership::Heard::Fenced(String::new())
                    });
                    return None;
                }
                Err(error) => self.shared.tell(Event::RejoinFailed {
                    error: Arc::new(error),
                }),
            }
            let pause = Self::REJOIN_PAUSE.mul_f64(0.5 + 0.5 * self.rng.f64());
            // A leave ends the pause; the next turn of the loop sees it.
            let _ = tokio::time::timeout(pause, wanted(&mut leave)).await;
        }
    }

    /// Puts a membership under the heartbeat's care.
    pub(crate) fn keep(&mut self, joined: &Joined) -> LeaseHandle {
        let renewal = Renewal::new(
            Arc::clone(&self.shared),
            self.identity.clone(),
            self.rng.fork(),
        );
        let timing = self.identity.timing;
        let lease = self.heartbeat.adopt(joined.sent, timing, Box::new(renewal));
        self.shared.adopt(lease.validity(), lease.nudge());
        // What is granted is learned from the first beat.
        lease.nudge().nudge();
        lease
    }

    /// Drain, stop renewing, leave: in this order, so that nothing is given away that work goes on in.
    async fn leave(&mut self, lease: Option<LeaseHandle>) -> Result<(), LeaveError> {
        let give_up_at = self.shared.clock.now() + self.leave_timeout;
        let for_good = *self.leave.borrow() == Leaving::ForGood;
        let ending = match self.identity.grace {
            _ if for_good => Ending::HandOver,
            Duration::ZERO => Ending::HandOver,
            _ => Ending::Park,
        };
        let keep = self.shared.end(ending) == Ending::Park;
        self.finish_work(lease).await;
        // Nothing can be entered any more: what is busy now is all there is.
        let busy = BucketSet::new(self.shared.busy());
        let left = match self.shared.status() {
            Status::Member if !self.shared.is_at_work() => self.confirm(keep, give_up_at).await,
            _ => Ok(()),
        };
        match busy.is_empty() {
            true => left,
            false => Err(LeaveError::Busy {
                buckets: busy,
                within: self.leave_timeout,
            }),
        }
    }

    /// Waits until nothing is worked on any more, at most `leave_timeout`, and stops renewing.
    async fn finish_work(&self, lease: Option<LeaseHandle>) {
        let Some(mut lease) = lease else {
            let _ = tokio::time::timeout(self.leave_timeout, self.shared.ended()).await;
            return;
        };
        let ends = async {
            tokio::select! {
                () = self.shared.ended() => return,
                () = lease.lost() => self.shared.lose(LossCause::Abandoned),
            }
            self.shared.ended().await;
        };
        let _ = tokio::time::timeout(self.leave_timeout, ends).await;
        lease.stop().await;
    }

    /// Tells the store, until it has heard or time is over.
    async fn confirm(&mut self, keep: bool, give_up_at: Instant) -> Result<(), LeaveError> {
        let command = [self.identity.leave(self.shared.number(), keep)];
        let mut pause = Self::FIRST_BACKOFF;
        loop {
            let reply = self
                .heartbeat
                .store()
                .pipeline(&command, Heartbeat::RESPONSE_TIMEOUT)
                .await
                .pop()
                .unwrap_or_else(|| Err(StoreError::unexpected("leave", &Reply::Nil)));
            let error = match reply.and_then(|reply| protocol::parse_leave(&reply)) {
                Ok(was_member) => {
                    tracing::debug!(instance = %self.shared.id, was_member, "left");
                    return Ok(());
                }
                Err(error) => error,
            };
            let now = self.shared.clock.now();
            if give_up_at <= now + pause || !error.is_transient() {
                return Err(LeaveError::Unconfirmed {
                    within: self.leave_timeout,
                    source: Arc::new(error),
                });
            }
            tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * self.rng.f64())).await;
            pause = (pause * 2).min(Self::MAX_BACKOFF);
        }
    }

    const FIRST_BACKOFF: Duration = Duration::from_millis(25);
    const MAX_BACKOFF: Duration = Duration::from_secs(1);
    const MAX_WAKE_BACKOFF: Duration = Duration::from_secs(5);
    /// How many earlier incarnations are recognised; no request is under way for as long as they lasted.
    const REMEMBERED: usize = 16;
    const REJOIN_PAUSE: Duration = Duration::from_millis(500);
}

/// A random UUID, from the given source so that simulations replay.
pub(crate) fn incarnation(rng: &mut fastrand::Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.u128(..).to_le_bytes()).into_uuid()
}

/// Turns what is heard on a channel into heartbeats, for ever. A lost message costs one period. Whoever cannot subscribe tries
/// again after `patience` at the latest.
async fn wake(
    store: Arc<dyn Store>,
    channel: String,
    patience: Duration,
    nudge: Nudge,
    mut rng: fastrand::Rng,
) {
    const FIRST_BACKOFF: Duration = Duration::from_millis(50);
    let mut pause = FIRST_BACKOFF;
    loop {
        match store.subscribe(&channel, Heartbeat::RESPONSE_TIMEOUT).await {
            Ok(mut messages) => {
                // Something may have been said before.
                nudge.nudge();
                while messages.next().await.is_some() {
                    pause = FIRST_BACKOFF;
                    nudge.nudge();
                }
            }
            Err(error @ StoreError::Unsupported { .. }) => {
                tracing::info!(%channel, %error, "not woken: heartbeats alone tell what changed");
                return std::future::pending().await;
            }
            Err(error) => tracing::debug!(%channel, %error, "not subscribed"),
        }
        tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * rng.f64())).await;
        pause = (pause * 2).min(patience);
    }
}

/// Waits until the member has another number than `number`, as after a resynchronisation.
async fn renumbered(shared: &Shared, number: u32) {
    let mut changes = shared.changes();
    while shared.number() == number && changes.changed().await.is_ok() {}
}

/// Waits until the handles want the instance to leave. Handles that are all gone want it too.
async fn wanted(leave: &mut watch::Receiver<Leaving>) {
    let _ = leave.wait_for(|leave| *leave != Leaving::No).await;
}
