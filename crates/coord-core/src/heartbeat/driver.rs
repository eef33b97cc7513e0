//! The task behind [`Heartbeat`](super::Heartbeat).

use std::{future::pending, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{
    mpsc,
    oneshot::{self, error::TryRecvError},
    watch,
};

use super::{
    Heartbeat, Renew, Validity, Verdict,
    batch::{Answers, Batch, Kind},
    words::Request,
};
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
    /// Renewed by a batch under way.
    under_way: bool,
    /// Due, but a batch of its kind is under way: the next one takes it along.
    held_back: bool,
    /// A key of its last renewal, which says what server that went to.
    key: Option<String>,
    stopping: Option<oneshot::Sender<()>>,
}

type Batches = FuturesUnordered<BoxFuture<'static, Answers>>;

pub(super) struct Driver {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    inbox: mpsc::UnboundedReceiver<Message>,
    inbox_open: bool,
    rng: fastrand::Rng,
    entries: Vec<Entry>,
    next_id: u64,
    /// The kinds of the batches under way.
    busy: Vec<Kind>,
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
            busy: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut under_way = Batches::new();
        loop {
            self.advance();
            self.start_batches(&under_way);
            if !self.inbox_open && self.entries.is_empty() && under_way.is_empty() {
                return;
            }
            let wake = self.wakes_at();
            tokio::select! {
                biased;
                message = self.inbox.recv(), if self.inbox_open => match message {
                    Some(message) => self.handle_message(message),
                    None => self.inbox_open = false,
                },
                Some(answers) = under_way.next() => self.handle_answers(answers),
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
                    held_back: false,
                    key: None,
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

    /// One batch of each kind of which some lease is due, with a renewal for every lease of that kind that is due, or
    /// nearly: leases with one heartbeat fall into step. A kind that has a batch under way waits for that.
    fn start_batches(&mut self, under_way: &Batches) {
        let now = self.clock.now();
        let mut batches: Vec<Batch> = Vec::new();
        for entry in &mut self.entries {
            entry.held_back = false;
            if !entry.renewable() || now < entry.due(now) {
                continue;
            }
            let kind = entry.kind(&*self.store);
            if self.busy.contains(&kind) {
                entry.held_back = true;
            } else if batches.iter().all(|batch| batch.kind != kind) {
                batches.push(Batch::new(kind, now));
            }
        }
        if batches.is_empty() {
            return;
        }
        for entry in &mut self.entries {
            let heartbeat = entry.lease.timing().heartbeat();
            if !entry.renewable() || now + heartbeat / 2 < entry.due(now) {
                continue;
            }
            let kind = entry.kind(&*self.store);
            if let Some(batch) = batches.iter_mut().find(|batch| batch.kind == kind) {
                batch.add(entry.id, entry.begin(), entry.patience());
            }
        }
        for batch in batches {
            self.busy.push(batch.kind.clone());
            under_way.push(Box::pin(batch.run(Arc::clone(&self.store))));
        }
    }

    fn handle_answers(&mut self, answers: Answers) {
        let now = self.clock.now();
        let jitter = self.rng.f64();
        self.busy.retain(|kind| *kind != answers.kind);
        let mut replies = answers.replies.as_slice();
        for share in &answers.shares {
            let (own, rest) = replies.split_at(share.count.min(replies.len()));
            replies = rest;
            // Entries are pushed with rising ids and never reordered.
            let Ok(index) = self
                .entries
                .binary_search_by_key(&share.id, |entry| entry.id)
            else {
                continue;
            };
            let entry = &mut self.entries[index];
            entry.under_way = false;
            entry.handle_replies(now, answers.sent, own, answers.shortfall(share), jitter);
        }
    }

    /// The next instant at which something is to be done; for a lease that waits for an answer only state changes count.
    fn wakes_at(&self) -> Option<Instant> {
        let now = self.clock.now();
        self.entries
            .iter()
            .filter_map(|entry| {
                let waits = entry.held_back || !entry.renewable();
                let due = (!waits).then(|| entry.due(now));
                match (due, entry.lease.changes_at()) {
                    (Some(due), Some(change)) => Some(due.min(change)),
                    (due, change) => due.or(change),
                }
            })
            .min()
    }
}

impl Entry {
    const fn renewable(&self) -> bool {
        !self.under_way && self.stopping.is_none()
    }

    fn kind(&self, store: &dyn Store) -> Kind {
        match self.protocol.acknowledge() {
            0 => Kind::Shared,
            replicas => Kind::Confirmed {
                replicas,
                patience: self.patience(),
                route: self.key.as_deref().and_then(|key| store.route(key)),
            },
        }
    }

    /// A short lease must get a second attempt before its deadline.
    fn patience(&self) -> Duration {
        Heartbeat::RESPONSE_TIMEOUT.min(self.lease.timing().ttl() / 3)
    }

    /// The commands of a heartbeat that is sent now.
    fn begin(&mut self) -> Vec<Command> {
        // Taken before the commands are made: a nudge from here on wants the heartbeat after this one.
        self.nudged.take();
        self.under_way = true;
        let commands = self.protocol.commands();
        if self.key.is_none()
            && let Some(Command::Eval { keys, .. }) = commands.first()
        {
            self.key = keys.first().cloned();
        }
        commands
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
        shortfall: Option<StoreError>,
        jitter: f64,
    ) {
        if let Some(transition) = self.lease.poll(now) {
            self.publish(transition);
        }
        if self.lease.state() == LeaseState::Lost {
            return;
        }
        let verdict = match (replies.first(), shortfall) {
            (Some(Ok(_)), Some(shortfall)) => {
                match self.protocol.handle_unacknowledged(replies, shortfall) {
                    Verdict::Lost => Verdict::Lost,
                    _ => Verdict::Failed,
                }
            }
            _ => self.protocol.handle_replies(replies),
        };
        match verdict {
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
