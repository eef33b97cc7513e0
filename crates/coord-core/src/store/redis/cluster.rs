//! A Redis Cluster: every command goes to the node that serves the hash slot of its keys.
//!
//! The keys of one namespace lie in one hash slot, so what a namespace needs is one node at a time. Each node gets the
//! same supervised connections as a server that stands alone; a node that hangs disturbs nobody else. Which node serves
//! which slot is asked of all known nodes at once, and the answer with the highest configuration epoch counts, because
//! a master that was stopped and resumed believes for a while that it still is one. Replicas are never read.

mod confirm;
mod hash_slot;
mod look;
mod topology;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub(crate) use self::hash_slot::hash_slot;
#[cfg(feature = "fuzzing")]
pub(super) use self::topology::fuzz;
use self::topology::{Redirection, Topology};
use super::{
    describe,
    dial::{Dial, Place},
    exchange::Outcome,
    node::{Node, Patience, left},
    reply,
};
use crate::{
    endpoint::Address,
    store::{BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription},
};

pub(super) struct ClusterStore {
    name: String,
    seeds: Vec<Address>,
    dial: Dial,
    state: Mutex<State>,
    /// One look at the topology at a time; those who wait for it share the outcome.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    topology: Topology,
    /// Counts looks at the topology; so that those who waited for one know that it is over.
    looks: u64,
    /// Why the last look found nobody.
    failure: Option<StoreError>,
    nodes: HashMap<Address, Arc<Node>>,
}

impl fmt::Debug for ClusterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterStore({})", self.name)
    }
}

/// What stands between a command and its answer. Where a pipeline meets several, the last of this order is dealt with
/// first: others may be served where a redirection leads, and nobody is by waiting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    /// The slot is being moved (`TRYAGAIN`).
    Moving,
    /// The topology has to be looked at first.
    Unknown,
    /// Another node serves the slot, for this once (`ASK`) or for good (`MOVED`).
    Elsewhere(Redirection),
}

/// How far the commands of one slot have got.
struct Progress {
    /// Where to go instead of to the master, once.
    asked: Option<Address>,
    redirections: u32,
    pause: Duration,
}

impl ClusterStore {
    /// So many are followed at once, as a slot under way needs two or three; nodes that send clients round in circles
    /// are given time to agree.
    const PROMPT_REDIRECTIONS: u32 = 4;
    /// Codes that say nothing against the node that answered so.
    const HARMLESS: [&str; 6] = ["MOVED", "ASK", "TRYAGAIN", "NOSCRIPT", "BUSY", "MISCONF"];
    const FIRST_PAUSE: Duration = Duration::from_millis(5);
    const MAX_PAUSE: Duration = Duration::from_millis(50);

