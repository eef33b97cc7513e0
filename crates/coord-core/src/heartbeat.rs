//! The driver that keeps leases: it owns their state and renews all of them together, in one pipeline a heartbeat for up
//! to 256 leases; of more, no more is under way than the server answers in time.
//!
//! [`Heartbeat`] is the handle; behind it runs one task, which alone changes lease state. A lease leaves it through
//! [`LeaseHandle`]: a deadline that is read without locks, and a `watch` of the state.

mod batch;
mod driver;
#[cfg(test)]
mod tests;
mod turns;
mod window;
mod words;

use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use self::{
    driver::{Driver, Message},
    turns::Turns,
    words::{Deadline, Request},
};
use crate::{
    clock::{Clock, Instant},
    lease::{LeaseState, Timing},
    spawn::Spawn,
    store::{Command, Reply, Store, StoreError},
};

/// What a protocol contributes to a heartbeat, and learns from it.
///
/// The driver calls these methods one at a time, never while the commands are under way.
pub trait Renew: Send + 'static {
    /// The commands of the next heartbeat. The first one is the renewal; the others are hints whose failure costs
    /// nothing.
    fn commands(&mut self) -> Vec<Command>;

    /// How many replicas must acknowledge a renewal before it counts; 0 if the lease waits for none. Asked before
    /// [`commands`](Self::commands), of a lease that has no heartbeat under way.
    ///
    /// All renewals that wait for the same number go together, on a connection of their own ([`Store::confirm`]);
    /// nothing else waits for them.
    fn acknowledge(&self) -> u32 {
        0
    }

    /// The replies to them, in order. A late reply, after the deadline, is not passed on. If the renewal succeeded, as
    /// many replicas as [`acknowledge`](Self::acknowledge) wants have it.
    fn handle_replies(&mut self, replies: &[Result<Reply, StoreError>]) -> Verdict;

    /// As [`handle_replies`](Self::handle_replies), but fewer replicas have the renewal than
    /// [`acknowledge`](Self::acknowledge) wants; `shortfall` is [`StoreError::Unacknowledged`]. The first reply is what
    /// the server answered, and no error.
    ///
    /// An answer that prolongs the lease does not count: nothing may be derived from it. An answer that says that the
    /// lease is lost counts. So only [`Verdict::Lost`] has an effect; every other verdict means [`Verdict::Failed`].
    ///
    /// Defaults to [`Verdict::Failed`], which is safe: a lost lease ends at its deadline.
    fn handle_unacknowledged(
        &mut self,
        replies: &[Result<Reply, StoreError>],
        shortfall: StoreError,
    ) -> Verdict {
        let _ = (replies, shortfall);
        Verdict::Failed
    }

    /// Two thirds of the ttl have passed without an acknowledgement; `deadline` is when the lease ends.
    fn handle_at_risk(&mut self, deadline: Instant);

    /// The deadline has passed. Called at most once, and never after [`Verdict::Lost`].
    fn handle_expired(&mut self);

    /// How soon the next heartbeat is wanted after one that was acknowledged; `None` for the usual time. Never later
    /// than that. Asked after every [`Verdict::Acknowledged`].
    fn wants_next_within(&self) -> Option<Duration> {
        None
    }
}

/// What the replies to a heartbeat mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The lease lives on for a ttl from the sending of this heartbeat.
    Acknowledged,
    /// The store answered, but the lease was not prolonged yet: the protocol has more to say, at once.
    Unfinished,
    /// The store says that the lease is another's or gone.
    Lost,
    /// Nothing is known; try again soon.
    Failed,
}

impl Verdict {
    /// One word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Unfinished => "unfinished",
            Self::Lost => "lost",
            Self::Failed => "failed",
        }
    }
}

/// Keeps every lease that a process has on one store.
///
/// Cheap to clone. The driver ends when every clone and every [`LeaseHandle`] is gone.
#[derive(Clone)]
pub struct Heartbeat {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    spawner: Arc<dyn Spawn>,
    // Unbounded, because `Drop` must neither block nor fail; a lease has at most three messages in it.
    messages: mpsc::UnboundedSender<Message>,
    /// Nothing is ever sent: it is dropped with the last handle.
    alive: watch::Sender<()>,
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat")
            .field("store", &self.shared.store)
            .finish_non_exhaustive()
    }
}

impl Heartbeat {
    /// How long a heartbeat waits for its answer; leases shorter than three times as long wait a third of their ttl.
    pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

