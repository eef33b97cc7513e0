//! The server's replicas: they come, go and fall behind, and one of them takes over at a failover.

use coord_core::{
    clock::Instant,
    store::embedded::{Embedded, Snapshot},
};

/// What can become of the server's data.
#[derive(Debug)]
pub(super) struct Replicas {
    /// How many there are while nothing is wrong. A deployment without any fails over to an older state all the same.
    wanted: u32,
    are_cut: bool,
    /// With when they were taken.
    snapshots: Vec<(Instant, Snapshot)>,
}

impl Replicas {
    pub(super) fn new(wanted: u32, embedded: &Embedded) -> Self {
        embedded.set_replicas(wanted, false);
        Self {
            wanted,
            are_cut: false,
            snapshots: Vec::new(),
        }
    }

    pub(super) const fn are_connected(&self) -> bool {
        !self.are_cut
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

    /// What a failover, or a copy that is put back, may bring up, and of when it is. Those from before an earlier failover
    /// are replicas of replicas, which are far behind.
    pub(super) fn pick(&self, pick: u32) -> Option<&(Instant, Snapshot)> {
        let count = self.snapshots.len();
        (count != 0).then(|| &self.snapshots[pick as usize % count])
    }

    pub(super) fn fall_behind(&mut self, embedded: &Embedded) {
        embedded.set_replicas(self.wanted, true);
    }

    pub(super) fn cut(&mut self, embedded: &Embedded) {
        self.are_cut = true;
        embedded.set_replicas(0, false);
    }

    /// They are back, and in step.
    pub(super) fn mend(&mut self, embedded: &Embedded) {
        self.are_cut = false;
        embedded.set_replicas(self.wanted, false);
    }
}
