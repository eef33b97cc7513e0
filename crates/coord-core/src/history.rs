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

/// What a script said of the store's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// The same server as ever: grant at once.
    Known,
    /// The server's identity changed, or a living holder found itself forgotten: wait before anything is granted.
    Suspect {
        /// How long, at most one ttl (the longest ever granted there).
        wait: Duration,
    },
    /// No record: the first use, or everything was lost.
    Absent,
}

/// What a client claims to know about an absent past; the `mode` argument of `history_admit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Nothing yet.
    Ask,
    /// Nobody was heard: this is the first use.
    First,
    /// Somebody was heard, or nobody could be listened to: the past was lost.
    Voice,
}

impl Mode {
    /// The script argument.
    #[must_use]
    pub const fn as_arg(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::First => "first",
            Self::Voice => "voice",
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
}

impl Heard {
    /// What to tell the script.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Silence => Mode::First,
            Self::Voice(_) | Self::Deaf(_) => Mode::Voice,
        }
    }
}

/// Listens on `channel` for `discovery`, ending early at the first message; a zero `discovery` hears silence.
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
