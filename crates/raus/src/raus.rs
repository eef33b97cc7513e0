//! The entry point: what to lease, from where, and how.

mod inspect;

use std::{ops::RangeInclusive, pin::pin, sync::Arc, time::Duration};

use coord_core::{
    advice::{DescribeError, Gate, Report, Terms},
    connect::Connector,
    heartbeat::Heartbeat,
    metrics::Stopwatch,
    store::{Store, redis::Connection},
};
use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

use crate::{
    acquire::{Acquisition, Granted, Obstacle, Patience},
    builder::{Builder, Source},
    error::{AcquireError, ConfigError},
    machine_id::{Handle, MachineId},
    metrics::note_acquisition,
    protocol::Identity,
    spans,
    supervisor::{self, Control, Settings, Supervisor},
    tenure::Tenure,
};

/// Leases machine IDs out of one range of one namespace.
///
/// Cheap to clone. All leases of a process on one server share a thread and are renewed in one round trip.
#[derive(Debug, Clone)]
pub struct Raus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) connector: Connector,
    pub(crate) identity: Identity,
    pub(crate) reacquire: bool,
    pub(crate) terms: Terms,
    pub(crate) settings: Settings,
}

impl Raus {
    /// The namespace used where the URL names none, as in the Go original.
    pub const DEFAULT_NAMESPACE: &str = "raus";

    /// Leases out of `range` (both ends included) on the server at `uri`, with every option at its default.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], naming what cannot work. Nothing is connected yet.
    pub fn new(uri: &str, range: RangeInclusive<u32>) -> Result<Self, ConfigError> {
        Self::builder(uri, range).build()
    }

    /// As [`new`](Self::new), with options.
    pub fn builder(uri: &str, range: RangeInclusive<u32>) -> Builder {
        Builder::new(Source::Uri(uri.to_owned()), range)
    }

    /// As [`builder`](Self::builder), by a connection that the program has already: a pool, a client, a multiplexed
    /// connection, or whatever [`Connection`] can be made from. In a cluster `namespace` becomes a hash tag, where it
    /// has none.
    ///
    /// ```no_run
    /// # fn example(client: redis::Client) -> Result<(), raus::ConfigError> {
    /// use raus::Raus;
    ///
    /// let raus = Raus::with_connection(client, "orders", 0..=1023).build()?;
    /// # Ok(()) }
    /// ```
    pub fn with_connection(
        connection: impl Into<Connection>,
        namespace: &str,
        range: RangeInclusive<u32>,
    ) -> Builder {
        let source = Source::Connection(Box::new(connection.into()), namespace.to_owned());
        Builder::new(source, range)
    }

    /// As [`builder`](Self::builder), on a store of the caller's.
    pub fn with_store(
        store: Arc<dyn Store>,
        namespace: &str,
        range: RangeInclusive<u32>,
    ) -> Builder {
        Builder::new(Source::Store(store, namespace.to_owned()), range)
    }

    pub(crate) fn from_parts(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Leases a machine ID.
    ///
    /// One round trip if the store's past is known, and one more before the first of a process on a server, which is
    /// asked about itself. A namespace without a record, or in which nobody was seen for the longest ttl, is listened to
    /// first (`discovery`). If the store may have forgotten holders, this waits until they have stopped: at most the
    /// longest ttl in use there and the longest `failover_bound`.
    ///
    /// # Errors
    ///
    /// [`AcquireError`]: at once where the range is full, the clocks differ or the server may evict leases, after 2 s
    /// where the store fails or too few replicas acknowledge.
    ///
    /// # Cancel safety
    ///
    /// Safe: a slot that was granted to a dropped future is released in the background.
    pub async fn acquire(&self) -> Result<MachineId, AcquireError> {
        let started = self.start(None)?;
        started.outcome.await.map_err(|_| shut_down())?
    }

    /// Leases a machine ID, waiting up to `limit` for a slot to become free and for a store that fails to recover.
    ///
    /// Needs no Tokio runtime of the caller's. A full range is not asked for in a loop: the wait is for a release, or for
    /// the first lease to end.
    ///
    /// # Errors
    ///
    /// [`AcquireError`]: what was in the way when `limit` was over; [`AcquireError::TimedOut`] if nothing was known yet.
    ///
    /// # Cancel safety
    ///
    /// As for [`acquire`](Self::acquire).
    pub async fn acquire_within(&self, limit: Duration) -> Result<MachineId, AcquireError> {
        let started = self.start(Some(limit))?;
        started.outcome.await.map_err(|_| shut_down())?
    }

    /// Asks the server about itself, and says what endangers leases there: in a cluster the master that serves this
    /// namespace, behind sentinels the current master. What matters most is also said as a `tracing` event when a process
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
            .shared
            .connector
            .gate(self.shared.terms)
            .map_err(|error| DescribeError::Heartbeat(Arc::new(error)))?;
        gate.describe().await
    }

