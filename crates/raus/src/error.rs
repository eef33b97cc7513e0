//! One error for each operation.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use coord_core::{
    advice::EvictingServer, endpoint::EndpointError, lease::TimingError, namespace::NamespaceError,
    store::StoreError,
};

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The connection URL.
    #[error("connection URL is not usable: {0}")]
    Endpoint(#[source] EndpointError),
    /// The namespace.
    #[error("{0}")]
    Namespace(NamespaceError),
    /// The store could not be set up.
    #[error("connection cannot be configured")]
    Store(#[source] StoreError),
    /// The range holds nothing.
    #[error("range {}..={} is empty; write it as lowest..=highest", .range.start(), .range.end())]
    EmptyRange {
        /// The rejected range.
        range: RangeInclusive<u32>,
    },
    /// The range holds too much.
    #[error("range {}..={} holds {size} slots; the limit is 1048576", .range.start(), .range.end())]
    RangeTooLarge {
        /// The rejected range.
        range: RangeInclusive<u32>,
        /// How many slots it holds.
        size: u64,
    },
    /// Ttl and heartbeat do not fit each other or their limits.
    #[error("{0}")]
    Timing(TimingError),
    /// The number of candidates in the first call.
    #[error("max_candidates of {value} is out of bounds; choose between 1 and 1024")]
    MaxCandidates {
        /// The rejected value.
        value: usize,
    },
    /// Replicas must acknowledge, and the connection cannot wait for them.
    #[error(
        "acknowledge of at least {replicas} replicas by a connection that others use too; bring a redis::Client or a pool \
         of one server, or use a URL"
    )]
    Unconfirmable {
        /// How many were to acknowledge.
        replicas: u32,
    },
    /// The number of replicas that must acknowledge.
    #[error("acknowledge of at least {value} replicas is out of bounds; choose between 1 and 100")]
    Replicas {
        /// The rejected value.
        value: u32,
    },
    /// A duration is out of bounds.
    #[error("{option} of {value:?} is out of bounds; choose between {min:?} and {max:?}")]
    Duration {
        /// The option's name.
        option: &'static str,
        /// The rejected value.
        value: Duration,
        /// The smallest accepted value.
        min: Duration,
        /// The largest accepted value.
        max: Duration,
    },
    /// The label is too long or contains control characters.
    #[error("label {label:?} is not usable; give at most 128 bytes without control characters")]
    Label {
        /// The rejected label.
        label: String,
    },
}

/// No machine ID could be acquired. Nothing is held, and nothing was changed but what the variant says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// Every slot of the range is held.
    #[error("all slots of {}..={} are held ({held} of {held}); widen the range or release some", .range.start(), .range.end())]
    RangeExhausted {
        /// The range.
        range: RangeInclusive<u32>,
        /// How many slots are held: all of them.
        held: u64,
    },
    /// The local wall clock is too far from the server's: it would put timestamps on record that block others.
    #[error(
        "the wall clock is {skew:?} off the server's; the limit is {limit:?}, synchronise the clocks (NTP)"
    )]
    ClockSkew {
        /// How far the two are apart.
        skew: Duration,
        /// The configured `max_clock_skew`.
        limit: Duration,
    },
    /// The server may have forgotten holders that still work (failover, restart, flush), and waiting until they have
    /// stopped takes longer than the caller would wait.
    #[error(
        "the server may have forgotten who holds what; new grants are safe in {wait:?}, the time limit is {limit:?}"
    )]
    HistorySuspect {
        /// How long it takes from now on.
        wait: Duration,
        /// What was left of the caller's time.
        limit: Duration,
    },
    /// Too few replicas would acknowledge the grant, or did in time; it was given back.
    #[error(
        "{found} of {wanted} replicas acknowledged the grant, which was given back; mend replication, or choose another \
         Acknowledge (see Builder::acknowledge)"
    )]
    TooFewReplicas {
        /// How many did.
        found: u32,
        /// How many were wanted.
        wanted: u32,
    },
    /// Replicas acknowledge every grant in the namespace, and the connection cannot wait for them. Nothing was granted.
    #[error(
        "{replicas} replicas acknowledge every grant in the namespace, and this connection cannot wait for them; bring a \
         redis::Client or a pool of one server, or use a URL"
    )]
    Unconfirmable {
        /// How many replicas do.
        replicas: u32,
    },
    /// Something else lives under a key that this crate needs.
    #[error(
        "key {key:?} holds a {found}, not this crate's hash; choose another namespace or remove it"
    )]
    WrongType {
        /// The key.
        key: String,
        /// The type found there.
        found: String,
    },
    /// Every slot of the range is held, but for one whose record somebody has overwritten, so that nobody knows who holds
    /// it.
    #[error(
        "field {slot} of {key:?} holds no record of this crate, so slot {slot} counts as held, and all others are; once \
         nobody holds it, remove the field (HDEL)"
    )]
    Garbled {
        /// The key.
        key: String,
        /// The slot, and the field's name.
        slot: u32,
    },
    /// The server may evict what is known of leases.
    #[error("{0}")]
    Evicting(EvictingServer),
    /// The store failed, or did not answer in time.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The time limit passed.
    #[error("no machine ID within {limit:?}")]
    TimedOut {
        /// The caller's limit.
        limit: Duration,
    },
    /// The heartbeat could not be started, or its runtime was shut down.
    #[error("the heartbeat cannot run")]
    Heartbeat(#[source] Arc<std::io::Error>),
}

/// A machine ID could not be given back in time. It is no longer held here; its ttl frees it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The store did not confirm within `release_timeout`.
    #[error("machine ID {id} was not confirmed released within {within:?}; its ttl frees it")]
    Unconfirmed {
        /// The slot.
        id: u32,
        /// The configured `release_timeout`.
        within: Duration,
        /// Why the last attempt failed.
        #[source]
        source: Arc<StoreError>,
    },
    /// The runtime that the heartbeat ran on was shut down.
    #[error(
        "the runtime of the heartbeat was shut down before machine ID {id} could be released; its ttl frees it"
    )]
    Abandoned {
        /// The slot.
        id: u32,
    },
}

/// Something is attached to this machine ID already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("machine ID {id} already has a minter; two would mint the same IDs")]
pub struct AttachError {
    /// The slot.
    pub id: u32,
}
