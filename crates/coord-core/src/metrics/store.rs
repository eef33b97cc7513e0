//! A store that measures how long its answers take.

use std::sync::Arc;

#[cfg(feature = "metrics")]
use crate::store::{BoxFuture, Command, Confirmed, Reply, ServerInfo, StoreError, Subscription};
use crate::{clock::Clock, store::Store};

/// `store` with its operations measured by `clock`; `server` names it, without credentials. Just `store` without the feature
/// `metrics`.
pub(crate) fn measured(
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    server: impl FnOnce() -> String,
) -> Arc<dyn Store> {
    #[cfg(feature = "metrics")]
    return Arc::new(Measured {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        server: server(),
    });
    #[cfg(not(feature = "metrics"))]
    {
        let _ = (clock, server);
        Arc::clone(store)
    }
}

#[cfg(feature = "metrics")]
struct Measured {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    server: String,
}

#[cfg(feature = "metrics")]
impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.fmt(f)
    }
}

#[cfg(feature = "metrics")]
impl Measured {
    /// Counts one operation; whether it says that the store does not answer.
    fn judge(operation: &'static str, error: &StoreError) -> bool {
        super::STORE_ERRORS.count(&[("operation", operation), ("kind", kind(error))]);
        error.is_transient() || matches!(error, StoreError::Credentials { .. })
    }

    /// How long a pipeline took, once for each script in it.
    fn record(&self, watch: super::Stopwatch, commands: &[Command]) {
        let mut seen: Vec<&'static str> = Vec::new();
        for command in commands {
            let name = command.name();
            if !seen.contains(&name) {
                seen.push(name);
                watch.record(&*self.clock, &super::SCRIPT_SECONDS, &[("script", name)]);
            }
        }
    }

    fn judge_all(&self, commands: &[Command], replies: &[Result<Reply, StoreError>]) {
        let mut is_up = true;
        for (command, reply) in commands.iter().zip(replies) {
            if let Err(error) = reply {
                is_up &= !Self::judge(command.name(), error);
            }
        }
        self.note(is_up);
    }

    fn note(&self, is_up: bool) {
        super::STORE_UP.set(f64::from(u8::from(is_up)), &[("server", &self.server)]);
    }
}

#[cfg(feature = "metrics")]
impl Store for Measured {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: std::time::Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            let watch = super::Stopwatch::start(&*self.clock);
            let replies = self.store.pipeline(commands, within).await;
            self.record(watch, commands);
            self.judge_all(commands, &replies);
            replies
        })
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: std::time::Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        Box::pin(async move {
            let watch = super::Stopwatch::start(&*self.clock);
            let confirmed = self.store.confirm(writes, replicas, within).await;
            self.record(watch, writes);
            match &confirmed {
                Ok((replies, _)) => self.judge_all(writes, replies),
                Err(error) => {
                    let operation = writes.first().map_or("confirm", Command::name);
                    self.note(!Self::judge(operation, error));
                }
            }
            confirmed
        })
    }

    fn can_confirm(&self) -> bool {
        self.store.can_confirm()
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: std::time::Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move {
            let subscribed = self.store.subscribe(channel, within).await;
            if let Err(error) = &subscribed {
                Self::judge("subscribe", error);
            }
            subscribed
        })
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: std::time::Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        self.store.describe(key, within)
    }

    fn route(&self, key: &str) -> Option<String> {
        self.store.route(key)
    }
}

#[cfg(feature = "metrics")]
const fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Misconfigured { .. } => "misconfigured",
        StoreError::Connect { .. } => "connect",
        StoreError::Credentials { .. } => "credentials",
        StoreError::Timeout { .. } => "timeout",
        StoreError::Broken { .. } => "broken",
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::Refused { .. } => "refused",
        StoreError::Unsupported { .. } => "unsupported",
        StoreError::Unacknowledged { .. } => "unacknowledged",
        StoreError::Unexpected { .. } => "unexpected",
    }
}
