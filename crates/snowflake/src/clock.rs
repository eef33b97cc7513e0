//! The only place in this crate that reads a clock.

#[cfg(any(test, feature = "tsc"))]
mod comparison;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[cfg(feature = "tsc")]
use self::comparison::Comparison;

/// A clock of your own, for tests and simulations: see [`ClockMode::Custom`].
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall clock, as time since the Unix epoch; zero where the clock is set before 1970. It may step.
    fn wall(&self) -> Duration;

    /// A clock that never steps and, where possible, counts the time that the machine is suspended; its zero may be
    /// anywhere.
    fn boot(&self) -> Duration;

    /// How a future waits for `duration` of this clock, such as by a runtime's own timer. By default (`None`) it
    /// waits in real time and then looks at the clock again.
    fn sleep(&self, duration: Duration) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        let _ = duration;
        None
    }
}

/// Which clock a generator reads for every ID. Whenever an ID would run ahead of it, the exact clock is asked.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ClockMode {
    /// The kernel's coarse clock (`CLOCK_REALTIME_COARSE`), which moves once a kernel tick. A timestamp may lag the
    /// wall clock by that tick, usually 1 to 4 ms, at most 10 ms. As [`ClockMode::Exact`] where there is no such clock.
    /// The default.
    #[default]
    Coarse,
    /// The exact wall clock, at some 20 ns an ID.
    Exact,
    /// The processor's time stamp counter, set by the wall clock every 10 ms: a timestamp may lag a step of the wall
    /// clock by that.
    #[cfg(feature = "tsc")]
    Tsc,
    /// A thread of the process, shared by all generators in this mode, that looks at the wall clock every
    /// millisecond. The fastest; a timestamp may lag by 1 ms and by as long as that thread gets no processor.
    Ticker,
    /// A clock of your own. Such a generator takes no part in the process' guards: see [`crate::Builder`].
    Custom(Arc<dyn Clock>),
}

/// A [`ClockMode`], ready to be read.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Coarse,
    Exact,
    Ticker(&'static AtomicU64),
    #[cfg(feature = "tsc")]
    Tsc(&'static Tsc),
    Custom(Arc<dyn Clock>),
}

impl Source {
    pub(crate) fn new(mode: ClockMode) -> Self {
        match mode {
            ClockMode::Coarse => Self::Coarse,
            ClockMode::Exact => Self::Exact,
            ClockMode::Ticker => Self::Ticker(ticker()),
            #[cfg(feature = "tsc")]
            ClockMode::Tsc => Self::Tsc(Tsc::shared()),
            ClockMode::Custom(clock) => Self::Custom(clock),
        }
    }

    /// The wall clock in nanoseconds since the Unix epoch, perhaps a little late.
    #[inline]
    pub(crate) fn recent_ns(&self) -> u64 {
        match self {
            Self::Coarse => coarse_ns(),
            Self::Ticker(now) => now.load(Ordering::Relaxed),
            Self::Exact => exact_ns(),
            #[cfg(feature = "tsc")]
            Self::Tsc(tsc) => tsc.recent_ns(),
            Self::Custom(clock) => nanos(clock.wall()),
        }
    }

    /// The exact wall clock, as time since the Unix epoch.
    pub(crate) fn wall(&self) -> Duration {
        match self {
            Self::Custom(clock) => clock.wall(),
            _ => system_wall(),
        }
    }

    pub(crate) fn boot(&self) -> Duration {
        match self {
            Self::Custom(clock) => clock.boot(),
            _ => system_boot(),
        }
    }

    pub(crate) const fn custom(&self) -> Option<&Arc<dyn Clock>> {
        match self {
            Self::Custom(clock) => Some(clock),
            _ => None,
        }
    }
}

/// Good until the year 2554.
#[inline]
pub(crate) const fn nanos(time: Duration) -> u64 {
    time.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(time.subsec_nanos() as u64)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// For timers only: what [`std::thread`] and condition variables measure waits by.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock module: every other reading goes through it"
)]
pub(crate) fn timer_now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock module: every other reading goes through it"
)]
fn system_wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Through `rustix` and not `nix`, which copies the reply in a way that stalls the processor for as long as an ID takes.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn coarse_ns() -> u64 {
    read_ns(rustix::time::ClockId::RealtimeCoarse)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
fn coarse_ns() -> u64 {
    exact_ns()
}

#[cfg(unix)]
#[inline]
fn exact_ns() -> u64 {
    read_ns(rustix::time::ClockId::Realtime)
}

#[cfg(not(unix))]
fn exact_ns() -> u64 {
    nanos(system_wall())
}

/// In nanoseconds since the clock's zero; a clock set before 1970 reads as 1970.
#[cfg(unix)]
#[inline]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock module: every other reading goes through it"
)]
fn read_ns(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    let seconds = time.tv_sec.max(0).unsigned_abs();
    seconds * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(unix)]
fn system_boot() -> Duration {
    use rustix::time::ClockId;

    // Miri's machine is never suspended, and has no such clock.
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
    const BOOT: ClockId = ClockId::Boottime;
    #[cfg(not(all(any(target_os = "linux", target_os = "android"), not(miri))))]
    const BOOT: ClockId = ClockId::Monotonic;
    Duration::from_nanos(read_ns(BOOT))
}

#[cfg(not(unix))]
fn system_boot() -> Duration {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    timer_now() - *ZERO.get_or_init(timer_now)
}

/// The time stamp counter, set by the wall clock now and then.
#[cfg(feature = "tsc")]
#[derive(Debug)]
pub(crate) struct Tsc {
    counter: quanta::Clock,
    comparison: Comparison,
}

#[cfg(feature = "tsc")]
impl Tsc {
    fn shared() -> &'static Self {
        static SHARED: std::sync::LazyLock<Tsc> = std::sync::LazyLock::new(|| Tsc {
            counter: quanta::Clock::new(),
            comparison: Comparison::new(),
        });
        &SHARED
    }

    #[inline]
    fn recent_ns(&self) -> u64 {
        let counter_ns = self.counter.delta_as_nanos(0, self.counter.raw());
        match self.comparison.wall_ns(counter_ns) {
            Some(wall_ns) => wall_ns,
            None => self.compare(counter_ns),
        }
    }

    #[cold]
    fn compare(&self, counter_ns: u64) -> u64 {
        let wall_ns = exact_ns();
        self.comparison.set(counter_ns, wall_ns);
        wall_ns
    }
}

/// The shared ticker's variable; starts its thread at the first call.
fn ticker() -> &'static AtomicU64 {
    static NOW_NS: AtomicU64 = AtomicU64::new(0);
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        NOW_NS.store(exact_ns(), Ordering::Relaxed);
        std::thread::Builder::new()
            .name("snowflake-tick".into())
            .spawn(|| {
                loop {
                    let now = system_wall();
                    NOW_NS.store(nanos(now), Ordering::Relaxed);
                    let into_ms = Duration::from_nanos(u64::from(now.subsec_nanos() % 1_000_000));
                    std::thread::sleep(Duration::from_millis(1) - into_ms);
                }
            })
            .expect("a process that runs can start one more thread");
    });
    &NOW_NS
}
