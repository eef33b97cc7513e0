//! One server, by supervised connections.
//!
//! None of the client types heals by itself: a multiplexed connection to a server that stopped answering stays in
//! place for as long as the kernel keeps the socket. So every operation has a deadline of ours, and whatever suggests
//! that the connection is not worth keeping (a timeout, an IO error, a server that cannot serve) drops it; the next
//! operation resolves the address anew.

use std::{error::Error as StdError, fmt, future::Future, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    confirm,
    describe::{self, Question},
    dial::{self, Dial, Place},
    dialer::Dialer,
    exchange::{self, Outcome, exchange},
    lanes::{Lane, Lanes},
    reply, subscription,
};
use crate::store::{Command, Confirmed, ServerInfo, StoreError, Subscription};

/// How long an operation may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// So long for the answer; a connection that has to be made first gets its own connect timeout.
    Answer(Duration),
    /// So long for connection and answer together, because another server may have to be tried.
    #[cfg_attr(
        not(any(feature = "cluster", feature = "sentinel")),
        expect(dead_code, reason = "a server that stands alone has no other to try")
    )]
    Whole(Duration),
}

impl Patience {
    const fn within(self) -> Duration {
        match self {
            Self::Answer(within) | Self::Whole(within) => within,
        }
    }

    const fn connect(self) -> Duration {
        match self {
            Self::Answer(_) => Dial::CONNECT_TIMEOUT,
            Self::Whole(within) => within,
        }
    }

    fn deadline(self, now: Instant) -> Instant {
        now + self.within()
    }

    /// What is left for the answer, once there is a connection.
    fn left(self, deadline: Instant) -> Duration {
        match self {
            Self::Answer(within) => within,
            Self::Whole(_) => left(deadline),
        }
    }
}

pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// A lane that leaves its lanes with this, unless it is taken out before.
struct Used<'a> {
    lanes: &'a Lanes,
    lane: Option<Lane>,
}

impl Drop for Used<'_> {
    fn drop(&mut self) {
        if let Some(lane) = &self.lane {
            self.lanes.discard(lane);
        }
    }
}

pub(super) struct Node {
    address: String,
    /// Where it is, whatever errors call it.
    place: String,
    dialer: Dialer,
    lanes: Lanes,
    /// Connections that nothing else uses: WAIT blocks one, and covers what was written before on it. One serves a whole
    /// process; the others are made if replicas keep it waiting and somebody else wants to wait meanwhile.
    waiting: [tokio::sync::Mutex<Lanes>; confirm::CONNECTIONS],
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A client's own Debug shows the password.
        write!(f, "Node({})", self.address)
    }
}

impl Node {
    /// How many connections carry commands; each is multiplexed, the second keeps one slow reply from delaying all.
    pub(super) const CONNECTIONS: usize = 2;

    /// Connects when first used. `address` is what errors say.
    pub(super) fn new(address: String, place: Place, dial: Dial) -> Result<Self, StoreError> {
        let shown = place.to_string();
        let dialer = Dialer::new(address.clone(), place, dial);
        Self::with(address, shown, dialer)
    }

    /// The server that a user's client leads to.
    pub(super) fn of_client(client: &redis::Client) -> Result<Self, StoreError> {
        let info = client.get_connection_info().clone();
        let info = dial::without_delay(info);
        let shown = dial::shown(&info);
        let client = redis::Client::open(info)
            .map_err(|error| unconfigured(&shown, reply::source(error)))?;
        Self::with(shown.clone(), shown, Dialer::Brought(Box::new(client)))
    }

