//! The way from one instance to the server: it may lead to a master that was replaced.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use coord_core::store::{
    BoxFuture, Command, Confirmed, ServerInfo, Store, StoreError, Subscription,
    embedded::{Embedded, EmbeddedStore, Faults},
};

use coord_offline::tap::Replies;

/// One instance's connection; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Route {
    store: Arc<Mutex<EmbeddedStore>>,
    faults: Faults,
}

impl Route {
    pub(super) fn new(embedded: &Embedded) -> Self {
        let store = embedded.client();
        Self {
            faults: store.faults().clone(),
            store: Arc::new(Mutex::new(store)),
        }
    }

    pub(super) const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// From now on requests go there.
    pub(super) fn move_to(&self, embedded: &Embedded) {
        let mut store = self.store.lock().expect("not poisoned");
        *store = store.moved_to(embedded);
    }

    fn store(&self) -> EmbeddedStore {
        self.store.lock().expect("not poisoned").clone()
    }
}

impl Store for Route {
    fn pipeline<'a>(&'a self, commands: &'a [Command], within: Duration) -> BoxFuture<'a, Replies> {
        Box::pin(async move { self.store().pipeline(commands, within).await })
    }

    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        Box::pin(async move { self.store().confirm(writes, replicas, within).await })
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async move { self.store().subscribe(channel, within).await })
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        Box::pin(async move { self.store().describe(key, within).await })
    }
}
