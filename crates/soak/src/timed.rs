//! A store that notes how long heartbeats take.

use std::{sync::Arc, time::Duration};

use coord_core::{
    clock::{Clock, SystemClock},
    store::{BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription},
};

use crate::log::Log;

/// Another store, with the time from the sending of each heartbeat to its answer in a [`Log`].
#[derive(Debug)]
pub(crate) struct Timed {
    store: Arc<dyn Store>,
    log: Arc<Log>,
}

impl Timed {
    pub(crate) fn new(store: Arc<dyn Store>, log: Arc<Log>) -> Self {
        Self { store, log }
    }
}

impl Store for Timed {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            let sent = SystemClock.now();
            let replies = self.store.pipeline(commands, within).await;
            // What failed is an event of its holder, and took as long as the timeout.
            if let (Some(first), Some(Ok(_))) = (commands.first(), replies.first())
                && HEARTBEATS.contains(&first.name())
            {
                let took = SystemClock.now().saturating_since(sent);
                self.log.took(first.name(), took);
            }
            replies
        })
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        self.store.confirm(writes, replicas, within)
    }

    fn can_confirm(&self) -> bool {
        self.store.can_confirm()
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        self.store.subscribe(channel, within)
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

/// What raus and redbuckets call their heartbeats.
const HEARTBEATS: [&str; 2] = ["renew", "beat"];
