//! The master that sentinels name.
//!
//! Sentinels are asked all at once, so that one that hangs holds nobody up, and the answer with the highest
//! configuration epoch counts. They are asked anew after whatever suggests that the master is not the right one, when one of
//! them announces a switch, and once a second: a master that was succeeded without noticing goes on to acknowledge
//! writes, all of which will be lost.

mod master;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use self::master::Master;
use super::{
    describe,
    dial::{Dial, Place},
    exchange::Outcome,
    node::Node,
};
use crate::{
    endpoint::SentinelKind,
    store::{BoxFuture, Command, Reply, ServerInfo, Store, StoreError, Subscription, Unchecked},
};

pub(super) struct SentinelStore {
    inner: Arc<Inner>,
    /// Whether somebody watches for a switch. The watch lives on the runtime that the store is used on.
    watched: AtomicBool,
}

struct Inner {
    name: String,
    master_name: String,
    sentinels: Vec<Arc<Node>>,
    dial: Dial,
    state: Mutex<State>,
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    current: Option<(Master, Arc<Node>)>,
    /// Whether the current master is in doubt.
    doubted: bool,
    looks: u64,
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
                sentinels: sentinels.collect::<Result<_, _>>()?,
                name,
                dial,
                state: Mutex::default(),
                looking: tokio::sync::Mutex::new(()),
            }),
            watched: AtomicBool::new(false),
        })
    }

    /// The master's node, looked for where it is unknown or in doubt.
    async fn node(&self, within: Duration) -> Result<Arc<Node>, StoreError> {
        if !self.watched.swap(true, Ordering::AcqRel) {
            watch(&self.inner);
        }
        if let Some(node) = self.inner.undoubted() {
            return Ok(node);
        }
        let looked = tokio::time::timeout(within, self.inner.look()).await;
        looked.unwrap_or_else(|_| Err(self.inner.unreachable("no sentinel answered in time")))
    }

    async fn execute(&self, commands: &[Command], within: Duration) -> Vec<Outcome> {
        let deadline = Instant::now() + within;
        let left = || deadline.saturating_duration_since(Instant::now());
        let node = match self.node(within).await {
            Ok(node) => node,
            Err(error) => return vec![Err(error); commands.len()],
        };
        let all: Vec<&Command> = commands.iter().collect();
        let outcomes = node.pipeline(&all, false, left(), left()).await;
        for outcome in &outcomes {
            self.inner.note(&node, outcome);
        }
        outcomes
    }
}

impl Inner {
    /// How long sentinels have to answer.
    const LOOK_TIMEOUT: Duration = Duration::from_millis(500);
    /// How often the master's address is checked though nothing suggests a change.
    const CHECK_INTERVAL: Duration = Duration::from_secs(1);
    const SWITCH_CHANNEL: &str = "+switch-master";

    fn undoubted(&self) -> Option<Arc<Node>> {
        let state = self.state();
        let current = state.current.as_ref().filter(|_| !state.doubted);
        current.map(|(_, node)| Arc::clone(node))
    }

    /// Asks the sentinels. Those who come while somebody does wait for that outcome.
    async fn look(&self) -> Result<Arc<Node>, StoreError> {
        let before = self.state().looks;
        let _looking = self.looking.lock().await;
        if self.state().looks != before
            && let Some(node) = self.undoubted()
        {
            return Ok(node);
        }
        let found = self.ask_all().await;
        self.state().looks += 1;
        self.take(found?)
    }

