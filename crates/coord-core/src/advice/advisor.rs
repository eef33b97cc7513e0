//! Looks at the server behind a heartbeat: before the first grant, and again when it may have become another one.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{DescribeError, EvictingServer, Report, Terms, advise, events, refuse};
use crate::{
    clock::Clock,
    heartbeat::Heartbeat,
    store::{ServerInfo, Store, StoreError, Unchecked},
};

/// The one of each heartbeat that knows its server.
#[derive(Debug)]
pub(crate) struct Advisor {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    key: String,
    audience: Mutex<Vec<Terms>>,
    /// Held while somebody looks, so that all who come meanwhile share the outcome.
    known: tokio::sync::Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    view: Option<Arc<View>>,
    /// How many looks in a row ended with a broken connection.
    broken: u32,
    /// Whether somebody was admitted to a server that had not answered.
    owed: bool,
}

/// What was seen, and on which route.
#[derive(Debug)]
struct View {
    route: String,
    info: ServerInfo,
    wall: Duration,
}

impl Advisor {
    /// How often it is looked whether the server may be another one; that asks nobody.
    const WATCH_INTERVAL: Duration = Duration::from_secs(2);
    /// How many kinds of leases are told of a new server.
    const AUDIENCE: usize = 64;

    pub(crate) fn new(heartbeat: &Heartbeat, key: String) -> Self {
        Self {
            store: Arc::clone(heartbeat.store()),
            clock: Arc::clone(heartbeat.clock()),
            key,
            audience: Mutex::default(),
            known: tokio::sync::Mutex::default(),
        }
    }

    /// Whether there is a server to look at.
    pub(crate) fn has_server(&self) -> bool {
        self.store.route(&self.key).is_some()
    }

    /// Tells what is to be said of every new server until the heartbeat has ended.
    pub(crate) async fn watch(self: Arc<Self>, ended: impl Future<Output = ()>) {
        tokio::pin!(ended);
        while tokio::time::timeout(Self::WATCH_INTERVAL, &mut ended)
            .await
            .is_err()
        {
            // A server that does not answer is looked at again in the next turn.
            if self.is_due().await
                && let Ok(view) = self.view().await
            {
                let audience = self.audience().clone();
                audience.iter().for_each(|terms| view.tell(terms));
            }
        }
    }

    async fn admit(&self, terms: &Terms) -> Result<(), GateError> {
        if !self.has_server() {
            return Ok(());
        }
        self.enlist(terms);
        let view = match self.view().await {
            Ok(view) => view,
            // Whatever the answer is, it would be accepted.
            Err(error) if terms.allow_eviction => {
                tracing::debug!(%error, "the server could not be asked about itself");
                self.known.lock().await.owed = true;
                return Ok(());
            }
            Err(error) => return Err(GateError::Store(error)),
        };
        view.tell(terms);
        refuse(&view.info, terms).map_err(GateError::Evicting)
    }

    async fn describe(&self, terms: &Terms) -> Result<Report, StoreError> {
        const WITHIN: Duration = Duration::from_secs(2);
        let info = self.store.describe(&self.key, WITHIN).await?;
        Ok(Report::new(info, self.clock.wall(), terms))
    }

    fn enlist(&self, terms: &Terms) {
        let mut audience = self.audience();
        if !audience.contains(terms) && audience.len() < Self::AUDIENCE {
            audience.push(*terms);
        }
    }

    /// Whether the route is another one than when the server was last looked at, or a look is owed.
    async fn is_due(&self) -> bool {
        let known = self.known.lock().await;
        let view = known.view.as_ref();
        known.owed || view.is_some_and(|view| self.route() != view.route)
    }

