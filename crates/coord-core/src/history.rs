//! Whether a store can vouch for its own past.
//!
//! A Redis that restarted empty, failed over or was flushed has forgotten who holds what, and would grant it again.
//! The scripts therefore compare the server's identity with the one that wrote last ([`PRELUDE`]), and a client that
//! finds no record at all listens for living holders first ([`listen`]).

use std::{fmt, time::Duration};

use crate::{
    heartbeat::Heartbeat,
    store::{Store, StoreError},
};

/// Lua definitions for scripts that grant or renew: `history_admit`, `history_watch`, `history_rewound`, `server_now`.
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

/// How long grants of a namespace may matter: what one client uses, or the longest that any of its clients does.
///
/// Whole milliseconds; scripts pass them as `<ttl> <failover bound> <clock skew>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// The length of a lease.
    pub ttl_ms: u64,
    /// For how long a master that was replaced may go on renewing leases.
    pub failover_bound_ms: u64,
    /// How far a client's wall clock may be from the server's.
    pub max_clock_skew_ms: u64,
}

impl Terms {
    /// The longest of each that is accepted.
    pub const MAX: Duration = Duration::from_secs(3_600);
    /// The failover bound unless a client chooses one.
    pub const FAILOVER_BOUND: Duration = Duration::from_secs(15);

    /// The terms of one client. What exceeds [`Terms::MAX`] counts as that.
    #[must_use]
    pub fn new(ttl: Duration, failover_bound: Duration, max_clock_skew: Duration) -> Self {
        let ms =
            |time: Duration| u64::try_from(time.min(Self::MAX).as_millis()).unwrap_or(u64::MAX);
        Self {
            ttl_ms: ms(ttl),
            failover_bound_ms: ms(failover_bound),
            max_clock_skew_ms: ms(max_clock_skew),
        }
    }

    /// Reads what a script replied; `None` if it is no terms, or longer than [`Terms::MAX`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ').map(|field| {
            let limit = u64::try_from(Self::MAX.as_millis()).ok()?;
            field.parse().ok().filter(|&field: &u64| field <= limit)
        });
        let mut next = || fields.next().flatten();
        let terms = Self {
            ttl_ms: next()?,
            failover_bound_ms: next()?,
            max_clock_skew_ms: next()?,
        };
        fields.next().is_none().then_some(terms)
    }

    /// How long a quarantine lasts where these are the longest terms.
    #[must_use]
    pub const fn quarantine(&self) -> Duration {
        Duration::from_millis(self.ttl_ms.saturating_add(self.failover_bound_ms))
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ttl_ms,
            failover_bound_ms,
            max_clock_skew_ms,
        } = self;
        write!(f, "{ttl_ms} {failover_bound_ms} {max_clock_skew_ms}")
    }
}

/// What a client says about itself to every script that grants or renews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Its own terms.
    pub terms: Terms,
    /// Whether a record that is absent always means that the store has lost it.
    pub expect_history: bool,
    /// Whether a server is used that does not tell its identity (INFO is forbidden).
    pub allow_unverified: bool,
}

impl Policy {
    /// With both options off.
    #[must_use]
    pub const fn new(terms: Terms) -> Self {
        Self {
            terms,
            expect_history: false,
            allow_unverified: false,
        }
    }

    /// The script argument. `known` are the longest terms of the namespace, as a script last told them: a store that has
    /// forgotten them learns them again.
    #[must_use]
    pub fn as_arg(&self, known: Terms) -> String {
        let flags = match (self.expect_history, self.allow_unverified) {
            (true, true) => "eu",
            (true, false) => "e",
            (false, true) => "u",
            (false, false) => "-",
        };
        format!("{} {known} {flags}", self.terms)
    }
}

/// The shortest time for which a namespace without a record can be listened to by a client that renews every
/// `heartbeat`: two heartbeats and the time for an answer, in which a living holder is heard at least once.
#[must_use]
pub fn shortest_discovery(heartbeat: Duration) -> Duration {
    heartbeat
        .saturating_mul(2)
        .saturating_add(Heartbeat::RESPONSE_TIMEOUT)
}

/// The time for which it is listened to unless the client chooses one: 3 s, or longer if the heartbeat asks for it.
#[must_use]
pub fn default_discovery(heartbeat: Duration) -> Duration {
    shortest_discovery(heartbeat).max(Duration::from_secs(3))
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
