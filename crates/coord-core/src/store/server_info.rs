//! What a server says of itself.

use std::{fmt, time::Duration};

/// What a server says of itself, as far as it could be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Where it listens, such as `10.0.0.1:6379`: the node's address in a cluster, the master's behind sentinels.
    pub address: String,
    /// The product: `redis`, `valkey`, `embedded`.
    pub product: String,
    /// Its version, such as `7.0.15`.
    pub version: String,
    /// The identity of this run of the server.
    pub run_id: String,
    /// `master` or `slave`, as `INFO replication` says it.
    pub role: String,
    /// The address of its master, where it is a replica.
    pub master: Option<String>,
    /// How many replicas are connected.
    pub connected_replicas: u32,
    /// The eviction policy, such as `noeviction`.
    pub maxmemory_policy: String,
    /// The memory limit in bytes; zero means none.
    pub maxmemory: u64,
    /// The memory in use, in bytes.
    pub used_memory: u64,
    /// `min-replicas-to-write`, where `CONFIG GET` was allowed.
    pub min_replicas_to_write: Option<u32>,
    /// `min-replicas-max-lag`, where `CONFIG GET` was allowed; zero turns the guard off.
    pub min_replicas_max_lag: Option<Duration>,
    /// Whether anything is kept over a restart, by an append-only file or by snapshots; `None` where that is not known.
    pub persists: Option<bool>,
    /// How the deployment replaces this server; `None` where nothing does, or where that is not known.
    pub failover: Option<Failover>,
    /// The server's wall clock at the moment when this description was complete, since the Unix epoch.
    pub wall: Option<Duration>,
    /// What could not be asked.
    pub unchecked: Vec<Unchecked>,
}

/// How a deployment replaces a master that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failover {
    /// The nodes of a cluster agree on it.
    #[non_exhaustive]
    Cluster {
        /// `cluster-node-timeout`.
        node_timeout: Duration,
    },
    /// Sentinels do it.
    #[non_exhaustive]
    Sentinel {
        /// `down-after-milliseconds`.
        down_after: Duration,
        /// How many sentinels there are, the one asked included.
        sentinels: u32,
        /// How many of them must agree that the master is down.
        quorum: u32,
    },
}

impl Failover {
    /// How long a cluster takes after its node timeout, at the longest that was measured (2.5 s to 7 s).
    const CLUSTER_PROMOTION: Duration = Duration::from_secs(7);
    /// How long sentinels take after they have noticed.
    const SENTINEL_PROMOTION: Duration = Duration::from_millis(1_500);

    /// After how long without an answer another master may be in the making.
    #[must_use]
    pub const fn begins_after(&self) -> Duration {
        match self {
            Self::Cluster { node_timeout } => *node_timeout,
            Self::Sentinel { down_after, .. } => *down_after,
        }
    }

    /// After how long at the latest another master serves.
    #[must_use]
    pub fn ends_after(&self) -> Duration {
        let promotion = match self {
            Self::Cluster { .. } => Self::CLUSTER_PROMOTION,
            Self::Sentinel { .. } => Self::SENTINEL_PROMOTION,
        };
        self.begins_after().saturating_add(promotion)
    }

    /// The setting that [`begins_after`](Self::begins_after) comes from.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Cluster { .. } => "cluster-node-timeout",
            Self::Sentinel { .. } => "down-after-milliseconds",
        }
    }
}

/// Something that a server would not tell.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Unchecked {
    /// What is not known for it, such as `eviction policy`.
    pub what: String,
    /// The command that would have told, such as `INFO memory`.
    pub command: String,
    /// The server's reason.
    pub reason: String,
}

impl Unchecked {
    /// `what` is not known, because `command` failed for `reason`.
    #[must_use]
    pub fn new(
        what: impl Into<String>,
        command: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            command: command.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            command,
            reason,
        } = self;
        write!(f, "{what} ({command}: {reason})")
    }
}
