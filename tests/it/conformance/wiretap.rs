//! A store between a client and the deployment that notes what is said, and can lose answers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use coord_core::store::{BoxFuture, Command, Reply, Store, StoreError};
use coord_offline::tap::{Ear, Replies, Tap};

/// The wire, as its middle sees it.
pub(super) type Wiretap = Tap<Notes>;

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Notes {
    heard: Mutex<Vec<Command>>,
    answered: Mutex<Vec<Command>>,
    subscriptions: AtomicU32,
    answers_to_lose: AtomicU32,
}

pub(super) fn wiretap(store: Arc<dyn Store>) -> Arc<Wiretap> {
    let ear = Notes::default();
    Arc::new(Tap { store, ear })
}

/// Executes a request that was heard before once more: a copy that was delayed on its way.
pub(super) async fn replay(wire: &Wiretap, command: Command) -> Reply {
    let commands = [command];
    let mut replies = wire.store.pipeline(&commands, LIMIT).await;
    replies.remove(0).expect("it is executed")
}

impl Notes {
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

    /// How many of these were answered: a busy machine may lose an answer, and then the same is asked once more.
    pub(super) fn answers(&self, name: &str) -> usize {
        let answered = self.answered.lock().expect("not poisoned");
        let of_script = answered.iter().filter(|command| command.name() == name);
        of_script.count()
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
}

impl Ear for Notes {
    fn sending(&self, commands: &[Command]) {
        let mut heard = self.heard.lock().expect("not poisoned");
        heard.extend_from_slice(commands);
    }

    fn answered<'a>(
        &'a self,
        commands: &'a [Command],
        replies: &'a mut Replies,
    ) -> Option<BoxFuture<'a, ()>> {
        let one_less = |left: u32| left.checked_sub(1);
        let lost = self
            .answers_to_lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if lost.is_err() {
            let arrived = commands.iter().zip(&**replies);
            let arrived = arrived.filter(|(_, reply)| reply.is_ok());
            let mut answered = self.answered.lock().expect("not poisoned");
            answered.extend(arrived.map(|(command, _)| command.clone()));
            return None;
        }
        let timeout = |command: &Command| {
            Err(StoreError::Timeout {
                operation: command.name(),
                address: "a wire that loses answers".to_owned(),
                within: LIMIT,
            })
        };
        *replies = commands.iter().map(timeout).collect();
        None
    }

    fn subscribing(&self) {
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
    }
}

const LIMIT: Duration = Duration::from_secs(5);
