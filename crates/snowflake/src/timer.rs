//! Waking futures at an instant, on any runtime.
//!
//! A runtime's timer counts whole milliseconds, which would cost a saturated generator half its rate: one thread of our own,
//! shared by the process and started when first needed, wakes to some 60 µs.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::{Duration, Instant},
};

use crate::clock::timer_now;

/// A wake-up that was asked for; dropping it cancels it.
#[derive(Debug)]
pub(crate) struct Alarm {
    key: (Instant, u64),
}

impl Alarm {
    /// Wakes `waker` once `after` has passed.
    pub(crate) fn set(after: Duration, waker: Waker) -> Self {
        let due = timer_now() + after.min(MAX_WAIT);
        Self {
            key: TIMER.insert(due, waker),
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        TIMER.lock().alarms.remove(&self.key);
    }
}

static TIMER: LazyLock<&'static Timer> = LazyLock::new(|| {
    let timer: &'static Timer = Box::leak(Box::default());
    std::thread::Builder::new()
        .name("snowflake-wake".into())
        .spawn(|| timer.run())
        .expect("a process that runs can start one more thread");
    timer
});

#[derive(Default)]
struct Timer {
    inner: Mutex<Alarms>,
    changed: Condvar,
}

#[derive(Default)]
struct Alarms {
    alarms: BTreeMap<(Instant, u64), Waker>,
    next_key: u64,
}

impl Timer {
    fn insert(&self, due: Instant, waker: Waker) -> (Instant, u64) {
        let mut inner = self.lock();
        let key = (due, inner.next_key);
        inner.next_key += 1;
        inner.alarms.insert(key, waker);
        let is_first = inner.alarms.first_key_value().map(|(first, _)| *first) == Some(key);
        drop(inner);
        if is_first {
            self.changed.notify_one();
        }
        key
    }

    fn run(&self) {
        let mut inner = self.lock();
        loop {
            let now = timer_now();
            let later = inner.alarms.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut inner.alarms, later);
            if !due.is_empty() {
                drop(inner);
                due.into_values().for_each(Waker::wake);
                inner = self.lock();
                continue;
            }
            let first = inner.alarms.first_key_value().map(|((at, _), _)| *at);
            inner = match first {
                Some(at) => {
                    self.changed
                        .wait_timeout(inner, at - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Alarms> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Futures to wake when a generator's right to mint changes.
#[derive(Default)]
pub(crate) struct Waiters {
    inner: Mutex<Wakers>,
}

#[derive(Default)]
struct Wakers {
    wakers: BTreeMap<u64, Waker>,
    next_key: u64,
}

impl Waiters {
    /// Wakes `waker` at the next change, unless [`Waiters::remove`] is called with the key before.
    pub(crate) fn add(&self, waker: Waker) -> u64 {
        let mut inner = self.lock();
        let key = inner.next_key;
        inner.next_key += 1;
        inner.wakers.insert(key, waker);
        key
    }

    pub(crate) fn remove(&self, key: u64) {
        self.lock().wakers.remove(&key);
    }

    pub(crate) fn wake_all(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Wakers> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

/// Keeps far-off instants representable; a future that wakes too early looks at the clock and waits again.
const MAX_WAIT: Duration = Duration::from_secs(3_600);
