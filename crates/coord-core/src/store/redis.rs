//! A standalone Redis server, through supervised connections.
//!
//! None of the client types heals by itself: a multiplexed connection to a server that stopped answering stays in
//! place for as long as the kernel keeps the socket. So every operation has a deadline of ours, and whatever suggests
//! that the connection is not worth keeping (a timeout, an IO error, a server that cannot serve) drops it; the next
//! operation resolves the address anew.

mod describe;
mod lanes;
mod reply;
mod subscription;

use std::{fmt, future::Future, time::Duration};

use redis::aio::{ConnectionLike, MultiplexedConnection};

use self::lanes::{Lane, Lanes};
use super::{BoxFuture, Command, Reply, ServerInfo, Store, StoreError, Subscription};
use crate::endpoint::Endpoint;

/// A [`Store`] on one Redis server.
pub struct RedisStore {
    address: String,
    client: redis::Client,
    lanes: Lanes,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client's own Debug shows the password.
        write!(f, "RedisStore({})", self.address)
    }
}

impl RedisStore {
    /// How long making a connection may take, the handshake and authentication included.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
    /// How many connections carry commands; each is multiplexed, the second keeps one slow reply from delaying all.
    pub const CONNECTIONS: usize = 2;

    /// A store on the server at `endpoint`. Connects when first used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Connect`] where `endpoint` is no server's or the client rejects it.
    pub fn new(endpoint: &Endpoint) -> Result<Self, StoreError> {
        let address = endpoint.to_string();
        let failed = |source| StoreError::Connect {
            operation: "configure",
            address: address.clone(),
            source,
        };
        let info =
            lanes::connection_info(endpoint).map_err(|error| failed(reply::source(error)))?;
        let client =
            redis::Client::open(info.clone()).map_err(|error| failed(reply::source(error)))?;
        let lanes = Lanes::new(info, Self::CONNECTIONS, Self::CONNECT_TIMEOUT).map_err(failed)?;
        Ok(Self {
            address,
            client,
            lanes,
        })
    }

    async fn execute(
        &self,
        commands: &[Command],
        within: Duration,
    ) -> Vec<Result<Reply, StoreError>> {
        let operation = commands.first().map_or("pipeline", Command::name);
        let lane = match self.lanes.get(operation, &self.address).await {
            Ok(lane) => lane,
            Err(error) => return vec![Err(error); commands.len()],
        };
        let mut connection = lane.connection();
        let outcome = self
            .bounded(operation, within, self.exchange(&mut connection, commands))
            .await;
        match outcome {
            Ok(replies) => {
                if replies.iter().any(reply::condemns_connection) {
                    self.lanes.discard(&lane);
                }
                replies
            }
            Err(error) => {
                tracing::debug!(address = %self.address, %error, "connection dropped");
                self.lanes.discard(&lane);
                vec![Err(error); commands.len()]
            }
        }
    }

    /// EVALSHA for all; where the server does not know a script, one EVAL each and EVALSHA for the rest.
    async fn exchange(
        &self,
        connection: &mut MultiplexedConnection,
        commands: &[Command],
    ) -> Result<Vec<Result<Reply, StoreError>>, StoreError> {
        let all: Vec<&Command> = commands.iter().collect();
        let mut replies = self.send(connection, &all, false).await?;
        let unknown: Vec<usize> = (0..replies.len())
            .filter(|&index| reply::is_unknown_script(&replies[index]))
            .collect();
        if unknown.is_empty() {
            return Ok(replies);
        }
        let again: Vec<&Command> = unknown.iter().map(|&index| &commands[index]).collect();
        for (index, reply) in unknown
            .into_iter()
            .zip(self.send(connection, &again, true).await?)
        {
            replies[index] = reply;
        }
        Ok(replies)
    }

    async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        commands: &[&Command],
        with_source: bool,
    ) -> Result<Vec<Result<Reply, StoreError>>, StoreError> {
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        let mut sent_sources: Vec<&str> = Vec::new();
        for command in commands {
            let packed = match command {
                Command::Eval { script, keys, args } => {
                    let by_source = with_source && !sent_sources.contains(&script.sha());
                    let mut packed = if by_source {
                        sent_sources.push(script.sha());
                        redis::cmd("EVAL").arg(script.source()).to_owned()
                    } else {
                        redis::cmd("EVALSHA").arg(script.sha()).to_owned()
                    };
                    packed.arg(keys.len()).arg(keys).arg(args);
                    packed
                }
                Command::Publish { channel, payload } => {
                    redis::cmd("PUBLISH").arg(channel).arg(payload).to_owned()
                }
            };
            pipeline.add_command(packed);
        }
        let operation = commands
            .first()
            .map_or("pipeline", |command| command.name());
        let values = connection
            .req_packed_commands(&pipeline, 0, commands.len())
            .await
            .map_err(|error| reply::classify(operation, &self.address, error))?;
        Ok(commands
            .iter()
            .zip(values)
            .map(|(command, value)| reply::convert(command.name(), &self.address, value))
            .collect())
    }

    async fn bounded<T>(
        &self,
        operation: &'static str,
        within: Duration,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(within, work)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Timeout {
                    operation,
                    address: self.address.clone(),
                    within,
                })
            })
    }
}

impl Store for RedisStore {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(self.execute(commands, within))
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move {
            let subscribing = subscription::subscribe(&self.client, &self.address, channel);
            self.bounded("subscribe", within, subscribing).await
        })
    }

    fn describe(&self, within: Duration) -> BoxFuture<'_, Result<ServerInfo, StoreError>> {
        Box::pin(async move {
            let lane: Lane = self.lanes.get("describe", &self.address).await?;
            let mut connection = lane.connection();
            let described = self
                .bounded(
                    "describe",
                    within,
                    describe::describe(&mut connection, &self.address),
                )
                .await;
            if described.as_ref().is_err_and(StoreError::is_transient) {
                self.lanes.discard(&lane);
            }
            described
        })
    }
}
