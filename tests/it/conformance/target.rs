//! What the suite runs on.

use std::{fmt, time::Duration};

use coord_core::{endpoint::Protocol, store::embedded::Embedded};
use coord_tests::{
    cluster::Cluster,
    server::{RedisServer, Version},
};
use redis::AsyncConnectionConfig;

use super::space::{Raw, Space};

/// A kind of deployment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// The embedded store.
    Embedded,
    /// One server without replicas.
    Standalone(Version, Protocol),
    /// Three masters with one replica each.
    Cluster(Version, Protocol),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Standalone(version, protocol) => write!(f, "{version}, {protocol:?}"),
            Self::Cluster(version, protocol) => write!(f, "cluster of {version}, {protocol:?}"),
        }
    }
}

/// A target that runs.
pub(super) struct Deployment {
    servers: Servers,
    protocol: Protocol,
}

enum Servers {
    Embedded,
    Standalone(RedisServer),
    Cluster(Cluster),
}

impl Deployment {
    /// Starts the servers of `target`.
    pub(super) fn start(target: Target) -> Self {
        let (servers, protocol) = match target {
            Target::Embedded => (Servers::Embedded, Protocol::Resp2),
            Target::Standalone(version, protocol) => {
                let server = RedisServer::builder().version(version).start();
                (Servers::Standalone(server.expect("starts")), protocol)
            }
            Target::Cluster(version, protocol) => {
                let cluster = Cluster::builder().version(version).start();
                (Servers::Cluster(cluster.expect("starts")), protocol)
            }
        };
        Self { servers, protocol }
    }

    /// The space called `name`, which nothing else uses.
    pub(super) async fn space(&self, name: &str) -> Space {
        let protocol = match self.protocol {
            Protocol::Resp3 => "protocol=resp3",
            _ => "protocol=resp2",
        };
        let (url, raw, replicas) = match &self.servers {
            Servers::Embedded => {
                let raw = Raw::Embedded(Embedded::named(ENGINE));
                return Space::new(name, format!("memory://{ENGINE}?"), raw, 0);
            }
            Servers::Standalone(server) => (server.url(), connect(server).await, 0),
            Servers::Cluster(cluster) => {
                let master = cluster.master_of(Cluster::slot_of(name));
                let master = master.expect("somebody serves the slot");
                (cluster.url(), connect(master).await, 1)
            }
        };
        Space::new(name, format!("{url}?{protocol}&"), raw, replicas)
    }
}

async fn connect(server: &RedisServer) -> Raw {
    let client = redis::Client::open(server.url()).expect("valid");
    // On a busy machine both may take longer than the defaults allow.
    let patience = Some(Duration::from_secs(20));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience);
    let connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await;
    Raw::Server(connection.expect("connects"))
}

const ENGINE: &str = "conformance";