    /// Starts an acquisition where the heartbeat runs. A user's blocked runtime cannot disturb it there, and it can
    /// clean up after a caller who went away.
    fn start(&self, limit: Option<Duration>) -> Result<Started, AcquireError> {
        let cannot_run = |error| AcquireError::Heartbeat(Arc::new(error));
        let connector = &self.shared.connector;
        let heartbeat = connector.heartbeat().map_err(cannot_run)?;
        let gate = connector.gate(self.shared.terms).map_err(cannot_run)?;
        let (sender, outcome) = oneshot::channel();
        let (present, caller) = watch::channel(());
        let shared = Arc::clone(&self.shared);
        let patience = limit.map_or(Patience::Prompt, |limit| {
            Patience::Until(heartbeat.clock().now() + limit)
        });
        let task = async move {
            let obstacle = Obstacle::default();
            let mut work = pin!(shared.acquire(heartbeat, gate, patience, caller, &obstacle));
            let timer = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let finished = tokio::select! {
                biased;
                outcome = &mut work => outcome,
                () = timer => {
                    let limit = limit.unwrap_or_default();
                    let error = obstacle.take().unwrap_or(AcquireError::TimedOut { limit });
                    let _ = sender.send(Err(error));
                    // The request under way may still be granted something, which is released then.
                    drop(work.await);
                    return;
                }
            };
            if let Some(outcome) = finished {
                // If the caller went away this drops the machine ID, which releases it.
                let _ = sender.send(outcome);
            }
        };
        self.shared
            .connector
            .heartbeat()
            .map_err(cannot_run)?
            .spawn(task);
        Ok(Started {
            outcome,
            _present: present,
        })
    }
}

/// An acquisition under way; dropping it tells the acquisition that nobody waits.
struct Started {
    outcome: oneshot::Receiver<Result<MachineId, AcquireError>>,
    _present: watch::Sender<()>,
}

impl Shared {
    /// `None` where the caller went away while nothing was under way.
    async fn acquire(
        &self,
        heartbeat: Heartbeat,
        gate: Gate,
        patience: Patience,
        caller: watch::Receiver<()>,
        obstacle: &Obstacle,
    ) -> Option<Result<MachineId, AcquireError>> {
        let mut rng = self.connector.rng();
        let identity = self.identity.clone();
        let mut acquisition = Acquisition {
            store: Arc::clone(heartbeat.store()),
            clock: Arc::clone(heartbeat.clock()),
            identity: identity.clone(),
            gate: Some(gate),
            discovery: self.settings.discovery,
            releases: self.settings.releases.clone(),
            held_before: false,
            patience,
            rng: rng.fork(),
            entropy: self.settings.entropy(&mut rng),
            caller,
        };
        let clock = Arc::clone(heartbeat.clock());
        let watch = Stopwatch::start(&*clock);
        let span = spans::acquire(&identity);
        let outcome = acquisition
            .run(
                |rng| supervisor::new_search(&self.settings, &identity, &[], rng),
                obstacle,
            )
            .instrument(span.clone())
            .await;
        spans::note_search(span, &outcome);
        note_acquisition(identity.keys.namespace(), watch, &*clock, &outcome);
        match outcome {
            Ok(Some(granted)) => Some(Ok(self.take_up(heartbeat, identity, &granted, rng))),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn take_up(
        &self,
        heartbeat: Heartbeat,
        identity: Identity,
        granted: &Granted,
        rng: fastrand::Rng,
    ) -> MachineId {
        let clock = Arc::clone(heartbeat.clock());
        let tenure = Arc::new(Tenure::new(identity, clock, granted));
        let lease = supervisor::keep(&heartbeat, &tenure, granted);
        self.settings.own.insert(granted.slot.number);
        let control = watch::Sender::new(Control {
            stop: false,
            reacquire: self.reacquire,
        });
        let (done, is_done) = watch::channel(None);
        let supervisor = Supervisor {
            heartbeat: heartbeat.clone(),
            settings: self.settings.clone(),
            tenure: Arc::clone(&tenure),
            control: control.subscribe(),
            rng,
        };
        heartbeat.spawn(supervisor.run(lease, done));
        MachineId::new(Handle {
            range: self.settings.range.clone(),
            recorded_layout: granted.layout.clone(),
            heartbeat: heartbeat.downgrade(),
            tenure,
            control,
            done: is_done,
        })
    }
}

fn shut_down() -> AcquireError {
    AcquireError::Heartbeat(Arc::new(std::io::Error::other("its runtime was shut down")))
}
