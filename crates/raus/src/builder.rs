//! The options of a [`Raus`].

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

#[cfg(feature = "tls")]
use coord_core::tls::Tls;
use coord_core::{
    advice::Terms,
    clock::Clock,
    connect::{self, Connector},
    endpoint::Endpoint,
    history::{self, Policy, Terms as GrantTerms},
    lease::Timing,
    namespace::Namespace,
    spawn::Placement,
    store::{Store, redis::Connection},
};

use crate::{
    acquire::Releases,
    error::ConfigError,
    keys::Keys,
    metrics,
    protocol::{Identity, Longest},
    raus::{Raus, Shared},
    supervisor::{OwnSlots, Settings},
};

/// Where slots are leased from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Uri(String),
    Connection(Box<Connection>, String),
    Store(Arc<dyn Store>, String),
}

/// Options of a [`Raus`]. From [`Raus::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    source: Source,
    range: RangeInclusive<u32>,
    ttl: Duration,
    heartbeat: Duration,
    discovery: Option<Duration>,
    max_candidates: usize,
    release_timeout: Duration,
    max_clock_skew: Duration,
    failover_bound: Duration,
    acknowledge: u32,
    expect_history: bool,
    allow_unverified_history: bool,
    label: String,
    reacquire: bool,
    allow_eviction: bool,
    settings: connect::Settings,
}

impl Builder {
    /// The largest range, in slots.
    pub const MAX_RANGE: u64 = 1 << 20;
    /// The longest label, in bytes.
    pub const MAX_LABEL: usize = 128;

    pub(crate) fn new(source: Source, range: RangeInclusive<u32>) -> Self {
        Self {
            source,
            range,
            ttl: Duration::from_secs(60),
            heartbeat: Duration::from_secs(1),
            discovery: None,
            max_candidates: 64,
            release_timeout: Duration::from_secs(30),
            max_clock_skew: Duration::from_secs(10),
            failover_bound: GrantTerms::FAILOVER_BOUND,
            acknowledge: 0,
            expect_history: false,
            allow_unverified_history: false,
            label: String::new(),
            reacquire: false,
            allow_eviction: false,
            settings: connect::Settings::default(),
        }
    }

    /// How long a slot stays reserved for a silent holder: 30 ms to 1 h, at least three heartbeats. Defaults to 60 s.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How often leases are renewed: 10 ms or more. Defaults to 1 s.
    pub const fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// How long a namespace without a record is listened to before its first use, and one in which nobody was seen for
    /// a ttl before the next: up to 1 h, and at least two heartbeats and 500 ms. Holders whose heartbeat is longer than
    /// this process's need a longer one. Zero turns listening off. Defaults to 3 s, or that least if it is longer.
    pub const fn discovery(mut self, discovery: Duration) -> Self {
        self.discovery = Some(discovery);
        self
    }

    /// How many slots the first call offers: 1 to 1,024. Defaults to 64.
    pub const fn max_candidates(mut self, max_candidates: usize) -> Self {
        self.max_candidates = max_candidates;
        self
    }

    /// How long a release may take: up to 10 min. Defaults to 30 s.
    pub const fn release_timeout(mut self, release_timeout: Duration) -> Self {
        self.release_timeout = release_timeout;
        self
    }

    /// How far the local wall clock may be from the server's: 1 ms to 1 h. Also how far timestamps may run ahead of
    /// the server's clock when a slot is taken over. Defaults to 10 s.
    pub const fn max_clock_skew(mut self, max_clock_skew: Duration) -> Self {
        self.max_clock_skew = max_clock_skew;
        self
    }

    /// For how long a master that was replaced may go on answering: up to 1 h. After a failover, a restart or a loss
    /// nothing new is granted for the longest ttl and this time. It must exceed what Sentinel (`down-after-milliseconds`
    /// and the election) or Cluster (`cluster-node-timeout`) take until the old master is a replica or refuses writes.
    /// Zero fits a server that never fails over. Defaults to 15 s.
    pub const fn failover_bound(mut self, failover_bound: Duration) -> Self {
        self.failover_bound = failover_bound;
        self
    }

