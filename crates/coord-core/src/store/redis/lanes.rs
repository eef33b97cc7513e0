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

use deadpool_redis::{Manager, Pool, PoolError, Runtime, TimeoutType, Timeouts};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{
    AsyncConnectionConfig, ConnectionInfo, RedisConnectionInfo, aio::MultiplexedConnection,
};

use super::reply;
use crate::store::StoreError;

type Cause = Arc<dyn StdError + Send + Sync>;

/// A connection in use. The pool's guard is inside, so dropping the last clone gives it back.
#[derive(Clone)]
pub(super) struct Lane {
    guard: Arc<Mutex<Option<deadpool_redis::Connection>>>,
    connection: MultiplexedConnection,
}

impl Lane {
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Those who still use it may go on; nobody else gets it.
    fn leave_pool(&self) {
        if let Some(guard) = lock(&self.guard).take() {
            drop(deadpool_redis::Connection::take(guard));
        }
    }
}

pub(super) struct Lanes {
    pool: Pool,
    /// What a server is told of us.
    sent: RedisConnectionInfo,
    connect: Duration,
    open: Vec<Mutex<Option<Lane>>>,
    opening: Vec<Mutex<Option<Opening>>>,
    next: AtomicUsize,
    discarded: AtomicUsize,
}

/// A connection being made, for all who wait for it.
type Opening = Shared<BoxFuture<'static, Result<Lane, StoreError>>>;

impl Lanes {
    pub(super) fn new(
        info: ConnectionInfo,
        config: AsyncConnectionConfig,
        size: usize,
        connect: Duration,
    ) -> Result<Self, Cause> {
        let sent = info.redis_settings().clone();
        let manager = Manager::new_with_config(info, config).map_err(reply::source)?;
        let pool = Pool::builder(manager)
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
            sent,
            connect,
            open: (0..size).map(|_| Mutex::new(None)).collect(),
            opening: (0..size).map(|_| Mutex::new(None)).collect(),
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
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.open.len();
        if let Some(lane) = lock(&self.open[index]).clone() {
            return Ok(lane);
        }
        let opening = self.opening(index, operation, address);
        let outcome = tokio::time::timeout(within.min(self.connect), opening.clone()).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(StoreError::Connect {
                operation,
                address: address.to_owned(),
                source: Arc::new(std::io::Error::from(std::io::ErrorKind::TimedOut)),
            })
        });
        let mut current = lock(&self.opening[index]);
        // Whoever sees the outcome first puts it in place.
        if opening.peek().is_some() && current.as_ref().is_some_and(|it| it.ptr_eq(&opening)) {
            *current = None;
            if let Ok(lane) = &outcome {
                *lock(&self.open[index]) = Some(lane.clone());
            }
        }
        outcome
    }

    fn opening(&self, index: usize, operation: &'static str, address: &str) -> Opening {
        let mut current = lock(&self.opening[index]);
        // One that failed while nobody waited says nothing about now.
        let usable = |opening: &&Opening| !matches!(opening.peek(), Some(Err(_)));
        if let Some(opening) = current.as_ref().filter(usable) {
            return opening.clone();
        }
        let (pool, connect, address) = (self.pool.clone(), self.connect, address.to_owned());
        let sent = self.sent.clone();
        let work = tokio::spawn(async move {
            let outcome = tokio::time::timeout(connect, pool.get()).await;
            let guard = match outcome {
                Ok(Ok(guard)) => guard,
                Ok(Err(error)) => return Err(pool_error(operation, &address, &sent, error)),
                Err(_elapsed) => {
                    let error = PoolError::Timeout(TimeoutType::Create);
                    return Err(pool_error(operation, &address, &sent, error));
                }
            };
            Ok(Lane {
                connection: MultiplexedConnection::clone(&guard),
                guard: Arc::new(Mutex::new(Some(guard))),
            })
        });
        let opening = work
            .map(move |joined| {
                // A task ends without an outcome where its runtime is shut down.
                joined.unwrap_or_else(|error| {
                    Err(StoreError::Connect {
                        operation,
                        address: "a runtime that was shut down".to_owned(),
                        source: Arc::new(error),
                    })
                })
            })
            .boxed()
            .shared();
        *current = Some(opening.clone());
        opening
    }

    /// How many connections were taken out of use so far.
    pub(super) fn discarded(&self) -> usize {
        self.discarded.load(Ordering::Relaxed)
    }

    /// Takes `lane` out of use, unless somebody has already replaced it.
    pub(super) fn discard(&self, lane: &Lane) {
        for open in &self.open {
            let mut open = lock(open);
            if open
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(&current.guard, &lane.guard))
            {
                *open = None;
                self.discarded.fetch_add(1, Ordering::Relaxed);
            }
        }
        lane.leave_pool();
    }

    /// Takes every open lane out of use.
    pub(super) fn discard_all(&self) {
        for open in &self.open {
            // Bound first: the lock is not held while the connection goes.
            let lane = lock(open).take();
            if let Some(lane) = lane {
                self.discarded.fetch_add(1, Ordering::Relaxed);
                lane.leave_pool();
            }
        }
    }
}

/// What is guarded is replaced as a whole, so a panic elsewhere leaves it valid.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pool_error(
    operation: &'static str,
    address: &str,
    sent: &RedisConnectionInfo,
    error: PoolError,
) -> StoreError {
    match error {
        PoolError::Backend(error) => reply::connect_error(operation, address, Some(sent), error),
        other => StoreError::Connect {
            operation,
            address: address.to_owned(),
            source: Arc::new(other),
        },
    }
}
