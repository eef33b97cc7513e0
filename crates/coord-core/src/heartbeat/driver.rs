//! The task behind [`Heartbeat`](super::Heartbeat).

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{
    mpsc,
    oneshot::{self, error::TryRecvError},
    watch,
};

use super::{Heartbeat, Renew, Validity, Verdict, words::Request};
use crate::{
    clock::{Clock, Instant},
    lease::{Lease, LeaseState, Timing, Transition},
    store::{BoxFuture, Command, Reply, Store, StoreError},
};

pub(super) enum Message {
    /// A new lease.
    Adopt {
        sent: Instant,
        timing: Timing,
        protocol: Box<dyn Renew>,
        validity: Arc<Validity>,
        state: watch::Sender<LeaseState>,
        nudged: Arc<Request>,
        stop: oneshot::Receiver<oneshot::Sender<()>>,
    },
    /// Some lease is to be stopped, or renewed early.
    Look,
}

struct Entry {
    id: u64,
    lease: Lease,
    protocol: Box<dyn Renew>,
    validity: Arc<Validity>,
    state: watch::Sender<LeaseState>,
    nudged: Arc<Request>,
    stop: oneshot::Receiver<oneshot::Sender<()>>,
    /// Renewed by the pipeline under way.
    under_way: bool,
    stopping: Option<oneshot::Sender<()>>,
}

/// Requests whose replies come together.
struct Batch {
    sent: Instant,
    ids: Vec<(u64, usize)>,
    replies: Vec<Result<Reply, StoreError>>,
    /// How many replicas have what the first request wrote, where they were waited for.
    acknowledged: Option<u32>,
    /// Whether it was the pipeline, of which there is one at a time.
    shared: bool,
}

type Batches = FuturesUnordered<BoxFuture<'static, Batch>>;

pub(super) struct Driver {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    inbox: mpsc::UnboundedReceiver<Message>,
    inbox_open: bool,
    rng: fastrand::Rng,
    entries: Vec<Entry>,
    next_id: u64,
}

impl Driver {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        inbox: mpsc::UnboundedReceiver<Message>,
        seed: u64,
    ) -> Self {
        Self {
            store,
            clock,
            inbox,
            inbox_open: true,
            rng: fastrand::Rng::with_seed(seed),
            entries: Vec::new(),
            next_id: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let mut under_way = Batches::new();
        let mut piped = false;
        loop {
            self.advance();
            if !piped {
                piped = self.start_batches(&under_way);
            }
            if !self.inbox_open && self.entries.is_empty() && under_way.is_empty() {
                return;
            }
            let wake = self.wakes_at(piped);
            tokio::select! {
                biased;
                message = self.inbox.recv(), if self.inbox_open => match message {
                    Some(message) => self.handle_message(message),
                    None => self.inbox_open = false,
                },
                Some(batch) = under_way.next() => {
                    piped &= !batch.shared;
                    self.handle_batch(batch);
                }
                () = sleep_until(&*self.clock, wake) => {}
            }
        }
    }

    fn handle_message(&mut self, message: Message) {
        match message {
            Message::Adopt {
                sent,
                timing,
                protocol,
                validity,
                state,
                nudged,
                stop,
            } => {
                let lease = Lease::granted(sent, timing, self.rng.f64());
                self.entries.push(Entry {
                    id: self.next_id,
                    lease,
                    protocol,
                    validity,
                    state,
                    nudged,
                    stop,
                    under_way: false,
                    stopping: None,
                });
                self.next_id += 1;
            }
            Message::Look => {}
        }
    }

    /// Moves every lease to what it is now, and lets go of those that are lost or stopped.
    fn advance(&mut self) {
        let now = self.clock.now();
        self.entries.retain_mut(|entry| {
            if entry.stopping.is_none() {
                match entry.stop.try_recv() {
                    Ok(confirm) => entry.stopping = Some(confirm),
                    Err(TryRecvError::Closed) => return entry.under_way,
                    Err(TryRecvError::Empty) => {}
                }
            }
            if entry.stopping.is_some() && !entry.under_way {
                if let Some(confirm) = entry.stopping.take() {
                    let _ = confirm.send(());
                }
                return false;
            }
            if let Some(transition) = entry.lease.poll(now) {
                entry.publish(transition);
            }
            entry.lease.state() != LeaseState::Lost || entry.stopping.is_some()
        });
    }

    /// One pipeline with a renewal for every lease that is due, or nearly: leases with one heartbeat fall into step. Those
    /// that replicas have to acknowledge go alone, so that nobody else waits for a slow one. Whether there is a pipeline.
    fn start_batches(&mut self, batches: &Batches) -> bool {
        let now = self.clock.now();
        let any_due = self
            .entries
            .iter()
            .any(|entry| entry.renewable() && entry.due(now) <= now);
        if !any_due {
            return false;
        }
        let mut commands: Vec<Command> = Vec::new();
        let mut ids = Vec::new();
        let mut patience = Heartbeat::RESPONSE_TIMEOUT;
        for entry in &mut self.entries {
            let heartbeat = entry.lease.timing().heartbeat();
            if !entry.renewable() || now + heartbeat / 2 < entry.due(now) {
                continue;
            }
            // Taken before the commands are made: a nudge from here on wants the heartbeat after this one.
            entry.nudged.take();
            let mut own = entry.protocol.commands();
            entry.under_way = true;
            // A short lease must get a second attempt before its deadline.
            let own_patience = Heartbeat::RESPONSE_TIMEOUT.min(entry.lease.timing().ttl() / 3);
            if let Some(replicas) = entry.protocol.acknowledgements()
                && !own.is_empty()
            {
                let hints = own.split_off(1);
                let confirmed = Confirmation {
                    id: entry.id,
                    renewal: own.remove(0),
                    hints,
                    replicas,
                };
                let store = Arc::clone(&self.store);
                batches.push(Box::pin(confirmed.run(store, now, own_patience)));
                continue;
            }
            ids.push((entry.id, own.len()));
            commands.extend(own);
            patience = patience.min(own_patience);
        }
        if ids.is_empty() {
            return false;
        }
        let store = Arc::clone(&self.store);
        batches.push(Box::pin(async move {
            let replies = store.pipeline(&commands, patience).await;
            Batch {
                sent: now,
                ids,
                replies,
                acknowledged: None,
                shared: true,
            }
        }));
        true
    }

    fn handle_batch(&mut self, batch: Batch) {
        let now = self.clock.now();
        let jitter = self.rng.f64();
        let mut replies = batch.replies.as_slice();
        for (id, count) in batch.ids {
            let (own, rest) = replies.split_at(count.min(replies.len()));
            replies = rest;
            // Entries are pushed with rising ids and never reordered.
            let Ok(index) = self.entries.binary_search_by_key(&id, |entry| entry.id) else {
                continue;
            };
            let entry = &mut self.entries[index];
            entry.under_way = false;
            if let Some(count) = batch.acknowledged {
                entry.protocol.handle_acknowledgements(count);
            }
            entry.handle_replies(now, batch.sent, own, jitter);
        }
    }

    /// The next instant at which something is to be done; while a pipeline is under way only state changes count.
    fn wakes_at(&self, under_way: bool) -> Option<Instant> {
        let now = self.clock.now();
        self.entries
            .iter()
            .filter_map(|entry| {
                let due = (!under_way && entry.renewable()).then(|| entry.due(now));
                match (due, entry.lease.changes_at()) {
                    (Some(due), Some(change)) => Some(due.min(change)),
                    (due, change) => due.or(change),
                }
            })
            .min()
    }
}