    fn with(address: String, place: String, dialer: Dialer) -> Result<Self, StoreError> {
        let lanes = |size| {
            Lanes::new(dialer.clone(), size, Dial::CONNECT_TIMEOUT)
                .map_err(|source| unconfigured(&address, source))
        };
        let waiting = || lanes(1).map(tokio::sync::Mutex::new);
        let (waiting, lanes) = (
            [waiting()?, waiting()?, waiting()?],
            lanes(Self::CONNECTIONS)?,
        );
        Ok(Self {
            address,
            place,
            dialer,
            lanes,
            waiting,
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Sends `commands`, each after ASKING where `asking`.
    pub(super) async fn pipeline(
        &self,
        commands: &[&Command],
        asking: bool,
        patience: Patience,
    ) -> Vec<Outcome> {
        let operation = exchange::operation(commands);
        let deadline = patience.deadline(Instant::now());
        let lane = self
            .lanes
            .get(operation, &self.address, patience.connect())
            .await;
        let lane = match lane {
            Ok(lane) => lane,
            Err(error) => return vec![Err(error); commands.len()],
        };
        let (mut connection, under_way) = lane.begin();
        let work = exchange(&mut connection, &self.address, commands, asking);
        match self.bounded(operation, patience.left(deadline), work).await {
            Ok(outcomes) => {
                if outcomes.iter().any(reply::condemns_connection) {
                    self.lanes.discard(&lane);
                }
                outcomes
            }
            Err(error) => {
                let error = lane.explain(error);
                let is_late = matches!(error, StoreError::Timeout { .. });
                // A server that answers others meanwhile has too much to do; new connections would be more of it.
                if !is_late || under_way.heard_nothing() {
                    tracing::debug!(address = %self.address, %error, "connections dropped");
                    // Whatever silenced this connection has silenced the others too.
                    self.lanes.discard(&lane);
                    self.lanes.discard_all();
                }
                vec![Err(error); commands.len()]
            }
        }
    }

    /// Runs `writes` and waits until `replicas` have acknowledged them and all that the server executed before.
    pub(super) async fn confirm(
        &self,
        writes: &[&Command],
        replicas: u32,
        patience: Patience,
    ) -> Result<Confirmed, StoreError> {
        let operation = exchange::operation(writes);
        let deadline = patience.deadline(Instant::now());
        let turn = async { Ok(confirm::turn(&self.waiting).await) };
        let lanes = self.bounded(operation, patience.within(), turn).await?;
        let lane = lanes
            .get(operation, &self.address, patience.connect())
            .await?;
        // A dropped or failed attempt leaves no connection behind: its WAIT may still block it.
        let mut used = Used {
            lanes: &lanes,
            lane: Some(lane.clone()),
        };
        let (connection, _use) = lane.begin();
        let left = patience.left(deadline);
        let confirmed = confirm::confirm(&connection, &self.address, writes, replicas, left);
        let outcome = confirmed.await.map_err(|error| lane.explain(error))?;
        if outcome.is_reusable {
            used.lane = None;
        }
        Ok(outcome.confirmed)
    }

    pub(super) async fn subscribe(
        &self,
        channel: &str,
        within: Duration,
    ) -> Result<Subscription, StoreError> {
        let subscribing = subscription::subscribe(&self.dialer, &self.address, channel);
        // A connection of its own is made first, which takes a slow network several round trips.
        self.bounded("subscribe", Dial::CONNECT_TIMEOUT + within, subscribing)
            .await
    }

    /// Another text after a connection was replaced, and perhaps the server behind it.
    pub(super) fn route(&self) -> String {
        format!("{} {}", self.place, self.lanes.discarded())
    }

    pub(super) async fn describe(
        &self,
        questions: &[&[Question]],
        within: Duration,
    ) -> Result<ServerInfo, StoreError> {
        let lane = self
            .lanes
            .get("describe", &self.address, Dial::CONNECT_TIMEOUT)
            .await?;
        let (connection, _use) = lane.begin();
        let describing = describe::describe(&connection, &self.address, questions);
        let described = self.bounded("describe", within, describing).await;
        let described = described.map_err(|error| lane.explain(error));
        if described.as_ref().is_err_and(StoreError::is_transient) {
            self.lanes.discard(&lane);
        }
        let mut info = described?;
        info.address.clone_from(&self.place);
        Ok(info)
    }

    /// One plain command, for what a deployment says of itself.
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    pub(super) async fn ask(
        &self,
        operation: &'static str,
        command: &redis::Cmd,
        within: Duration,
    ) -> Result<redis::Value, StoreError> {
        let patience = Patience::Whole(within);
        let deadline = patience.deadline(Instant::now());
        let lane = self
            .lanes
            .get(operation, &self.address, patience.connect())
            .await?;
        let (mut connection, _use) = lane.begin();
        let work = async {
            let value = command.query_async::<redis::Value>(&mut connection).await;
            value.map_err(|error| reply::classify(operation, &self.address, error))
        };
        let answer = self.bounded(operation, patience.left(deadline), work).await;
        let answer = answer.map_err(|error| lane.explain(error));
        if answer.as_ref().is_err_and(StoreError::is_transient) {
            self.lanes.discard(&lane);
        }
        answer
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

fn unconfigured(address: &str, source: Arc<dyn StdError + Send + Sync>) -> StoreError {
    StoreError::Connect {
        operation: "configure",
        address: address.to_owned(),
        source,
    }
}
