//! What can be wrong with a connection URL.

use crate::namespace::NamespaceError;

/// A URL that is no [`Endpoint`](super::Endpoint).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no `://`.
    #[error("connection URL has no scheme; write redis://host:port")]
    NoScheme,
    /// The scheme is not one of ours.
    #[error(
        "unknown scheme {scheme:?}; use redis://, rediss://, redis+unix://, rediscluster://, redisscluster://, \
         redis+sentinel://, rediss+sentinel:// or memory://"
    )]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// The scheme is known, but this build cannot serve it.
    #[error(
        "scheme {scheme:?} needs the feature {feature:?}, which this build lacks; turn it on in Cargo.toml"
    )]
    Unsupported {
        /// The scheme.
        scheme: String,
        /// The missing feature.
        feature: &'static str,
    },
    /// No host, socket path or name.
    #[error("connection URL names no {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// The port is not a number from 1 to 65535.
    #[error("port {port} is not a number from 1 to 65535; user and password end with an @")]
    Port {
        /// The rejected text, where it consists of digits.
        port: String,
    },
    /// A host cannot be one.
    #[error(
        "{what} is not a host name or address; an IPv6 address stands in brackets, as in redis://[::1]:6379"
    )]
    Host {
        /// What is wrong, without the text itself where that may be a password.
        what: String,
    },
    /// A part that is longer than any that is meant.
    #[error("{what} is {len} bytes long; the limit is {limit}")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The longest accepted one.
        limit: usize,
    },
    /// Several hosts where one server is meant.
    #[error(
        "{scheme:?} names one server, not several; use rediscluster:// or redis+sentinel:// for many"
    )]
    ManyHosts {
        /// The scheme.
        scheme: String,
    },
    /// More nodes or sentinels than anybody has.
    #[error("connection URL names {count} addresses; the limit is 256")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The same address twice.
    #[error("address {address} is given twice")]
    RepeatedAddress {
        /// The address.
        address: String,
    },
    /// The database is not a number.
    #[error("database {database:?} is not a number from 0 to 4294967295")]
    Database {
        /// The rejected text.
        database: String,
    },
    /// A cluster has no databases.
    #[error(
        "database {database:?} in a cluster URL; a cluster has only database 0, separate by ?ns= instead"
    )]
    ClusterDatabase {
        /// The rejected text.
        database: String,
    },
    /// Something after the last part that means anything.
    #[error("connection URL goes on after its {after}; remove the rest")]
    Trailing {
        /// The last part that was understood.
        after: &'static str,
    },
    /// A fragment, which a connection URL has not.
    #[error("connection URL contains a #; write it as %23 where it is part of a name or password")]
    Fragment,
    /// An `@` where none can be: what stands before it was meant as user and password.
    #[error(
        "connection URL has an @ after its first / or ?; write / ? # @ in user and password as %2F %3F %23 %40"
    )]
    Unescaped,
    /// A query key that means nothing here.
    #[error("unknown query key {key:?}; known here are {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// What this kind of URL understands.
        known: &'static str,
    },
    /// A query key that stands there twice.
    #[error("query key {key:?} is given twice")]
    RepeatedKey {
        /// The key.
        key: String,
    },
    /// A protocol version that does not exist.
    #[error("protocol {protocol:?} is unknown; use resp2 or resp3")]
    Protocol {
        /// The rejected text.
        protocol: String,
    },
    /// A broken percent escape, or one that is not UTF-8.
    #[error("{part} of the connection URL is not valid percent-encoded UTF-8")]
    Encoding {
        /// Which part.
        part: &'static str,
    },
    /// The namespace cannot be used.
    #[error("query key \"ns\" is not usable")]
    Namespace(#[from] NamespaceError),
}
