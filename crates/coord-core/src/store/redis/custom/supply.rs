//! Connections that can be made anew: the one in use, and how the next one comes about.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::RedisError;

use super::Wire;
use crate::store::{
    BoxFuture, StoreError,
    redis::{
        dial::Dial,
        kept::{self, Kept, Opening},
        reply,
    },
};

pub(super) type Making = BoxFuture<'static, Result<Arc<dyn Wire>, RedisError>>;
pub(super) type Make = dyn Fn() -> Making + Send + Sync;

pub(super) struct Supply {
    make: Arc<Make>,
    kept: Kept<Arc<dyn Wire>>,
    /// How many were given up.
    generation: AtomicU64,
}

impl Supply {
    /// How long making a connection may go on when nobody waits for it any more: what has to ask several servers, of
    /// which some are dead, is not too slow for ever.
    const MAKE_TIMEOUT: Duration = Duration::from_secs(10);

    pub(super) fn new(make: Arc<Make>) -> Self {
        Self {
            make,
            kept: Kept::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// The connection in use, made if need be.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        address: &'static str,
    ) -> Result<Arc<dyn Wire>, StoreError> {
        let open = || self.open(operation, address);
        self.kept
            .get(operation, address, Dial::CONNECT_TIMEOUT, open)
            .await
    }

    /// Takes `wire` out of use, unless somebody has already replaced it.
    pub(super) fn discard(&self, wire: &Arc<dyn Wire>) {
        self.kept.take_if(|current| {
            let condemned = Arc::ptr_eq(current, wire);
            // Before anybody can find the next one.
            self.generation
                .fetch_add(u64::from(condemned), Ordering::Relaxed);
            condemned
        });
    }

    /// Another connection, beside the one in use.
    pub(super) async fn another(
        &self,
        operation: &'static str,
        address: &'static str,
    ) -> Result<Arc<dyn Wire>, StoreError> {
        let opening = self.open(operation, address);
        let outcome = tokio::time::timeout(Dial::CONNECT_TIMEOUT, opening).await;
        outcome.unwrap_or_else(|_| Err(kept::timed_out(operation, address)))
    }

    /// Rises whenever a connection is given up.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Begins to make a connection.
    fn open(&self, operation: &'static str, address: &'static str) -> Opening<Arc<dyn Wire>> {
        let make = Arc::clone(&self.make);
        kept::begin(operation, address, async move {
            match tokio::time::timeout(Self::MAKE_TIMEOUT, make()).await {
                Ok(Ok(wire)) => Ok(wire),
                Ok(Err(error)) => Err(reply::connect_error(operation, address, None, error)),
                Err(_elapsed) => Err(kept::timed_out(operation, address)),
            }
        })
    }
}
