//! The handle that a process has on its membership.

use std::{fmt, sync::Arc, time::Duration};

use coord_core::clock::Instant;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::{
    bucket_set::BucketSet,
    error::{LeaveError, RunError},
    event::Events,
    guard::{Bucket, BucketGuard},
    membership::{Ending, Phase},
    owned::Owned,
    run_each::{self, Notice, TaskOutcome},
    shared::{Shared, Status},
    spans,
};

/// A member of a group, with the buckets that it owns. From [`Redbuckets::join`](crate::Redbuckets::join).
///
/// It heartbeats on its own until it leaves or its last clone is dropped, and becomes a member again by itself where it
/// lost everything. Clones are handles on the same membership; dropping the last one leaves in the background. Before a
/// process ends, await [`leave`](Self::leave): the background may not get the time.
#[derive(Clone)]
pub struct Instance {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    notice: Notice,
    leave: watch::Sender<Leaving>,
    done: watch::Receiver<Option<Result<(), LeaveError>>>,
}

/// Whether the handles want the instance to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaving {
    No,
    /// For as long as its grace, where it has one.
    AsConfigured,
    ForGood,
}

/// Where a bucket stands, as far as one instance knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BucketState {
    /// It is another's, or nobody's.
    NotOwned,
    /// It is this instance's and may be entered.
    Owned,
    /// It is this instance's still, and to be given away once work in it has ended.
    Revoking,
}

impl Instance {
    pub(crate) fn new(
        shared: Arc<Shared>,
        notice: Notice,
        leave: watch::Sender<Leaving>,
        done: watch::Receiver<Option<Result<(), LeaveError>>>,
    ) -> Self {
        Self {
            handle: Arc::new(Handle {
                shared,
                notice,
                leave,
                done,
            }),
        }
    }

