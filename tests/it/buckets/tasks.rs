//! Tasks and guards that outlive whoever waits for them, and how they are told to end.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use redbuckets::{Bucket, Clock, Event, Instance, LeaveError, RunError, SystemClock};
use tokio::sync::Barrier;

use super::{event, instance_of, join, server, until};

/// Counts who is at work where, and can make work go on without an await.
#[derive(Default)]
struct Works {
    at_work: Mutex<BTreeMap<u32, u32>>,
    most: AtomicU32,
    begun: AtomicU32,
    may_end: AtomicBool,
}

impl Works {
    fn begin(&self, bucket: u32) {
        let mut at_work = self.at_work.lock().expect("not poisoned");
        let here = at_work.entry(bucket).or_default();
        *here += 1;
        self.most.fetch_max(*here, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&self, bucket: u32) {
        let mut at_work = self.at_work.lock().expect("not poisoned");
        let here = at_work.get_mut(&bucket).expect("begun");
        *here -= 1;
        if *here == 0 {
            at_work.remove(&bucket);
        }
    }

    fn busy(&self) -> Vec<u32> {
        let at_work = self.at_work.lock().expect("not poisoned");
        at_work.keys().copied().collect()
    }

    fn most_in_one_bucket(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }

    /// Nobody can abort this.
    fn work_without_await(&self, bucket: u32) {
        self.begin(bucket);
        // A test that fails never lets it end, and waits for it.
        for _ in 0..60_000 {
            if self.may_end.load(Ordering::SeqCst) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.end(bucket);
    }
}

/// Begins work without an await in every bucket, and drops the future that waits for it.
async fn begin_and_drop(owner: &Instance, works: &Arc<Works>, buckets: usize) {
    let run = owner.run_each(|bucket: Bucket| {
        let works = Arc::clone(works);
        async move {
            works.work_without_await(bucket.id());
            pending::<()>().await;
        }
    });
    tokio::select! {
        ended = run => panic!("it ends: {ended:?}"),
        () = until("every bucket is worked in", || works.busy().len() == buckets) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn an_instance_leaves_when_the_work_of_a_dropped_run_has_ended() {
    let server = server();
    let owner = join(&server, 2).await;
    let works = Arc::new(Works::default());
    begin_and_drop(&owner, &works, 2).await;
    let newcomer = join(&server, 2).await;
    let left = AtomicBool::new(false);
    let leave = async {
        owner.leave().await.expect("leaves");
        left.store(true, Ordering::SeqCst);
        assert_eq!(works.busy(), [0_u32; 0], "it waits for all work");
    };
    let look = async {
        // Nothing moves however long this is.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!left.load(Ordering::SeqCst), "work goes on");
        assert!(newcomer.owned().is_empty());
        works.may_end.store(true, Ordering::SeqCst);
    };
    tokio::join!(leave, look);
    until("all is handed over", || newcomer.owned().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn whoever_does_not_wait_to_the_end_learns_how_many_are_at_work() {
    let server = server();
    let group = instance_of(&server, 2).leave_timeout(Duration::from_millis(200));
    let owner = group.build().expect("valid").join().await.expect("joins");
    let works = Arc::new(Works::default());
    begin_and_drop(&owner, &works, 2).await;
    let error = owner.leave().await.expect_err("work goes on");
    let LeaveError::Busy { buckets, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(buckets.len(), 2);
    assert!(error.to_string().contains("2 buckets (0-1)"), "{error}");
    works.may_end.store(true, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_bucket_whose_work_goes_on_gets_no_second_task() {
    let server = server();
    let owner = join(&server, 4).await;
    let works = Arc::new(Works::default());
    let first = owner.run_each(|bucket: Bucket| {
        let works = Arc::clone(&works);
        async move {
            if bucket.id() == 2 {
                works.work_without_await(2);
            }
            pending::<()>().await;
        }
    });
    tokio::select! {
        ended = first => panic!("it ends: {ended:?}"),
        () = until("work begins", || works.busy() == [2]) => {}
    }
    let second = owner.run_each(|bucket: Bucket| {
        let works = Arc::clone(&works);
        async move {
            works.begin(bucket.id());
            pending::<()>().await;
        }
    });
    let look = async {
        until("the others have tasks", || works.busy() == [0, 1, 2, 3]).await;
        assert_eq!(works.begun.load(Ordering::SeqCst), 4);
        works.may_end.store(true, Ordering::SeqCst);
        until("it has one as well", || {
            works.begun.load(Ordering::SeqCst) == 5
        })
        .await;
    };
    tokio::select! {
        ended = second => panic!("it ends: {ended:?}"),
        () = look => {}
    }
    assert_eq!(works.most_in_one_bucket(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_task_that_outlives_its_grant_is_joined_by_no_other() {
    let server = server();
    let owner = join(&server, 2).await;
    let works = Arc::new(Works::default());
    let tasks = tokio::spawn({
        let (owner, works) = (owner.clone(), Arc::clone(&works));
        async move {
            let run = owner.run_each(|bucket: Bucket| {
                let works = Arc::clone(&works);
                async move {
                    works.work_without_await(bucket.id());
                    pending::<()>().await;
                }
            });
            run.await
        }
    });
    until("both are worked in", || works.busy() == [0, 1]).await;
    let mut events = owner.events();
    server.stop().expect("stops");
    event(&mut events, |event| matches!(event, Event::Lost { .. })).await;
    server.cont().expect("goes on");
    until("both are owned again", || owner.owned().len() == 2).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        works.begun.load(Ordering::SeqCst),
        2,
        "the old ones are at work"
    );
    works.may_end.store(true, Ordering::SeqCst);
    until("both have new tasks", || {
        works.begun.load(Ordering::SeqCst) == 4
    })
    .await;
    assert_eq!(works.most_in_one_bucket(), 1);
    owner.leave().await.expect("leaves");
    tasks.await.expect("ends").expect("ran alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_beside_the_first_is_refused() {
    let server = server();
    let owner = join(&server, 2).await;
    let first = owner.run_each(|_| pending::<()>());
    let other = owner.clone();
    let look = async {
        let second = other.run_each(|_| pending::<()>());
        assert_eq!(second.await, Err(RunError::AlreadyRunning));
    };
    tokio::select! {
        biased;
        ended = first => panic!("it ends: {ended:?}"),
        () = look => {}
    }
    let begun = AtomicBool::new(false);
    let third = owner.run_each(|_| {
        begun.store(true, Ordering::SeqCst);
        pending::<()>()
    });
    tokio::select! {
        ended = third => panic!("it ends: {ended:?}"),
        () = until("a later one runs", || begun.load(Ordering::SeqCst)) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asks_to_be_told_finishes_before_its_bucket_goes() {
    let server = server();
    let owner = join(&server, 8).await;
    let (begun, committed) = (AtomicU32::new(0), AtomicU32::new(0));
    let counts = Arc::new((begun, committed));
    let tasks = tokio::spawn({
        let (owner, counts) = (owner.clone(), Arc::clone(&counts));
        async move {
            let run = owner.run_each(|bucket: Bucket| {
                let counts = Arc::clone(&counts);
                async move {
                    counts.0.fetch_add(1, Ordering::SeqCst);
                    bucket.revoked().await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    assert!(bucket.is_valid(), "it is ours until this ends");
                    counts.1.fetch_add(1, Ordering::SeqCst);
                }
            });
            run.await
        }
    });
    until("every bucket has a task", || {
        counts.0.load(Ordering::SeqCst) == 8
    })
    .await;
    let newcomer = join(&server, 8).await;
    until("the newcomer has its share", || newcomer.owned().len() == 4).await;
    assert!(4 <= counts.1.load(Ordering::SeqCst));
    owner.leave().await.expect("leaves");
    assert_eq!(counts.1.load(Ordering::SeqCst), 8);
    tasks.await.expect("ends").expect("ran alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asks_and_goes_on_is_aborted_at_drain_timeout_and_one_that_never_asks_at_once()
{
    let server = server();
    for (asks, drain_timeout) in [(true, 300), (false, 3_600_000)] {
        let group = instance_of(&server, 4).drain_timeout(Duration::from_millis(drain_timeout));
        let owner = group.build().expect("valid").join().await.expect("joins");
        let begun = AtomicU32::new(0);
        let run = owner.run_each(|bucket: Bucket| {
            begun.fetch_add(1, Ordering::SeqCst);
            async move {
                if asks {
                    bucket.revoked().await;
                }
                pending::<()>().await;
            }
        });
        let look = async {
            until("every bucket has a task", || {
                begun.load(Ordering::SeqCst) == 4
            })
            .await;
            let newcomer = join(&server, 4).await;
            until("its share comes", || newcomer.owned().len() == 2).await;
            newcomer.leave().await.expect("leaves");
        };
        tokio::select! {
            ended = run => panic!("it ends: {ended:?}"),
            () = look => {}
        }
        owner.leave().await.expect("leaves");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_that_panics_fails_its_own_bucket_and_is_tried_again() {
    let server = server();
    let owner = join(&server, 4).await;
    let (panicked, works) = (AtomicU32::new(0), Arc::new(Works::default()));
    let run = owner.run_each(|bucket: Bucket| {
        let id = bucket.id();
        if id == 1 {
            let times = panicked.fetch_add(1, Ordering::SeqCst);
            assert!(1 < times, "no such configuration");
        }
        let works = Arc::clone(&works);
        // Compiles although it returns nothing at all, ever.
        async move {
            loop {
                works.begin(id);
                pending::<()>().await;
            }
        }
    });
    tokio::select! {
        ended = run => panic!("it ends: {ended:?}"),
        () = until("every bucket has a task", || works.busy() == [0, 1, 2, 3]) => {}
    }
    assert_eq!(panicked.load(Ordering::SeqCst), 3);
    assert_eq!(works.most_in_one_bucket(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_guard_moved_into_blocking_work_keeps_the_bucket_until_that_has_ended() {
    let server = server();
    let owner = join(&server, 1).await;
    let works = Arc::new(Works::default());
    let run = owner.run_each(|bucket: Bucket| {
        let works = Arc::clone(&works);
        async move {
            let guard = bucket.guard().expect("the task is at work");
            let blocking = tokio::task::spawn_blocking(move || {
                works.work_without_await(guard.bucket());
            });
            blocking.await.expect("no panic");
        }
    });
    tokio::select! {
        ended = run => panic!("it ends: {ended:?}"),
        () = until("work begins", || works.busy() == [0]) => {}
    }
    let newcomer = join(&server, 1).await;
    let leave = async {
        owner.leave().await.expect("leaves");
        assert!(works.busy().is_empty());
    };
    let look = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(newcomer.owned().is_empty(), "work goes on");
        works.may_end.store(true, Ordering::SeqCst);
    };
    tokio::join!(leave, look);
    until("it is handed over", || newcomer.owned().len() == 1).await;
}

/// None of them ends before all have been told.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_at_once_that_the_instance_leaves() {
    let server = server();
    let owner = join(&server, 1_024).await;
    until("everything is owned", || owner.owned().len() == 1_024).await;
    let told = Arc::new(Barrier::new(1_024));
    for bucket in 0..1_024 {
        let guard = owner.enter(bucket).expect("owned");
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            guard.revoked().await;
            told.wait().await;
            drop(guard);
        });
    }
    owner.leave().await.expect("leaves");
}

/// A clock that counts how often it is read: whoever looks at a bucket reads it.
#[derive(Debug, Default)]
struct CountingClock(AtomicU64);

impl Clock for CountingClock {
    fn now(&self) -> redbuckets::Instant {
        self.0.fetch_add(1, Ordering::Relaxed);
        SystemClock.now()
    }

    fn wall(&self) -> Duration {
        SystemClock.wall()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tasks_cost_follows_what_changes_and_not_how_many_buckets_there_are() {
    const BUCKETS: u32 = 4_096;
    const RUNS: u32 = 3;
    let server = server();
    let clock = Arc::new(CountingClock::default());
    let counting: Arc<dyn Clock> = Arc::<CountingClock>::clone(&clock);
    let group = instance_of(&server, BUCKETS).chunk(1_024).clock(counting);
    let owner = group.build().expect("valid").join().await.expect("joins");
    until("everything is owned", || {
        owner.owned().len() == BUCKETS as usize
    })
    .await;
    let runs = AtomicU32::new(0);
    let before = clock.0.load(Ordering::Relaxed);
    let run = owner.run_each(|_| {
        runs.fetch_add(1, Ordering::SeqCst);
        async { Err::<(), &str>("it fails at once") }
    });
    tokio::select! {
        ended = run => panic!("it ends: {ended:?}"),
        () = until("all ran so often", || RUNS * BUCKETS <= runs.load(Ordering::SeqCst)) => {}
    }
    let looks = clock.0.load(Ordering::Relaxed) - before;
    let per_run = looks / u64::from(runs.load(Ordering::SeqCst));
    assert!(per_run < 30, "{looks} looks, {per_run} for each run");
}
