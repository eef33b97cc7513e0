//! What an operator should change about a server, said once when a heartbeat starts.

use std::time::Duration;

use crate::store::{ServerInfo, Store};

/// One thing about a server that endangers leases, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Keys may be evicted: a lease could vanish and be granted again.
    Eviction {
        /// The policy.
        policy: String,
    },
    /// This is a replica: it cannot be written.
    Replica,
    /// The server is older than anything this was tested with.
    Old {
        /// Its version.
        version: String,
    },
    /// Writes are acknowledged before a replica has them: a failover may forget leases.
    UnguardedReplicas {
        /// How many replicas there are.
        replicas: u32,
    },
    /// Something could not be asked.
    Unchecked {
        /// What, and the server's reason.
        what: String,
    },
}

impl std::fmt::Display for Advice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Eviction { policy } => write!(
                f,
                "maxmemory-policy {policy} may evict leases; set it to noeviction, or give leases a server of their own"
            ),
            Self::Replica => {
                f.write_str("this server is a replica and refuses writes; connect to its master")
            }
            Self::Old { version } => write!(
                f,
                "version {version} is older than 6.2, the oldest tested; upgrade"
            ),
            Self::UnguardedReplicas { replicas } => write!(
                f,
                "{replicas} replicas but min-replicas-to-write is 0: a failover may forget leases; set it to 1"
            ),
            Self::Unchecked { what } => write!(f, "could not be checked: {what}"),
        }
    }
}

/// What to change about the server that `info` describes.
#[must_use]
pub fn advise(info: &ServerInfo) -> Vec<Advice> {
    let mut advice = Vec::new();
    let evicts = !matches!(info.maxmemory_policy.as_str(), "" | "noeviction");
    if evicts && info.maxmemory != 0 {
        advice.push(Advice::Eviction {
            policy: info.maxmemory_policy.clone(),
        });
    }
    if info.role == "slave" {
        advice.push(Advice::Replica);
    }
    if info.product == "redis" && is_older_than_6_2(&info.version) {
        advice.push(Advice::Old {
            version: info.version.clone(),
        });
    }
    if 0 < info.connected_replicas && info.min_replicas_to_write == Some(0) {
        advice.push(Advice::UnguardedReplicas {
            replicas: info.connected_replicas,
        });
    }
    advice.extend(
        info.unchecked
            .iter()
            .map(|what| Advice::Unchecked { what: what.clone() }),
    );
    advice
}

pub(crate) async fn give(store: &dyn Store, within: Duration) {
    match store.describe(within).await {
        Ok(info) => {
            for advice in advise(&info) {
                match advice {
                    Advice::Unchecked { .. } => tracing::info!(store = ?store, "{advice}"),
                    _ => tracing::warn!(store = ?store, "{advice}"),
                }
            }
        }
        Err(error) => {
            tracing::debug!(store = ?store, %error, "the server could not be asked about itself")
        }
    }
}

fn is_older_than_6_2(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (6, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> ServerInfo {
        ServerInfo {
            product: "redis".into(),
            version: "7.0.15".into(),
            role: "master".into(),
            maxmemory_policy: "noeviction".into(),
            min_replicas_to_write: Some(0),
            ..ServerInfo::default()
        }
    }

    #[test]
    fn a_healthy_server_gets_no_advice() {
        assert_eq!(advise(&healthy()), []);
    }

    #[test]
    fn every_danger_is_named() {
        let info = ServerInfo {
            version: "6.0.9".into(),
            role: "slave".into(),
            maxmemory_policy: "allkeys-lru".into(),
            maxmemory: 1,
            connected_replicas: 2,
            unchecked: vec!["CONFIG".into()],
            ..healthy()
        };
        assert_eq!(
            advise(&info),
            [
                Advice::Eviction {
                    policy: "allkeys-lru".into()
                },
                Advice::Replica,
                Advice::Old {
                    version: "6.0.9".into()
                },
                Advice::UnguardedReplicas { replicas: 2 },
                Advice::Unchecked {
                    what: "CONFIG".into()
                },
            ]
        );
    }
}
