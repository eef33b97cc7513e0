//! The entry point: what to lease, from where, and how.

mod inspect;

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use coord_core::{
    clock::Clock, connect::Connector, endpoint::Endpoint, heartbeat::Heartbeat, lease::Timing,
    namespace::Namespace, spawn::Placement, store::Store,
};
use tokio::sync::{oneshot, watch};

use crate::{
    acquire::{Acquisition, Granted, Patience},
    error::{AcquireError, ConfigError},
    keys::Keys,
    machine_id::MachineId,
    protocol::Identity,
    supervisor::{self, Control, OwnSlots, Settings, Supervisor},
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
struct Shared {
    connector: Connector,
    keys: Keys,
    label: String,
    timing: Timing,
    max_clock_skew: Duration,
    reacquire: bool,
    settings: Settings,
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

    /// As [`builder`](Self::builder), on a store of the caller's.
    pub fn with_store(
        store: Arc<dyn Store>,
        namespace: &str,
        range: RangeInclusive<u32>,
    ) -> Builder {
        Builder::new(Source::Store(store, namespace.to_owned()), range)
    }

    /// Leases a machine ID.
    ///
    /// One round trip where the store's past is known. A namespace without a record is listened to first
    /// (`discovery`); where the store may have forgotten holders, this waits until they have stopped, at most the
    /// longest ttl ever granted there.
    ///
    /// # Errors
    ///
    /// [`AcquireError`]: at once where the range is full or the clocks differ, after 2 s where the store fails.
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
    /// # Errors
    ///
    /// [`AcquireError`]: what was in the way when `limit` was over.
    ///
    /// # Cancel safety
    ///
    /// As for [`acquire`](Self::acquire).
    pub async fn acquire_within(&self, limit: Duration) -> Result<MachineId, AcquireError> {
        let started = self.start(Some(limit))?;
        match tokio::time::timeout(limit, started.outcome).await {
            Ok(outcome) => outcome.map_err(|_| shut_down())?,
            Err(_elapsed) => Err(AcquireError::TimedOut { limit }),
        }
    }

    /// Starts an acquisition where the heartbeat runs. A user's blocked runtime cannot disturb it there, and it can
    /// clean up after a caller who went away.
    fn start(&self, limit: Option<Duration>) -> Result<Started, AcquireError> {
        let heartbeat = self
            .shared
            .connector
            .heartbeat()
            .map_err(|error| AcquireError::Heartbeat(Arc::new(error)))?;
        let (sender, outcome) = oneshot::channel();
        let (present, caller) = watch::channel(());
        let shared = Arc::clone(&self.shared);
        let patience = limit.map_or(Patience::Prompt, |limit| {
            Patience::Until(heartbeat.clock().now() + limit)
        });
        heartbeat.clone().spawn(async move {
            if let Some(outcome) = shared.acquire(heartbeat, patience, caller).await {
                // Where the caller went away this drops the machine ID, which releases it.
                let _ = sender.send(outcome);
            }
        });
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
        patience: Patience,
        caller: watch::Receiver<()>,
    ) -> Option<Result<MachineId, AcquireError>> {
        let mut rng = self.connector.rng();
        let identity = Identity {
            keys: self.keys.clone(),
            label: self.label.clone(),
            timing: self.timing,
            max_clock_skew: self.max_clock_skew,
        };
        let mut acquisition = Acquisition {
            store: Arc::clone(heartbeat.store()),
            clock: Arc::clone(heartbeat.clock()),
            identity: identity.clone(),
            discovery: Some(self.settings.discovery),
            patience,
            rng: rng.fork(),
            caller,
        };
        let outcome = acquisition
            .run(|rng| supervisor::new_search(&self.settings, &identity, &[], rng))
            .await;
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
        let tenure = Arc::new(Tenure::new(identity, clock, granted.slot));
        let lease = supervisor::keep(&heartbeat, &tenure, granted);
        tenure.adopt(lease.validity());
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
        MachineId::new(self.settings.range.clone(), tenure, control, is_done)
    }
}

fn shut_down() -> AcquireError {
    AcquireError::Heartbeat(Arc::new(std::io::Error::other("its runtime was shut down")))
}

#[derive(Debug, Clone)]
enum Source {
    Uri(String),
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
    discovery: Duration,
    max_candidates: usize,
    release_timeout: Duration,
    max_clock_skew: Duration,
    label: String,
    reacquire: bool,
    placement: Placement,
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
}

impl Builder {
    /// The largest range, in slots.
    pub const MAX_RANGE: u64 = 1 << 20;
    /// The longest label, in bytes.
    pub const MAX_LABEL: usize = 128;

    fn new(source: Source, range: RangeInclusive<u32>) -> Self {
        Self {
            source,
            range,
            ttl: Duration::from_secs(60),
            heartbeat: Duration::from_secs(1),
            discovery: Duration::from_secs(3),
            max_candidates: 64,
            release_timeout: Duration::from_secs(30),
            max_clock_skew: Duration::from_secs(10),
            label: String::new(),
            reacquire: false,
            placement: Placement::default(),
            clock: None,
            seed: None,
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

    /// How long a namespace without a record is listened to before its first use: up to 60 s, and longer than the
    /// heartbeats of its holders; zero turns listening off. Defaults to 3 s.
    pub const fn discovery(mut self, discovery: Duration) -> Self {
        self.discovery = discovery;
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

    /// A name for the holder, up to 128 bytes without control characters: operators see it, and a process with the
    /// same label gets the same slot again where it is free. Defaults to none.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Whether another slot is leased by itself after a loss. Defaults to off;
    /// see [`MachineId::set_reacquire`].
    pub const fn reacquire(mut self, reacquire: bool) -> Self {
        self.reacquire = reacquire;
        self
    }

    /// Where heartbeats run. Defaults to a thread of their own.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// The clock that everything is timed by. Defaults to the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Determines holders, candidates and jitter, so that a simulation replays; two processes with one seed would
    /// claim to be the same holder. Defaults to the system's randomness.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
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
        let minute = Duration::from_secs(60);
        check_duration("discovery", self.discovery, Duration::ZERO, minute)?;
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
        let (namespace, connector) = match self.source {
            Source::Uri(uri) => {
                let endpoint = Endpoint::parse(&uri).map_err(ConfigError::Endpoint)?;
                let namespace = endpoint.namespace().cloned();
                let connector =
                    Connector::to_endpoint(&endpoint, self.placement, self.clock, self.seed)
                        .map_err(ConfigError::Store)?;
                (namespace, connector)
            }
            Source::Store(store, namespace) => {
                let namespace = Namespace::new(namespace).map_err(ConfigError::Namespace)?;
                let connector = Connector::to_store(store, self.placement, self.clock, self.seed);
                (Some(namespace), connector)
            }
        };
        let namespace = namespace
            .map_or_else(|| Namespace::new(Raus::DEFAULT_NAMESPACE), Ok)
            .map_err(ConfigError::Namespace)?;
        Ok(Raus {
            shared: Arc::new(Shared {
                connector,
                keys: Keys::new(namespace),
                label: self.label,
                timing,
                max_clock_skew: self.max_clock_skew,
                reacquire: self.reacquire,
                settings: Settings {
                    range: self.range,
                    discovery: self.discovery,
                    max_candidates: self.max_candidates,
                    release_timeout: self.release_timeout,
                    own: OwnSlots::default(),
                },
            }),
        })
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
