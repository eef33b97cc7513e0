//! A look at the topology: the nodes are asked who serves what.

use std::{collections::HashSet, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use super::{ClusterStore, topology::Topology};
use crate::{endpoint::Address, store::StoreError};

/// What a look has brought so far.
#[derive(Default)]
struct Found {
    topology: Topology,
    answered: usize,
    failure: Option<StoreError>,
}

impl ClusterStore {
    /// How long a look waits in all; less than a heartbeat waits, so that there is time left to use what it found.
    const LOOK_TIMEOUT: Duration = Duration::from_millis(350);
    /// How long it waits for a majority once somebody has answered: one that hangs, or is far away, holds nobody up.
    const SECOND_OPINION: Duration = Duration::from_millis(100);
    /// How many nodes are asked at a time.
    const ASKED: usize = 8;
    /// How many addresses an error names.
    const NAMED: usize = 8;

    /// Asks the nodes who serves what. Those who come while somebody does wait for that outcome.
    pub(super) async fn look(&self, deadline: Instant) -> Result<(), StoreError> {
        let before = self.state().looks;
        let looked = tokio::time::timeout_at(deadline, async {
            let _looking = self.looking.lock().await;
            if self.state().looks == before {
                self.look_now().await;
            }
        });
        if looked.await.is_err() {
            return Err(self.nobody("answered in time", None));
        }
        self.state().failure.clone().map_or(Ok(()), Err)
    }

    async fn look_now(&self) {
        let candidates = self.candidates();
        let found = self.ask(&candidates).await;
        let mut state = self.state();
        state.looks += 1;
        if found.topology.is_empty() {
            tracing::debug!(cluster = %self.name, "no node of the cluster answered");
            state.failure = Some(self.nobody("answers", found.failure));
            return;
        }
        let known: HashSet<Address> = found.topology.addresses().into_iter().collect();
        let seeds = &self.seeds;
        state
            .nodes
            .retain(|address, _| known.contains(address) || seeds.contains(address));
        state.topology = found.topology;
        state.failure = None;
    }

    /// Everybody who may know, once each. After a look that found nobody others come first.
    fn candidates(&self) -> Vec<Address> {
        let state = self.state();
        let mut seen = HashSet::new();
        let known = state.topology.addresses().into_iter();
        let mut candidates: Vec<Address> = known
            .chain(self.seeds.iter().cloned())
            .filter(|address| seen.insert(address.clone()))
            .collect();
        if state.failure.is_some() && !candidates.is_empty() {
            let looks = usize::try_from(state.looks).unwrap_or(0);
            let start = looks.wrapping_mul(Self::ASKED) % candidates.len();
            candidates.rotate_left(start);
        }
        candidates
    }

    /// Asks a few at once, the next one whenever one fails, until most have answered or the time is over.
    async fn ask(&self, candidates: &[Address]) -> Found {
        let mut candidates = candidates.iter();
        let mut asking = JoinSet::new();
        for address in candidates.by_ref().take(Self::ASKED) {
            self.ask_one(&mut asking, address);
        }
        let enough = asking.len() / 2 + 1;
        let mut deadline = Instant::now() + Self::LOOK_TIMEOUT;
        let mut found = Found::default();
        while found.answered < enough
            && let Ok(Some(joined)) = tokio::time::timeout_at(deadline, asking.join_next()).await
        {
            match joined {
                Ok((address, Ok(value))) => {
                    let text: String = redis::from_redis_value(value).unwrap_or_default();
                    found
                        .topology
                        .merge(&address, &text, self.dial.tls.is_some());
                    found.answered += 1;
                    deadline = deadline.min(Instant::now() + Self::SECOND_OPINION);
                }
                Ok((address, Err(error))) => {
                    tracing::debug!(cluster = %self.name, %address, %error, "a node did not say who serves what");
                    // What does not pass by itself says more than an address that nobody listens at.
                    if found.failure.as_ref().is_none_or(StoreError::is_transient) {
                        found.failure = Some(error);
                    }
                    if let Some(address) = candidates.next() {
                        self.ask_one(&mut asking, address);
                    }
                }
                Err(_panicked) => {}
            }
        }
        found
    }

    fn ask_one(
        &self,
        asking: &mut JoinSet<(Address, Result<redis::Value, StoreError>)>,
        address: &Address,
    ) {
        // One that cannot even be configured is one that does not answer.
        let node = self.node(address);
        let address = address.clone();
        asking.spawn(async move {
            let answer = match node {
                Ok(node) => {
                    let command = redis::cmd("CLUSTER").arg("NODES").to_owned();
                    node.ask("find node", &command, Self::LOOK_TIMEOUT).await
                }
                Err(error) => Err(error),
            };
            (address, answer)
        });
    }

    /// The error of a look that nobody answered, which says why as far as `cause` tells.
    fn nobody(&self, verb: &str, cause: Option<StoreError>) -> StoreError {
        match cause {
            Some(StoreError::Refused {
                address, detail, ..
            }) if detail.contains("cluster support disabled") => StoreError::Misconfigured {
                problem: format!(
                    "{address} is a server that stands alone; use redis:// for it, or name nodes of a cluster"
                ),
            },
            Some(cause) if !cause.is_transient() => cause,
            cause => {
                let named: Vec<String> = self.seeds.iter().map(Address::to_string).collect();
                let (shown, more) = named.split_at(named.len().min(Self::NAMED));
                let more = match more.len() {
                    0 => String::new(),
                    count => format!(" and {count} more"),
                };
                let why = cause.map_or_else(String::new, |cause| {
                    format!("; last: {}", cause.with_causes())
                });
                StoreError::Unavailable {
                    operation: "find node",
                    address: self.name.clone(),
                    code: "CLUSTERDOWN".to_owned(),
                    detail: format!(
                        "no node {verb}; start {}{more}, or correct the addresses{why}",
                        shown.join(", ")
                    ),
                }
            }
        }
    }
}
