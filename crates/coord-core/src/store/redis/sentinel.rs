//! The master that sentinels name.
//!
//! Sentinels are asked all at once, so that one that hangs holds nobody up, and the answer with the highest
//! configuration epoch counts. They are asked anew after whatever suggests that the master is not the right one, when
//! one of them announces a switch, and once a second: a master that was succeeded without noticing goes on to
//! acknowledge writes, all of which will be lost.

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
    endpoint::SentinelKind,
    store::{BoxFuture, Command, Reply, ServerInfo, Store, StoreError, Subscription, Unchecked},
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
    /// Whether the sentinels have to be asked before it is used again.
    doubted: bool,
    /// Since when it has done nothing for us.
    failing_since: Option<Instant>,
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
        looked.unwrap_or_else(|_| Err(self.inner.nobody("answered in time", None)))
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
    /// Codes that say nothing against the master that answered so.
    const HARMLESS: [&str; 4] = ["NOSCRIPT", "BUSY", "MISCONF", "LOADING"];

    fn undoubted(&self) -> Option<Arc<Node>> {
        let state = self.state();
        let current = state.current.as_ref().filter(|current| !current.doubted)?;
        Some(Arc::clone(&current.node))
    }

    /// Makes `master` the one to talk to, unless a later one is known. `agreed` says that most sentinels were asked.
    fn take(&self, master: Master, agreed: bool) -> Result<Arc<Node>, StoreError> {
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
        write: &'a Command,
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<(Reply, u32), StoreError>> {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            let node = self.node(deadline).await?;
            let patience = Patience::Whole(left(deadline));
            let outcome = node.confirm(write, replicas, patience).await;
            if let Err(error) = &outcome {
                self.inner.note(&node, &[Err(error.clone())]);
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
