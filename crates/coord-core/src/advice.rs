//! What an operator should change about a server.
//!
//! Said once for each process and server (address and `run_id`: the new master of a failover is another server, a
//! reconnect is not), as [`tracing`] events of the target [`TARGET`], and returned by `describe()`. Each event has four
//! fields: `server`, `advice` (the kind), `value`, `remedy`. [`Advice`] lists the kinds.

mod advisor;
mod events;
mod report;
mod rules;

use std::{fmt, time::Duration};

pub(crate) use self::advisor::Advisor;
pub use self::{
    advisor::{Gate, GateError},
    report::{DescribeError, Report},
    rules::{EvictingServer, Terms, advise, refuse},
};
use crate::store::{Failover, Unchecked};

/// The target of the events that say an advice.
pub const TARGET: &str = "coord_core::advice";

/// One thing about a server that endangers leases, and what to do about it. Its `Display` says both.
///
/// Returned by `describe()`, and said once for each process and server (address and `run_id`: the new master of a failover
/// is another server, a reconnect is not) as a [`tracing`] event of the target `coord_core::advice`, with the fields
/// `server`, `advice` (the kind), `value` and `remedy`.
///
/// | kind | level | what it means | `value` |
/// | --- | --- | --- | --- |
/// | `evicts-all-keys` | warn | memory has a limit, and whatever lies in it may be evicted; such a server is refused | the policy |
/// | `evicts-expiring-keys` | warn | as before, for keys with a ttl, which the leases here have | the policy |
/// | `memory-nearly-full` | warn | 90 % of the memory limit is in use; a full server grants nothing | both numbers |
/// | `replica` | warn | a replica cannot be written | its master |
/// | `old-version` | warn | older than Redis 6.2, the oldest that is tested | the version |
/// | `unguarded-replicas` | warn | writes are acknowledged although no replica has them: a failover may forget leases | the number of replicas |
/// | `late-guard` | warn | a master that was replaced acknowledges writes for longer than its replacement takes | `min-replicas-max-lag` |
/// | `short-ttl` | warn | leases end before a failover does | the ttl |
/// | `few-sentinels` | warn | fewer than three sentinels, or one of them alone starts a failover | their number and quorum |
/// | `clock-skew` | warn | the local wall clock is more than 1 s, or half the tolerated skew, from the server's | the difference |
/// | `no-persistence` | info | a restart forgets all leases, and only living holders put them back | `off` |
/// | `unchecked` | info | the server did not say | its reason |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Whatever the server holds may be evicted: what is known of a lease could vanish, and it be granted again.
    #[non_exhaustive]
    EvictsAllKeys {
        /// The eviction policy.
        policy: String,
    },
    /// Keys with a ttl may be evicted, and the leases here have one.
    #[non_exhaustive]
    EvictsExpiringKeys {
        /// The eviction policy.
        policy: String,
    },
    /// The memory limit is nearly reached.
    #[non_exhaustive]
    MemoryNearlyFull {
        /// What is in use, in bytes.
        used: u64,
        /// The limit, in bytes.
        maxmemory: u64,
    },
    /// This is a replica: it cannot be written.
    #[non_exhaustive]
    Replica {
        /// Its master's address, where it said so.
        master: Option<String>,
    },
    /// The server is older than anything this was tested with.
    #[non_exhaustive]
    OldVersion {
        /// Its version.
        version: String,
    },
    /// Writes are acknowledged before a replica has them: a failover may forget leases.
    #[non_exhaustive]
    UnguardedReplicas {
        /// How many replicas there are.
        replicas: u32,
    },
    /// A master that was replaced goes on to acknowledge writes, all of which will be lost.
    #[non_exhaustive]
    LateGuard {
        /// `min-replicas-max-lag`.
        max_lag: Duration,
        /// How the deployment replaces a master.
        failover: Failover,
    },
    /// Leases end before a failover does.
    #[non_exhaustive]
    ShortTtl {
        /// The ttl.
        ttl: Duration,
        /// The ttl that would outlive a failover.
        needed: Duration,
        /// How the deployment replaces a master.
        failover: Failover,
    },
    /// The sentinels cannot tell a failure of the master from their own.
    #[non_exhaustive]
    FewSentinels {
        /// How many there are.
        sentinels: u32,
        /// How many of them must agree.
        quorum: u32,
    },
    /// The local wall clock is far from the server's.
    #[non_exhaustive]
    ClockSkew {
        /// How far.
        skew: Duration,
        /// Whether the local clock is ahead of the server's.
        ahead: bool,
    },
    /// Nothing is kept over a restart.
    NoPersistence,
    /// Something could not be asked.
    Unchecked(Unchecked),
}

