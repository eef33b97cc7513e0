//! The only place that reads a clock.
//!
//! Two clocks matter to a lease. The *boot-time* clock measures how long a holder may still act: it never steps
//! and, unlike [`std::time::Instant`] on Linux, keeps counting while the machine is suspended. The *wall* clock
//! only labels what is minted; it may step at any moment, so nothing is ever timed by it.

use std::{
    fmt,
    ops::{Add, Sub},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A source of both clocks.
///
/// Implemented by [`SystemClock`] for production and [`TokioClock`] for simulations and paused-time tests.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The boot-time clock: monotonic, counting suspend.
    fn now(&self) -> Instant;

    /// The wall clock, as time since the Unix epoch; zero where the clock is set before 1970.
    fn wall(&self) -> Duration;

    /// The wall clock in whole milliseconds since the Unix epoch.
    fn wall_ms(&self) -> u64 {
        u64::try_from(self.wall().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A reading of a [`Clock`]'s boot-time clock; comparable only with readings of the same clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The instant that lies `since_boot` after the clock's own zero.
    #[must_use]
    pub const fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// The time since the clock's own zero.
    #[must_use]
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this instant; zero where `earlier` is in fact later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}

/// The machine's own clocks: `CLOCK_BOOTTIME` and `CLOCK_REALTIME` on Linux and Android, `CLOCK_MONOTONIC`
/// (which counts suspend there) and `CLOCK_REALTIME` on other Unixes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[cfg(unix)]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock module: every other reading goes through it"
)]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const BOOT: nix::time::ClockId = nix::time::ClockId::CLOCK_BOOTTIME;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const BOOT: nix::time::ClockId = nix::time::ClockId::CLOCK_MONOTONIC;
        let time = nix::time::clock_gettime(BOOT).expect("every supported Unix has this clock");
        Instant(Duration::from(time))
    }

    fn wall(&self) -> Duration {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }
}

#[cfg(not(unix))]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock module: every other reading goes through it"
)]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        static ZERO: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        Instant(ZERO.get_or_init(std::time::Instant::now).elapsed())
    }

    fn wall(&self) -> Duration {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// Tokio's clock, so that a runtime with paused time drives leases too; its wall clock can be stepped.
///
/// Clones share one wall clock. [`TokioClock::sibling`] makes another process's view: the same boot-time clock,
/// a wall clock of its own.
#[derive(Debug, Clone)]
pub struct TokioClock {
    zero: tokio::time::Instant,
    wall_at_zero: Duration,
    wall_offset_us: Arc<AtomicI64>,
}

impl TokioClock {
    /// A clock that starts at zero now, with its wall clock at `wall` since the Unix epoch.
    ///
    /// # Panics
    ///
    /// Never inside a runtime; [`tokio::time::Instant::now`] needs none either while time is not paused.
    #[must_use]
    pub fn new(wall: Duration) -> Self {
        Self {
            zero: tokio::time::Instant::now(),
            wall_at_zero: wall,
            wall_offset_us: Arc::default(),
        }
    }

    /// The same boot-time clock with an independent wall clock, `offset_us` microseconds from the original's
    /// unstepped one.
    #[must_use]
    pub fn sibling(&self, offset_us: i64) -> Self {
        Self {
            wall_offset_us: Arc::new(AtomicI64::new(offset_us)),
            ..self.clone()
        }
    }

    /// Steps the wall clock by `by_us` microseconds, forwards or back.
    pub fn step_wall(&self, by_us: i64) {
        self.wall_offset_us.fetch_add(by_us, Ordering::SeqCst);
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Instant(self.zero.elapsed())
    }

    fn wall(&self) -> Duration {
        let true_wall = self.wall_at_zero + self.zero.elapsed();
        let offset = self.wall_offset_us.load(Ordering::SeqCst);
        let magnitude = Duration::from_micros(offset.unsigned_abs());
        if offset < 0 {
            true_wall.saturating_sub(magnitude)
        } else {
            true_wall + magnitude
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_moves_forward() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(first <= second);
        assert!(SystemClock.wall_ms() > 1_700_000_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stepped_wall_clock_leaves_the_boot_clock_alone() {
        let clock = TokioClock::new(Duration::from_secs(1_000));
        let other = clock.sibling(-5_000_000);
        tokio::time::advance(Duration::from_secs(1)).await;
        clock.step_wall(3_000_000);
        assert_eq!(clock.now(), Instant::from_boot(Duration::from_secs(1)));
        assert_eq!(clock.wall_ms(), 1_004_000);
        assert_eq!(other.wall_ms(), 996_000);
        other.step_wall(-2_000_000_000);
        assert_eq!(other.wall_ms(), 0);
    }
}
