//! Connections that can be made anew: the one in use, and how the next one comes about.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, future::Shared};
use redis::RedisError;

use super::Wire;
use crate::store::{BoxFuture, StoreError, redis::dial::Dial, redis::reply};

pub(super) type Making = BoxFuture<'static, Result<Arc<dyn Wire>, RedisError>>;
pub(super) type Make = dyn Fn() -> Making + Send + Sync;

type Opening = Shared<BoxFuture<'static, Result<Arc<dyn Wire>, StoreError>>>;

pub(super) struct Supply {
    make: Arc<Make>,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    wire: Option<Arc<dyn Wire>>,
    /// A connection being made, for all who wait for it.
    opening: Option<Opening>,
    /// How many were given up.
    generation: u64,
}

impl Supply {
    /// How long making a connection may go on when nobody waits for it any more: what has to ask several servers, of
    /// which some are dead, is not too slow for ever.
    const MAKE_TIMEOUT: Duration = Duration::from_secs(10);

    pub(super) fn new(make: Arc<Make>) -> Self {
        Self {
            make,
            current: Mutex::default(),
        }
    }

    /// The connection in use, made if need be.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        address: &'static str,
    ) -> Result<Arc<dyn Wire>, StoreError> {
        let opening = {
            let mut current = self.current();
            if let Some(wire) = &current.wire {
                return Ok(Arc::clone(wire));
            }
            // One that failed while nobody waited says nothing about now.
            let usable = |opening: &&Opening| !matches!(opening.peek(), Some(Err(_)));
            if let Some(opening) = current.opening.as_ref().filter(usable) {
                opening.clone()
            } else {
                let opening = self.open(operation, address);
                current.opening = Some(opening.clone());
                opening
            }
        };
        let outcome = tokio::time::timeout(Dial::CONNECT_TIMEOUT, opening.clone()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(timed_out(operation, address)));
        let mut current = self.current();
        // Whoever sees the outcome first puts it in place.
        let is_own = current
            .opening
            .as_ref()
            .is_some_and(|it| it.ptr_eq(&opening));
        if opening.peek().is_some() && is_own {
            current.opening = None;
            current.wire = outcome.as_ref().ok().cloned();
        }
        outcome
    }

    /// Takes `wire` out of use, unless somebody has already replaced it.
    pub(super) fn discard(&self, wire: &Arc<dyn Wire>) {
        let mut current = self.current();
        let is_current = current
            .wire
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, wire));
        if is_current {
            current.wire = None;
            current.generation += 1;
        }
    }

    /// Another connection, beside the one in use.
    pub(super) async fn another(
        &self,
        operation: &'static str,
        address: &'static str,
    ) -> Result<Arc<dyn Wire>, StoreError> {
        let opening = self.open(operation, address);
        let outcome = tokio::time::timeout(Dial::CONNECT_TIMEOUT, opening).await;
        outcome.unwrap_or_else(|_| Err(timed_out(operation, address)))
    }

    /// Rises whenever a connection is given up.
    pub(super) fn generation(&self) -> u64 {
        self.current().generation
    }

    /// Begins to make a connection, in a task of its own: it goes on when nobody waits.
    fn open(&self, operation: &'static str, address: &'static str) -> Opening {
        let make = Arc::clone(&self.make);
        let work = tokio::spawn(async move {
            match tokio::time::timeout(Self::MAKE_TIMEOUT, make()).await {
                Ok(Ok(wire)) => Ok(wire),
                Ok(Err(error)) => Err(reply::connect_error(operation, address, None, error)),
                Err(_elapsed) => Err(timed_out(operation, address)),
            }
        });
        let work = work.map(move |joined| {
            // A task ends without an outcome where its runtime is shut down, or the user's function panicked.
            joined.unwrap_or_else(|error| {
                Err(StoreError::Connect {
                    operation,
                    address: address.to_owned(),
                    source: Arc::new(error),
                })
            })
        });
        work.boxed().shared()
    }

    /// What is guarded is valid after every statement, so a panic elsewhere leaves it so.
    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timed_out(operation: &'static str, address: &str) -> StoreError {
    StoreError::Connect {
        operation,
        address: address.to_owned(),
        source: Arc::new(std::io::Error::from(std::io::ErrorKind::TimedOut)),
    }
}