    /// Starts a driver on `spawner`. `seed` determines the jitter.
    #[must_use]
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        spawner: Arc<dyn Spawn>,
        seed: u64,
    ) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let driver = Driver::new(Arc::clone(&store), Arc::clone(&clock), inbox, seed);
        spawner.spawn(Box::pin(driver.run()));
        let shared = Shared {
            store: Arc::new(Turns::new(store)),
            clock,
            spawner,
            messages,
            alive: watch::Sender::new(()),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The store that the leases live in. Of what is asked of it some 64 requests are under way at a time; more wait for
    /// their turn, ten times as long as an answer may take at most. Heartbeats do not wait for them.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// The clock that deadlines are read from.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Runs `task` where the driver runs: away from a runtime that the user may block.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.spawner.spawn(Box::pin(task));
    }

    /// Waits until every clone and every [`LeaseHandle`] is gone.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut alive = self.shared.alive.subscribe();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Keeps the lease that `protocol` was granted by a request sent at `sent`.
    #[must_use]
    pub fn adopt(&self, sent: Instant, timing: Timing, protocol: Box<dyn Renew>) -> LeaseHandle {
        let validity = Arc::new(Validity::until(timing.deadline(sent)));
        let (state, receiver) = watch::channel(LeaseState::Held);
        let (stop, stopped) = oneshot::channel();
        let nudged = Arc::new(Request::new());
        // Where the driver is gone the message is dropped, and with it the watch's sender: the handle reads Lost.
        let _ = self.shared.messages.send(Message::Adopt {
            sent,
            timing,
            protocol,
            validity: Arc::clone(&validity),
            state,
            nudged: Arc::clone(&nudged),
            stop: stopped,
        });
        LeaseHandle {
            heartbeat: self.clone(),
            validity,
            state: receiver,
            nudge: Nudge {
                nudged,
                messages: self.shared.messages.downgrade(),
            },
            stop,
        }
    }

    /// A handle that does not keep the driver alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakHeartbeat {
        WeakHeartbeat(Arc::downgrade(&self.shared))
    }
}

/// From [`Heartbeat::downgrade`].
#[derive(Clone)]
pub struct WeakHeartbeat(Weak<Shared>);

impl fmt::Debug for WeakHeartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakHeartbeat")
    }
}

impl WeakHeartbeat {
    /// The heartbeat, while somebody else still keeps it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Heartbeat> {
        Some(Heartbeat {
            shared: self.0.upgrade()?,
        })
    }
}

/// One lease that a [`Heartbeat`] keeps. Dropping it stops the renewals; the lease then ends by itself.
pub struct LeaseHandle {
    heartbeat: Heartbeat,
    validity: Arc<Validity>,
    state: watch::Receiver<LeaseState>,
    nudge: Nudge,
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

impl fmt::Debug for LeaseHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseHandle")
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

impl LeaseHandle {
    /// Whether the holder may still act, by the local clock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.heartbeat.clock().now() < self.deadline()
    }

    /// The instant at which the holder must stop; in the past once the lease is lost.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.validity.deadline()
    }

    /// The deadline, shared: it stays readable without the handle.
    #[must_use]
    pub fn validity(&self) -> Arc<Validity> {
        Arc::clone(&self.validity)
    }

    /// A way to ask for an early heartbeat; it does not keep the driver alive.
    #[must_use]
    pub fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// Waits until the lease is lost, or the driver is gone with its runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn lost(&mut self) {
        let _ = self
            .state
            .wait_for(|state| *state == LeaseState::Lost)
            .await;
        self.validity.revoke();
    }

    /// Stops renewing and waits for the renewal under way: afterwards nothing of the driver's touches the lease.
    ///
    /// # Cancel safety
    ///
    /// Renewing stops all the same.
    pub async fn stop(self) {
        let (confirm, confirmed) = oneshot::channel();
        if self.stop.send(confirm).is_ok()
            && self.heartbeat.shared.messages.send(Message::Look).is_ok()
        {
            let _ = confirmed.await;
        }
        self.validity.revoke();
    }
}

/// Asks for an early heartbeat of one lease. From [`LeaseHandle::nudge`].
#[derive(Clone)]
pub struct Nudge {
    nudged: Arc<Request>,
    messages: mpsc::WeakUnboundedSender<Message>,
}

impl Nudge {
    /// The next heartbeat is sent at once, or right after the one under way. While heartbeats fail their backoff
    /// counts all the same. Asking again before it was sent changes nothing.
    pub fn nudge(&self) {
        // One message for each heartbeat at most, which bounds the channel.
        if self.nudged.raise()
            && let Some(messages) = self.messages.upgrade()
        {
            let _ = messages.send(Message::Look);
        }
    }
}

impl fmt::Debug for Nudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nudge")
    }
}

/// A deadline that many threads read and one driver moves.
#[derive(Debug)]
pub struct Validity {
    deadline: Deadline,
}

impl Validity {
    fn until(deadline: Instant) -> Self {
        Self {
            deadline: Deadline::until(nanoseconds(deadline)),
        }
    }

    /// The instant at which the holder must stop; the clock's zero once the lease is lost.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::from_boot(Duration::from_nanos(self.deadline.ns()))
    }

    fn extend(&self, deadline: Instant) {
        self.deadline.extend(nanoseconds(deadline));
    }

    /// Ends the lease at once and for ever. A protocol that learns of a loss calls this before it tells anybody, so that
    /// nobody who has heard of the loss still reads a deadline in the future.
    pub fn revoke(&self) {
        self.deadline.revoke();
    }
}

/// Boot-time nanoseconds fit 64 bits for 584 years.
fn nanoseconds(instant: Instant) -> u64 {
    u64::try_from(instant.since_boot().as_nanos()).unwrap_or(u64::MAX)
}