    /// The server as it was seen on this route, looked at if need be.
    async fn view(&self) -> Result<Arc<View>, StoreError> {
        let mut known = self.known.lock().await;
        let before = self.route();
        if let Some(view) = known.view.as_ref().filter(|view| view.route == before) {
            return Ok(Arc::clone(view));
        }
        let outcome = self
            .store
            .describe(&self.key, Heartbeat::RESPONSE_TIMEOUT)
            .await;
        let wall = self.clock.wall();
        let after = self.route();
        let is_broken = matches!(outcome, Err(StoreError::Broken { .. }));
        known.broken = if is_broken { known.broken + 1 } else { 0 };
        let (route, info) = match outcome {
            // Where the route changed meanwhile, the next one looks again.
            Ok(info) if !before.is_empty() => (before, info),
            Ok(info) => (after, info),
            Err(error) if is_final(&error, known.broken) => (after, self.unknown(&error)),
            Err(error) => return Err(error),
        };
        let view = Arc::new(View { route, info, wall });
        known.view = Some(Arc::clone(&view));
        known.owed = false;
        Ok(view)
    }

    fn unknown(&self, error: &StoreError) -> ServerInfo {
        let unchecked = Unchecked::new("everything about the server", "INFO", error.to_string());
        ServerInfo {
            address: format!("{:?}", self.store),
            unchecked: vec![unchecked],
            ..ServerInfo::default()
        }
    }

    fn route(&self) -> String {
        self.store.route(&self.key).unwrap_or_default()
    }

    /// What is guarded is changed by one push, so a panic elsewhere leaves it valid.
    fn audience(&self) -> MutexGuard<'_, Vec<Terms>> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether asking again would end the same way. Some proxies hang up on commands that they do not know.
const fn is_final(error: &StoreError, broken: u32) -> bool {
    const HANGS_UP: u32 = 2;
    match error {
        StoreError::Refused { .. } | StoreError::Unexpected { .. } => true,
        StoreError::Broken { .. } => HANGS_UP <= broken,
        _ => false,
    }
}

impl View {
    fn tell(&self, terms: &Terms) {
        events::say(&self.info, &advise(&self.info, self.wall, terms));
    }
}

/// What stands before the grants of one kind of leases. From [`Connector::gate`](crate::connect::Connector::gate).
#[derive(Debug, Clone)]
pub struct Gate {
    heartbeat: Heartbeat,
    advisor: Arc<Advisor>,
    terms: Terms,
}

impl Gate {
    pub(crate) const fn new(heartbeat: Heartbeat, advisor: Arc<Advisor>, terms: Terms) -> Self {
        Self {
            heartbeat,
            advisor,
            terms,
        }
    }

    /// Lets a grant through whose server may be used, and says what there is to say of that server. Asks it in one round
    /// trip where that was not done yet on this connection; otherwise nobody.
    ///
    /// # Errors
    ///
    /// [`GateError`]: the server is refused, or could not be asked now.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn pass(&self) -> Result<(), GateError> {
        self.advisor.admit(&self.terms).await
    }

    /// Asks the server about itself, where the heartbeat runs.
    ///
    /// # Errors
    ///
    /// [`DescribeError`]: it did not answer, or the heartbeat's runtime was shut down.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn describe(&self) -> Result<Report, DescribeError> {
        let (sender, outcome) = oneshot::channel();
        let (advisor, terms) = (Arc::clone(&self.advisor), self.terms);
        self.heartbeat.spawn(async move {
            // A caller who went away does not want to know.
            let _ = sender.send(advisor.describe(&terms).await);
        });
        let outcome = outcome.await.map_err(|_| {
            let error = std::io::Error::other("its runtime was shut down");
            DescribeError::Heartbeat(Arc::new(error))
        })?;
        outcome.map_err(DescribeError::Store)
    }
}

/// Nothing is granted now.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever grants something must handle each of them"
)]
pub enum GateError {
    /// The server may evict what is known of leases.
    #[error("{0}")]
    Evicting(EvictingServer),
    /// The server could not be asked.
    #[error("the store failed")]
    Store(#[source] StoreError),
}

#[cfg(test)]
mod tests;
