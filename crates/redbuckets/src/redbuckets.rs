//! The entry point: which group on which server, and how.

use std::{sync::Arc, time::Duration};

use coord_core::{
    advice::{DescribeError, Gate, Report, Terms},
    connect::Connector,
    heartbeat::Heartbeat,
    history::Policy,
    lease::Timing,
    metrics::Stopwatch,
    store::{Store, redis::Connection},
};
use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

use crate::{
    builder::{Builder, Source},
    error::JoinError,
    inspect::Inspector,
    instance::{Instance, Leaving},
    join::Joining,
    keys::Keys,
    membership::Limits,
    metrics::note_join,
    protocol::{Identity, Told},
    run_each::Notice,
    shared::Shared,
    spans,
    supervisor::{self, Supervisor},
};

/// One group of buckets on one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Redbuckets {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) connector: Connector,
    pub(crate) keys: Keys,
    pub(crate) id: Option<String>,
    pub(crate) buckets: u32,
    pub(crate) weight: u32,
    pub(crate) timing: Timing,
    pub(crate) terms: Terms,
    pub(crate) grace: Duration,
    pub(crate) settle: Duration,
    pub(crate) discovery: Duration,
    pub(crate) policy: Policy,
    pub(crate) acknowledge: u32,
    pub(crate) register_timeout: Duration,
    pub(crate) leave_timeout: Duration,
    pub(crate) limits: Limits,
}

impl Redbuckets {
    /// The key prefix used where none is given, as in the Go original.
    pub const DEFAULT_PREFIX: &str = "red-buckets";
    /// The largest bucket count.
    pub const MAX_BUCKETS: u32 = 1 << 20;
    /// The largest weight.
    pub const MAX_WEIGHT: u32 = 1_000;

    /// The group `group` on the server at `uri`, with options.
    pub fn builder(uri: &str, group: &str) -> Builder {
        Builder::new(Source::Uri(uri.to_owned()), group)
    }

    /// As [`builder`](Self::builder), by a connection that the program has already: a pool, a client, a multiplexed
    /// connection, or whatever [`Connection`] can be made from.
    ///
    /// ```no_run
    /// # fn example(client: redis::Client) -> Result<(), redbuckets::ConfigError> {
    /// use redbuckets::Redbuckets;
    ///
    /// let buckets = Redbuckets::with_connection(client, "orders").build()?;
    /// # Ok(()) }
    /// ```
    pub fn with_connection(connection: impl Into<Connection>, group: &str) -> Builder {
        Builder::new(Source::Connection(Box::new(connection.into())), group)
    }

    /// As [`builder`](Self::builder), on a store of the caller's.
    pub fn with_store(store: Arc<dyn Store>, group: &str) -> Builder {
        Builder::new(Source::Store(store), group)
    }

    /// What operators see and do: who owns what, and how to drain a member. The options of an instance do not matter to
    /// it. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// The system's error where no thread for the connection can be started.
    pub fn inspector(&self) -> std::io::Result<Inspector> {
        let keys = self.inner.keys.clone();
        Ok(Inspector::new(self.inner.connector.heartbeat()?, keys))
    }

    pub(crate) fn from_parts(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Becomes a member of the group. Returns as soon as it is one; buckets follow as
    /// [`Event::Granted`](crate::Event::Granted).
    ///
    /// An instance id whose lease still runs is waited for, at most one ttl: a process that crashed is succeeded, one
    /// that lives is not.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: at once if the group will not have this instance, or the server may evict leases or does not tell its
    /// identity; after `register_timeout` if the store fails; after one to two periods if a living process has the same id.
    ///
    /// # Cancel safety
    ///
    /// Safe: a membership that a dropped future was granted ends in the background.
    pub async fn join(&self) -> Result<Instance, JoinError> {
        let cannot_run = |error| JoinError::Heartbeat(Arc::new(error));
        let connector = &self.inner.connector;
        let heartbeat = connector.heartbeat().map_err(cannot_run)?;
        let gate = connector.gate(self.inner.terms).map_err(cannot_run)?;
        let (mut sender, outcome) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        heartbeat.clone().spawn(async move {
            tokio::select! {
                // Where the caller went away between the two, this drops the instance, which leaves.
                joined = inner.join(heartbeat, gate) => drop(sender.send(joined)),
                () = sender.closed() => {}
            }
        });
        outcome.await.map_err(|_| {
            let error = std::io::Error::other("its runtime was shut down");
            JoinError::Heartbeat(Arc::new(error))
        })?
    }

    /// Asks the server about itself, and says what endangers leases there: in a cluster the master that serves this
    /// group, behind sentinels the current master. What matters most is also said as a `tracing` event when a process
    /// first uses a server; [`Advice`](crate::Advice) lists everything.
    ///
    /// # Errors
    ///
    /// [`DescribeError`]: the server did not answer within 2 s. What it refuses to tell is no error but
    /// [`Report::unchecked`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn describe(&self) -> Result<Report, DescribeError> {
        let gate = self
            .inner
            .connector
            .gate(self.inner.terms)
            .map_err(|error| DescribeError::Heartbeat(Arc::new(error)))?;
        gate.describe().await
    }
}

impl Inner {
    async fn join(&self, heartbeat: Heartbeat, gate: Gate) -> Result<Instance, JoinError> {
        let mut rng = self.connector.rng();
        let incarnation = supervisor::incarnation(&mut rng);
        let limits = self.limits.clone();
        let identity = Identity {
            keys: self.keys.clone(),
            id: self.id.clone().unwrap_or_else(|| incarnation.to_string()),
            incarnation,
            earlier: Vec::new(),
            token: String::new(),
            buckets: self.buckets,
            assignment: self.limits.assignment,
            weight: self.weight,
            timing: self.timing,
            grace: self.grace,
            settle: self.settle,
            discovery: self.discovery,
            policy: self.policy,
            acknowledge: self.acknowledge,
            told: Told::default(),
        };
        let clock = Arc::clone(heartbeat.clock());
        let mut joining = Joining {
            store: Arc::clone(heartbeat.store()),
            clock: Arc::clone(&clock),
            identity: identity.clone(),
            gate: Some(gate),
            previous: "-".to_owned(),
            register_timeout: self.register_timeout,
            rng: rng.fork(),
        };
        let span = spans::join(&identity);
        let watch = Stopwatch::start(&*clock);
        let joined = joining.run().instrument(span.clone()).await;
        let outcome = spans::note_join(span, &joined);
        note_join(self.keys.name(), watch, &*clock, outcome);
        let joined = joined?;
        let identity = Identity {
            token: joined.token.clone(),
            ..identity
        };
        let membership = joined.membership(limits.clone());
        let shared = Arc::new(Shared::new(
            clock,
            self.keys.name(),
            identity.id.clone(),
            self.buckets,
            membership,
        ));
        let (leave, leaving) = watch::channel(Leaving::No);
        let (done, is_done) = watch::channel(None);
        let mut supervisor = Supervisor {
            heartbeat: heartbeat.clone(),
            shared: Arc::clone(&shared),
            identity,
            limits,
            register_timeout: self.register_timeout,
            leave_timeout: self.leave_timeout,
            leave: leaving,
            rng,
        };
        let lease = supervisor.keep(&joined);
        heartbeat.spawn(supervisor.run(lease, done));
        let notice = Notice {
            drain_timeout: self.limits.drain_timeout,
            leave_timeout: self.leave_timeout,
        };
        Ok(Instance::new(shared, notice, leave, is_done))
    }
}
