//! A Redis Cluster: every command goes to the node that serves the hash slot of its keys.
//!
//! The keys of one namespace lie in one hash slot, so what a namespace needs is one node at a time. Each node gets the
//! same supervised connections as a server that stands alone; a node that hangs disturbs nobody else. Which node serves
//! which slot is asked of all known nodes at once, and the answer with the highest configuration epoch counts, because
//! a master that was stopped and resumed believes for a while that it still is one. Replicas are never read.

mod hash_slot;
mod topology;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

pub(crate) use self::hash_slot::hash_slot;
use self::topology::{Redirection, Topology};
use super::{
    describe,
    dial::{Dial, Place},
    exchange::Outcome,
    node::Node,
};
use crate::{
    endpoint::Address,
    store::{BoxFuture, Command, Reply, ServerInfo, Store, StoreError, Subscription},
};

pub(super) struct ClusterStore {
    name: String,
    seeds: Vec<Address>,
    dial: Dial,
    state: Mutex<State>,
    /// One look at the topology at a time; those who wait for it share the outcome.
    looking: tokio::sync::Mutex<()>,
}

struct State {
    topology: Topology,
    /// Counts looks at the topology, so that one that began after a failure is told from an older one.
    looks: u64,
    /// Why the last look found nothing.
    failure: Option<StoreError>,
    nodes: HashMap<Address, Arc<Node>>,
}

impl fmt::Debug for ClusterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterStore({})", self.name)
    }
}

/// What stands between a command and its answer.
enum Obstacle {
    /// The topology has to be looked at first.
    Unknown,
    /// Another node serves the slot, for good (`MOVED`) or for this once (`ASK`).
    Elsewhere(Redirection),
    /// The slot is being moved (`TRYAGAIN`).
    Moving,
}

impl ClusterStore {
    /// How long a look at the topology waits for the nodes asked.
    const LOOK_TIMEOUT: Duration = Duration::from_millis(500);
    /// How many nodes are asked at a time.
    const ASKED: usize = 8;
    const MAX_REDIRECTIONS: u32 = 8;
    const FIRST_PAUSE: Duration = Duration::from_millis(5);
    const MAX_PAUSE: Duration = Duration::from_millis(50);

    pub(super) fn new(name: String, seeds: Vec<Address>, dial: Dial) -> Self {
        Self {
            name,
            seeds,
            dial,
            state: Mutex::new(State {
                topology: Topology::default(),
                looks: 0,
                failure: None,
                nodes: HashMap::new(),
            }),
            looking: tokio::sync::Mutex::new(()),
        }
    }

    async fn execute(&self, commands: &[Command], within: Duration) -> Vec<Outcome> {
        let mut by_slot: HashMap<Option<u16>, Vec<usize>> = HashMap::new();
        for (index, command) in commands.iter().enumerate() {
            by_slot.entry(slot_of(command)).or_default().push(index);
        }
        // A publication has no slot of its own: it goes along with whatever else there is.
        if by_slot.len() == 2
            && let Some(publications) = by_slot.remove(&None)
            && let Some(group) = by_slot.values_mut().next()
        {
            group.extend(publications);
        }
        let deadline = Instant::now() + within;
        let groups = by_slot.into_iter().map(|(slot, indices)| async move {
            let group: Vec<&Command> = indices.iter().map(|&index| &commands[index]).collect();
            let outcomes = self.execute_in_slot(slot, &group, deadline).await;
            (indices, outcomes)
        });
        let mut outcomes: Vec<Option<Outcome>> = vec![None; commands.len()];
        for (indices, group) in futures_util::future::join_all(groups).await {
            for (index, outcome) in indices.into_iter().zip(group) {
                outcomes[index] = Some(outcome);
            }
        }
        let missing = |index: usize| StoreError::unexpected(commands[index].name(), &Reply::Nil);
        let outcomes = outcomes.into_iter().enumerate();
        outcomes
            .map(|(index, outcome)| outcome.unwrap_or_else(|| Err(missing(index))))
            .collect()
    }