/// A renewal that replicas have to acknowledge, with its hints.
struct Confirmation {
    id: u64,
    renewal: Command,
    hints: Vec<Command>,
    replicas: u32,
}

impl Confirmation {
    async fn run(self, store: Arc<dyn Store>, sent: Instant, patience: Duration) -> Batch {
        let confirm = store.confirm(&self.renewal, self.replicas, patience);
        let hint = async {
            if self.hints.is_empty() {
                return Vec::new();
            }
            store.pipeline(&self.hints, patience).await
        };
        let (confirmed, hinted) = tokio::join!(confirm, hint);
        let (reply, acknowledged) = match confirmed {
            Ok((reply, acknowledged)) => (Ok(reply), Some(acknowledged)),
            Err(error) => (Err(error), None),
        };
        let mut replies = vec![reply];
        replies.extend(hinted);
        Batch {
            sent,
            ids: vec![(self.id, replies.len())],
            replies,
            acknowledged,
            shared: false,
        }
    }
}

impl Entry {
    const fn renewable(&self) -> bool {
        !self.under_way && self.stopping.is_none()
    }

    /// When the next renewal is to be sent: now, where somebody asked for it and renewals do not fail.
    fn due(&self, now: Instant) -> Instant {
        if self.nudged.is_raised() && !self.lease.is_failing() {
            return now.min(self.lease.due());
        }
        self.lease.due()
    }

    fn handle_replies(
        &mut self,
        now: Instant,
        sent: Instant,
        replies: &[Result<Reply, StoreError>],
        jitter: f64,
    ) {
        if let Some(transition) = self.lease.poll(now) {
            self.publish(transition);
        }
        if self.lease.state() == LeaseState::Lost {
            return;
        }
        match self.protocol.handle_replies(replies) {
            Verdict::Acknowledged => {
                let transition = self.lease.handle_acknowledged(now, sent, jitter);
                if let Some(transition) = transition {
                    self.publish(transition);
                }
                if self.lease.state() != LeaseState::Lost {
                    self.validity.extend(self.lease.deadline());
                    if let Some(within) = self.protocol.wants_next_within() {
                        self.lease.hasten(now + within);
                    }
                }
            }
            Verdict::Unfinished => self.lease.handle_unfinished(now),
            Verdict::Failed => self.lease.handle_failed(now, jitter),
            Verdict::Lost => {
                self.lease.handle_refused();
                self.publish_state();
            }
        }
    }

    fn publish(&mut self, transition: Transition) {
        match transition {
            Transition::AtRisk => self.protocol.handle_at_risk(self.lease.deadline()),
            Transition::Expired => self.protocol.handle_expired(),
            Transition::Recovered => {}
        }
        self.publish_state();
    }

    fn publish_state(&self) {
        if self.lease.state() == LeaseState::Lost {
            self.validity.revoke();
        }
        self.state.send_replace(self.lease.state());
    }
}

/// Sleeps until `wake` by the boot-time clock. Tokio's clock may differ from it (suspend, faults in a simulation), so
/// the caller looks again whenever this returns.
async fn sleep_until(clock: &dyn Clock, wake: Option<Instant>) {
    match wake {
        // Rounded up to Tokio's granularity; a shorter sleep would spin for the rest of the millisecond.
        Some(wake) => {
            tokio::time::sleep(
                wake.saturating_since(clock.now())
                    .max(Duration::from_micros(100)),
            )
            .await;
        }
        None => pending().await,
    }
}