    async fn ask_all(&self) -> Result<Master, StoreError> {
        let mut asking = JoinSet::new();
        for sentinel in &self.sentinels {
            asking.spawn(ask(Arc::clone(sentinel), self.master_name.clone()));
        }
        let enough = self.sentinels.len() / 2 + 1;
        let deadline = Instant::now() + Self::LOOK_TIMEOUT;
        let mut best: Option<Master> = None;
        let mut failure = None;
        let mut answered = 0;
        while answered < enough
            && let Ok(Some(joined)) = tokio::time::timeout_at(deadline, asking.join_next()).await
        {
            match joined {
                Ok(Ok(master)) => {
                    answered += 1;
                    if best.as_ref().is_none_or(|best| best.epoch < master.epoch) {
                        best = Some(master);
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a sentinel did not name the master");
                    failure = Some(error);
                }
                Err(_panicked) => {}
            }
        }
        best.ok_or_else(|| failure.unwrap_or_else(|| self.unreachable("no sentinel answered")))
    }

    /// Makes `master` the one to talk to, unless a later one is known.
    fn take(&self, master: Master) -> Result<Arc<Node>, StoreError> {
        let mut state = self.state();
        if let Some((known, node)) = &state.current
            && (master.epoch < known.epoch || master.address == known.address)
        {
            let node = Arc::clone(node);
            state.doubted = false;
            return Ok(node);
        }
        let shown = format!("{} (master {})", self.name, master.address);
        let place = Place::Tcp(master.address.clone());
        let node = Arc::new(Node::new(shown, place, self.dial.clone())?);
        if let Some((old, _)) = &state.current {
            tracing::info!(from = %old.address, to = %master.address, "the master was switched");
        }
        state.current = Some((master, Arc::clone(&node)));
        state.doubted = false;
        Ok(node)
    }

    /// After a failure that another master may not have, the sentinels are asked before the next command.
    fn note(&self, node: &Arc<Node>, outcome: &Outcome) {
        let Err(error) = outcome else {
            return;
        };
        let passing = matches!(error, StoreError::Unavailable { code, .. }
            if matches!(code.as_str(), "NOSCRIPT" | "BUSY" | "MISCONF" | "LOADING"));
        if !error.is_transient() || passing {
            return;
        }
        let mut state = self.state();
        let is_current = |(_, current): &(Master, Arc<Node>)| Arc::ptr_eq(current, node);
        state.doubted |= state.current.as_ref().is_some_and(is_current);
    }

    fn unreachable(&self, detail: &str) -> StoreError {
        StoreError::Unavailable {
            operation: "find master",
            address: self.name.clone(),
            code: "NOMASTER".to_owned(),
            detail: detail.to_owned(),
        }
    }

    /// Every change under this lock is complete before anything can panic, so a poisoned one is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(sentinel: Arc<Node>, master_name: String) -> Result<Master, StoreError> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("MASTER").arg(&master_name);
    let answer = sentinel
        .ask("find master", &command, Inner::LOOK_TIMEOUT)
        .await;
    master::parse(sentinel.address(), &master_name, answer)
}

/// Looks for switches for as long as the store lives.
fn watch(inner: &Arc<Inner>) {
    for sentinel in &inner.sentinels {
        tokio::spawn(listen(Arc::downgrade(inner), Arc::clone(sentinel)));
    }
    let weak = Arc::downgrade(inner);
    tokio::spawn(async move {
        let mut turn = 0;
        loop {
            tokio::time::sleep(Inner::CHECK_INTERVAL).await;
            let Some(inner) = weak.upgrade() else { return };
            // One sentinel a time; all of them are asked where something is suspected.
            let sentinel = Arc::clone(&inner.sentinels[turn % inner.sentinels.len()]);
            turn += 1;
            check(&inner, sentinel).await;
        }
    });
}

async fn check(inner: &Inner, sentinel: Arc<Node>) {
    if let Ok(master) = ask(sentinel, inner.master_name.clone()).await
        && let Err(error) = inner.take(master)
    {
        tracing::debug!(%error, "the new master cannot be used");
    }
}

/// Subscribes to one sentinel's announcements, for ever; each one is a reason to ask it.
async fn listen(inner: Weak<Inner>, sentinel: Arc<Node>) {
    const FIRST_PAUSE: Duration = Duration::from_millis(500);
    const MAX_PAUSE: Duration = Duration::from_secs(10);
    let mut pause = FIRST_PAUSE;
    loop {
        let subscribed = sentinel
            .subscribe(Inner::SWITCH_CHANNEL, Dial::CONNECT_TIMEOUT)
            .await;
        match subscribed {
            Ok(mut announcements) => {
                pause = FIRST_PAUSE;
                while announcements.next().await.is_some() {
                    let Some(inner) = inner.upgrade() else { return };
                    check(&inner, Arc::clone(&sentinel)).await;
                }
            }
            Err(error) => tracing::debug!(%error, "not subscribed to a sentinel"),
        }
        if inner.upgrade().is_none() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
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
            let node = self.node(within).await?;
            let outcome = node.confirm(write, replicas, within).await;
            if let Err(error) = &outcome {
                self.inner.note(&node, &Err(error.clone()));
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
            let node = self.node(within).await?;
            let outcome = node.subscribe(channel, within).await;
            if let Err(error) = &outcome {
                self.inner.note(&node, &Err(error.clone()));
            }
            outcome
        })
    }

    fn describe<'a>(
        &'a self,
        _key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(async move {
            let node = self.node(within).await?;
            let outcome = node.describe(&[describe::SERVER], within).await;
            if let Err(error) = &outcome {
                self.inner.note(&node, &Err(error.clone()));
            }
            let mut info = outcome?;
            match self.inner.ask_all().await {
                Ok(master) => info.failover = master.failover,
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
        Some(current.map(|(_, node)| node.route()).unwrap_or_default())
    }
}
