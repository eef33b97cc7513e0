//! One error for each operation.

use std::{sync::Arc, time::Duration};

use coord_core::{
    advice::EvictingServer, endpoint::EndpointError, lease::TimingError, namespace::NamespaceError,
    store::StoreError,
};

use crate::{assignment::Assignment, bucket_set::BucketSet};

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The connection URL.
    #[error("connection URL is not usable: {0}")]
    Endpoint(#[source] EndpointError),
    /// The group's name or the key prefix.
    #[error("{what} is not usable: {source}")]
    Name {
        /// Which of the two.
        what: &'static str,
        /// What is wrong with it.
        source: NamespaceError,
    },
    /// The store could not be set up.
    #[error("connection cannot be configured")]
    Store(#[source] StoreError),
    /// Replicas must acknowledge, and the connection cannot wait for them.
    #[error(
        "acknowledge({replicas}) needs a connection that nothing else uses; bring a redis::Client or a pool of one server, \
         or use a URL"
    )]
    Unconfirmable {
        /// How many were to acknowledge.
        replicas: u32,
    },
    /// The bucket count.
    #[error("bucket count of {count} is out of bounds; choose between 1 and 1048576")]
    Buckets {
        /// The rejected count.
        count: u32,
    },
    /// The weight.
    #[error("weight of {weight} is out of bounds; choose between 1 and 1000")]
    Weight {
        /// The rejected weight.
        weight: u32,
    },
    /// Ttl and period do not fit each other or their limits.
    #[error("{0}")]
    Timing(TimingError),
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
    /// A group without a record would wait for too short a time to hear from a living member.
    #[error(
        "discovery of {discovery:?} is too short to hear members that register every {period:?}; choose {least:?} or more, \
         or zero not to wait at all"
    )]
    Discovery {
        /// The rejected value.
        discovery: Duration,
        /// The period.
        period: Duration,
        /// The shortest that is accepted: two periods and the time for an answer.
        least: Duration,
    },
    /// Buckets would be kept for an id that nobody has again.
    #[error(
        "rejoin_grace of {grace:?} keeps buckets for the next process with this instance's id, and a random id never comes \
         again; set instance_id to one that stays the same over restarts, or leave rejoin_grace out"
    )]
    GraceWithoutId {
        /// The rejected grace.
        grace: Duration,
    },
    /// A number is out of bounds.
    #[error("{option} of {value} is out of bounds; choose between {min} and {max}")]
    Number {
        /// The option's name.
        option: &'static str,
        /// The rejected value.
        value: u32,
        /// The smallest accepted value.
        min: u32,
        /// The largest accepted value.
        max: u32,
    },
}

/// An instance could not join its group. Nothing is held.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// A living process has this instance id.
    #[error("instance id {id:?} is used by another living process; give every process its own")]
    DuplicateInstance {
        /// The id.
        id: String,
    },
    /// The group has another bucket count; it is unchanged.
    #[error(
        "the group has {theirs} buckets, this instance was configured for {ours}; use the same count everywhere"
    )]
    BucketCount {
        /// This instance's count.
        ours: u32,
        /// The group's.
        theirs: u32,
    },
    /// The group assigns its buckets in another way; it is unchanged.
    #[error(
        "the group is {theirs:?}, this instance was configured for {ours:?}; use the same assignment everywhere"
    )]
    Assignment {
        /// This instance's assignment.
        ours: Assignment,
        /// The group's.
        theirs: Assignment,
    },
    /// The group has 64 different weights already, and this one is none of them; it is unchanged.
    #[error(
        "a weight of {weight} would be another one than the {most} that the group has, which is the limit; give the \
         instance one that others have"
    )]
    Weights {
        /// This instance's weight.
        weight: u32,
        /// How many different ones a group may have.
        most: u32,
    },
    /// The group has 65,535 members.
    #[error("the group has 65535 members; that is the limit")]
    Full,
    /// The server does not tell its identity, so nobody could see that it restarted or failed over.
    #[error(
        "the server does not tell its identity (INFO is forbidden), so nobody could see that it has forgotten an owner; \
         grant the user +info, or call allow_unverified_history(true) and lose that protection"
    )]
    Unverified,
    /// A newer version of this crate has written in the group.
    #[error(
        "the group was written by a newer version of this crate (its records have version {version}, this crate knows \
         version 1); upgrade, or choose another group"
    )]
    NewerVersion {
        /// The version of what is on record.
        version: u64,
    },
    /// Something else lives under a key that this crate needs.
    #[error(
        "key {key:?} holds a {found}, which is not this crate's; choose another key prefix or remove it"
    )]
    WrongType {
        /// The key.
        key: String,
        /// The type found there.
        found: String,
    },
    /// The server may evict what is known of leases.
    #[error("{0}")]
    Evicting(EvictingServer),
    /// The store failed, or did not answer within `register_timeout`.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The heartbeat could not be started, or its runtime was shut down.
    #[error("the heartbeat cannot run")]
    Heartbeat(#[source] Arc<std::io::Error>),
}

/// The tasks of an instance did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A bucket has one task at a time.
    #[error(
        "run_each runs on this instance already, and a bucket has one task at a time; drop or await that call first, or do \
         both kinds of work in one task"
    )]
    AlreadyRunning,
}

/// An instance did not leave as it should have. It holds nothing any more; what it left behind is freed by its ttl.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// Work went on in some buckets.
    #[error(
        "work in {buckets} went on for {within:?}; drop their guards sooner once they are revoked, or raise leave_timeout. \
         The ttl frees what is still this instance's"
    )]
    Busy {
        /// The buckets, those included that were lost or handed over while work went on.
        buckets: BucketSet,
        /// The configured `leave_timeout`.
        within: Duration,
    },
    /// The store did not confirm in time.
    #[error("the store did not confirm within {within:?}; the ttl ends the membership")]
    Unconfirmed {
        /// The configured `leave_timeout`.
        within: Duration,
        /// Why the last attempt failed.
        #[source]
        source: Arc<StoreError>,
    },
    /// The runtime that the heartbeat ran on was shut down.
    #[error(
        "the runtime of the heartbeat was shut down before the instance could leave; its ttl ends the membership"
    )]
    Abandoned,
}