    pub(super) fn new(name: String, seeds: Vec<Address>, dial: Dial) -> Self {
        Self {
            name,
            seeds,
            dial,
            state: Mutex::default(),
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
        answered(outcomes, commands.iter())
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
        let mut progress = Progress {
            asked: None,
            redirections: 0,
            pause: Self::FIRST_PAUSE,
        };
        loop {
            let group: Vec<&Command> = pending.iter().map(|&index| commands[index]).collect();
            let asked = progress.asked.take();
            let answers = self.attempt(slot, asked, &group, deadline).await;
            let mut obstacle = None;
            let mut again = Vec::new();
            for (index, answer) in pending.into_iter().zip(answers) {
                if let Some(found) = answer.as_ref().err().and_then(obstacle_in) {
                    again.push(index);
                    obstacle = obstacle.max(Some(found));
                }
                outcomes[index] = Some(answer);
            }
            let Some(obstacle) = obstacle else { break };
            self.overcome(obstacle, &mut progress, deadline).await;
            if deadline <= Instant::now() {
                break;
            }
            pending = again;
        }
        answered(outcomes, commands.iter().copied())
    }

    async fn attempt(
        &self,
        slot: Option<u16>,
        asked: Option<Address>,
        commands: &[&Command],
        deadline: Instant,
    ) -> Vec<Outcome> {
        let asking = asked.is_some();
        let node = match asked {
            Some(address) => self.node(&address),
            None => self.node_for(slot, deadline).await,
        };
        match node {
            Ok(node) => {
                let patience = Patience::Whole(left(deadline));
                let answers = node.pipeline(commands, asking, patience).await;
                self.note_failures(&node, answers.iter().filter_map(|it| it.as_ref().err()));
                answers
            }
            Err(error) => vec![Err(error); commands.len()],
        }
    }

    async fn overcome(&self, obstacle: Obstacle, progress: &mut Progress, deadline: Instant) {
        let waits = match obstacle {
            Obstacle::Moving => true,
            Obstacle::Unknown => {
                // What it found, or did not, is known to the next attempt.
                let _ = self.look(deadline).await;
                progress.redirections += 1;
                Self::PROMPT_REDIRECTIONS < progress.redirections
            }
            Obstacle::Elsewhere(redirection) => {
                if redirection.for_good {
                    let mut state = self.state();
                    state.topology.moved(redirection.slot, redirection.address);
                } else {
                    progress.asked = Some(redirection.address);
                }
                progress.redirections += 1;
                Self::PROMPT_REDIRECTIONS < progress.redirections
            }
        };
        if waits {
            tokio::time::sleep(progress.pause.min(left(deadline))).await;
            progress.pause = (progress.pause * 2).min(Self::MAX_PAUSE);
        }
    }

    /// The node that serves `slot`, or any master where there is none.
    async fn node_for(
        &self,
        slot: Option<u16>,
        deadline: Instant,
    ) -> Result<Arc<Node>, StoreError> {
        if let Some(address) = self.master_of(slot) {
            return self.node(&address);
        }
        self.look(deadline).await?;
        match self.master_of(slot) {
            Some(address) => self.node(&address),
            None => Err(StoreError::Unavailable {
                operation: "find node",
                address: self.name.clone(),
                code: "CLUSTERDOWN".to_owned(),
                detail: slot.map_or_else(
                    || "no node that answers serves any hash slot".to_owned(),
                    |slot| {
                        format!(
                            "no master serves hash slot {slot}; it comes back when a replica is promoted or its \
                             master is started"
                        )
                    },
                ),
            }),
        }
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

    fn noted<T>(&self, node: &Arc<Node>, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.note_failures(node, outcome.as_ref().err());
        outcome
    }

    /// After a failure that another node may not have, the next command looks at the topology first.
    fn note_failures<'a>(
        &self,
        node: &Arc<Node>,
        failures: impl IntoIterator<Item = &'a StoreError>,
    ) {
        let mut failures = failures.into_iter();
        if !failures.any(|error| reply::is_suspicious(error, &Self::HARMLESS)) {
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

    /// Every change under this lock is complete before anything can panic, so a poisoned one is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcomes; a command that has none is one that no node has answered.
fn answered<'a>(
    outcomes: Vec<Option<Outcome>>,
    commands: impl Iterator<Item = &'a Command>,
) -> Vec<Outcome> {
    let outcomes = outcomes.into_iter().zip(commands);
    outcomes
        .map(|(outcome, command)| {
            outcome.unwrap_or_else(|| Err(StoreError::unexpected(command.name(), &Reply::Nil)))
        })
        .collect()
}

/// The hash slot of a command; none for a publication, which every node passes on.
fn slot_of(command: &Command) -> Option<u16> {
    match command {
        Command::Eval { keys, .. } => keys.first().map(|key| hash_slot(key)),
        Command::Publish { .. } => None,
    }
}

fn obstacle_in(error: &StoreError) -> Option<Obstacle> {
    let StoreError::Unavailable { code, detail, .. } = error else {
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
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        Box::pin(self.confirm_by_node(writes, replicas, within))
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            let node = self.node_for(Some(hash_slot(channel)), deadline).await?;
            let outcome = node.subscribe(channel, left(deadline)).await;
            self.noted(&node, outcome)
        })
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            let node = self.node_for(Some(hash_slot(key)), deadline).await?;
            let outcome = node
                .describe(&[describe::SERVER, describe::NODE], within)
                .await;
            self.noted(&node, outcome)
        })
    }

    fn route(&self, key: &str) -> Option<String> {
        let master = self.master_of(Some(hash_slot(key)));
        let node = master.and_then(|address| self.state().nodes.get(&address).cloned());
        Some(node.map(|node| node.route()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacle(line: &str) -> Option<Obstacle> {
        let (code, detail) = line.split_once(' ').expect("a code and more");
        obstacle_in(&StoreError::Unavailable {
            operation: "renew",
            address: "node".to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        })
    }

    #[test]
    fn a_redirection_is_followed_before_anybody_waits() {
        let moving = obstacle("TRYAGAIN Multiple keys request during rehashing of slot");
        let nowhere = obstacle("MOVED 7 :0");
        let once = obstacle("ASK 7 10.0.0.2:7000");
        let for_good = obstacle("MOVED 7 10.0.0.2:7000");
        assert_eq!(nowhere, Some(Obstacle::Unknown));
        assert!(None < moving && moving < nowhere && nowhere < once && once < for_good);
        assert_eq!(obstacle("CLUSTERDOWN Hash slot not served"), None);
    }
}
