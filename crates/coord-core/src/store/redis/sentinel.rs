//! The master that sentinels name.
//!
//! Sentinels are asked all at once, so that one that hangs holds nobody up, and the answer with the highest
//! configuration epoch counts. They are asked anew after whatever suggests that the master is not the right one, when
//! one of them announces a switch, and once a second: a master that was succeeded without noticing goes on to
//! acknowledge writes, all of which will be lost. A process that was stopped has heard of no switch, so what they said is
//! acted on only as long as it is fresh.

mod ask;
mod master;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch as watch_channel, time::Instant};

#[cfg(feature = "fuzzing")]
pub(super) use self::master::fuzz;
use self::{master::Master, watch::Watch};
use super::{
    describe,
    dial::{Dial, Place},
    exchange::Outcome,
    node::{Node, Patience, left},
    reply, subscription,
};
use crate::{
    clock::{self, Clock},
    endpoint::SentinelKind,
    store::{
        BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription,
        Unchecked,
    },
};

pub(super) struct SentinelStore {
    inner: Arc<Inner>,
    watch: Watch,
}

struct Inner {
    name: String,
    master_name: String,
    sentinels: Vec<Arc<Node>>,
    /// Where the sentinels listen, for errors.
    addresses: Vec<String>,
    dial: Dial,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// One question to all sentinels at a time; those who wait for it share the outcome.
    looking: tokio::sync::Mutex<()>,
    /// Changes when another master takes over.
    switched: watch_channel::Sender<()>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// Counts questions to all sentinels.
    looks: u64,
}

struct Current {
    master: Master,
    node: Arc<Node>,
    /// Whether the sentinels have to be asked before it is used again, because it failed.
    doubted: bool,
    /// From when on they have to be asked although it did not.
    stale_from: clock::Instant,
    /// Since when it has done nothing for us.
    failing_since: Option<Instant>,
}

/// What sentinels said when they were asked for the master.
struct Answer {
    master: Master,
    /// When they were asked.
    asked: clock::Instant,
    whose: Whose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// That of one sentinel, which may be cut off from the others.
    One,
    /// The best of those that came when all were asked; whether they came from most of them.
    All { most: bool },
}

impl fmt::Debug for SentinelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SentinelStore({})", self.inner.name)
    }
}

impl SentinelStore {
    /// `dial` is for masters, `sentinel_dial` for the sentinels themselves.
    pub(super) fn new(
        name: String,
        kind: &SentinelKind,
        dial: Dial,
        sentinel_dial: Dial,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let sentinels = kind.sentinels.iter().map(|address| {
            let shown = format!("{name} (sentinel {address})");
            Node::new(shown, Place::Tcp(address.clone()), sentinel_dial.clone()).map(Arc::new)
        });
        Ok(Self {
            inner: Arc::new(Inner {
                master_name: kind.master.clone(),
                addresses: kind.sentinels.iter().map(ToString::to_string).collect(),
                sentinels: sentinels.collect::<Result<_, _>>()?,
                name,
                dial,
                clock,
                state: Mutex::default(),
                looking: tokio::sync::Mutex::new(()),
                switched: watch_channel::Sender::new(()),
            }),
            watch: Watch::default(),
        })
    }

    /// The master's node, looked for where it is unknown or in doubt.
    async fn node(&self, deadline: Instant) -> Result<Arc<Node>, StoreError> {
        self.watch.ensure(&self.inner);
        if let Some(node) = self.inner.undoubted() {
            return Ok(node);
        }
        let looked = tokio::time::timeout_at(deadline, self.inner.look()).await;
        let looked = looked.unwrap_or_else(|_| Err(self.inner.nobody("answered in time", None)));
        // A master that works is not given up because all sentinels are gone.
        looked.or_else(|error| self.inner.unfailing().ok_or(error))
    }

    async fn execute(&self, commands: &[Command], within: Duration) -> Vec<Outcome> {
        let deadline = Instant::now() + within;
        let node = match self.node(deadline).await {
            Ok(node) => node,
            Err(error) => return vec![Err(error); commands.len()],
        };
        let all: Vec<&Command> = commands.iter().collect();
        let patience = Patience::Whole(left(deadline));
        let outcomes = node.pipeline(&all, false, patience).await;
        self.inner.note(&node, &outcomes);
        outcomes
    }
}

impl Inner {
    /// For how long a master has to fail before sentinels are believed that know nothing of its promotion: they were
    /// set up anew and count from the beginning.
    const FORGOTTEN: Duration = Duration::from_secs(5);
    /// For how long it is acted on what the sentinels said. It only gets as old where they do not answer, or this process
    /// stood still. Shorter than a master that misses its replicas waits, which is a ttl.
    const FRESH: Duration = Duration::from_secs(2);
    /// For how long they are not asked again because of that where none of them answered.
    const SILENT: Duration = Duration::from_secs(1);
    /// Codes that say nothing against the master that answered so.
    const HARMLESS: [&str; 4] = ["NOSCRIPT", "BUSY", "MISCONF", "LOADING"];