    /// Runs commands of one slot. Those that were surely not executed, because they came to the wrong node, are sent
    /// on until the deadline.
    async fn execute_in_slot(
        &self,
        slot: Option<u16>,
        commands: &[&Command],
        deadline: Instant,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; commands.len()];
        let mut pending: Vec<usize> = (0..commands.len()).collect();
        let mut asked: Option<Address> = None;
        let mut pause = Self::FIRST_PAUSE;
        for attempt in 0.. {
            let group: Vec<&Command> = pending.iter().map(|&index| commands[index]).collect();
            let answers = match self.node_for(slot, asked.as_ref(), deadline).await {
                Ok(node) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let answers = node.pipeline(&group, asked.is_some(), left, left).await;
                    self.note_failures(&node, &answers);
                    answers
                }
                Err(error) => vec![Err(error); group.len()],
            };
            let mut obstacle = None;
            let mut again = Vec::new();
            for (index, answer) in pending.into_iter().zip(answers) {
                if let Some(found) = obstacle_in(&answer) {
                    again.push(index);
                    obstacle = Some(found);
                }
                outcomes[index] = Some(answer);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(obstacle) = obstacle.filter(|_| !left.is_zero()) else {
                break;
            };
            asked = None;
            match obstacle {
                Obstacle::Elsewhere(_) | Obstacle::Unknown if attempt >= Self::MAX_REDIRECTIONS => {
                    break;
                }
                Obstacle::Elsewhere(Redirection {
                    slot,
                    address,
                    for_good,
                }) => {
                    if for_good {
                        self.state().topology.moved(slot, address);
                    } else {
                        asked = Some(address);
                    }
                }
                Obstacle::Unknown => self.look().await,
                Obstacle::Moving => {
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 2).min(Self::MAX_PAUSE);
                }
            }
            pending = again;
        }
        let outcomes = outcomes.into_iter().zip(commands);
        outcomes
            .map(|(outcome, command)| {
                outcome.unwrap_or_else(|| Err(StoreError::unexpected(command.name(), &Reply::Nil)))
            })
            .collect()
    }

    /// The node to talk to.
    async fn node_for(
        &self,
        slot: Option<u16>,
        asked: Option<&Address>,
        deadline: Instant,
    ) -> Result<Arc<Node>, StoreError> {
        if let Some(address) = asked {
            return self.node(address);
        }
        if let Some(address) = self.master_of(slot) {
            return self.node(&address);
        }
        let _ = tokio::time::timeout_at(deadline, self.look()).await;
        match self.master_of(slot) {
            Some(address) => self.node(&address),
            None => Err(self.unserved(slot)),
        }
    }

    /// Why nobody serves `slot`: what a node said, which may have to do with us alone, or that none can be reached.
    fn unserved(&self, slot: Option<u16>) -> StoreError {
        let failure = self.state().failure.clone();
        failure.unwrap_or_else(|| StoreError::Unavailable {
            operation: "route",
            address: self.name.clone(),
            code: "CLUSTERDOWN".to_owned(),
            detail: slot.map_or_else(
                || "no node of the cluster could be reached".to_owned(),
                |slot| format!("no reachable node serves hash slot {slot}"),
            ),
        })
    }

    fn master_of(&self, slot: Option<u16>) -> Option<Address> {
        let state = self.state();
        match slot {
            Some(slot) => state.topology.master_of(slot),
            None => state.topology.any_master(),
        }
    }

    fn node(&self, address: &Address) -> Result<Arc<Node>, StoreError> {
        let mut state = self.state();
        if let Some(node) = state.nodes.get(address) {
            return Ok(Arc::clone(node));
        }
        let place = Place::Tcp(address.clone());
        let shown = format!("{} (node {address})", self.name);
        let node = Arc::new(Node::new(shown, place, self.dial.clone())?);
        state.nodes.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }

    /// After a failure that another node may not have, the next command looks at the topology first.
    fn note_failures(&self, node: &Arc<Node>, outcomes: &[Outcome]) {
        let suspicious = outcomes.iter().any(|outcome| match outcome {
            Err(StoreError::Unavailable { code, .. }) => !matches!(
                code.as_str(),
                "MOVED" | "ASK" | "TRYAGAIN" | "NOSCRIPT" | "BUSY" | "MISCONF"
            ),
            Err(error) => error.is_transient(),
            Ok(_) => false,
        });
        if !suspicious {
            return;
        }
        let mut state = self.state();
        let address = state
            .nodes
            .iter()
            .find(|(_, known)| Arc::ptr_eq(known, node))
            .map(|(address, _)| address.clone());
        if let Some(address) = address {
            tracing::debug!(node = %node.address(), "cluster node in doubt");
            state.topology.forget(&address);
        }
    }

    /// Asks the nodes who serves what. Those who come while somebody looks wait for that look.
    async fn look(&self) {
        let before = self.state().looks;
        let _looking = self.looking.lock().await;
        if self.state().looks != before {
            return;
        }
        let mut candidates = self.state().topology.addresses();
        candidates.extend(self.seeds.iter().cloned());
        candidates.dedup();
        let mut topology = Topology::default();
        let mut failure = None;
        for asked in candidates.chunks(Self::ASKED) {
            (topology, failure) = self.ask(asked).await;
            if !topology.is_empty() {
                break;
            }
        }
        let mut state = self.state();
        state.looks += 1;
        state.failure = failure.filter(|_| topology.is_empty());
        if topology.is_empty() {
            tracing::debug!(cluster = %self.name, "no node of the cluster answered");
            return;
        }
        let known = topology.addresses();
        state.nodes.retain(|address, _| known.contains(address));
        state.topology = topology;
    }

    /// Asks these nodes at once, until most have answered or the time is over. Says also what one of them failed with.
    async fn ask(&self, addresses: &[Address]) -> (Topology, Option<StoreError>) {
        let mut asking = JoinSet::new();
        for address in addresses {
            let Ok(node) = self.node(address) else {
                continue;
            };
            let address = address.clone();
            asking.spawn(async move {
                let command = redis::cmd("CLUSTER").arg("NODES").to_owned();
                let answer = node.ask("topology", &command, Self::LOOK_TIMEOUT).await;
                (address, answer)
            });
        }
        let enough = addresses.len() / 2 + 1;
        let deadline = Instant::now() + Self::LOOK_TIMEOUT;
        let mut topology = Topology::default();
        let mut failure: Option<StoreError> = None;
        let mut answered = 0;
        while answered < enough
            && let Ok(Some(joined)) = tokio::time::timeout_at(deadline, asking.join_next()).await
        {
            match joined {
                Ok((address, Ok(value))) => {
                    answered += 1;
                    topology.merge(&address, &text_of(value));
                }
                Ok((address, Err(error))) => {
                    tracing::debug!(cluster = %self.name, %address, %error, "a node did not say who serves what");
                    // What does not pass by itself says more than what does.
                    failure = failure
                        .filter(|known| !known.is_transient())
                        .or(Some(error));
                }
                Err(_panicked) => {}
            }
        }
        (topology, failure)
    }

    /// Every change under this lock is complete before anything can panic, so a poisoned one is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn text_of(value: redis::Value) -> String {
    redis::from_redis_value(value).unwrap_or_default()
}

