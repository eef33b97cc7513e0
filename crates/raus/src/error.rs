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
        "acknowledge({replicas}) needs a connection that nothing else uses; bring a redis::Client or a pool of one server, \
         or use a URL"
    )]
    Unconfirmable {
        /// How many were to acknowledge.
        replicas: u32,
    },
    /// The number of replicas that must acknowledge.
    #[error("acknowledge({value}) is out of bounds; choose between 0 (off) and 100")]
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
    /// A namespace without a record would be listened to for too short a time to hear a living holder.
    #[error(
        "discovery of {discovery:?} is too short to hear holders that renew every {heartbeat:?}; choose {least:?} or more, \
         or zero not to listen at all"
    )]
    Discovery {
        /// The rejected value.
        discovery: Duration,
        /// The heartbeat.
        heartbeat: Duration,
        /// The shortest that is accepted: two heartbeats and the time for an answer.
        least: Duration,
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
        /// When the first of their leases ends unless it is renewed; `None` if that is not known.
        frees_within: Option<Duration>,
    },
    /// The timestamps on record of every free slot lie so far ahead of the server's clock that no ttl explains it: a
    /// clock was wrong when they were written. A machine ID granted there could mint nothing.
    #[error(
        "the horizon on record for {}..={} lies {by:?} further ahead of the server's clock than any ttl explains, so \
         nothing could be minted; check the server's clock, then wait or reset it (coordctl id repair)", .range.start(), .range.end()
    )]
    HorizonAhead {
        /// The range.
        range: RangeInclusive<u32>,
        /// How much further ahead than the longest ttl and clock skew of the namespace.
        by: Duration,
    },
    /// The server does not tell its identity, so nobody could see that it restarted or failed over.
    #[error(
        "the server does not tell its identity (INFO is forbidden), so nobody could see that it has forgotten a lease; \
         grant the user +info, or call allow_unverified_history(true) and lose that protection"
    )]
    Unverified,
    /// A newer version of this crate has written in the namespace.
    #[error(
        "the namespace was written by a newer version of this crate (its records have version {version}, this crate knows \
         version 1); upgrade, or choose another namespace"
    )]
    NewerVersion {
        /// The version of what is on record.
        version: u64,
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
    Quarantined {
        /// How long it takes from now on.
        wait: Duration,
        /// What was left of the caller's time.
        limit: Duration,
    },
    /// Too few replicas acknowledged the grant in time; it was given back.
    #[error(
        "{found} of {wanted} replicas acknowledged the grant, which was given back; mend replication, or lower \
         acknowledge({wanted})"
    )]
    TooFewReplicas {
        /// How many did.
        found: u32,
        /// How many were asked for.
        wanted: u32,
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

/// Nothing was attached to a machine ID.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// Something is attached already.
    #[error("machine ID {id} already has a minter; two would mint the same IDs")]
    Attached {
        /// The slot.
        id: u32,
    },
    /// IDs of another layout are minted in the namespace.
    #[error(
        "namespace {namespace:?} mints IDs of the layout {stored}, not {layout}, and both would repeat each other's IDs; use \
         that layout, another namespace, or change it on purpose (coordctl id layout)"
    )]
    Layout {
        /// The namespace.
        namespace: String,
        /// The layout on record.
        stored: String,
        /// The one that was to be attached.
        layout: String,
    },
    /// The layout could not be put on record.
    #[error("the layout of machine ID {id} could not be put on record")]
    Store {
        /// The slot.
        id: u32,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The machine ID was given back, or the runtime of its heartbeat was shut down.
    #[error("machine ID {id} is no longer held; acquire another one")]
    Released {
        /// The slot.
        id: u32,
    },
}
