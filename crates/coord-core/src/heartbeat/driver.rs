//! The task behind [`Heartbeat`](super::Heartbeat).

use std::{collections::VecDeque, future::pending, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{
    mpsc,
    oneshot::{self, error::TryRecvError},
    watch,
};

use super::{
    Heartbeat, Renew, Validity, Verdict,
    batch::{Answers, Batch, Kind},
    window::Window,
    words::Request,
};
use crate::{
    clock::{Clock, Instant},
    lease::{self, Lease, LeaseState, Timing, Transition},
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
    /// With which leases it was last seen to go.
    kind: Kind,
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
    /// How much of each kind may be under way.
    windows: Vec<(Kind, Window)>,
}

impl Driver {
    /// How many messages are heard before the leases are looked at.
    const AT_ONCE: usize = 1_024;

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
            windows: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut under_way = Batches::new();
        let mut messages = Vec::new();
        loop {
            self.advance();
            self.start_batches(&under_way);
            if !self.inbox_open && self.entries.is_empty() && under_way.is_empty() {
                return;
            }
            let wake = self.wakes_at();
            tokio::select! {
                biased;
                count = self.inbox.recv_many(&mut messages, Self::AT_ONCE), if self.inbox_open => {
                    self.inbox_open = count != 0;
                    messages.drain(..).for_each(|message| self.handle_message(message));
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
                    kind: kind(&*protocol, timing, None, &*self.store),
                    lease,
                    protocol,
                    validity,
                    state,
                    nudged,
                    stop,
                    under_way: false,
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

    /// As many batches as the windows let through. Of what is due, the leases that end first go first: where not all can be
    /// renewed in time, whoever failed is not last in the queue again.
    fn start_batches(&mut self, under_way: &Batches) {
        let now = self.clock.now();
        let mut due: Vec<(Instant, usize)> = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.renewable() && entry.due(now) <= now {
                due.push((entry.lease.deadline(), index));
            }
        }
        due.sort_unstable();
        let mut by_kind: Vec<(Kind, VecDeque<usize>)> = Vec::new();
        for (_, index) in due {
            let entry = &mut self.entries[index];
            entry.look(&*self.store);
            match by_kind.iter_mut().find(|(kind, _)| *kind == entry.kind) {
                Some((_, waiting)) => waiting.push_back(index),
                None => by_kind.push((entry.kind.clone(), VecDeque::from([index]))),
            }
        }
        for (kind, waiting) in by_kind {
            self.start_batches_of(&kind, waiting, now, under_way);
        }
    }

    fn start_batches_of(
        &mut self,
        kind: &Kind,
        mut waiting: VecDeque<usize>,
        now: Instant,
        under_way: &Batches,
    ) {
        while !waiting.is_empty() {
            let room = self.window(kind).room(now, waiting.len());
            if room == 0 {
                return;
            }
            let mut chosen: Vec<usize> = waiting.drain(..room.min(waiting.len())).collect();
            for &index in &chosen {
                self.entries[index].under_way = true;
            }
            self.take_along(&mut chosen, kind, room, now);
            chosen.sort_unstable();
            let mut batch = Batch::new(kind.clone(), now);
            for index in chosen {
                let entry = &mut self.entries[index];
                batch.add(entry.id, entry.begin());
            }
            self.window(kind).handle_sent(batch.len());
            under_way.push(Box::pin(batch.run(Arc::clone(&self.store))));
        }
    }

    /// Fills a batch up with leases that are nearly due, so that those with one heartbeat fall into step. Where one
    /// batch cannot hold all of them, they are the less nearly due: all would be renewed too often.
    fn take_along(&mut self, chosen: &mut Vec<usize>, kind: &Kind, room: usize, now: Instant) {
        let batches = self.entries.len().div_ceil(Window::BATCH);
        let share = u32::try_from(batches).unwrap_or(u32::MAX).max(1);
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if room <= chosen.len() {
                return;
            }
            let nearly = entry.lease.timing().heartbeat() / 2 / share;
            if !entry.renewable() || now + nearly < entry.due(now) {
                continue;
            }
            entry.look(&*self.store);
            if entry.kind == *kind {
                entry.under_way = true;
                chosen.push(index);
            }
        }
    }

    fn window(&mut self, kind: &Kind) -> &mut Window {
        let known = self.windows.iter().position(|(known, _)| known == kind);
        let index = known.unwrap_or_else(|| {
            let window = Window::new(self.clock.now(), 0 < kind.replicas);
            self.windows.push((kind.clone(), window));
            self.windows.len() - 1
        });
        &mut self.windows[index].1
    }

    fn handle_answers(&mut self, answers: Answers) {
        let now = self.clock.now();
        let jitter = self.rng.f64();
        self.note_answers(&answers, now, jitter);
        let mut replies = answers.replies.as_slice();
        for share in &answers.shares {
            let (own, rest) = replies.split_at(share.count.min(replies.len()));
            replies = rest;
            let Some(index) = self.index_of(share.id) else {
                continue;
            };
            let entry = &mut self.entries[index];
            entry.under_way = false;
            entry.handle_replies(now, answers.sent, own, answers.shortfall(share), jitter);
        }
    }

    fn note_answers(&mut self, answers: &Answers, now: Instant, jitter: f64) {
        let (count, sent) = (answers.shares.len(), answers.sent);
        if answers.came() {
            let patience = answers.kind.patience;
            let window = self.window(&answers.kind);
            window.handle_answered(now, sent, count, patience);
            return;
        }
        let indices = answers.shares.iter().filter_map(|it| self.index_of(it.id));
        let heartbeats = indices.map(|index| self.entries[index].lease.timing().heartbeat());
        let shortest = heartbeats.min().unwrap_or(Duration::MAX);
        let window = self.window(&answers.kind);
        let pause = lease::pause(shortest, window.failures(), jitter);
        window.handle_failed(now, sent, count, pause);
    }

    /// Entries are pushed with rising ids and never reordered.
    fn index_of(&self, id: u64) -> Option<usize> {
        let found = self.entries.binary_search_by_key(&id, |entry| entry.id);
        found.ok()
    }

    /// The next instant at which something is to be done; where an answer is waited for only state changes count.
    fn wakes_at(&mut self) -> Option<Instant> {
        let now = self.clock.now();
        let mut earliest: Option<Instant> = None;
        let mut used = vec![false; self.windows.len()];
        for entry in &self.entries {
            let index = self
                .windows
                .iter()
                .position(|(kind, _)| *kind == entry.kind);
            let opens_at = index.map_or(Some(now), |index| {
                used[index] = true;
                self.windows[index].1.opens_at()
            });
            let due = opens_at.filter(|_| entry.renewable());
            let due = due.map(|opens_at| entry.due(now).max(opens_at));
            let wake = [due, entry.lease.changes_at()].into_iter().flatten().min();
            earliest = [earliest, wake].into_iter().flatten().min();
        }
        let mut used = used.into_iter();
        self.windows
            .retain(|(_, window)| used.next() == Some(true) || !window.is_idle());
        earliest
    }
}

impl Entry {
    const fn renewable(&self) -> bool {
        !self.under_way && self.stopping.is_none()
    }

    /// Sees with which leases it goes now.
    fn look(&mut self, store: &dyn Store) {
        let timing = self.lease.timing();
        self.kind = kind(&*self.protocol, timing, self.key.as_deref(), store);
    }

    /// The commands of a heartbeat that is sent now.
    fn begin(&mut self) -> Vec<Command> {
        // Taken before the commands are made: a nudge from here on wants the heartbeat after this one.
        self.nudged.take();
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

/// With which leases that of `protocol` goes, which was last renewed at `key`.
fn kind(protocol: &dyn Renew, timing: Timing, key: Option<&str>, store: &dyn Store) -> Kind {
    let replicas = protocol.acknowledge();
    Kind {
        replicas,
        // A short lease must get a second attempt before its deadline.
        patience: Heartbeat::RESPONSE_TIMEOUT.min(timing.ttl() / 3),
        route: key
            .filter(|_| 0 < replicas)
            .and_then(|key| store.route(key)),
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
