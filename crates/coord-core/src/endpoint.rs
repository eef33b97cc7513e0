//! Connection URLs: what they say, and what is wrong with them.

mod error;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::error::EndpointError;
use crate::namespace::Namespace;

/// A parsed connection URL.
///
/// | form | deployment |
/// | --- | --- |
/// | `redis://[user:pass@]host[:port][/db][?ns=…]` | one server |
/// | `redis+unix:///path/to/socket[?db=…&ns=…]` | one server, by unix socket |
/// | `rediscluster://[user:pass@]h1[:port],h2…[?ns=…]` | a Redis Cluster, by some of its nodes |
/// | `redis+sentinel://[user:pass@]h1[:port],h2…/master-name[/db][?ns=…]` | the master that the sentinels name |
/// | `memory://name[?ns=…]` | the embedded store, shared by name within the process |
///
/// `rediss://`, `redisscluster://` and `rediss+sentinel://` are the same over TLS. Ports default to 6379, those of
/// sentinels to 26379, `ns` to the caller's default; an IPv6 address stands in brackets. User, password, path, master
/// name and query values are percent-decoded. `?protocol=resp3` speaks RESP3 (default `resp2`). Sentinels that want
/// credentials of their own get them by `?sentinel_user=…&sentinel_password=…`. Passwords appear in no output of this
/// type.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    kind: Kind,
    namespace: Option<Namespace>,
    protocol: Protocol,
}

/// The version of the protocol that is spoken with servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// What every server understands.
    #[default]
    Resp2,
    /// Since Redis 6.0.
    Resp3,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Tcp {
        address: Address,
        database: u32,
        credentials: Credentials,
        tls: bool,
    },
    Unix {
        path: String,
        database: u32,
        credentials: Credentials,
    },
    Cluster {
        seeds: Vec<Address>,
        credentials: Credentials,
        tls: bool,
    },
    Sentinel(Box<SentinelKind>),
    Memory {
        name: String,
    },
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SentinelKind {
    pub(crate) sentinels: Vec<Address>,
    pub(crate) master: String,
    pub(crate) database: u32,
    pub(crate) credentials: Credentials,
    /// What the sentinels themselves want to see.
    pub(crate) sentinel_credentials: Credentials,
    pub(crate) tls: bool,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl Endpoint {
    /// The port used where a URL names none.
    pub const DEFAULT_PORT: u16 = 6_379;
    /// The port used where a URL names none for a sentinel.
    pub const DEFAULT_SENTINEL_PORT: u16 = 26_379;
    /// How many cluster nodes or sentinels a URL may name.
    pub const MAX_ADDRESSES: usize = 256;
    /// How long a URL may be, in bytes; user and password have no other limit.
    pub const MAX_LEN: usize = 65_536;
    /// How long a host name may be, in bytes: as long as DNS has them.
    pub const MAX_HOST: usize = 253;
    /// How long the path of a unix socket may be, in bytes: as long as Linux takes it.
    pub const MAX_PATH: usize = 107;
    /// How long the name of a master or of an embedded store may be, in bytes.
    pub const MAX_NAME: usize = 128;

    /// Parses `url`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], which names the offending part but never the credentials.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        parse::parse(url)
    }

    /// The namespace that the URL names with `?ns=`.
    #[must_use]
    pub const fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// Whether keys are spread over the nodes of a Redis Cluster, so that a namespace needs a hash tag.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster { .. })
    }

    /// Whether connections are to be encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        match &self.kind {
            Kind::Tcp { tls, .. } | Kind::Cluster { tls, .. } => *tls,
            Kind::Sentinel(sentinel) => sentinel.tls,
            Kind::Unix { .. } | Kind::Memory { .. } => false,
        }
    }

    pub(crate) const fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The same endpoint without its namespace: what decides whether two connections can be one.
    pub(crate) fn without_namespace(&self) -> Self {
        Self {
            namespace: None,
            ..self.clone()
        }
    }
}

impl fmt::Display for Endpoint {
    /// The address without credentials, as errors and logs show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme =
            |plain: &'static str, encrypted, tls: bool| if tls { encrypted } else { plain };
        match &self.kind {
            Kind::Tcp {
                address,
                database,
                tls,
                ..
            } => write!(
                f,
                "{}://{address}/{database}",
                scheme("redis", "rediss", *tls)
            ),
            Kind::Unix { path, database, .. } => write!(f, "redis+unix://{path}?db={database}"),
            Kind::Cluster { seeds, tls, .. } => write!(
                f,
                "{}://{}",
                scheme("rediscluster", "redisscluster", *tls),
                listed(seeds)
            ),
            Kind::Sentinel(sentinel) => write!(
                f,
                "{}://{}/{}/{}",
                scheme("redis+sentinel", "rediss+sentinel", sentinel.tls),
                listed(&sentinel.sentinels),
                sentinel.master,
                sentinel.database
            ),
            Kind::Memory { name } => write!(f, "memory://{name}"),
        }
    }
}

fn listed(addresses: &[Address]) -> String {
    let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
    texts.join(",")
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}
