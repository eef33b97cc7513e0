//! Work in a bucket.

use std::{fmt, sync::Arc, time::Duration};

use crate::{membership::Phase, protocol::Grant, shared::Shared};

/// Keeps a bucket from being handed over while work in it goes on. From [`Instance::enter`](crate::Instance::enter).
///
/// A guard delays a handover; it does not prolong the lease. Where the store cannot be reached the bucket is another's
/// soon after the deadline, whatever guards there are: await [`revoked`](Self::revoked), and let what you write to carry
/// the [`epoch`](Self::epoch).
pub struct BucketGuard {
    shared: Arc<Shared>,
    grant: Grant,
}

impl BucketGuard {
    pub(crate) fn enter(shared: &Arc<Shared>, bucket: u32) -> Option<Self> {
        let epoch = shared.enter(bucket)?;
        Some(Self {
            shared: Arc::clone(shared),
            grant: Grant { bucket, epoch },
        })
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
        revoked(&self.shared, self.grant).await;
    }

    pub(crate) fn bucket_handle(&self) -> Bucket {
        Bucket {
            shared: Arc::clone(&self.shared),
            grant: self.grant,
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
        self.shared.exit(self.grant);
    }
}

/// The bucket that a task of [`Instance::run_each`](crate::Instance::run_each) works on.
#[derive(Clone)]
pub struct Bucket {
    shared: Arc<Shared>,
    grant: Grant,
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

    /// Waits until the bucket is to be given away, or is lost. The task is cancelled then, at its next await point.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn revoked(&self) {
        revoked(&self.shared, self.grant).await;
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

async fn revoked(shared: &Shared, grant: Grant) {
    let mut changes = shared.changes();
    while shared.phase(grant) == Some(Phase::Active) {
        // The deadline moves with every heartbeat, each of which is a change; Tokio's clock may differ from the
        // boot-time clock, hence the second look.
        let left = shared.deadline().saturating_since(shared.clock.now());
        let left = left.max(Duration::from_millis(1));
        let _ = tokio::time::timeout(left, changes.changed()).await;
    }
}
