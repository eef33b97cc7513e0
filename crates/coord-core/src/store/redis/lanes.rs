//! A few multiplexed connections out of a pool, kept while they are good.
//!
//! The pool checks a connection with a PING whenever it is taken out, which would double the round trips of a
//! heartbeat. So each connection is taken out once and shared (it is multiplexed) until something condemns it; then
//! it leaves the pool for good and the next user makes a new one.

use std::{
    error::Error as StdError,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{Object, Pool, PoolError, TimeoutType, Timeouts},
};
use redis::{RedisError, aio::MultiplexedConnection};

use super::{
    dialer::{Dialer, Wired},
    intake::Use,
    kept::{self, Kept, Opening},
    reply,
};
use crate::store::StoreError;

type Cause = Arc<dyn StdError + Send + Sync>;

/// A connection in use. The pool's guard is inside, so dropping the last clone gives it back.
#[derive(Clone)]
pub(super) struct Lane {
    guard: Arc<Mutex<Option<Object<Dialer>>>>,
    wired: Wired,
}

impl Lane {
    /// The connection, and what has to be kept for as long as answers are awaited.
    pub(super) fn begin(&self) -> (MultiplexedConnection, Use) {
        (self.wired.connection.clone(), self.wired.gauge.begin())
    }

    /// `error` with why the connection was given up, which the client tells only some of those who waited.
    pub(super) fn explain(&self, error: StoreError) -> StoreError {
        self.wired.gauge.explain(error)
    }

    /// Those who still use it may go on; nobody else gets it.
    fn leave_pool(&self) {
        // Replaced as a whole, so a panic elsewhere leaves it valid.
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guard) = guard.take() {
            drop(Object::take(guard));
        }
    }
}

pub(super) struct Lanes {
    pool: Pool<Dialer>,
    connect: Duration,
    kept: Vec<Kept<Lane>>,
    next: AtomicUsize,
    discarded: AtomicUsize,
}

impl Lanes {
    pub(super) fn new(dialer: Dialer, size: usize, connect: Duration) -> Result<Self, Cause> {
        let pool = Pool::builder(dialer)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(connect),
                create: Some(connect),
                recycle: Some(connect),
            })
            .build()
            .map_err(|error| Arc::new(error) as Cause)?;
        Ok(Self {
            pool,
            connect,
            kept: (0..size).map(|_| Kept::default()).collect(),
            next: AtomicUsize::new(0),
            discarded: AtomicUsize::new(0),
        })
    }

    /// An open connection, made if need be. Waits `within` for it; making it goes on afterwards, up to the connect
    /// timeout, so that a slow network is not too slow for ever.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        address: &str,
        within: Duration,
    ) -> Result<Lane, StoreError> {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.kept.len();
        let open = || self.open(operation, address);
        self.kept[index]
            .get(operation, address, within.min(self.connect), open)
            .await
    }

    fn open(&self, operation: &'static str, address: &str) -> Opening<Lane> {
        let (pool, connect, shown) = (self.pool.clone(), self.connect, address.to_owned());
        kept::begin(operation, address, async move {
            let outcome = tokio::time::timeout(connect, pool.get()).await;
            let guard = match outcome {
                Ok(Ok(guard)) => guard,
                Ok(Err(error)) => return Err(pool_error(operation, &shown, &pool, error)),
                Err(_elapsed) => {
                    let error = PoolError::Timeout(TimeoutType::Create);
                    return Err(pool_error(operation, &shown, &pool, error));
                }
            };
            Ok(Lane {
                wired: Wired::clone(&guard),
                guard: Arc::new(Mutex::new(Some(guard))),
            })
        })
    }

    /// How many connections were taken out of use so far.
    pub(super) fn discarded(&self) -> usize {
        self.discarded.load(Ordering::Relaxed)
    }

    /// Takes `lane` out of use, unless somebody has already replaced it.
    pub(super) fn discard(&self, lane: &Lane) {
        self.take_if(|current| Arc::ptr_eq(&current.guard, &lane.guard));
        lane.leave_pool();
    }

    /// Takes every open lane out of use.
    pub(super) fn discard_all(&self) {
        self.take_if(|_| true);
    }

    fn take_if(&self, condemned: impl Fn(&Lane) -> bool) {
        for kept in &self.kept {
            if let Some(lane) = kept.take_if(&condemned) {
                self.discarded.fetch_add(1, Ordering::Relaxed);
                lane.leave_pool();
            }
        }
    }
}

fn pool_error(
    operation: &'static str,
    address: &str,
    pool: &Pool<Dialer>,
    error: PoolError<RedisError>,
) -> StoreError {
    match error {
        PoolError::Backend(error) => {
            let sent = pool.manager().settings();
            reply::connect_error(operation, address, Some(sent), error)
        }
        other => StoreError::Connect {
            operation,
            address: address.to_owned(),
            source: Arc::new(other),
        },
    }
}
