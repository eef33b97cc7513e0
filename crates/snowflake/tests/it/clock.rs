//! A clock that tests move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use snowflake::{Clock, ClockMode, Generator};

/// Both clocks in nanoseconds; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ManualClock {
    wall: Arc<AtomicU64>,
    boot: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock whose wall shows `unix_ms`.
    pub(crate) fn at(unix_ms: u64) -> Self {
        let clock = Self::default();
        clock.wall.store(unix_ms * 1_000_000, Ordering::SeqCst);
        clock
    }

    /// What its wall shows, in milliseconds since 1970.
    pub(crate) fn wall_ms(&self) -> u64 {
        self.wall.load(Ordering::SeqCst) / 1_000_000
    }

    /// Lets time pass.
    pub(crate) fn forward(&self, by: Duration) {
        self.wall.fetch_add(nanos(by), Ordering::SeqCst);
        self.boot.fetch_add(nanos(by), Ordering::SeqCst);
    }

    /// Sets the wall clock forwards.
    pub(crate) fn step_forward(&self, by: Duration) {
        self.wall.fetch_add(nanos(by), Ordering::SeqCst);
    }

    /// Sets the wall clock back.
    pub(crate) fn step_back(&self, by: Duration) {
        self.wall.fetch_sub(nanos(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Duration {
        Duration::from_nanos(self.wall.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Duration {
        Duration::from_nanos(self.boot.load(Ordering::SeqCst))
    }
}

/// A generator by `clock`.
pub(crate) fn generator(clock: &ManualClock, machine_id: u32) -> Generator {
    Generator::builder()
        .clock(ClockMode::Custom(Arc::new(clock.clone())))
        .machine_id(machine_id)
        .expect("it fits")
}

/// Milliseconds.
pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("less than 500 years")
}
