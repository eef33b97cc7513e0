//! Redis and Valkey, in every shape that they are deployed in.
//!
//! | URL | what is behind it |
//! | --- | --- |
//! | `redis://`, `rediss://`, `redis+unix://` | one server |
//! | `rediscluster://`, `redisscluster://` | a cluster: the node that serves the hash slot of each key |
//! | `redis+sentinel://`, `rediss+sentinel://` | the master that sentinels name |
//!
//! All of them keep a few connections of their own to each server that they use, drop them on the first suspicion and
//! find the server anew.

#[cfg(feature = "cluster")]
mod cluster;
mod confirm;
mod custom;
mod describe;
mod dial;
mod dialer;
mod exchange;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod intake;
mod kept;
mod lanes;
mod node;
mod permission;
mod reply;
#[cfg_attr(not(feature = "tls"), path = "redis/unsecured.rs")]
mod secured;
#[cfg(feature = "sentinel")]
mod sentinel;
mod subscription;
mod wire;

use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "cluster")]
pub(crate) use self::cluster::hash_slot;
pub use self::custom::Connection;
use self::{
    dial::{Dial, Place},
    node::{Node, Patience},
    secured::Secured,
};
use super::{BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription};
#[cfg(feature = "sentinel")]
use crate::clock::SystemClock;
use crate::{
    endpoint::{Endpoint, Kind},
    tls::Tls,
};

/// The store at `endpoint`. Connects when first used. `tls` counts where the endpoint is encrypted.
///
/// # Errors
///
/// [`StoreError`] where the options contradict each other, the client rejects them, or this build lacks a feature.
pub fn open(endpoint: &Endpoint, tls: Option<&Tls>) -> Result<Arc<dyn Store>, StoreError> {
    if tls.is_some() && !endpoint.is_tls() {
        return Err(StoreError::Misconfigured {
            problem: format!(
                "TLS options for {endpoint}, which is not encrypted; use rediss://, redisscluster:// or \
                 rediss+sentinel://, or remove them"
            ),
        });
    }
    let tls = endpoint.is_tls().then(|| tls.cloned().unwrap_or_default());
    let tls = tls.map(Secured::new).transpose()?;
    let dial = |credentials: &crate::endpoint::Credentials, database| Dial {
        credentials: credentials.clone(),
        database,
        protocol: endpoint.protocol(),
        tls: tls.clone(),
    };
    match endpoint.kind() {
        Kind::Tcp {
            address,
            database,
            credentials,
            ..
        } => {
            let place = Place::Tcp(address.clone());
            RedisStore::open(endpoint, place, dial(credentials, *database))
        }
        Kind::Unix {
            path,
            database,
            credentials,
        } => {
            let place = Place::Unix(path.clone());
            RedisStore::open(endpoint, place, dial(credentials, *database))
        }
        #[cfg(feature = "cluster")]
        Kind::Cluster {
            seeds, credentials, ..
        } => Ok(Arc::new(cluster::ClusterStore::new(
            endpoint.to_string(),
            seeds.clone(),
            dial(credentials, 0),
        ))),
        #[cfg(feature = "sentinel")]
        Kind::Sentinel(kind) => Ok(Arc::new(sentinel::SentinelStore::new(
            endpoint.to_string(),
            kind,
            dial(&kind.credentials, kind.database),
            dial(&kind.sentinel_credentials, 0),
            Arc::new(SystemClock),
        )?)),
        _ => Err(StoreError::Misconfigured {
            problem: format!(
                "this build cannot serve {endpoint}; turn on the feature that it needs"
            ),
        }),
    }
}

/// A [`Store`] on one Redis server.
struct RedisStore {
    node: Node,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore({})", self.node.address())
    }
}

impl RedisStore {
    fn open(endpoint: &Endpoint, place: Place, dial: Dial) -> Result<Arc<dyn Store>, StoreError> {
        let node = Node::new(endpoint.to_string(), place, dial)?;
        Ok(Arc::new(Self { node }))
    }
}

impl Store for RedisStore {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            let commands: Vec<&Command> = commands.iter().collect();
            self.node
                .pipeline(&commands, false, Patience::Answer(within))
                .await
        })
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        let patience = Patience::Answer(within);
        Box::pin(async move {
            let writes: Vec<&Command> = writes.iter().collect();
            self.node.confirm(&writes, replicas, patience).await
        })
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(self.node.subscribe(channel, within))
    }

    fn describe<'a>(
        &'a self,
        _key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(self.node.describe(&[describe::SERVER], within))
    }

    fn route(&self, _key: &str) -> Option<String> {
        Some(self.node.route())
    }
}
