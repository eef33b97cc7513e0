//! From an endpoint to a heartbeat, one for each server in a process.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use crate::{
    advice,
    clock::{Clock, SystemClock},
    endpoint::{Endpoint, Kind},
    heartbeat::{Heartbeat, WeakHeartbeat},
    spawn::Placement,
    store::{Store, StoreError, redis::RedisStore},
};

/// Makes a [`Heartbeat`] when it is first needed, and shares it.
///
/// With the default placement and clock, every connector to one server shares one heartbeat in the process: one
/// thread, two connections, one pipeline for all leases, whatever their namespaces.
#[derive(Debug)]
pub struct Connector {
    target: Target,
    placement: Placement,
    clock: Option<Arc<dyn Clock>>,
    rng: Mutex<fastrand::Rng>,
    current: Mutex<Option<Heartbeat>>,
}

#[derive(Debug)]
enum Target {
    Endpoint(Endpoint, Arc<dyn Store>),
    Store(Arc<dyn Store>),
}

impl Connector {
    /// A connector to the server at `endpoint`. `seed` determines all randomness; defaults to the system's.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the endpoint's options contradict each other.
    pub fn to_endpoint(
        endpoint: &Endpoint,
        placement: Placement,
        clock: Option<Arc<dyn Clock>>,
        seed: Option<u64>,
    ) -> Result<Self, StoreError> {
        let store = open(endpoint)?;
        let target = Target::Endpoint(endpoint.without_namespace(), store);
        Ok(Self::new(target, placement, clock, seed))
    }

    /// A connector to a store of the caller's.
    #[must_use]
    pub fn to_store(
        store: Arc<dyn Store>,
        placement: Placement,
        clock: Option<Arc<dyn Clock>>,
        seed: Option<u64>,
    ) -> Self {
        Self::new(Target::Store(store), placement, clock, seed)
    }

    fn new(
        target: Target,
        placement: Placement,
        clock: Option<Arc<dyn Clock>>,
        seed: Option<u64>,
    ) -> Self {
        let rng = seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Self {
            target,
            placement,
            clock,
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
        let mut current = lock(&self.current);
        if let Some(heartbeat) = &*current {
            return Ok(heartbeat.clone());
        }
        let shareable = self.clock.is_none() && matches!(self.placement, Placement::OwnThread);
        let heartbeat = match &self.target {
            Target::Endpoint(endpoint, store) if shareable => self.shared(endpoint, store)?,
            Target::Endpoint(_, store) | Target::Store(store) => self.start(store)?,
        };
        *current = Some(heartbeat.clone());
        Ok(heartbeat)
    }

    fn shared(&self, endpoint: &Endpoint, store: &Arc<dyn Store>) -> io::Result<Heartbeat> {
        static RUNNING: OnceLock<Mutex<HashMap<Endpoint, WeakHeartbeat>>> = OnceLock::new();
        let mut running = lock(RUNNING.get_or_init(Mutex::default));
        if let Some(heartbeat) = running.get(endpoint).and_then(WeakHeartbeat::upgrade) {
            return Ok(heartbeat);
        }
        running.retain(|_, weak| weak.upgrade().is_some());
        let heartbeat = self.start(store)?;
        running.insert(endpoint.clone(), heartbeat.downgrade());
        Ok(heartbeat)
    }

    fn start(&self, store: &Arc<dyn Store>) -> io::Result<Heartbeat> {
        let clock = self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock));
        let spawner = self.placement.spawner()?;
        let heartbeat = Heartbeat::start(Arc::clone(store), clock, spawner, self.rng().u64(..));
        if matches!(self.target, Target::Endpoint(..)) {
            let store = Arc::clone(store);
            heartbeat.spawn(async move { advice::give(&*store, ADVICE_TIMEOUT).await });
        }
        Ok(heartbeat)
    }
}

const ADVICE_TIMEOUT: Duration = Duration::from_secs(2);

fn open(endpoint: &Endpoint) -> Result<Arc<dyn Store>, StoreError> {
    match endpoint.kind() {
        #[cfg(feature = "embedded")]
        Kind::Memory { name } => Ok(Arc::new(
            crate::store::embedded::Embedded::named(name).client(),
        )),
        #[cfg(not(feature = "embedded"))]
        Kind::Memory { .. } => Err(StoreError::Connect {
            operation: "configure",
            address: endpoint.to_string(),
            source: Arc::from(Box::from("this build lacks the feature \"embedded\"")),
        }),
        Kind::Tcp { .. } | Kind::Unix { .. } => Ok(Arc::new(RedisStore::new(endpoint)?)),
    }
}

/// What is guarded is replaced as a whole, so a panic elsewhere leaves it valid.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
