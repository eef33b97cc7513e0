//! Connections that the user brings.

mod at_key;
mod pools;
mod server;
mod supply;

use std::{fmt, future::Future, sync::Arc};

use redis::{
    RedisError,
    aio::{ConnectionLike, MultiplexedConnection},
};

use self::{
    server::{CustomStore, Source, Waiting},
    supply::{Make, Supply},
};
use super::{RedisStore, node::Node, wire::Wire};
use crate::store::{Store, StoreError};

/// A way to a server that the program has already: a client, a pool, a connection, or a function that makes one.
///
/// | from | is renewed after a failure | hears wake-ups, others' heartbeats | confirms by `WAIT` | in a user's blocked runtime |
/// | --- | --- | --- | --- | --- |
/// | `redis::Client` | yes | yes | yes | goes on |
/// | `deadpool_redis::Pool` | yes | with [`subscriptions`](Self::subscriptions) | yes | goes on |
/// | `deadpool_redis::sentinel::Pool` | yes, at the master of the time | with `subscriptions` | yes | goes on |
/// | `deadpool_redis::cluster::Pool` | yes | with `subscriptions` | no | goes on |
/// | [`factory`](Self::factory) | yes | with `subscriptions` | no | goes on, unless what it makes is driven elsewhere |
/// | `MultiplexedConnection` | never | with `subscriptions` | no | stalls |
/// | `ClusterConnection` | as far as it does so itself | with `subscriptions` | no | stalls |
/// | [`shared`](Self::shared) | as far as it does so itself | with `subscriptions` | no | stalls, where it is driven there |
///
/// Every operation has a deadline of ours, whatever timeouts the connection has or lacks. What *is renewed* is given up
/// on the first suspicion (no answer in time, a broken connection, a server that became a replica or left the cluster) and
/// made anew. What is not can only be used on: a `MultiplexedConnection` is dead with its socket, and a
/// `ConnectionManager` or a `ClusterConnection` reconnects where the socket says that it ended, which a server that hangs
/// and a network that swallows packets do not.
///
/// A *pool* is asked how to connect, and for nothing else: connections are made by its manager beside the pool's own, one
/// for commands and one more where `WAIT` is used. So they count neither into its size nor wait for it, and its hooks do
/// not see them. A pool that is exhausted, slow, or full of dead connections costs no lease.
///
/// Whatever is made here is made and driven where the heartbeat runs, on a thread of its own by default. A connection that
/// was made elsewhere is driven by the runtime that made it: while that is blocked, renewals stall, and leases end when
/// it stays blocked for their ttl.
///
/// What a server sends by a connection that was made here, from a URL, is held only up to a limit. A connection that is
/// brought, and those of a client or a pool, take whatever comes.
///
/// Without [`subscriptions`](Self::subscriptions) everything works by heartbeats alone: hints come a heartbeat later, and
/// processes of the Go originals are not heard when a namespace without a record is used for the first time.
#[derive(Clone)]
#[must_use]
pub struct Connection {
    origin: Origin,
    in_cluster: bool,
    subscriptions: Option<redis::Client>,
}

#[derive(Clone)]
enum Origin {
    Client(Box<redis::Client>),
    Shared(Arc<dyn Wire>),
    Made {
        make: Arc<Make>,
        /// What errors say, as nobody knows the address.
        address: &'static str,
        /// Whether each one is nobody else's.
        exclusive: bool,
    },
}

impl Connection {
    /// A connection that is used as it is and never replaced, such as a `redis::aio::ConnectionManager`.
    pub fn shared(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self::from_origin(Origin::Shared(Arc::new(connection)))
    }

