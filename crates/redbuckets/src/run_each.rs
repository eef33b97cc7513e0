//! One supervised task per owned bucket.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use coord_core::clock::Instant;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::{
    guard::{Bucket, BucketGuard},
    membership::Phase,
    protocol::Grant,
    shared::{Shared, Status},
};

/// What a task of [`Instance::run_each`](crate::Instance::run_each) may return: nothing, or a result whose error says
/// why the task is to be started again.
pub trait TaskOutcome: Send + 'static {
    /// Why the task failed; `None` where it is done.
    fn failure(self) -> Option<String>;
}

impl TaskOutcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: std::fmt::Display + Send + 'static> TaskOutcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// A task and the guard that keeps its bucket until the task has ended.
struct Running {
    abort: AbortHandle,
    guard: BucketGuard,
    since: Instant,
    cancelled: bool,
}

/// A task that failed and is to be started again.
struct Failed {
    grant: Grant,
    failures: u32,
    again_at: Instant,
}

struct Tasks {
    shared: Arc<Shared>,
    set: JoinSet<Option<String>>,
    running: HashMap<u32, Running>,
    by_task: HashMap<Id, u32>,
    failed: HashMap<u32, Failed>,
    done: HashSet<(u32, u64)>,
}

pub(crate) async fn run<F, T>(shared: &Arc<Shared>, task: F)
where
    F: Fn(Bucket) -> T + Send,
    T: Future + Send + 'static,
    T::Output: TaskOutcome,
{
    let mut tasks = Tasks {
        shared: Arc::clone(shared),
        set: JoinSet::new(),
        running: HashMap::new(),
        by_task: HashMap::new(),
        failed: HashMap::new(),
        done: HashSet::new(),
    };
    let mut changes = shared.changes();
    loop {
        changes.mark_unchanged();
        tasks.cancel_revoked();
        tasks.start_granted(&task);
        let over = matches!(shared.status(), Status::Fenced | Status::Left);
        if over && tasks.running.is_empty() {
            return;
        }
        let wake = tasks.wakes_in();
        tokio::select! {
            _ = changes.changed() => {}
            Some(ended) = tasks.set.join_next_with_id() => tasks.handle_ended(ended),
            () = tokio::time::sleep(wake) => {}
        }
    }
}

impl Tasks {
    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const MAX_PAUSE: Duration = Duration::from_secs(10);
    /// A deadline can pass without a word from a heartbeat that is blocked.
    const LOOK_AGAIN: Duration = Duration::from_secs(1);

    fn cancel_revoked(&mut self) {
        for running in self.running.values_mut() {
            let grant = Grant {
                bucket: running.guard.bucket(),
                epoch: running.guard.epoch(),
            };
            if !running.cancelled && self.shared.phase(grant) != Some(Phase::Active) {
                running.cancelled = true;
                running.abort.abort();
            }
        }
    }

    fn start_granted<F, T>(&mut self, task: &F)
    where
        F: Fn(Bucket) -> T,
        T: Future + Send + 'static,
        T::Output: TaskOutcome,
    {
        let now = self.shared.clock.now();
        let active = self.shared.active();
        if !self.done.is_empty() || !self.failed.is_empty() {
            let owned: HashSet<(u32, u64)> = active
                .iter()
                .map(|grant| (grant.bucket, grant.epoch))
                .collect();
            self.done.retain(|grant| owned.contains(grant));
            self.failed
                .retain(|_, failed| owned.contains(&(failed.grant.bucket, failed.grant.epoch)));
        }
        for grant in active {
            let waits = self.running.contains_key(&grant.bucket)
                || self.done.contains(&(grant.bucket, grant.epoch))
                || self
                    .failed
                    .get(&grant.bucket)
                    .is_some_and(|failed| now < failed.again_at);
            if waits {
                continue;
            }
            let Some(guard) = BucketGuard::enter(&self.shared, grant.bucket) else {
                continue;
            };
            let work = task(guard.bucket_handle());
            let abort = self.set.spawn(async move { work.await.failure() });
            self.by_task.insert(abort.id(), grant.bucket);
            self.running.insert(
                grant.bucket,
                Running {
                    abort,
                    guard,
                    since: now,
                    cancelled: false,
                },
            );
        }
    }

    fn handle_ended(&mut self, ended: Result<(Id, Option<String>), JoinError>) {
        let (id, failure) = match ended {
            Ok((id, failure)) => (id, failure),
            Err(error) if error.is_cancelled() => (error.id(), None),
            Err(error) => (error.id(), Some(error.to_string())),
        };
        let Some(bucket) = self.by_task.remove(&id) else {
            return;
        };
        let Some(running) = self.running.remove(&bucket) else {
            return;
        };
        let epoch = running.guard.epoch();
        let Some(failure) = failure else {
            if !running.cancelled {
                self.done.insert((bucket, epoch));
            }
            return;
        };
        let now = self.shared.clock.now();
        let long = Self::MAX_PAUSE <= now.saturating_since(running.since);
        let before = self.failed.get(&bucket).map_or(0, |failed| failed.failures);
        let failures = if long { 0 } else { before };
        let pause = Self::FIRST_PAUSE
            .saturating_mul(1 << failures.min(10))
            .min(Self::MAX_PAUSE);
        tracing::warn!(bucket, epoch, %failure, ?pause, "a bucket's task failed and is started again");
        self.failed.insert(
            bucket,
            Failed {
                grant: Grant { bucket, epoch },
                failures: failures + 1,
                again_at: now + pause,
            },
        );
    }

    fn wakes_in(&self) -> Duration {
        let now = self.shared.clock.now();
        self.failed
            .iter()
            .filter(|(bucket, _)| !self.running.contains_key(bucket))
            .map(|(_, failed)| failed.again_at.saturating_since(now))
            .min()
            .unwrap_or(Self::LOOK_AGAIN)
            .clamp(Duration::from_millis(1), Self::LOOK_AGAIN)
    }
}