    /// The instance's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared().id
    }

    /// The buckets that may be entered now. Never blocks on the store.
    #[must_use]
    pub fn owned(&self) -> Owned {
        self.shared().owned()
    }

    /// Begins work in a bucket: a guard that delays its handover. `None` where it is not ours, is to be given away, or
    /// the deadline has passed.
    #[must_use]
    pub fn enter(&self, bucket: u32) -> Option<BucketGuard> {
        BucketGuard::enter(self.shared(), bucket)
    }

    /// Where a bucket stands.
    #[must_use]
    pub fn state(&self, bucket: u32) -> BucketState {
        match self.shared().standing(bucket) {
            None => BucketState::NotOwned,
            Some((_, Phase::Active)) => BucketState::Owned,
            Some((_, Phase::Revoking { .. } | Phase::Failed | Phase::Releasing)) => {
                BucketState::Revoking
            }
        }
    }

    /// The instant, in boot time, at which nothing may be entered any more unless a heartbeat is acknowledged before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.shared().deadline()
    }

    /// When the last heartbeat was acknowledged, in boot time; `None` before the first.
    #[must_use]
    pub fn last_registration(&self) -> Option<Instant> {
        self.shared().last_beat()
    }

    /// How long nothing free is granted to anybody, as of the last heartbeat, because the store may have forgotten
    /// owners. Zero in ordinary times.
    #[must_use]
    pub fn doubt(&self) -> Duration {
        self.shared().view().doubt
    }

    /// How many buckets of the group nobody owned at the last heartbeat.
    #[must_use]
    pub fn unowned(&self) -> u32 {
        self.shared().view().free
    }

    /// What happens to the instance from now on; the first reader gets everything since it joined.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.shared().events.subscribe())
    }

    /// Runs one task for every owned bucket, until the instance has left or was fenced. Needs a Tokio runtime with time
    /// enabled: tasks run on the caller's.
    ///
    /// - A task is started when its bucket is granted and nobody works there, and keeps the bucket until it has ended.
    /// - One that awaits [`Bucket::revoked`] is told when its bucket is to be given away, has
    ///   [`drain_timeout`](crate::Builder::drain_timeout) to finish (while the instance leaves, at most three quarters of
    ///   [`leave_timeout`](crate::Builder::leave_timeout)), and is aborted then. One that never does, or whose bucket is lost,
    ///   is aborted at once, at its next await point. The bucket is handed over the moment in which the task has ended.
    /// - One that panics, before or after its first await, or returns an error is started again after a growing pause (100 ms
    ///   to 10 s). One that returns `()` or `Ok` is done for as long as the bucket stays.
    ///
    /// Work that a task hands to others is not aborted with it: a future that it spawned, or what runs in
    /// [`spawn_blocking`](tokio::task::spawn_blocking). Move a [`Bucket::guard`] into it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let instance = redbuckets::Redbuckets::builder("memory://run-each", "orders").buckets(4).build()?.join().await?;
    /// # let next_job = async |_: u32| tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    /// # let shutdown = tokio::time::sleep(std::time::Duration::from_millis(50));
    /// let work = instance.run_each(|bucket| async move {
    ///     loop {
    ///         tokio::select! {
    ///             () = bucket.revoked() => break,
    ///             () = next_job(bucket.id()) => {}
    ///         }
    ///     }
    ///     // Commit, flush, say goodbye: the bucket is still ours.
    /// });
    /// tokio::select! {
    ///     ended = work => ended?,
    ///     () = shutdown => {}
    /// }
    /// instance.leave().await?; // waits until every task has ended
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RunError::AlreadyRunning`], at once, where `run_each` runs on this instance or a clone of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts all tasks, each at its next await point. Until then it keeps its bucket:
    /// [`leave`](Self::leave) waits for it, and a later `run_each` begins there when it has ended.
    pub async fn run_each<F, T>(&self, task: F) -> Result<(), RunError>
    where
        F: Fn(Bucket) -> T + Send,
        T: Future + Send + 'static,
        T::Output: TaskOutcome,
    {
        run_each::run(self.shared(), self.handle.notice, task).await
    }

    /// Gives every bucket to the other members and takes no new ones; the instance stays a member. Waits until all are
    /// gone, at most `leave_timeout`.
    ///
    /// # Errors
    ///
    /// [`LeaveError::Busy`] where work goes on in some buckets. Those that are this instance's are still to be given away.
    ///
    /// # Cancel safety
    ///
    /// Draining goes on.
    pub async fn drain(&self) -> Result<(), LeaveError> {
        let shared = self.shared();
        shared.end(Ending::HandOver);
        let within = self.handle.notice.leave_timeout;
        let span = spans::drain(shared.meter.group(), &shared.id);
        let ended = shared.ended().instrument(span.clone());
        let drained = match tokio::time::timeout(within, ended).await {
            Ok(()) => Ok(()),
            Err(_elapsed) => Err(LeaveError::Busy {
                buckets: BucketSet::new(shared.busy()),
                within,
            }),
        };
        spans::note_end(span, &drained);
        drained
    }

    /// Tells all work to end, waits until it has, gives each bucket to the other members when its work has ended, and leaves.
    /// Work counts as long as its guard lives, in buckets that were lost as well. With `rejoin_grace` the
    /// buckets are kept for the next process with this id instead, unless [`drain`](Self::drain) was called before.
    /// Doing it again returns the first outcome.
    ///
    /// # Errors
    ///
    /// [`LeaveError`] where that did not succeed within `leave_timeout`; the ttl then frees what is left.
    ///
    /// # Cancel safety
    ///
    /// Leaving goes on in the background.
    pub async fn leave(self) -> Result<(), LeaveError> {
        self.leave_as(Leaving::AsConfigured).await
    }

    /// As [`leave`](Self::leave), for an instance whose id does not come back, as when a service is scaled in: its buckets go to
    /// the other members, whatever its `rejoin_grace`.
    ///
    /// # Errors
    ///
    /// As for [`leave`](Self::leave). An instance that is leaving already goes on as it began.
    ///
    /// # Cancel safety
    ///
    /// Leaving goes on in the background.
    pub async fn leave_for_good(self) -> Result<(), LeaveError> {
        self.leave_as(Leaving::ForGood).await
    }

    async fn leave_as(self, leaving: Leaving) -> Result<(), LeaveError> {
        self.handle.wants(leaving);
        let mut done = self.handle.done.clone();
        let outcome = done.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(LeaveError::Abandoned),
        }
    }

    /// Whether the instance is a member: not lost, fenced or gone.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.shared().status() == Status::Member
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("id", &self.id())
            .field("owned", &self.owned())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.wants(Leaving::AsConfigured);
    }
}

impl Handle {
    fn wants(&self, leaving: Leaving) {
        self.leave.send_if_modified(|wanted| {
            let is_first = *wanted == Leaving::No;
            if is_first {
                *wanted = leaving;
            }
            is_first
        });
    }
}
