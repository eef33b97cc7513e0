//! A store for what is asked beside heartbeats (grants, joins, releases), of which a process may want thousands at once.
//!
//! A server that is sent more than it answers in time works for people who no longer wait, and heartbeats come after them.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::{
    BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription,
};

/// Lets only so many requests be under way at a time; heartbeats go past it.
pub(super) struct Turns {
    store: Arc<dyn Store>,
    requests: Semaphore,
    subscriptions: Semaphore,
}

/// Nobody was let through meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("{most} others were under way for {within:?}, so it was not sent; ask for fewer at a time")]
struct Busy {
    most: usize,
    within: Duration,
}

impl Turns {
    const REQUESTS: usize = 64;
    /// Each is a connection that is to be made first.
    const SUBSCRIPTIONS: usize = 16;
    /// How many answers' time a turn is waited for.
    const PATIENCE: u32 = 10;

    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            requests: Semaphore::new(Self::REQUESTS),
            subscriptions: Semaphore::new(Self::SUBSCRIPTIONS),
        }
    }

    /// Waits for a turn, for several times as long as an answer may take; what follows has its own time.
    async fn turn<'a>(
        &self,
        turns: &'a Semaphore,
        most: usize,
        operation: &'static str,
        within: Duration,
    ) -> Result<SemaphorePermit<'a>, StoreError> {
        // Where nobody waits no runtime is needed either.
        if let Ok(turn) = turns.try_acquire() {
            return Ok(turn);
        }
        let within = within * Self::PATIENCE;
        match tokio::time::timeout(within, turns.acquire()).await {
            Ok(Ok(turn)) => Ok(turn),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(StoreError::Connect {
                operation,
                address: format!("{:?}", self.store),
                source: Arc::new(Busy { most, within }),
            }),
        }
    }

    async fn request(
        &self,
        commands: &[Command],
        within: Duration,
    ) -> Result<SemaphorePermit<'_>, StoreError> {
        let operation = commands.first().map_or("pipeline", Command::name);
        self.turn(&self.requests, Self::REQUESTS, operation, within)
            .await
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Store for Turns {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            match self.request(commands, within).await {
                Ok(_turn) => self.store.pipeline(commands, within).await,
                Err(error) => vec![Err(error); commands.len()],
            }
        })
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        Box::pin(async move {
            let _turn = self.request(writes, within).await?;
            self.store.confirm(writes, replicas, within).await
        })
    }

    fn can_confirm(&self) -> bool {
        self.store.can_confirm()
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move {
            let most = Self::SUBSCRIPTIONS;
            let _turn = self
                .turn(&self.subscriptions, most, "subscribe", within)
                .await?;
            self.store.subscribe(channel, within).await
        })
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        self.store.describe(key, within)
    }

    fn route(&self, key: &str) -> Option<String> {
        self.store.route(key)
    }
}
