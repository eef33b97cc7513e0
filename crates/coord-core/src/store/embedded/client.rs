//! One client of the engine, with the faults between the two.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{sync::oneshot, time};

use super::{
    super::{BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription},
    Embedded, Shared,
    engine::Engine,
    faults::Faults,
};

/// A client of an [`Embedded`] engine; clones share one [`Faults`].
///
/// While no fault is set and the engine is not paused, every operation is executed at once, when its future is
/// first polled, without any timer. Otherwise it needs a tokio runtime with time enabled.
#[derive(Clone)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    faults: Faults,
}

impl EmbeddedStore {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            faults: Faults::default(),
        }
    }

    /// This client, on another engine: what is set of [`faults`](Self::faults) stays, what is under way arrives at the
    /// former one.
    #[must_use]
    pub fn moved_to(&self, engine: &Embedded) -> Self {
        Self {
            shared: engine.shared.clone(),
            faults: self.faults.clone(),
        }
    }

    /// The faults between this client and the engine.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Runs `job` at once where nothing stands in the way.
    fn direct<T>(&self, job: impl FnOnce(&mut Engine, Duration) -> T) -> Option<T> {
        if self.faults.any() {
            return None;
        }
        let now = self.shared.wall();
        let mut engine = self.shared.engine();
        (!engine.is_paused()).then(|| job(&mut engine, now))
    }

    /// Sends `job` through all that is between client and engine; `None` after `within` without an answer.
    ///
    /// A job that was sent is executed even if this future is dropped.
    async fn detour<T: Send + 'static>(
        &self,
        within: Duration,
        job: impl FnOnce(&mut Engine, Duration) -> T + Send + 'static,
    ) -> Option<T> {
        let deadline = time::Instant::now() + within;
        let (answer, answered) = oneshot::channel();
        if let Some(delay) = self.faults.request() {
            let (shared, faults) = (self.shared.clone(), self.faults.clone());
            let deliver = move || {
                let job = Box::new(move |engine: &mut Engine, now| {
                    let outcome = job(engine, now);
                    if let Some(delay) = faults.reply() {
                        let _ = answer.send((time::Instant::now() + delay, outcome));
                    }
                });
                let now = shared.wall();
                shared.engine().submit(now, job);
            };
            if delay.is_zero() {
                deliver();
            } else {
                tokio::spawn(async move {
                    time::sleep(delay).await;
                    deliver();
                });
            }
        }
        let outcome = time::timeout_at(deadline, answered).await;
        if let Ok(Ok((arrives, outcome))) = outcome
            && arrives <= deadline
        {
            time::sleep_until(arrives).await;
            return Some(outcome);
        }
        time::sleep_until(deadline).await;
        None
    }

    fn timeout(&self, operation: &'static str, within: Duration) -> StoreError {
        StoreError::Timeout {
            operation,
            address: self.shared.address(),
            within,
        }
    }
}

impl Store for EmbeddedStore {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            if let Some(replies) = self.direct(|engine, now| engine.pipeline(now, commands)) {
                return replies;
            }
            let owned = commands.to_vec();
            let replies = self.detour(within, move |engine, now| engine.pipeline(now, &owned));
            replies.await.unwrap_or_else(|| {
                let lost = commands
                    .iter()
                    .map(|command| Err(self.timeout(command.name(), within)));
                lost.collect()
            })
        })
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        _replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        let owned = writes.to_vec();
        let job = move |engine: &mut Engine, now| engine.confirm(now, &owned);
        Box::pin(self.request("confirm", within, job))
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move {
            let (owned, faults) = (channel.to_owned(), self.faults.clone());
            let job = move |engine: &mut Engine, _: Duration| engine.subscribe(&owned, faults);
            self.request("subscribe", within, job).await
        })
    }

    fn describe<'a>(
        &'a self,
        _key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(self.request("describe", within, |engine, _| engine.describe()))
    }
}

impl EmbeddedStore {
    async fn request<T: Send + 'static>(
        &self,
        operation: &'static str,
        within: Duration,
        job: impl FnOnce(&mut Engine, Duration) -> Result<T, StoreError> + Clone + Send + 'static,
    ) -> Result<T, StoreError> {
        if let Some(outcome) = self.direct(job.clone()) {
            return outcome;
        }
        self.detour(within, job)
            .await
            .unwrap_or_else(|| Err(self.timeout(operation, within)))
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("address", &self.shared.address())
            .field("faults", &self.faults)
            .finish()
    }
}
