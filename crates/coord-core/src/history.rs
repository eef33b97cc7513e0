//! Whether a store can vouch for its own past.
//!
//! A Redis that restarted empty, failed over or was flushed has forgotten who holds what, and would grant it again.
//! The scripts therefore compare the server's identity with the one that wrote last ([`PRELUDE`]), and a client that
//! finds no record at all listens for living holders first ([`listen`]).

use std::time::Duration;

use crate::store::{Store, StoreError};

/// Lua definitions for scripts that grant: `history_admit`, `history_doubt`, `server_now`, `digits`.
///
/// Put it first among a [`Script`](crate::store::Script)'s parts.
pub const PRELUDE: &str = include_str!("history.lua");

/// What a client claims to know about an absent past; the `mode` argument of `history_admit`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Nothing yet.
    Ask,
    /// Nobody was heard: this is the first use.
    First {
        /// What the store answered when it had no record, before the listening began: a claim that comes late, when
        /// the store has forgotten something since, does not bear the store's token any more.
        token: String,
    },
    /// Somebody was heard, or nobody could be listened to: the past was lost.
    Voice,
}

impl Mode {
    /// The script argument.
    #[must_use]
    pub fn as_arg(&self) -> String {
        match self {
            Self::Ask => "ask".to_owned(),
            Self::First { token } => format!("first:{token}"),
            Self::Voice => "voice".to_owned(),
        }
    }
}

/// Which grants take effect only when replicas have acknowledged them.
///
/// A master that fails takes with it what its replicas had not received. A grant that they acknowledged is not among
/// that, so after a failover whatever the survivor shows as free is free, and nobody waits. Waiting happens on a
/// connection of its own and costs two round trips and a replica's answer, once for each machine ID or change of buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Acknowledge {
    /// Every replica that is connected and in step, where there are any. A master that has just lost one of them grants
    /// nothing for one ttl. The default.
    #[default]
    All,
    /// As [`All`](Self::All), and at least so many, always: with fewer nothing is granted. 1 to 100.
    AtLeast(u32),
    /// None: after a failover new grants wait for one ttl.
    Never,
}

impl Acknowledge {
    /// The script argument. A store without a connection to wait on is granted nothing where others wait.
    #[must_use]
    pub fn as_arg(self, can_confirm: bool) -> String {
        match self {
            _ if !can_confirm => "unable".to_owned(),
            Self::All => "all".to_owned(),
            Self::AtLeast(count) => count.to_string(),
            Self::Never => "never".to_owned(),
        }
    }
}

/// What listening found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Heard {
    /// Nothing, for the whole time.
    Silence,
    /// A living holder; the first message.
    Voice(Vec<u8>),
    /// The server does not let us listen; treat it as a voice, because silence was not heard.
    Deaf(StoreError),
    /// The connection cannot listen, so the time has passed instead: whoever lives and keeps a record put it back
    /// meanwhile, and the store will find it.
    Unheard(StoreError),
}

impl Heard {
    /// What to tell the script that answered with `token` before the listening began.
    #[must_use]
    pub fn mode(&self, token: String) -> Mode {
        match self {
            Self::Silence | Self::Unheard(_) => Mode::First { token },
            Self::Voice(_) | Self::Deaf(_) => Mode::Voice,
        }
    }
}

/// Listens on `channel` for `discovery`, ending early at the first message; a zero `discovery` hears silence. On a
/// connection that cannot subscribe it only lets the time pass.
///
/// # Errors
///
/// [`StoreError`] where the subscription failed for a reason that may pass, or broke while listening.
///
/// # Cancel safety
///
/// Safe: nothing is changed anywhere.
pub async fn listen(
    store: &dyn Store,
    channel: &str,
    discovery: Duration,
    within: Duration,
) -> Result<Heard, StoreError> {
    if discovery.is_zero() {
        return Ok(Heard::Silence);
    }
    let mut messages = match store.subscribe(channel, within).await {
        Ok(messages) => messages,
        Err(error) if error.is_transient() => return Err(error),
        Err(error @ StoreError::Unsupported { .. }) => {
            tokio::time::sleep(discovery).await;
            return Ok(Heard::Unheard(error));
        }
        Err(error) => return Ok(Heard::Deaf(error)),
    };
    match tokio::time::timeout(discovery, messages.next()).await {
        Err(_elapsed) => Ok(Heard::Silence),
        Ok(Some(message)) => Ok(Heard::Voice(message)),
        Ok(None) => Err(StoreError::Broken {
            operation: "discovery",
            address: channel.to_owned(),
            source: std::sync::Arc::from(Box::from("the subscription ended while listening")),
        }),
    }
}

#[cfg(test)]
mod tests;
