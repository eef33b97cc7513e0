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
    is_behind: bool,
    /// With when they were taken.
    snapshots: Vec<(Instant, Snapshot)>,
    /// What the one has that was replaced, and since when.
    replaced: Option<(Instant, Snapshot)>,
}

impl Replicas {
    pub(super) fn new(wanted: u32, embedded: &Embedded) -> Self {
        embedded.set_replicas(wanted, false);
        Self {
            wanted,
            alone_since: None,
            is_behind: false,
            snapshots: Vec::new(),
            replaced: None,
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
        self.replaced = None;
    }

    /// One of them is replaced by one that has everything; whether there was one.
    pub(super) fn replace(&mut self, now: Instant, pick: u32, embedded: &Embedded) -> bool {
        if self.is_behind {
            return false;
        }
        let Some((taken, snapshot)) = self.promotable(now, pick) else {
            return false;
        };
        let left = (*taken, embedded.replace_replica(snapshot));
        if self.wanted == 1 {
            self.snapshots.clear();
        }
        self.replaced = Some(left);
        true
    }

    /// What the one has that was replaced, with when it was taken. It takes over only once, and only from the server that it
    /// was a replica of.
    pub(super) fn take_replaced(&mut self) -> Option<(Instant, Snapshot)> {
        self.replaced.take()
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

    pub(super) fn fall_behind(&mut self, embedded: &Embedded) {
        self.is_behind = true;
        embedded.set_replicas(self.wanted, true);
    }

    pub(super) fn cut(&mut self, now: Instant, embedded: &Embedded) {
        self.alone_since.get_or_insert(now);
        self.is_behind = false;
        embedded.set_replicas(0, false);
    }

    /// They are back, and in step.
    pub(super) fn mend(&mut self, embedded: &Embedded) {
        if self.alone_since.take().is_some() {
            self.snapshots.clear();
        }
        self.is_behind = false;
        embedded.set_replicas(self.wanted, false);
    }
}
