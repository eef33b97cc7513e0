//! A store between a client and its store: for whoever wants to hear what is said, change it, or hold it up.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use coord_core::store::{
    BoxFuture, Command, Confirmed, Reply, ServerInfo, Store, StoreError, Subscription,
};

/// What the store said to each command of a pipeline.
pub type Replies = Vec<Result<Reply, StoreError>>;

/// Who sits on the wire.
pub trait Ear: fmt::Debug + Send + Sync + 'static {
    /// What is sent in place of `command`, where that is something else.
    fn replace(&self, _command: &Command) -> Option<Command> {
        None
    }

    /// This is about to be sent.
    fn sending(&self, _commands: &[Command]) {}

    /// The store has answered, and the client does not know it yet: the answers may be changed, and are held back until
    /// the future is done.
    fn answered<'a>(
        &'a self,
        _commands: &'a [Command],
        _replies: &'a mut Replies,
    ) -> Option<BoxFuture<'a, ()>> {
        None
    }

    /// Commands whose effect replicas are to acknowledge are about to be sent, once the future is done.
    fn confirming(&self) -> Option<BoxFuture<'_, ()>> {
        None
    }

    /// So they were answered.
    fn confirmed(&self, _outcome: &Result<Confirmed, StoreError>) {}

    /// The client wants to listen to a channel.
    fn subscribing(&self) {}
}

/// The wire, with an ear on it.
#[derive(Debug)]
pub struct Tap<E> {
    /// What it ends at.
    pub store: Arc<dyn Store>,
    /// Who listens, and is asked what was heard.
    pub ear: E,
}

impl<E> Deref for Tap<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.ear
    }
}

impl<E: Ear> Tap<E> {
    fn replaced(&self, commands: &[Command]) -> Option<Vec<Command>> {
        let mut replaced: Option<Vec<Command>> = None;
        for (index, command) in commands.iter().enumerate() {
            if let Some(other) = self.ear.replace(command) {
                replaced.get_or_insert_with(|| commands.to_vec())[index] = other;
            }
        }
        replaced
    }
}

impl<E: Ear> Store for Tap<E> {
    fn pipeline<'a>(&'a self, commands: &'a [Command], within: Duration) -> BoxFuture<'a, Replies> {
        Box::pin(async move {
            let replaced = self.replaced(commands);
            self.ear.sending(commands);
            let sent = replaced.as_deref().unwrap_or(commands);
            let mut replies = self.store.pipeline(sent, within).await;
            if let Some(held_back) = self.ear.answered(commands, &mut replies) {
                held_back.await;
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
        Box::pin(async move {
            if let Some(held_back) = self.ear.confirming() {
                held_back.await;
            }
            let replaced = self.replaced(writes);
            let writes = replaced.as_deref().unwrap_or(writes);
            let outcome = self.store.confirm(writes, replicas, within).await;
            self.ear.confirmed(&outcome);
            outcome
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
        self.ear.subscribing();
        self.store.subscribe(channel, within)
    }

    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        self.store.describe(key, within)
    }
}
