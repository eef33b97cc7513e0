//! The options of a [`Redbuckets`].

mod checks;

use std::{sync::Arc, time::Duration};

#[cfg(feature = "tls")]
use coord_core::tls::Tls;
use coord_core::{
    advice::Terms,
    clock::Clock,
    connect::{self, Connector},
    endpoint::Endpoint,
    history::{Policy, Terms as GrantTerms},
    lease::Timing,
    spawn::Placement,
    store::{Store, redis::Connection},
};

use crate::{
    assignment::Assignment,
    error::ConfigError,
    keys::Keys,
    membership::{Limits, Load},
    metrics,
    redbuckets::{Inner, Redbuckets},
};

/// Where the group is.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Uri(String),
    Connection(Box<Connection>),
    Store(Arc<dyn Store>),
}

/// Options of a [`Redbuckets`]. From [`Redbuckets::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    source: Source,
    group: String,
    prefix: String,
    id: Option<String>,
    buckets: u32,
    weight: u32,
    ttl: Duration,
    period: Duration,
    grace: Duration,
    settle: Duration,
    discovery: Option<Duration>,
    failover_bound: Duration,
    acknowledge: u32,
    expect_history: bool,
    allow_unverified_history: bool,
    register_timeout: Duration,
    leave_timeout: Duration,
    drain_timeout: Duration,
    progress_timeout: Option<Duration>,
    forced: bool,
    max_moves: u32,
    chunk: u32,
    assignment: Assignment,
    load: Option<LoadReporter>,
    allow_eviction: bool,
    settings: connect::Settings,
}

#[derive(Clone)]
struct LoadReporter(Load);

impl std::fmt::Debug for LoadReporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoadReporter")
    }
}

impl Builder {
    pub(crate) fn new(source: Source, group: &str) -> Self {
        Self {
            source,
            group: group.to_owned(),
            prefix: Redbuckets::DEFAULT_PREFIX.to_owned(),
            id: None,
            buckets: 1_024,
            weight: 1,
            ttl: Duration::from_secs(10),
            period: Duration::from_secs(1),
            grace: Duration::ZERO,
            settle: Duration::from_secs(1),
            discovery: None,
            failover_bound: GrantTerms::FAILOVER_BOUND,
            acknowledge: 0,
            expect_history: false,
            allow_unverified_history: false,
            register_timeout: Duration::from_secs(3),
            leave_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            progress_timeout: None,
            forced: false,
            max_moves: 256,
            chunk: 64,
            assignment: Assignment::default(),
            load: None,
            allow_eviction: false,
            settings: connect::Settings::default(),
        }
    }

    /// How many buckets the group has: 1 to 1,048,576, the same for every instance. Defaults to 1,024.
    pub const fn buckets(mut self, buckets: u32) -> Self {
        self.buckets = buckets;
        self
    }

    /// The instance's id, unique in the group, 1 to 128 bytes without white space. One that stays the same over restarts
    /// lets `rejoin_grace` keep buckets. Defaults to a random UUID.
    pub fn instance_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// How large this instance's share is in relation to the others': 1 to 1,000. Defaults to 1. A group has 64 different
    /// weights at most, because each costs every heartbeat some time of the server; another one is refused at
    /// [`join`](Redbuckets::join).
    pub const fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// How long the buckets of a silent instance stay its own: 30 ms to 1 h, at least three periods. Defaults to 10 s.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How often an instance registers when nothing happens: 10 ms or more. Defaults to 1 s.
    pub const fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// How long a store that fails is given when joining: up to 10 min. Defaults to 3 s.
    pub const fn register_timeout(mut self, register_timeout: Duration) -> Self {
        self.register_timeout = register_timeout;
        self
    }

    /// How long leaving and draining may take, and so how long they wait for work to end: up to 10 min. Defaults to 10 s.
    pub const fn leave_timeout(mut self, leave_timeout: Duration) -> Self {
        self.leave_timeout = leave_timeout;
        self
    }

