//! One supervised task per owned bucket.
//!
//! What happens costs as much as what has changed: a bucket is looked at when it changes hands, when its task ends and
//! when its time has come.

mod outcome;
mod place;

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use coord_core::clock::Instant;
use tokio::task::{Id, JoinError, JoinSet};

pub use self::outcome::TaskOutcome;
use self::place::{Failed, Next, Place, Running, Stage};
use crate::{
    error::RunError,
    guard::{Bucket, BucketGuard},
    membership::Ending,
    shared::{Feed, Shared, Status},
};

/// For how long a task that wants to end by itself may go on once its bucket is to be given away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice {
    pub(crate) drain_timeout: Duration,
    pub(crate) leave_timeout: Duration,
}

impl Notice {
    /// Whoever leaves waits no longer than `leave_timeout`, and part of that is for the store.
    fn at(&self, is_ending: bool) -> Duration {
        match is_ending {
            true => self.drain_timeout.min(self.leave_timeout * 3 / 4),
            false => self.drain_timeout,
        }
    }
}

/// The work first, then the guard: fields are dropped in this order, so the bucket is kept until nothing of the work is
/// left, whoever drops, aborts or forgets whatever waits for it.
struct Guarded<T> {
    work: Pin<Box<T>>,
    _guard: BucketGuard,
}

impl<T> Future for Guarded<T>
where
    T: Future,
    T::Output: TaskOutcome,
{
    type Output = Option<String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.as_mut().poll(context).map(TaskOutcome::failure)
    }
}

struct Tasks<F> {
    shared: Arc<Shared>,
    task: F,
    notice: Notice,
    set: JoinSet<Option<String>>,
    by_task: HashMap<Id, u32>,
    places: HashMap<u32, Place>,
    /// When a task is to be aborted, or started again.
    timers: BTreeSet<(Instant, u32)>,
    /// Buckets that are to be looked at.
    backlog: BTreeSet<u32>,
    /// Whether the deadline has passed: without a word from a heartbeat that is blocked.
    lapsed: bool,
    ending: bool,
}

pub(crate) async fn run<F, T>(shared: &Arc<Shared>, notice: Notice, task: F) -> Result<(), RunError>
where
    F: Fn(Bucket) -> T + Send,
    T: Future + Send + 'static,
    T::Output: TaskOutcome,
{
    let feed = Feed::open(shared).ok_or(RunError::AlreadyRunning)?;
    let mut tasks = Tasks {
        shared: Arc::clone(shared),
        task,
        notice,
        set: JoinSet::new(),
        by_task: HashMap::new(),
        places: HashMap::new(),
        timers: BTreeSet::new(),
        backlog: BTreeSet::new(),
        lapsed: false,
        ending: false,
    };
    loop {
        tasks.backlog.append(&mut feed.take());
        tasks.follow_membership(&feed);
        tasks.follow_clock();
        tasks.work_off();
        let over = matches!(shared.status(), Status::Fenced | Status::Left);
        if over && tasks.set.is_empty() {
            return Ok(());
        }
        let (wake, has_more) = (tasks.wakes_in(), !tasks.backlog.is_empty());
        tokio::select! {
            () = feed.changed() => {}
            Some(ended) = tasks.set.join_next_with_id() => tasks.handle_ended(ended),
            () = tokio::task::yield_now(), if has_more => {}
            () = tokio::time::sleep(wake) => {}
        }
    }
}

impl<F> Tasks<F> {
    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const MAX_PAUSE: Duration = Duration::from_secs(10);
    /// Tokio's clock may differ from the boot-time clock.
    const LOOK_AGAIN: Duration = Duration::from_secs(1);
    /// How much is done before others on the runtime get their turn.
    const BATCH: usize = 256;

    /// A deadline that passes, or does not after all, and a member that begins to end, concern everything at once.
    fn follow_membership(&mut self, feed: &Feed) {
        let lapsed = self.shared.deadline() <= self.shared.clock.now();
        let ending = self.shared.ending() != Ending::No;
        if lapsed != self.lapsed || ending != self.ending {
            (self.lapsed, self.ending) = (lapsed, ending);
            self.backlog.append(&mut feed.take_all());
            self.backlog.extend(self.places.keys());
        }
    }

    fn follow_clock(&mut self) {
        let now = self.shared.clock.now();
        while let Some(&(at, bucket)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(place) = self.places.get_mut(&bucket) {
                place.timer = None;
                if let Stage::Running(running) = &place.stage {
                    running.abort.abort();
                }
                self.backlog.insert(bucket);
            }
        }
    }

    fn set_timer(&mut self, bucket: u32, at: Option<Instant>) {
        if let Some(place) = self.places.get_mut(&bucket) {
            if let Some(before) = std::mem::replace(&mut place.timer, at) {
                self.timers.remove(&(before, bucket));
            }
            self.timers.extend(at.map(|at| (at, bucket)));
        }
    }

