//! What coordination needs from a server: run scripts, publish hints, subscribe to them.
//!
//! [`Store`] is object-safe and small on purpose. Everything that changes state is a [`Script`]; a publish or a
//! subscription is a wake-up hint whose loss costs latency and nothing else.

#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
pub mod redis;
mod script;
mod server_info;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use tokio::sync::mpsc;

pub use self::{
    error::StoreError,
    script::Script,
    server_info::{Failover, ServerInfo, Unchecked},
};

/// A boxed future, as object-safe async methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What [`Store::confirm`] returns: a reply for each write, and how many replicas have acknowledged them all.
pub type Confirmed = (Vec<Result<Reply, StoreError>>, u32);

/// A place where scripts run: a Redis deployment, or the embedded engine.
///
/// Implementations bound every operation: waiting for an answer by the `within` they are given, getting a connection
/// first by a connect timeout of their own (2 s for Redis).
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Sends all of `commands` in one write and returns their replies in order, one for each command.
    ///
    /// A command may fail alone (the server refused it) or with all the others (the connection broke, the time was
    /// over).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not undo anything: some, all or none of the commands may have been executed.
    fn pipeline<'a>(
        &'a self,
        commands: &'a [Command],
        within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>>;

    /// Sends all of `writes` in one write, on a connection that nothing else uses, and waits there until `replicas`
    /// replicas have acknowledged all of them. Returns one reply for each write, in order, and how many replicas
    /// have everything that was executed: fewer than `replicas` if the time ran out, 0 if every write failed.
    ///
    /// If the writes go to several servers, the number is the smallest of theirs.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the writes are not answered `within` the time, or the server does not let its clients wait for
    /// replicas. A write that fails alone has its error among the replies.
    ///
    /// # Cancel safety
    ///
    /// As for [`pipeline`](Self::pipeline).
    fn confirm<'a>(
        &'a self,
        writes: &'a [Command],
        replicas: u32,
        within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>>;

    /// Whether [`confirm`](Self::confirm) has a connection of its own to wait on. Without one nothing is confirmed.
    fn can_confirm(&self) -> bool {
        true
    }

    /// Subscribes to `channel`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the subscription was not confirmed `within` the given time.
    fn subscribe<'a>(
        &'a self,
        channel: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>>;

    /// What the server that serves `key` says of itself.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it did not answer; what it refuses to tell is listed in
    /// [`ServerInfo::unchecked`] instead.
    fn describe<'a>(
        &'a self,
        key: &'a str,
        within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>>;

    /// What leads to the server that serves `key`, without asking anybody: another text where that may have become
    /// another server since, an empty one where it is not known yet.
    ///
    /// Defaults to `None`: a store without a server that could be set up badly, of which nothing is checked.
    fn route(&self, key: &str) -> Option<String> {
        let _ = key;
        None
    }
}

/// One command of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Run a script.
    Eval {
        /// The script.
        script: &'static Script,
        /// Its `KEYS`; all of one cluster slot.
        keys: Vec<String>,
        /// Its `ARGV`.
        args: Vec<String>,
    },
    /// Publish a hint.
    Publish {
        /// The channel.
        channel: String,
        /// The message.
        payload: String,
    },
}

impl Command {
    /// The script's name, or `publish`: what an error calls this command.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Eval { script, .. } => script.name(),
            Self::Publish { .. } => "publish",
        }
    }
}

/// A server's answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// No value.
    Nil,
    /// An integer.
    Int(i64),
    /// A string of bytes; status replies come as their text.
    Bytes(Vec<u8>),
    /// A list.
    Array(Vec<Self>),
}

impl Reply {
    /// The text of a string reply; `None` for other kinds and for bytes that are not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number in an integer reply or in a string of decimal digits: u64 values travel as strings, because a
    /// Lua number holds 53 bits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::Bytes(_) => self.as_str()?.parse().ok(),
            _ => None,
        }
    }

    /// The elements of a list reply.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }
}

/// The messages of one channel, from [`Store::subscribe`].
#[derive(Debug)]
pub struct Subscription {
    messages: mpsc::Receiver<Vec<u8>>,
}

impl Subscription {
    /// How many messages are kept for a slow reader; more are dropped, as a hint may be.
    pub const CAPACITY: usize = 4_096;
    /// How much of a message is kept, in bytes; a server's store cuts off the rest.
    pub const MAX_MESSAGE: usize = 1_024;

    /// Wraps the receiving end of a store's channel.
    #[must_use]
    pub const fn new(messages: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { messages }
    }

    /// The next message, or `None` when the subscription has ended and must be made anew.
    ///
    /// # Cancel safety
    ///
    /// Safe: a message is either returned or kept.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.messages.recv().await
    }
}
