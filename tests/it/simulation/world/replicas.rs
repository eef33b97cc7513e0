//! The server's replicas: they come, go and fall behind, and one of them takes over at a failover.

use std::time::Duration;

use coord_core::{
    clock::Instant,
    store::embedded::{Embedded, Snapshot},
};

use crate::simulation::process::TTL;

/// What can become of the server's data.
#[derive(Debug)]
pub(super) struct Replicas {
    /// Whether this deployment has any at all.
    wanted: bool,
    /// Since when none is connected. One that comes back takes over everything first.
    alone_since: Option<Instant>,
    snapshots: Vec<Snapshot>,
}

impl Replicas {
    pub(super) fn new(wanted: bool, embedded: &Embedded) -> Self {
        if wanted {
            embedded.set_replicas(2, false);
        }
        Self {
            wanted,
            alone_since: None,
            snapshots: Vec::new(),
        }
    }

    pub(super) const fn are_wanted(&self) -> bool {
        self.wanted
    }

    /// A replica has this much from now on.
    pub(super) fn remember(&mut self, embedded: &Embedded) {
        self.snapshots.push(embedded.snapshot());
        let excess = self.snapshots.len().saturating_sub(3);
        self.snapshots.drain(..excess);
    }

    pub(super) fn forget(&mut self) {
        self.snapshots.clear();
    }

    /// What a failover may bring up. A replica that was gone for longer than a ttl is not promoted: a master that is
    /// alone for so long goes on without it, which README and docs say.
    pub(super) fn promotable(&self, now: Instant, rng: &mut fastrand::Rng) -> Option<&Snapshot> {
        let gone_for_good = self
            .alone_since
            .is_some_and(|since| since + TTL - Duration::from_millis(1) < now);
        if gone_for_good {
            return None;
        }
        rng.choice(&self.snapshots)
    }

    /// Something happens to them; what.
    pub(super) fn change(
        &mut self,
        now: Instant,
        embedded: &Embedded,
        rng: &mut fastrand::Rng,
    ) -> &'static str {
        let (count, held_back, what) = match rng.u32(0..6) {
            0 => (0, false, "has no replica any more"),
            1..3 => (2, true, "holds its replicas back"),
            _ => (rng.u32(1..=2), false, "has its replicas in step"),
        };
        if self.alone_since.is_some() && count != 0 {
            self.snapshots.clear();
        }
        self.alone_since = (count == 0).then(|| self.alone_since.unwrap_or(now));
        embedded.set_replicas(count, held_back);
        what
    }
}
