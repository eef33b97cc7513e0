//! The server's replicas: they come, go and fall behind, and one of them takes over at a failover.

use coord_core::{
    clock::Instant,
    store::embedded::{Embedded, Snapshot},
};

use super::stage::TTL;

/// What can become of the server's data.
#[derive(Debug)]
pub(super) struct Replicas {
    /// How many there are while nothing is wrong. A deployment without any fails over to an older state all the same.
    wanted: u32,
    /// Since when none is connected. One that comes back takes over everything first.
    alone_since: Option<Instant>,
    /// With when they were taken.
    snapshots: Vec<(Instant, Snapshot)>,
}

impl Replicas {
    pub(super) fn new(wanted: u32, embedded: &Embedded) -> Self {
        embedded.set_replicas(wanted, false);
        Self {
            wanted,
            alone_since: None,
            snapshots: Vec::new(),
        }
    }

    pub(super) const fn are_connected(&self) -> bool {
        self.alone_since.is_none()
    }

    /// A replica has this much from now on.
    pub(super) fn remember(&mut self, now: Instant, embedded: &Embedded) {
        self.snapshots.push((now, embedded.snapshot()));
        let excess = self.snapshots.len().saturating_sub(3);
        self.snapshots.drain(..excess);
    }

    pub(super) fn forget(&mut self) {
        self.snapshots.clear();
    }

    /// What a failover may bring up, and of when it is. A replica that was gone for longer than a ttl is not promoted: a
    /// master that is alone for so long goes on without it, which README and docs say.
    pub(super) fn promotable(&self, now: Instant, pick: u32) -> Option<&(Instant, Snapshot)> {
        let gone_for_good = self
            .alone_since
            .is_some_and(|since| since + TTL <= now + std::time::Duration::from_millis(1));
        if gone_for_good || self.snapshots.is_empty() {
            return None;
        }
        self.snapshots.get(pick as usize % self.snapshots.len())
    }

    pub(super) fn fall_behind(&self, embedded: &Embedded) {
        embedded.set_replicas(self.wanted, true);
    }

    pub(super) fn cut(&mut self, now: Instant, embedded: &Embedded) {
        self.alone_since.get_or_insert(now);
        embedded.set_replicas(0, false);
    }

    /// They are back, and in step.
    pub(super) fn mend(&mut self, embedded: &Embedded) {
        if self.alone_since.take().is_some() {
            self.snapshots.clear();
        }
        embedded.set_replicas(self.wanted, false);
    }
}
