//! A [`Store`] on a connection that the user brought.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{sync::Mutex, time::Instant};

use super::{Wire, at_key::AtKey, supply::Supply};
use crate::store::{
    BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription,
    redis::{confirm, describe, exchange, node::Node, reply, wire},
};

pub(super) struct CustomStore {
    /// What errors say, as nobody knows the address.
    address: &'static str,
    source: Source,
    in_cluster: bool,
    subscriptions: Option<Node>,
}

pub(super) enum Source {
    /// The same connection, whatever happens to it.
    Fixed(Arc<dyn Wire>),
    /// Connections that can be made anew.
    Renewable(Supply),
    /// Such as are nobody else's either, so that one of them may be blocked by WAIT.
    Exclusive(Supply, Waiting),
}

/// The connections to WAIT on, each with the generation of the one in use when it was made: both lead to the same server.
pub(super) type Waiting = [Mutex<Option<(u64, Arc<dyn Wire>)>>; confirm::CONNECTIONS];

impl CustomStore {
    pub(super) const fn new(
        address: &'static str,
        source: Source,
        in_cluster: bool,
        subscriptions: Option<Node>,
    ) -> Self {
        Self {
            address,
            source,
            in_cluster,
            subscriptions,
        }
    }

    async fn wire(&self, operation: &'static str) -> Result<Arc<dyn Wire>, StoreError> {
        match &self.source {
            Source::Fixed(wire) => Ok(Arc::clone(wire)),
            Source::Renewable(supply) | Source::Exclusive(supply, _) => {
                supply.get(operation, self.address).await
            }
        }
    }

    fn discard(&self, wire: &Arc<dyn Wire>) {
        match &self.source {
            Source::Fixed(_) => {}
            Source::Renewable(supply) | Source::Exclusive(supply, _) => supply.discard(wire),
        }
    }

    /// Sends each command on its own, all at once, so that each finds its way and fails alone.
    async fn execute(
        &self,
        commands: &[Command],
        within: Duration,
    ) -> Vec<Result<Reply, StoreError>> {
        let all: Vec<&Command> = commands.iter().collect();
        let wire = match self.wire(exchange::operation(&all)).await {
            Ok(wire) => wire,
            Err(error) => return vec![Err(error); commands.len()],
        };
        let deadline = Instant::now() + within;
        let outcomes = join_all(commands.iter().map(|command| async {
            let work = wire::run(&*wire, self.address, command);
            let outcome = tokio::time::timeout_at(deadline, work).await;
            outcome
                .unwrap_or_else(|_| Err(self.timed_out(command.name(), within)))
                .map_err(explained)
        }))
        .await;
        if let Some(Err(error)) = outcomes.iter().find(|outcome| is_suspicious(outcome)) {
            tracing::debug!(address = self.address, %error, "connection in doubt");
            self.discard(&wire);
        }
        outcomes
    }

    async fn confirm_alone(
        &self,
        writes: &[Command],
        replicas: u32,
        within: Duration,
    ) -> Result<Confirmed, StoreError> {
        let writes: Vec<&Command> = writes.iter().collect();
        let operation = exchange::operation(&writes);
        let Source::Exclusive(supply, waiting) = &self.source else {
            return Err(StoreError::Unsupported {
                operation,
                address: self.address.to_owned(),
                remedy: "only a connection that nothing else uses can WAIT for replicas; bring a redis::Client or a \
                         pool of one server"
                    .to_owned(),
            });
        };
        let locked = tokio::time::timeout(within, confirm::turn(waiting)).await;
        let mut waiting = locked.map_err(|_| self.timed_out(operation, within))?;
        let generation = supply.generation();
        // Taken out while it is used: a dropped or failed attempt leaves none behind, as its replies may still come.
        let wire = match waiting.take() {
            Some((made_in, wire)) if made_in == generation => wire,
            _ => supply.another(operation, self.address).await?,
        };
        let outcome = confirm::confirm(&*wire, self.address, &writes, replicas, within).await?;
        if outcome.is_reusable {
            *waiting = Some((generation, wire));
        }
        Ok(outcome.confirmed)
    }

    fn timed_out(&self, operation: &'static str, within: Duration) -> StoreError {
        StoreError::Timeout {
            operation,
            address: self.address.to_owned(),
            within,
        }
    }
}

/// Whether another connection may do better.
fn is_suspicious(outcome: &Result<Reply, StoreError>) -> bool {
    outcome.as_ref().is_err_and(StoreError::is_ambiguous) || reply::condemns_connection(outcome)
}

/// Says what to do about keys that lie on several nodes.
fn explained(error: StoreError) -> StoreError {
    match error {
        StoreError::Refused { code, .. } if code == "CROSSSLOT" => StoreError::Misconfigured {
            problem: "the connection leads to a Redis Cluster and does not say so; add Connection::in_cluster()"
                .to_owned(),
        },
        other => other,
    }
}

impl fmt::Debug for CustomStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomStore({})", self.address)
    }
}

impl Store for CustomStore {
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
        Box::pin(self.confirm_alone(writes, replicas, within))
    }

    fn can_confirm(&self) -> bool {
        matches!(self.source, Source::Exclusive(..))
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move {
            match &self.subscriptions {
                Some(node) => node.subscribe(channel, within).await,
                None => Err(StoreError::Unsupported {
                    operation: "subscribe",
                    address: self.address.to_owned(),
                    remedy: "give it a client of its own for that by Connection::subscriptions"
                        .to_owned(),
                }),
            }
        })
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(async move {
            let wire = self.wire("describe").await?;
            let at_key: Arc<dyn Wire> = if self.in_cluster {
                Arc::new(AtKey::new(Arc::clone(&wire), key))
            } else {
                Arc::clone(&wire)
            };
            let work = describe::describe(&*at_key, self.address, &[describe::SERVER]);
            let outcome = tokio::time::timeout(within, work).await;
            let outcome = outcome.unwrap_or_else(|_| Err(self.timed_out("describe", within)));
            if outcome.as_ref().is_err_and(StoreError::is_ambiguous) {
                self.discard(&wire);
            }
            let mut info = outcome?;
            self.address.clone_into(&mut info.address);
            Ok(info)
        })
    }

    fn route(&self, _key: &str) -> Option<String> {
        let given_up = match &self.source {
            Source::Fixed(_) => 0,
            Source::Renewable(supply) | Source::Exclusive(supply, _) => supply.generation(),
        };
        Some(format!("{} {given_up}", self.address))
    }
}
