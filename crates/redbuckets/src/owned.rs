//! What an instance owned at one moment.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use coord_core::{
    clock::{Clock, Instant},
    heartbeat::Validity,
};

use crate::{bucket_set::BucketSet, membership::Membership, protocol::Grant, shed};

/// The buckets that may be entered, as they were at one moment. From [`Instance::owned`](crate::Instance::owned).
///
/// Cheap to clone. To *work* on a bucket, [`enter`](crate::Instance::enter) it: a snapshot keeps nothing from being
/// handed over.
#[derive(Clone)]
pub struct Owned {
    snapshot: Arc<Snapshot>,
    validity: Option<Arc<Validity>>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
pub(crate) struct Snapshot {
    grants: Vec<Grant>,
    quota: u32,
    members: u32,
    version: u64,
}

impl Snapshot {
    pub(crate) fn new(membership: &Membership) -> Self {
        let view = membership.view();
        Self {
            grants: membership
                .held()
                .filter(|(_, active)| *active)
                .map(|(grant, _)| grant)
                .collect(),
            quota: view.quota,
            members: view.members,
            version: view.version,
        }
    }
}

impl Owned {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        validity: Option<Arc<Validity>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            snapshot,
            validity,
            clock,
        }
    }

    /// The buckets, in rising order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.snapshot.grants.iter().map(|grant| grant.bucket)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.snapshot.grants.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot.grants.is_empty()
    }

    /// The buckets as few ranges as can be, for `WHERE bucket BETWEEN a AND b`.
    #[must_use]
    pub fn ranges(&self) -> Vec<RangeInclusive<u32>> {
        shed::runs(self.ids())
    }

    /// Whether `bucket` is among them.
    #[must_use]
    pub fn contains(&self, bucket: u32) -> bool {
        self.epoch(bucket).is_some()
    }

    /// The fencing token of a bucket's grant; `None` where it is not among them.
    #[must_use]
    pub fn epoch(&self, bucket: u32) -> Option<u64> {
        let grants = &self.snapshot.grants;
        let at = grants
            .binary_search_by_key(&bucket, |grant| grant.bucket)
            .ok()?;
        Some(grants[at].epoch)
    }

    /// The part of its share that the instance has: 1.0 is all of it. An instance without a share has all of it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts fit 20 bits")]
    pub fn fulfilment(&self) -> f64 {
        match self.snapshot.quota {
            0 => 1.0,
            quota => self.len() as f64 / f64::from(quota),
        }
    }

    /// The instance's share when it last heard from the store.
    #[must_use]
    pub fn quota(&self) -> u32 {
        self.snapshot.quota
    }

    /// How many members the group had then.
    #[must_use]
    pub fn members(&self) -> u32 {
        self.snapshot.members
    }

    /// The version of the group's membership then; it rises with every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.snapshot.version
    }

    /// The instant, in boot time, at which none of them may be entered any more unless a heartbeat is acknowledged
    /// before; the clock's zero once everything is lost.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.validity
            .as_ref()
            .map_or(Instant::from_boot(std::time::Duration::ZERO), |validity| {
                validity.deadline()
            })
    }

    /// Whether the deadline is still ahead.
    #[must_use]
    pub fn valid(&self) -> bool {
        self.clock.now() < self.deadline()
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owned")
            .field("buckets", &BucketSet::new(self.ids().collect()))
            .field("quota", &self.quota())
            .field("valid", &self.valid())
            .finish_non_exhaustive()
    }
}