    /// How many replicas must have a grant, and every renewal, before it counts: 0 to 100. A grant that too few have is
    /// given back; a renewal that too few have prolongs nothing. A master that was cut off together with its clients
    /// then cannot prolong their leases, if more replicas are asked for than can be cut off with it. Costs a `WAIT` for
    /// each heartbeat, on a connection of its own. Defaults to 0: off.
    pub const fn acknowledge(mut self, replicas: u32) -> Self {
        self.acknowledge = replicas;
        self
    }

    /// Whether a namespace without a record always means that the server has lost it: then nothing is granted for a
    /// quarantine, instead of listening for `discovery`. Create the record first with `coordctl id init`. Defaults to
    /// no: the first use of a namespace creates it.
    pub const fn expect_history(mut self, expected: bool) -> Self {
        self.expect_history = expected;
        self
    }

    /// Whether a server is used that does not tell its identity because `INFO` is forbidden. Nobody sees then that it
    /// restarted or failed over and forgot a lease. Defaults to no: acquiring is refused there, with
    /// [`AcquireError::Unverified`](crate::AcquireError::Unverified).
    pub const fn allow_unverified_history(mut self, allowed: bool) -> Self {
        self.allow_unverified_history = allowed;
        self
    }

    /// A name for the holder, up to 128 bytes without control characters: operators see it, and a process with the
    /// same label gets the same slot again where it is free. Defaults to none.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Whether another slot is leased by itself after a loss. Defaults to off;
    /// see [`MachineId::set_reacquire`](crate::MachineId::set_reacquire).
    pub const fn reacquire(mut self, reacquire: bool) -> Self {
        self.reacquire = reacquire;
        self
    }

    /// Whether a server is used that may evict everything it holds (`maxmemory-policy allkeys-*` and a memory limit), and
    /// with it what keeps a machine ID from being granted twice. Defaults to no: acquiring is refused there, with
    /// [`AcquireError::Evicting`](crate::AcquireError::Evicting). Where such a server turns up later, by a failover, what is
    /// held goes on and a warning is said.
    pub const fn allow_eviction(mut self, allowed: bool) -> Self {
        self.allow_eviction = allowed;
        self
    }

