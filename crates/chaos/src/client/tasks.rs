//! A worker that leaves its buckets to `run_each`, as programs use it: the future that waits for the tasks is dropped, timed
//! out and aborted, and called again at once; tasks fail, panic, work on without an await, and leave work behind in threads.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::clock::Instant;
use redbuckets::{Bucket, Instance, RunError};
use tokio::time::{self, MissedTickBehavior};

use super::{Member, TICK, worker::DRAIN_US};
use crate::history::{End, Grant, Kind, What, now_us, us};

/// Works for as long as `lasts`, or until the process is to end.
pub(super) async fn work(
    member: &mut Member,
    instance: &Instance,
    lasts: Duration,
    mut rng: fastrand::Rng,
) {
    let board = Arc::new(Board::new(member.clone()));
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let spells = spells(instance.clone(), Arc::clone(&board), rng.fork());
    let end = time::sleep(lasts);
    tokio::pin!(spells, end);
    loop {
        tokio::select! {
            _ = ticks.tick() => board.look(instance),
            () = &mut spells => {}
            () = &mut end => break,
            () = member.is_stopped() => break,
        }
    }
}

/// One `run_each` after the other, each given up in another way.
async fn spells(instance: Instance, board: Arc<Board>, mut rng: fastrand::Rng) {
    loop {
        let spell = Duration::from_millis(rng.u64(500..10_000));
        let (board, seed) = (Arc::clone(&board), rng.u64(..));
        let tasks = instance.clone();
        let run = async move {
            tasks
                .run_each(|bucket| {
                    let rng = fastrand::Rng::with_seed(seed ^ bucket.epoch());
                    task(bucket, Arc::clone(&board), rng)
                })
                .await
        };
        let ended = match rng.u8(..3) {
            0 => time::timeout(spell, run).await.ok(),
            1 => tokio::select! {
                ended = run => Some(ended),
                () = time::sleep(spell) => None,
            },
            _ => {
                let run = tokio::spawn(run);
                time::sleep(spell).await;
                run.abort();
                run.await.ok()
            }
        };
        assert!(
            !matches!(ended, Some(Err(RunError::AlreadyRunning))),
            "the one before has ended"
        );
    }
}

/// Works in a bucket until it is to be given away, and for a while after that.
async fn task(bucket: Bucket, board: Arc<Board>, mut rng: fastrand::Rng) -> Result<(), String> {
    let guard = bucket.guard();
    let Some(working) = Working::begin(bucket, board) else {
        return Ok(());
    };
    let working = Arc::new(working);
    if rng.u8(..4) == 0 {
        // What goes on there has the bucket, too, whatever becomes of the task.
        let (working, lasts) = (Arc::clone(&working), Duration::from_millis(rng.u64(..400)));
        tokio::task::spawn_blocking(move || {
            std::thread::sleep(lasts);
            drop(working);
            drop(guard);
        });
    } else {
        drop(guard);
    }
    let mut until = u64::MAX;
    while now_us() < until {
        tokio::select! {
            () = working.bucket.revoked(), if until == u64::MAX => until = now_us() + rng.u64(..DRAIN_US),
            () = time::sleep(TICK) => {}
        }
        match rng.u32(..20_000) {
            0 => return Err("it failed".to_owned()),
            // A panic is that bucket's failure, which is what is tried.
            1 => panic!("it panicked"),
            2..100 => std::thread::sleep(Duration::from_millis(rng.u64(..30))),
            _ => {}
        }
    }
    Ok(())
}

/// What is worked on. All records of one membership are made under one lock, so that they stand in the order in which they
/// became true.
struct Board {
    member: Member,
    asked: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<Grant, Arc<Bucket>>,
    deadline: Option<Instant>,
}

impl Board {
    fn new(member: Member) -> Self {
        Self {
            member,
            asked: now_us(),
            state: Mutex::default(),
        }
    }

    /// Records what was lost, and how long the rest lasts.
    fn look(&self, instance: &Instance) {
        let mut state = self.state();
        // Read first: a bucket that is valid afterwards was valid then, and this is its deadline.
        let deadline = instance.deadline();
        state.open.retain(|&grant, bucket| {
            let is_valid = bucket.is_valid();
            if !is_valid {
                let how = End::Lost;
                self.member.record(What::Ended { grant, how });
            }
            is_valid
        });
        if state.deadline < Some(deadline) {
            self.member.record(What::Until {
                kind: Kind::Bucket,
                deadline: us(deadline),
            });
        }
        state.deadline = Some(deadline);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody works in a bucket; dropped before the bucket's guard is.
struct Working {
    bucket: Arc<Bucket>,
    grant: Grant,
    board: Arc<Board>,
}

impl Working {
    /// `None` if the bucket is lost already.
    fn begin(bucket: Bucket, board: Arc<Board>) -> Option<Self> {
        let grant = grant(&bucket);
        let bucket = Arc::new(bucket);
        let mut state = board.state();
        if !bucket.is_valid() {
            return None;
        }
        let asked = board.asked;
        board.member.record(What::Granted { grant, asked });
        state.open.insert(grant, Arc::clone(&bucket));
        drop(state);
        Some(Self {
            bucket,
            grant,
            board,
        })
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut state = self.board.state();
        if state.open.remove(&self.grant).is_some() {
            let how = match self.bucket.is_valid() {
                true => End::Released,
                false => End::Lost,
            };
            let grant = self.grant;
            self.board.member.record(What::Ended { grant, how });
        }
    }
}

const fn grant(bucket: &Bucket) -> Grant {
    Grant {
        kind: Kind::Bucket,
        number: bucket.id(),
        fence: bucket.epoch(),
    }
}