    /// What all keys begin with. Joined with the group's name so that two groups never share a key. Defaults to
    /// `red-buckets`.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long membership has to be quiet before buckets move for balance: up to 10 s, which also bounds the wait in a
    /// restless group. What nobody owns is granted at once. Defaults to 1 s.
    pub const fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// How long a group without a record grants nothing, and one in which nobody was heard for a ttl, so that members whose
    /// store was emptied or set back can say so: up to 1 h, and at least two periods and 500 ms. Members are asked, and answer
    /// at once; those whose connection cannot subscribe are heard with their next heartbeat, so if their period is longer
    /// than this instance's, this has to be longer. Members that the store cannot reach for longer than this are not waited
    /// for; a ttl covers them too. Zero turns the wait off. Defaults to 3 s, or that least if it is longer.
    pub const fn discovery(mut self, discovery: Duration) -> Self {
        self.discovery = Some(discovery);
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

    /// How many replicas must have what a heartbeat changed before it counts: 0 to 100. One that too few have prolongs
    /// nothing, and what it granted comes again with the next. A master that was cut off together with its clients then
    /// cannot prolong their leases, if more replicas are asked for than can be cut off with it. Costs a `WAIT` for each
    /// heartbeat, on a connection of its own. Defaults to 0: off.
    pub const fn acknowledge(mut self, replicas: u32) -> Self {
        self.acknowledge = replicas;
        self
    }

    /// Whether a group without a record always means that the server has lost it: then nothing is granted for a
    /// quarantine, instead of for `discovery`. Defaults to no: the first use of a group creates it.
    pub const fn expect_history(mut self, expected: bool) -> Self {
        self.expect_history = expected;
        self
    }

    /// Whether a server is used that does not tell its identity because `INFO` is forbidden. Nobody sees then that it
    /// restarted or failed over and forgot an owner. Defaults to no: joining is refused there, with
    /// [`JoinError::Unverified`](crate::JoinError::Unverified), and members that find themselves there are granted nothing
    /// new.
    pub const fn allow_unverified_history(mut self, allowed: bool) -> Self {
        self.allow_unverified_history = allowed;
        self
    }

    /// After how long a bucket that is to be given away, but is still worked in, is reported overdue: up to 1 h. For so long a
    /// task of [`run_each`](crate::Instance::run_each) that awaits `revoked()` may go on. Defaults to 10 s.
    pub const fn drain_timeout(mut self, drain_timeout: Duration) -> Self {
        self.drain_timeout = drain_timeout;
        self
    }

    /// Within which time each task and each guard has to say that it gets on, by
    /// [`BucketGuard::report_progress`](crate::BucketGuard::report_progress) or
    /// [`Bucket::report_progress`](crate::Bucket::report_progress): 10 ms to 24 h, looked at with each heartbeat. One that does
    /// not counts as failed: [`Event::Stuck`](crate::Event::Stuck) is told, a task of `run_each` is aborted, and the bucket is
    /// handed to another member under a new epoch, although the work may go on; only the epoch keeps apart what both write.
    /// Where there is no other member it comes back under a new epoch. Choose it longer than the longest step between two
    /// reports, as Kafka's `max.poll.interval.ms`. Defaults to none: a worker that hangs keeps its bucket.
    pub const fn progress_timeout(mut self, progress_timeout: Duration) -> Self {
        self.progress_timeout = Some(progress_timeout);
        self
    }

    /// Whether a bucket is handed over at `drain_timeout` although it is still worked in. Two instances may then work on
    /// it at a time, and only the epoch tells them apart. Defaults to no.
    pub const fn force_handover(mut self, forced: bool) -> Self {
        self.forced = forced;
        self
    }

    /// For how long after its lease an instance's buckets are kept for a process with the same
    /// [`instance_id`](Self::instance_id), which has to be set then: up to 1 h.
    /// Then a rolling restart moves nothing, and a crashed instance that does not come back is replaced that much later.
    /// Defaults to zero.
    pub const fn rejoin_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many buckets an instance gives away at a time for the sake of balance: 1 to 1,048,576. One that leaves or drains
    /// tells all work to end at once. Defaults to 256.
    pub const fn max_moves(mut self, max_moves: u32) -> Self {
        self.max_moves = max_moves;
        self
    }

    /// How many runs of neighbouring buckets one call of a script grants or takes: 1 to 1,024, with 1,024 buckets in all
    /// of them at most; in a contiguous group, how many buckets. Larger chunks finish earlier and keep the server busy for longer at a time. Defaults to 64.
    pub const fn chunk(mut self, chunk: u32) -> Self {
        self.chunk = chunk;
        self
    }

    /// How buckets are chosen. Defaults to [`Assignment::Sticky`].
    pub const fn assignment(mut self, assignment: Assignment) -> Self {
        self.assignment = assignment;
        self
    }

    /// Says how loaded a bucket is: those with the highest load are given away first, where a sticky group balances
    /// itself. Called on the heartbeat, so it must not block, nor call the instance. Defaults to none: what keeps the
    /// fewest ranges goes first.
    pub fn load_reporter(mut self, load: impl Fn(u32) -> u64 + Send + Sync + 'static) -> Self {
        self.load = Some(LoadReporter(Arc::new(load)));
        self
    }

    /// Whether a server is used that may evict everything it holds (`maxmemory-policy allkeys-*` and a memory limit), and
    /// with it what keeps a bucket from having two owners. Defaults to no: joining is refused there, with
    /// [`JoinError::Evicting`](crate::JoinError::Evicting). Where such a server turns up later, by a failover, instances go
    /// on and a warning is said.
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

    /// Determines incarnations and jitter, so that a simulation replays; two processes with one seed would claim to be
    /// the same. Defaults to the system's randomness.
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
    pub fn build(self) -> Result<Redbuckets, ConfigError> {
        self.check_numbers()?;
        self.check_durations()?;
        self.check_grace()?;
        let timing = Timing::new(self.ttl, self.period).map_err(ConfigError::Timing)?;
        let discovery = self.checked_discovery()?;
        let named = |what| move |source| ConfigError::Name { what, source };
        if let Some(id) = &self.id {
            coord_core::namespace::Namespace::new(id.as_str()).map_err(named("instance id"))?;
        }
        let keys = Keys::new(&self.prefix, &self.group).map_err(named("group or key prefix"))?;
        let connector = match self.source {
            Source::Uri(uri) => {
                let endpoint = Endpoint::parse(&uri).map_err(ConfigError::Endpoint)?;
                Connector::to_endpoint(&endpoint, &keys.group(), self.settings)
                    .map_err(ConfigError::Store)?
            }
            Source::Connection(connection) => {
                if 0 < self.acknowledge && !connection.can_confirm() {
                    return Err(ConfigError::Unconfirmable {
                        replicas: self.acknowledge,
                    });
                }
                Connector::to_connection(*connection, &keys.group(), self.settings)
                    .map_err(ConfigError::Store)?
            }
            Source::Store(store) => Connector::to_store(store, &keys.group(), self.settings),
        };
        let terms = Terms {
            allow_eviction: self.allow_eviction,
            ..Terms::new(timing)
        };
        let grants = GrantTerms::new(self.ttl, self.failover_bound, Duration::ZERO);
        let mut policy = Policy::new(grants);
        policy.expect_history = self.expect_history;
        policy.allow_unverified = self.allow_unverified_history;
        metrics::begin(keys.name());
        Ok(Redbuckets::from_parts(Inner {
            connector,
            keys,
            id: self.id,
            buckets: self.buckets,
            weight: self.weight,
            timing,
            terms,
            grace: self.grace,
            settle: self.settle,
            discovery,
            policy,
            acknowledge: self.acknowledge,
            register_timeout: self.register_timeout,
            leave_timeout: self.leave_timeout,
            limits: Limits {
                ttl: self.ttl,
                chunk: self.chunk,
                max_moves: self.max_moves as usize,
                drain_timeout: self.drain_timeout,
                progress_timeout: self.progress_timeout,
                forced: self.forced,
                assignment: self.assignment,
                load: self.load.map(|LoadReporter(load)| load),
            },
        }))
    }
}