    /// Where heartbeats run. Defaults to a thread of their own.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.settings.placement = placement;
        self
    }

    /// The clock that everything is timed by. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.settings.clock = Some(clock);
        self
    }

    /// Determines holders, candidates and jitter, so that a simulation replays; two processes with one seed would
    /// claim to be the same holder. Defaults to the system's randomness.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// What is trusted and shown on the encrypted connections of `rediss://`, `redisscluster://` and
    /// `rediss+sentinel://`. Defaults to the system's roots and no client certificate.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = Some(tls);
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming the value and the limit. Nothing is connected yet.
    pub fn build(self) -> Result<Raus, ConfigError> {
        check_range(&self.range)?;
        let timing = Timing::new(self.ttl, self.heartbeat).map_err(ConfigError::Timing)?;
        if !(1..=1_024).contains(&self.max_candidates) {
            return Err(ConfigError::MaxCandidates {
                value: self.max_candidates,
            });
        }
        if 100 < self.acknowledge {
            return Err(ConfigError::Replicas {
                value: self.acknowledge,
            });
        }
        let heartbeat = timing.heartbeat();
        let least = history::shortest_discovery(heartbeat);
        let discovery = self
            .discovery
            .unwrap_or_else(|| history::default_discovery(heartbeat));
        if !discovery.is_zero() && discovery < least {
            return Err(ConfigError::Discovery {
                discovery,
                heartbeat,
                least,
            });
        }
        let minute = Duration::from_secs(60);
        check_duration("discovery", discovery, Duration::ZERO, GrantTerms::MAX)?;
        check_duration(
            "failover_bound",
            self.failover_bound,
            Duration::ZERO,
            GrantTerms::MAX,
        )?;
        check_duration(
            "release_timeout",
            self.release_timeout,
            Duration::ZERO,
            10 * minute,
        )?;
        check_duration(
            "max_clock_skew",
            self.max_clock_skew,
            Duration::from_millis(1),
            60 * minute,
        )?;
        if Self::MAX_LABEL < self.label.len() || self.label.contains(char::is_control) {
            return Err(ConfigError::Label { label: self.label });
        }
        let seeded = self.settings.seed.is_some();
        let settings = self.settings;
        let (connector, keys) = match self.source {
            Source::Uri(uri) => {
                let endpoint = Endpoint::parse(&uri).map_err(ConfigError::Endpoint)?;
                let namespace = endpoint
                    .namespace()
                    .cloned()
                    .map_or_else(|| Namespace::new(Raus::DEFAULT_NAMESPACE), Ok)
                    .map_err(ConfigError::Namespace)?;
                let keys = Keys::new(&namespace, endpoint.is_cluster());
                let connector = Connector::to_endpoint(&endpoint, &keys.slots(), settings)
                    .map_err(ConfigError::Store)?;
                (connector, keys)
            }
            Source::Connection(connection, namespace) => {
                let namespace = Namespace::new(namespace).map_err(ConfigError::Namespace)?;
                if 0 < self.acknowledge && !connection.can_confirm() {
                    return Err(ConfigError::Unconfirmable {
                        replicas: self.acknowledge,
                    });
                }
                let keys = Keys::new(&namespace, connection.is_in_cluster());
                let connector = Connector::to_connection(*connection, &keys.slots(), settings)
                    .map_err(ConfigError::Store)?;
                (connector, keys)
            }
            Source::Store(store, namespace) => {
                let namespace = Namespace::new(namespace).map_err(ConfigError::Namespace)?;
                let keys = Keys::new(&namespace, false);
                let connector = Connector::to_store(store, &keys.slots(), settings);
                (connector, keys)
            }
        };
        let terms = Terms {
            max_clock_skew: Some(self.max_clock_skew),
            expiring_keys: true,
            allow_eviction: self.allow_eviction,
            ..Terms::new(timing)
        };
        metrics::begin(keys.namespace());
        let grants = GrantTerms::new(self.ttl, self.failover_bound, self.max_clock_skew);
        let mut policy = Policy::new(grants);
        policy.expect_history = self.expect_history;
        policy.allow_unverified = self.allow_unverified_history;
        let identity = Identity {
            keys,
            label: self.label,
            timing,
            policy,
            acknowledge: self.acknowledge,
            longest: Longest::default(),
        };
        Ok(Raus::from_parts(Shared {
            connector,
            identity,
            reacquire: self.reacquire,
            terms,
            settings: Settings {
                range: self.range,
                discovery,
                max_candidates: self.max_candidates,
                release_timeout: self.release_timeout,
                own: OwnSlots::default(),
                releases: Releases::default(),
                seeded,
            },
        }))
    }
}

fn check_range(range: &RangeInclusive<u32>) -> Result<(), ConfigError> {
    if range.is_empty() {
        return Err(ConfigError::EmptyRange {
            range: range.clone(),
        });
    }
    let size = u64::from(*range.end()) - u64::from(*range.start()) + 1;
    if Builder::MAX_RANGE < size {
        return Err(ConfigError::RangeTooLarge {
            range: range.clone(),
            size,
        });
    }
    Ok(())
}

fn check_duration(
    option: &'static str,
    value: Duration,
    min: Duration,
    max: Duration,
) -> Result<(), ConfigError> {
    if value < min || max < value {
        return Err(ConfigError::Duration {
            option,
            value,
            min,
            max,
        });
    }
    Ok(())
}
