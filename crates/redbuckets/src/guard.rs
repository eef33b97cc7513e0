//! Work in a bucket.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    protocol::Grant,
    shared::{Report, Shared, Watched},
};

/// Keeps a bucket from being handed over while work in it goes on. From [`Instance::enter`](crate::Instance::enter).
///
/// A guard delays a handover; it does not prolong the lease. Where the store cannot be reached the bucket is another's
/// soon after the deadline, whatever guards there are: await [`revoked`](Self::revoked), and let what you write to carry
/// the [`epoch`](Self::epoch).
pub struct BucketGuard {
    shared: Arc<Shared>,
    grant: Grant,
    watched: Option<Watched>,
}

impl BucketGuard {
    pub(crate) fn enter(shared: &Arc<Shared>, bucket: u32) -> Option<Self> {
        let epoch = shared.enter(bucket)?;
        Some(Self::of(shared, Grant { bucket, epoch }))
    }

    /// As [`enter`](Self::enter), where no other guard of the bucket lives.
    pub(crate) fn enter_alone(shared: &Arc<Shared>, bucket: u32) -> Option<Self> {
        let epoch = shared.enter_alone(bucket)?;
        Some(Self::of(shared, Grant { bucket, epoch }))
    }

    fn of(shared: &Arc<Shared>, grant: Grant) -> Self {
        Self {
            watched: shared.watch(grant),
            shared: Arc::clone(shared),
            grant,
        }
    }

    /// The bucket.
    #[must_use]
    pub const fn bucket(&self) -> u32 {
        self.grant.bucket
    }

    /// The fencing token: above that of every earlier owner of the bucket, below that of every later one.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.grant.epoch
    }

    /// Whether the bucket is still this instance's, by the local clock.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.shared.phase(self.grant).is_some()
    }

    /// Waits until work has to come to its end: the bucket is to be given away, or it is lost.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn revoked(&self) {
        self.shared.revoked(self.grant).await;
    }

    /// Says that the work gets on, for [`progress_timeout`](crate::Builder::progress_timeout). Costs a look at the clock and an
    /// atomic store; does nothing where that option is not set.
    pub fn report_progress(&self) {
        if let Some(watched) = &self.watched {
            watched.report.make(&*self.shared.clock);
        }
    }

    /// For a task that this guard lives with.
    pub(crate) fn handle(&self) -> Bucket {
        Bucket {
            shared: Arc::clone(&self.shared),
            grant: self.grant,
            listens: Arc::default(),
            report: self.watched.as_ref().map(|watched| watched.report.clone()),
        }
    }
}

impl fmt::Debug for BucketGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketGuard")
            .field("bucket", &self.grant.bucket)
            .field("epoch", &self.grant.epoch)
            .finish_non_exhaustive()
    }
}

impl Drop for BucketGuard {
    fn drop(&mut self) {
        self.shared.exit(self.grant, self.watched.as_ref());
    }
}

/// The bucket that a task of [`Instance::run_each`](crate::Instance::run_each) works on.
#[derive(Clone)]
pub struct Bucket {
    shared: Arc<Shared>,
    grant: Grant,
    listens: Arc<AtomicBool>,
    report: Option<Report>,
}

impl Bucket {
    /// The bucket's number.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.grant.bucket
    }

    /// The fencing token: above that of every earlier owner of the bucket, below that of every later one.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.grant.epoch
    }

    /// Whether the bucket is still this instance's, by the local clock.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.shared.phase(self.grant).is_some()
    }

    /// Waits until the bucket is to be given away, or is lost.
    ///
    /// A task that has waited here, to the end or not, is one that ends by itself: when its bucket is to be given away, it
    /// has [`drain_timeout`](crate::Builder::drain_timeout) to finish, and the bucket goes the moment it does. One that
    /// never has is aborted at once, at its next await point. A bucket that is lost leaves no time to either.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn revoked(&self) {
        self.listens.store(true, Ordering::Relaxed);
        self.shared.revoked(self.grant).await;
    }

    /// Says that the task gets on, for [`progress_timeout`](crate::Builder::progress_timeout). Costs a look at the clock and an
    /// atomic store; does nothing where that option is not set.
    pub fn report_progress(&self) {
        if let Some(report) = &self.report {
            report.make(&*self.shared.clock);
        }
    }

    /// A guard of its own for work that outlives the task, such as what runs in
    /// [`spawn_blocking`](tokio::task::spawn_blocking): the bucket is not handed over, and no other task begun in it, while
    /// it lives. Move it into that work. `None` once the task, and all such guards, have ended.
    #[must_use]
    pub fn guard(&self) -> Option<BucketGuard> {
        let goes_on = self.shared.enter_too(self.grant);
        goes_on.then(|| BucketGuard::of(&self.shared, self.grant))
    }

    /// Whether anybody has waited for the end.
    pub(crate) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("id", &self.grant.bucket)
            .field("epoch", &self.grant.epoch)
            .finish_non_exhaustive()
    }
}