impl Advice {
    /// What events call this kind of advice; never changes.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::EvictsAllKeys { .. } => "evicts-all-keys",
            Self::EvictsExpiringKeys { .. } => "evicts-expiring-keys",
            Self::MemoryNearlyFull { .. } => "memory-nearly-full",
            Self::Replica { .. } => "replica",
            Self::OldVersion { .. } => "old-version",
            Self::UnguardedReplicas { .. } => "unguarded-replicas",
            Self::LateGuard { .. } => "late-guard",
            Self::ShortTtl { .. } => "short-ttl",
            Self::FewSentinels { .. } => "few-sentinels",
            Self::ClockSkew { .. } => "clock-skew",
            Self::NoPersistence => "no-persistence",
            Self::Unchecked(_) => "unchecked",
        }
    }

    /// Whether this endangers leases by itself. The rest is good to know.
    #[must_use]
    pub const fn is_warning(&self) -> bool {
        !matches!(self, Self::NoPersistence | Self::Unchecked(_))
    }

    /// What was found.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::EvictsAllKeys { policy } | Self::EvictsExpiringKeys { policy } => policy.clone(),
            Self::MemoryNearlyFull { used, maxmemory } => format!("{used} of {maxmemory} bytes"),
            Self::Replica { master } => {
                format!("of {}", master.as_deref().unwrap_or("an unknown master"))
            }
            Self::OldVersion { version } => version.clone(),
            Self::UnguardedReplicas { replicas } => replicas.to_string(),
            Self::LateGuard { max_lag, .. } => format!("{max_lag:?}"),
            Self::ShortTtl { ttl, .. } => format!("{ttl:?}"),
            Self::FewSentinels { sentinels, quorum } => {
                format!("{sentinels} with a quorum of {quorum}")
            }
            Self::ClockSkew { skew, ahead } => {
                let side = if *ahead { "ahead" } else { "behind" };
                format!("{:.3} s {side}", skew.as_secs_f64())
            }
            Self::NoPersistence => "off".to_owned(),
            Self::Unchecked(unchecked) => unchecked.to_string(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::EvictsAllKeys { .. } | Self::EvictsExpiringKeys { .. } => {
                "set maxmemory-policy noeviction, or give leases a server of their own".to_owned()
            }
            Self::MemoryNearlyFull { .. } => {
                "raise maxmemory, or give leases a server of their own".to_owned()
            }
            Self::Replica { master } => format!(
                "connect to its master{}, or to what names the master (Sentinel, Cluster)",
                master
                    .as_ref()
                    .map(|address| format!(" at {address}"))
                    .unwrap_or_default()
            ),
            Self::OldVersion { .. } => "upgrade to Redis 6.2 or later, or to Valkey".to_owned(),
            Self::UnguardedReplicas { .. } => {
                "set min-replicas-to-write 1 and min-replicas-max-lag to a few seconds".to_owned()
            }
            Self::LateGuard { failover, .. } => format!(
                "set min-replicas-max-lag to {:?} or less, or raise {}",
                failover.begins_after(),
                failover.setting()
            ),
            Self::ShortTtl {
                needed, failover, ..
            } => format!(
                "lengthen the ttl to {needed:?} or more, or shorten {} ({:?})",
                failover.setting(),
                failover.begins_after()
            ),
            Self::FewSentinels { .. } => {
                "run three or more, on machines of their own, with a quorum of more than half of them".to_owned()
            }
            Self::ClockSkew { .. } => "synchronise the clocks (NTP)".to_owned(),
            Self::NoPersistence => {
                "set appendonly yes: only living holders put back what a restart forgets".to_owned()
            }
            Self::Unchecked(_) => {
                "allow +info, +time and +config|get to this user, or check it by hand".to_owned()
            }
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value();
        match self {
            Self::EvictsAllKeys { .. } => {
                write!(
                    f,
                    "maxmemory-policy {value} may evict what is known of leases"
                )
            }
            Self::EvictsExpiringKeys { .. } => {
                write!(
                    f,
                    "maxmemory-policy {value} evicts keys with a ttl, leases among them"
                )
            }
            Self::MemoryNearlyFull { .. } => {
                write!(
                    f,
                    "memory is nearly full ({value}): a full server grants nothing"
                )
            }
            Self::Replica { .. } => write!(f, "this is a replica {value}, which cannot be written"),
            Self::OldVersion { .. } => {
                write!(f, "version {value} is older than 6.2, the oldest tested")
            }
            Self::UnguardedReplicas { .. } => write!(
                f,
                "{value} replicas, but min-replicas-to-write is 0: a failover may forget leases"
            ),
            Self::LateGuard { failover, .. } => write!(
                f,
                "min-replicas-max-lag of {value} is longer than {} ({:?}): a master that was replaced acknowledges \
                 writes that will be lost",
                failover.setting(),
                failover.begins_after()
            ),
            Self::ShortTtl { failover, .. } => write!(
                f,
                "a ttl of {value} ends before a failover does, which may take {:?}",
                failover.ends_after()
            ),
            Self::FewSentinels { .. } => {
                write!(
                    f,
                    "{value} are too few sentinels to tell whose failure it is"
                )
            }
            Self::ClockSkew { .. } => write!(f, "the local clock is {value} of the server's"),
            Self::NoPersistence => f.write_str("persistence is off: a restart forgets all leases"),
            Self::Unchecked(_) => write!(f, "not known: {value}"),
        }?;
        write!(f, "; {}", self.remedy())
    }
}