    fn undoubted(&self) -> Option<Arc<Node>> {
        let now = self.clock.now();
        self.current_if(|current| !current.doubted && now < current.stale_from)
    }

    fn unfailing(&self) -> Option<Arc<Node>> {
        self.current_if(|current| !current.doubted)
    }

    fn current_if(&self, is_fit: impl FnOnce(&Current) -> bool) -> Option<Arc<Node>> {
        let state = self.state();
        let current = state.current.as_ref().filter(|current| is_fit(current))?;
        Some(Arc::clone(&current.node))
    }

    /// No sentinel has answered.
    fn note_silence(&self) {
        let until = self.clock.now() + Self::SILENT;
        if let Some(current) = &mut self.state().current {
            current.stale_from = current.stale_from.max(until);
        }
    }

    /// Makes the master that was named the one to talk to, unless a later one is known.
    fn take(&self, answer: Answer) -> Result<Arc<Node>, StoreError> {
        let Answer {
            master,
            asked,
            whose,
        } = answer;
        let agreed = whose == Whose::All { most: true };
        let stale_from = asked + Self::FRESH;
        let mut state = self.state();
        if let Some(current) = &mut state.current {
            let is_older = master.epoch < current.master.epoch;
            let failing = current.failing_since;
            let forgotten =
                agreed && failing.is_some_and(|since| Self::FORGOTTEN < since.elapsed());
            let is_same = master.address == current.master.address;
            if is_same || (is_older && !forgotten) {
                if is_same && (forgotten || !is_older) {
                    current.master.epoch = master.epoch;
                }
                current.doubted = false;
                // Once that is overdue, one that may know no better does not count.
                if whose != Whose::One || is_same && asked < current.stale_from {
                    current.stale_from = current.stale_from.max(stale_from);
                }
                return Ok(Arc::clone(&current.node));
            }
        }
        let shown = format!("{} (master {})", self.name, master.address);
        let place = Place::Tcp(master.address.clone());
        let node = Arc::new(Node::new(shown, place, self.dial.clone())?);
        if let Some(old) = &state.current {
            tracing::info!(from = %old.master.address, to = %master.address, "the master was switched");
            self.switched.send_replace(());
        }
        state.current = Some(Current {
            master,
            node: Arc::clone(&node),
            doubted: false,
            stale_from,
            failing_since: None,
        });
        Ok(node)
    }

    /// After a failure that another master may not have, the sentinels are asked before the next command.
    fn note(&self, node: &Arc<Node>, outcomes: &[Outcome]) {
        let mut state = self.state();
        let current = state.current.as_mut();
        let Some(current) = current.filter(|current| Arc::ptr_eq(&current.node, node)) else {
            return;
        };
        let mut failures = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        if failures.any(|error| reply::is_suspicious(error, &Self::HARMLESS)) {
            current.doubted = true;
            current.failing_since.get_or_insert_with(Instant::now);
        } else {
            current.failing_since = None;
        }
    }

    /// Every change under this lock is complete before anything can panic, so a poisoned one is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SentinelStore {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(self.execute(commands, within))
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            let node = self.node(deadline).await?;
            let patience = Patience::Whole(left(deadline));
            let writes: Vec<&Command> = writes.iter().collect();
            let outcome = node.confirm(&writes, replicas, patience).await;
            match &outcome {
                Ok((replies, _)) => self.inner.note(&node, replies),
                Err(error) => self.inner.note(&node, &[Err(error.clone())]),
            }
            outcome
        })
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            let switched = self.inner.switched.subscribe();
            let node = self.node(deadline).await?;
            match node.subscribe(channel, left(deadline)).await {
                // A master that was succeeded hears nothing until it is made a replica, which takes a while.
                Ok(subscription) => Ok(subscription::until(subscription, switched)),
                Err(error) => {
                    self.inner.note(&node, &[Err(error.clone())]);
                    Err(error)
                }
            }
        })
    }

    fn describe<'a>(
        &'a self,
        _key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(async move {
            let node = self.node(Instant::now() + within).await?;
            let outcome = node.describe(&[describe::SERVER], within).await;
            if let Err(error) = &outcome {
                self.inner.note(&node, &[Err(error.clone())]);
            }
            let mut info = outcome?;
            match self.inner.ask_all().await {
                Ok((master, _)) => info.failover = master.failover,
                Err(error) => info.unchecked.push(Unchecked::new(
                    "how long a failover takes",
                    "SENTINEL MASTER",
                    error.to_string(),
                )),
            }
            Ok(info)
        })
    }

    fn route(&self, _key: &str) -> Option<String> {
        let state = self.inner.state();
        let current = state.current.as_ref();
        Some(
            current
                .map(|current| current.node.route())
                .unwrap_or_default(),
        )
    }
}
