//! What is good and bad about a server: pure decisions.

use std::time::Duration;

use super::Advice;
use crate::{
    lease::Timing,
    store::{Failover, ServerInfo},
};

/// What the leases need that a server is judged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Ttl and heartbeat.
    pub timing: Timing,
    /// How far the local wall clock may be from the server's; `None` where it does not count.
    pub max_clock_skew: Option<Duration>,
    /// Whether leases live under keys with a ttl.
    pub expiring_keys: bool,
    /// Whether a server that may evict everything is used all the same.
    pub allow_eviction: bool,
}

impl Terms {
    /// Leases of this timing under keys without a ttl, whatever the wall clock says, on servers that do not evict.
    #[must_use]
    pub const fn new(timing: Timing) -> Self {
        Self {
            timing,
            max_clock_skew: None,
            expiring_keys: false,
            allow_eviction: false,
        }
    }

    /// From which difference of the wall clocks on there is something to say.
    fn noticeable_skew(&self) -> Duration {
        const NOTICEABLE: Duration = Duration::from_secs(1);
        self.max_clock_skew
            .map_or(NOTICEABLE, |limit| NOTICEABLE.min(limit / 2))
    }
}

/// A server that may evict everything it holds: nothing is granted there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{server} has a memory limit and maxmemory-policy {policy}, which may evict what is known of leases; set noeviction, \
     give leases a server of their own, or accept the danger by the option allow_eviction"
)]
#[non_exhaustive]
pub struct EvictingServer {
    /// The server's address.
    pub server: String,
    /// Its eviction policy.
    pub policy: String,
}

/// Whether nothing may be granted on the server that `info` describes.
///
/// # Errors
///
/// [`EvictingServer`], unless the terms allow one.
pub fn refuse(info: &ServerInfo, terms: &Terms) -> Result<(), EvictingServer> {
    if terms.allow_eviction || !evicts_all(info) {
        return Ok(());
    }
    Err(EvictingServer {
        server: info.address.clone(),
        policy: info.maxmemory_policy.clone(),
    })
}

/// What to change about the server that `info` describes. `wall` is the local wall clock at the moment when the
/// description was complete.
#[must_use]
pub fn advise(info: &ServerInfo, wall: Duration, terms: &Terms) -> Vec<Advice> {
    let found = [
        eviction(info, terms),
        fullness(info),
        replica(info),
        age(info),
        unguarded_replicas(info),
        late_guard(info),
        short_ttl(info, terms),
        few_sentinels(info),
        clock_skew(info, wall, terms),
        (info.persists == Some(false)).then_some(Advice::NoPersistence),
    ];
    let unchecked = info.unchecked.iter().cloned().map(Advice::Unchecked);
    found.into_iter().flatten().chain(unchecked).collect()
}

fn evicts_all(info: &ServerInfo) -> bool {
    info.maxmemory != 0 && info.maxmemory_policy.starts_with("allkeys-")
}

fn eviction(info: &ServerInfo, terms: &Terms) -> Option<Advice> {
    let policy = || info.maxmemory_policy.clone();
    if evicts_all(info) {
        return Some(Advice::EvictsAllKeys { policy: policy() });
    }
    let evicts_expiring = info.maxmemory != 0 && info.maxmemory_policy.starts_with("volatile-");
    (evicts_expiring && terms.expiring_keys)
        .then(|| Advice::EvictsExpiringKeys { policy: policy() })
}

fn fullness(info: &ServerInfo) -> Option<Advice> {
    const NEARLY: f64 = 0.9;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of the memory need not be exact"
    )]
    let is_full = info.maxmemory as f64 * NEARLY < info.used_memory as f64;
    (info.maxmemory != 0 && is_full).then_some(Advice::MemoryNearlyFull {
        used: info.used_memory,
        maxmemory: info.maxmemory,
    })
}

fn replica(info: &ServerInfo) -> Option<Advice> {
    (info.role == "slave").then(|| Advice::Replica {
        master: info.master.clone(),
    })
}

fn age(info: &ServerInfo) -> Option<Advice> {
    const OLDEST: (u32, u32) = (6, 2);
    let mut parts = info.version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        return None;
    };
    (info.product == "redis" && (major, minor) < OLDEST).then(|| Advice::OldVersion {
        version: info.version.clone(),
    })
}

fn unguarded_replicas(info: &ServerInfo) -> Option<Advice> {
    let is_unguarded =
        info.min_replicas_to_write == Some(0) || info.min_replicas_max_lag == Some(Duration::ZERO);
    (0 < info.connected_replicas && is_unguarded).then_some(Advice::UnguardedReplicas {
        replicas: info.connected_replicas,
    })
}

fn late_guard(info: &ServerInfo) -> Option<Advice> {
    let (failover, max_lag) = (info.failover?, info.min_replicas_max_lag?);
    let is_guarded = info.min_replicas_to_write.is_some_and(|wanted| 0 < wanted);
    (is_guarded && failover.begins_after() < max_lag)
        .then_some(Advice::LateGuard { max_lag, failover })
}

/// Without a replica there is nobody to fail over to.
fn short_ttl(info: &ServerInfo, terms: &Terms) -> Option<Advice> {
    let failover = info.failover?;
    let ttl = terms.timing.ttl();
    let needed = failover.ends_after() + terms.timing.heartbeat() * 2;
    (0 < info.connected_replicas && ttl < needed).then_some(Advice::ShortTtl {
        ttl,
        needed,
        failover,
    })
}

fn few_sentinels(info: &ServerInfo) -> Option<Advice> {
    let Some(Failover::Sentinel {
        sentinels, quorum, ..
    }) = info.failover
    else {
        return None;
    };
    (sentinels < 3 || quorum < 2).then_some(Advice::FewSentinels { sentinels, quorum })
}

fn clock_skew(info: &ServerInfo, wall: Duration, terms: &Terms) -> Option<Advice> {
    let server = info.wall?;
    let skew = wall.abs_diff(server);
    (terms.noticeable_skew() < skew).then_some(Advice::ClockSkew {
        skew,
        ahead: server < wall,
    })
}

#[cfg(test)]
mod tests;
