//! From an endpoint to a heartbeat, one for each server in a process.
//!
//! In a cluster there is one for each hash slot that is used, so that a node that hangs holds up nobody who does not
//! need it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use crate::{
    advice::{Advisor, Gate, Terms},
    clock::{Clock, SystemClock},
    endpoint::Endpoint,
    heartbeat::{Heartbeat, WeakHeartbeat},
    metrics,
    spawn::Placement,
    store::{self, Store, StoreError},
    tls::Tls,
};

/// How to reach a store and where its heartbeat runs; everything that is not in a URL.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Settings {
    /// Where heartbeats run. Defaults to a thread of their own.
    pub placement: Placement,
    /// The clock that everything is timed by. Defaults to the system's.
    pub clock: Option<Arc<dyn Clock>>,
    /// Determines all randomness. Defaults to the system's.
    pub seed: Option<u64>,
    /// What is trusted and shown on encrypted connections. Defaults to the system's roots.
    pub tls: Option<Tls>,
}

/// Makes a [`Heartbeat`] when it is first needed, and shares it.
///
/// With the default placement and clock, every connector to one server shares one heartbeat in the process: one
/// thread, two connections, one pipeline for all leases, whatever their namespaces.
#[derive(Debug)]
pub struct Connector {
    target: Target,
    key: String,
    placement: Placement,
    clock: Option<Arc<dyn Clock>>,
    rng: Mutex<fastrand::Rng>,
    current: Mutex<Option<Beating>>,
}

/// A heartbeat, and what knows its server.
#[derive(Debug, Clone)]
struct Beating {
    heartbeat: Heartbeat,
    advisor: Arc<Advisor>,
}

#[derive(Debug)]
enum Target {
    Endpoint(Box<Identity>, Arc<dyn Store>),
    Connection(Arc<dyn Store>),
    Store(Arc<dyn Store>),
}

/// What decides whether two connectors can share a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    endpoint: Endpoint,
    tls: Option<Tls>,
    /// The hash slot, in a cluster.
    slot: Option<u16>,
}

impl Connector {
    /// A connector to the server at `endpoint`. `key` is one of the keys that it is for: all that share its hash slot
    /// are reached by the same heartbeat.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the options contradict each other.
    pub fn to_endpoint(
        endpoint: &Endpoint,
        key: &str,
        settings: Settings,
    ) -> Result<Self, StoreError> {
        let store = open(endpoint, settings.tls.as_ref())?;
        let identity = Identity {
            endpoint: endpoint.without_namespace(),
            tls: settings.tls.clone(),
            slot: hash_slot(endpoint, key),
        };
        Ok(Self::new(
            Target::Endpoint(Box::new(identity), store),
            key,
            settings,
        ))
    }

    /// A connector by a connection of the caller's. `key` is one of the keys that it is for.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the options contradict each other.
    pub fn to_connection(
        connection: store::redis::Connection,
        key: &str,
        settings: Settings,
    ) -> Result<Self, StoreError> {
        if settings.tls.is_some() {
            return Err(StoreError::Misconfigured {
                problem: "TLS options for a connection that was made without them; make it with them, or use a URL"
                    .to_owned(),
            });
        }
        let store = connection.open()?;
        Ok(Self::new(Target::Connection(store), key, settings))
    }

    /// A connector to a store of the caller's. `key` is one of the keys that it is for.
    #[must_use]
    pub fn to_store(store: Arc<dyn Store>, key: &str, settings: Settings) -> Self {
        Self::new(Target::Store(store), key, settings)
    }