    /// A function that makes a connection: called when the first one is needed and whenever the last one is given up,
    /// where the heartbeat runs. Making one may take 10 s; an operation waits 2 s for it.
    ///
    /// ```
    /// # fn example(client: redis::Client) -> coord_core::store::redis::Connection {
    /// use coord_core::store::redis::Connection;
    ///
    /// Connection::factory(move || {
    ///     let client = client.clone();
    ///     async move { client.get_multiplexed_async_connection().await }
    /// })
    /// # }
    /// ```
    pub fn factory<F, M, C>(make: F) -> Self
    where
        F: Fn() -> M + Send + Sync + 'static,
        M: Future<Output = Result<C, RedisError>> + Send + 'static,
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        Self::made("the server of the given factory", false, make)
    }

    /// Says that this leads to a Redis Cluster, where the keys of one namespace must share a hash slot. A
    /// `ClusterConnection` and a cluster pool say so themselves.
    pub const fn in_cluster(mut self) -> Self {
        self.in_cluster = true;
        self
    }

    /// Subscribes by connections of `client`, to the same server or to any node of the same cluster. Defaults to no
    /// subscriptions, but for a `redis::Client`, which subscribes by itself and takes no other.
    pub fn subscriptions(mut self, client: redis::Client) -> Self {
        self.subscriptions = Some(client);
        self
    }

    /// Whether this leads to a Redis Cluster.
    #[must_use]
    pub const fn is_in_cluster(&self) -> bool {
        self.in_cluster
    }

    /// Whether it can wait for replicas: on a connection that nothing else uses.
    #[must_use]
    pub const fn can_confirm(&self) -> bool {
        match &self.origin {
            Origin::Client(_) => true,
            Origin::Shared(_) => false,
            Origin::Made { exclusive, .. } => *exclusive,
        }
    }

    /// The store behind it. Connects when first used.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the options contradict each other or this build.
    pub fn open(self) -> Result<Arc<dyn Store>, StoreError> {
        let (address, source) = match self.origin {
            Origin::Client(_) if self.subscriptions.is_some() => {
                return Err(StoreError::Misconfigured {
                    problem:
                        "a redis::Client subscribes by itself; remove Connection::subscriptions"
                            .to_owned(),
                });
            }
            Origin::Client(client) => {
                let node = Node::of_client(&client)?;
                return Ok(Arc::new(RedisStore { node }));
            }
            Origin::Shared(wire) => ("the server of the given connection", Source::Fixed(wire)),
            Origin::Made {
                make,
                address,
                exclusive,
            } => {
                let supply = Supply::new(make);
                let source = if exclusive {
                    Source::Exclusive(supply, Waiting::default())
                } else {
                    Source::Renewable(supply)
                };
                (address, source)
            }
        };
        let subscriptions = self.subscriptions.map(|client| Node::of_client(&client));
        let store = CustomStore::new(address, source, self.in_cluster, subscriptions.transpose()?);
        Ok(Arc::new(store))
    }

    fn made<F, M, C>(address: &'static str, exclusive: bool, make: F) -> Self
    where
        F: Fn() -> M + Send + Sync + 'static,
        M: Future<Output = Result<C, RedisError>> + Send + 'static,
        C: ConnectionLike + Clone + Send + Sync + 'static,
    {
        let make = move || -> supply::Making {
            let making = make();
            Box::pin(async move { Ok(Arc::new(making.await?) as Arc<dyn Wire>) })
        };
        Self::from_origin(Origin::Made {
            make: Arc::new(make),
            address,
            exclusive,
        })
    }

    const fn from_origin(origin: Origin) -> Self {
        Self {
            origin,
            in_cluster: false,
            subscriptions: None,
        }
    }
}

impl From<redis::Client> for Connection {
    fn from(client: redis::Client) -> Self {
        Self::from_origin(Origin::Client(Box::new(client)))
    }
}

impl From<MultiplexedConnection> for Connection {
    fn from(connection: MultiplexedConnection) -> Self {
        Self::shared(connection)
    }
}

#[cfg(feature = "cluster")]
impl From<redis::cluster_async::ClusterConnection> for Connection {
    fn from(connection: redis::cluster_async::ClusterConnection) -> Self {
        Self::shared(connection).in_cluster()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A client's own Debug shows its password.
        let origin = match &self.origin {
            Origin::Client(_) => "client",
            Origin::Shared(_) => "shared",
            Origin::Made { address, .. } => address,
        };
        f.debug_struct("Connection")
            .field("origin", &origin)
            .field("in_cluster", &self.in_cluster)
            .field("subscriptions", &self.subscriptions.is_some())
            .finish()
    }
}