/// The hash slot of a command; none for a publication, which every node passes on.
fn slot_of(command: &Command) -> Option<u16> {
    match command {
        Command::Eval { keys, .. } => keys.first().map(|key| hash_slot(key)),
        Command::Publish { .. } => None,
    }
}

fn obstacle_in(outcome: &Outcome) -> Option<Obstacle> {
    let Err(StoreError::Unavailable { code, detail, .. }) = outcome else {
        return None;
    };
    match code.as_str() {
        "MOVED" | "ASK" => {
            Some(Redirection::parse(code, detail).map_or(Obstacle::Unknown, Obstacle::Elsewhere))
        }
        "TRYAGAIN" => Some(Obstacle::Moving),
        _ => None,
    }
}

impl Store for ClusterStore {
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
            let node = self.node_for(slot_of(write), None, deadline).await?;
            // A slot that moved meanwhile is an error like any other: nothing was confirmed.
            let outcome = node.confirm(write, replicas, within).await;
            if let Err(error) = &outcome {
                if let Some(Obstacle::Elsewhere(Redirection {
                    slot,
                    address,
                    for_good: true,
                })) = obstacle_in(&Err(error.clone()))
                {
                    self.state().topology.moved(slot, address);
                }
                self.note_failures(&node, &[Err(error.clone())]);
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
            let node = self
                .node_for(Some(hash_slot(channel)), None, Instant::now() + within)
                .await?;
            let outcome = node.subscribe(channel, within).await;
            if let Err(error) = &outcome {
                self.note_failures(&node, &[Err(error.clone())]);
            }
            outcome
        })
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            let node = self.node_for(Some(hash_slot(key)), None, deadline).await?;
            let outcome = node
                .describe(&[describe::SERVER, describe::NODE], within)
                .await;
            if let Err(error) = &outcome {
                self.note_failures(&node, &[Err(error.clone())]);
            }
            outcome
        })
    }

    fn route(&self, key: &str) -> Option<String> {
        let master = self.master_of(Some(hash_slot(key)));
        let node = master.and_then(|address| self.state().nodes.get(&address).cloned());
        Some(node.map(|node| node.route()).unwrap_or_default())
    }
}