    fn new(target: Target, key: &str, settings: Settings) -> Self {
        let rng = settings
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            target,
            key: key.to_owned(),
            placement: settings.placement,
            clock: settings.clock,
            rng: Mutex::new(rng),
            current: Mutex::new(None),
        }
    }

    /// A source of randomness of its own for one operation.
    #[must_use]
    pub fn rng(&self) -> fastrand::Rng {
        lock(&self.rng).fork()
    }

    /// The heartbeat, started if need be.
    ///
    /// # Errors
    ///
    /// The system's error where no thread can be started.
    pub fn heartbeat(&self) -> io::Result<Heartbeat> {
        Ok(self.beating()?.heartbeat)
    }

    /// What stands before grants for leases of these `terms`. Starts the heartbeat if need be.
    ///
    /// # Errors
    ///
    /// As for [`heartbeat`](Self::heartbeat).
    pub fn gate(&self, terms: Terms) -> io::Result<Gate> {
        let Beating { heartbeat, advisor } = self.beating()?;
        Ok(Gate::new(heartbeat, advisor, terms))
    }

    fn beating(&self) -> io::Result<Beating> {
        let mut current = lock(&self.current);
        if let Some(beating) = &*current {
            return Ok(beating.clone());
        }
        let shareable = self.clock.is_none() && matches!(self.placement, Placement::OwnThread);
        let beating = match &self.target {
            Target::Endpoint(identity, store) if shareable => self.shared(identity, store)?,
            Target::Endpoint(_, store) | Target::Connection(store) | Target::Store(store) => {
                self.start(store)?
            }
        };
        *current = Some(beating.clone());
        Ok(beating)
    }

    fn shared(&self, identity: &Identity, store: &Arc<dyn Store>) -> io::Result<Beating> {
        type Running = HashMap<Identity, (WeakHeartbeat, Weak<Advisor>)>;
        static RUNNING: OnceLock<Mutex<Running>> = OnceLock::new();
        let mut running = lock(RUNNING.get_or_init(Mutex::default));
        let known = running
            .get(identity)
            .and_then(|(heartbeat, advisor)| Some((heartbeat.upgrade()?, advisor.upgrade())));
        let beating = match known {
            Some((heartbeat, Some(advisor))) => return Ok(Beating { heartbeat, advisor }),
            // Nobody needs an advisor where there is no server to look at.
            Some((heartbeat, None)) => self.advised(heartbeat),
            None => self.start(store)?,
        };
        running.retain(|_, (weak, _)| weak.upgrade().is_some());
        let weak = (
            beating.heartbeat.downgrade(),
            Arc::downgrade(&beating.advisor),
        );
        running.insert(identity.clone(), weak);
        Ok(beating)
    }

    fn start(&self, store: &Arc<dyn Store>) -> io::Result<Beating> {
        let clock = self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
        let spawner = self.placement.spawner()?;
        let store = metrics::measured(store, &clock, || self.server());
        let heartbeat = Heartbeat::start(store, clock, spawner, self.rng().u64(..));
        Ok(self.advised(heartbeat))
    }

    /// What metrics call the server.
    fn server(&self) -> String {
        match &self.target {
            Target::Endpoint(identity, _) => identity.endpoint.to_string(),
            Target::Connection(_) => "connection".to_owned(),
            Target::Store(_) => "store".to_owned(),
        }
    }

    fn advised(&self, heartbeat: Heartbeat) -> Beating {
        let advisor = Arc::new(Advisor::new(&heartbeat, self.key.clone()));
        if advisor.has_server() {
            heartbeat.spawn(Arc::clone(&advisor).watch(heartbeat.ended()));
        }
        Beating { heartbeat, advisor }
    }
}

fn open(endpoint: &Endpoint, tls: Option<&Tls>) -> Result<Arc<dyn Store>, StoreError> {
    match endpoint.kind() {
        #[cfg(feature = "embedded")]
        crate::endpoint::Kind::Memory { name } if tls.is_none() => {
            Ok(Arc::new(store::embedded::Embedded::named(name).client()))
        }
        _ => store::redis::open(endpoint, tls),
    }
}

fn hash_slot(endpoint: &Endpoint, key: &str) -> Option<u16> {
    #[cfg(feature = "cluster")]
    return endpoint.is_cluster().then(|| store::redis::hash_slot(key));
    #[cfg(not(feature = "cluster"))]
    {
        let _ = (endpoint, key);
        None
    }
}

/// What is guarded is replaced as a whole, so a panic elsewhere leaves it valid.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