    fn forget(&mut self, bucket: u32) -> Option<Place> {
        self.set_timer(bucket, None);
        self.places.remove(&bucket)
    }

    fn wakes_in(&self) -> Duration {
        let now = self.shared.clock.now();
        let timer = self.timers.first().map(|&(at, _)| at);
        let deadline = Some(self.shared.deadline()).filter(|_| !self.lapsed);
        let next = timer.into_iter().chain(deadline).min();
        next.map_or(Self::LOOK_AGAIN, |next| next.saturating_since(now))
            .clamp(Duration::from_millis(1), Self::LOOK_AGAIN)
    }
}

impl<F, T> Tasks<F>
where
    F: Fn(Bucket) -> T,
    T: Future + Send + 'static,
    T::Output: TaskOutcome,
{
    fn work_off(&mut self) {
        for _ in 0..Self::BATCH {
            if let Some(ended) = self.set.try_join_next_with_id() {
                self.handle_ended(ended);
            }
            if let Some(bucket) = self.backlog.pop_first() {
                self.look_at(bucket);
            }
        }
    }

    fn look_at(&mut self, bucket: u32) {
        let now = self.shared.clock.now();
        let standing = self.shared.standing(bucket);
        let Some(place) = self.places.get_mut(&bucket) else {
            return self.start(bucket, 0);
        };
        let notice = self.notice.at(self.ending);
        match place.next(now, standing, notice) {
            Next::Nothing => {}
            Next::Abort => {
                self.set_timer(bucket, None);
                if let Some(place) = self.places.get(&bucket)
                    && let Stage::Running(running) = &place.stage
                {
                    running.abort.abort();
                }
            }
            Next::AbortAt(at) => self.set_timer(bucket, at),
            Next::StartAgain { failures } => self.start(bucket, failures),
            Next::StartAnew => {
                self.forget(bucket);
                self.start(bucket, 0);
            }
        }
    }

    /// Starts a task, if there may be one and nobody works in the bucket: an earlier task may not have ended yet, although
    /// whoever waited for it has gone.
    fn start(&mut self, bucket: u32, failures: u32) {
        let Some(guard) = BucketGuard::enter_alone(&self.shared, bucket) else {
            return;
        };
        self.forget(bucket);
        let (epoch, handle) = (guard.epoch(), guard.handle());
        let (task, given) = (&self.task, handle.clone());
        let work = match catch_unwind(AssertUnwindSafe(|| Box::pin(task(given)))) {
            Ok(work) => work,
            Err(panic) => {
                drop(guard);
                let failure = outcome::panic_message(&*panic);
                return self.fail(bucket, epoch, failures, &failure);
            }
        };
        let guarded = Guarded {
            work,
            _guard: guard,
        };
        let abort = self.set.spawn(guarded);
        self.by_task.insert(abort.id(), bucket);
        let running = Running {
            abort,
            handle,
            since: self.shared.clock.now(),
            told: false,
            failures,
        };
        self.places
            .insert(bucket, Place::new(epoch, Stage::Running(running)));
    }

    fn handle_ended(&mut self, ended: Result<(Id, Option<String>), JoinError>) {
        let (id, failure, cancelled) = match ended {
            Ok((id, failure)) => (id, failure, false),
            Err(error) if error.is_cancelled() => (error.id(), None, true),
            Err(error) => (error.id(), Some(error.to_string()), false),
        };
        let Some(bucket) = self.by_task.remove(&id) else {
            return;
        };
        let Some(place) = self.forget(bucket) else {
            return;
        };
        let Stage::Running(running) = place.stage else {
            return;
        };
        // Whoever was told to end may do so in any way; the bucket is looked at as if there had been no task.
        if !cancelled && !running.told {
            match failure {
                None => {
                    let done = Place::new(place.epoch, Stage::Done);
                    self.places.insert(bucket, done);
                }
                Some(failure) => {
                    let now = self.shared.clock.now();
                    let was_long = Self::MAX_PAUSE <= now.saturating_since(running.since);
                    let failures = if was_long { 0 } else { running.failures };
                    self.fail(bucket, place.epoch, failures, &failure);
                }
            }
        }
        self.backlog.insert(bucket);
    }

    fn fail(&mut self, bucket: u32, epoch: u64, failures: u32, failure: &str) {
        let pause = Self::FIRST_PAUSE
            .saturating_mul(1 << failures.min(10))
            .min(Self::MAX_PAUSE);
        tracing::warn!(bucket, epoch, %failure, ?pause, "a bucket's task failed and is started again");
        let again_at = self.shared.clock.now() + pause;
        let failed = Failed {
            failures: failures.saturating_add(1),
            again_at,
        };
        self.places
            .insert(bucket, Place::new(epoch, Stage::Failed(failed)));
        self.set_timer(bucket, Some(again_at));
    }
}
