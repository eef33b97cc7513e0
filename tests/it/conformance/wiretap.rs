//! A store between a client and the deployment that notes what is said, and can disturb it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use coord_core::store::{BoxFuture, Command, Reply, ServerInfo, Store, StoreError, Subscription};

/// The wire, as its middle sees it.
#[derive(Debug)]
pub(super) struct Wiretap {
    store: Arc<dyn Store>,
    heard: Mutex<Vec<Command>>,
    subscriptions: AtomicU32,
    answers_to_lose: AtomicU32,
}

impl Wiretap {
    pub(super) fn on(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            heard: Mutex::default(),
            subscriptions: AtomicU32::new(0),
            answers_to_lose: AtomicU32::new(0),
        })
    }

    /// The next `count` requests are executed, and their answers never arrive.
    pub(super) fn lose_answers(&self, count: u32) {
        self.answers_to_lose.store(count, Ordering::SeqCst);
    }

    /// How many requests to run the script called `name` went through.
    pub(super) fn calls(&self, name: &str) -> usize {
        let heard = self.heard.lock().expect("not poisoned");
        heard
            .iter()
            .filter(|command| command.name() == name)
            .count()
    }

    /// The last request to run the script called `name`.
    pub(super) fn last(&self, name: &str) -> Command {
        let heard = self.heard.lock().expect("not poisoned");
        let mut calls = heard.iter().rev();
        let last = calls.find(|command| command.name() == name);
        last.cloned().expect("it was called")
    }

    pub(super) fn subscriptions(&self) -> u32 {
        self.subscriptions.load(Ordering::SeqCst)
    }

    fn hear(&self, commands: &[Command]) {
        let mut heard = self.heard.lock().expect("not poisoned");
        heard.extend_from_slice(commands);
    }

    /// Executes a request that was heard before once more: a copy that was delayed on its way.
    pub(super) async fn replay(&self, command: Command) -> Reply {
        let commands = [command];
        let mut replies = self.store.pipeline(&commands, LIMIT).await;
        replies.remove(0).expect("it is executed")
    }
}

impl Store for Wiretap {
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        Box::pin(async move {
            self.hear(commands);
            let replies = self.store.pipeline(commands, within).await;
            let one_less = |left: u32| left.checked_sub(1);
            let lost =
                self.answers_to_lose
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
            if lost.is_err() {
                return replies;
            }
            let timeout = |command: &Command| {
                Err(StoreError::Timeout {
                    operation: command.name(),
                    address: "a wire that loses answers".to_owned(),
                    within,
                })
            };
            commands.iter().map(timeout).collect()
        })
    }

    fn confirm<'a>(
        &'a self,
        write: &'a Command,
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<(Reply, u32), StoreError>> {
        self.store.confirm(write, replicas, within)
    }

    fn can_confirm(&self) -> bool {
        self.store.can_confirm()
    }

    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
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

const LIMIT: Duration = Duration::from_secs(5);
