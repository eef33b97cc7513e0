//! What all handles of a generator share: the slow path, taken about once per unit of time.

mod file;

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

#[cfg(feature = "metrics")]
use crate::published::Published;
use crate::{
    Id, Metrics, MintError,
    clock::{Source, millis, nanos},
    fork,
    grants::Status,
    horizon_file::HorizonFile,
    registry::Claim,
    roster::Memberships,
    sequence::Starts,
    state::{Authority, Missed, Reserved, State, Ticket},
    timeline::{Reading, Timeline, Verdict},
    timer::Waiters,
};

pub(crate) struct Inner {
    pub(crate) state: State,
    pub(crate) source: Source,
    pub(crate) waiters: Waiters,
    pub(crate) counters: Counters,
    status: Mutex<Status>,
    pub(crate) pools: Memberships,
    timeline: Mutex<Timeline>,
    /// Whether callers were told to wait; then tickets may lag by what a late wake-up costs.
    saturated: AtomicBool,
    start: Starts,
    pub(crate) guards: Guards,
    #[cfg(feature = "metrics")]
    pub(crate) published: Published,
    /// A grant that demands a longer wait is refused; nothing is if it is not set.
    longest_delay: OnceLock<Duration>,
    owner: u32,
    /// How often the process had been forked when the generator was made.
    forks: u32,
}

/// What keeps a generator with a machine ID of one's own from repeating another's IDs.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    pub(crate) claim: Option<Claim>,
    pub(crate) file: Option<HorizonFile>,
}

/// Counted on the slow path only.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Tickets that were passed over because time had left them.
    pub(crate) skipped: AtomicU64,
    /// Tickets that were taken and turned out not to be usable.
    pub(crate) wasted: AtomicU64,
    pub(crate) waited: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) borrowed: AtomicU64,
}

impl Inner {
    pub(crate) fn new(
        state: State,
        source: Source,
        start: Starts,
        borrow: Duration,
        guards: Guards,
    ) -> Self {
        Self {
            state,
            source,
            waiters: Waiters::default(),
            counters: Counters::default(),
            status: Mutex::new(Status::Vacant),
            pools: Memberships::default(),
            timeline: Mutex::new(Timeline::new(borrow)),
            saturated: AtomicBool::new(false),
            start,
            guards,
            #[cfg(feature = "metrics")]
            published: Published::default(),
            longest_delay: OnceLock::new(),
            owner: std::process::id(),
            forks: fork::watch(),
        }
    }

    #[inline]
    pub(crate) fn try_next(&self) -> Result<Id, MintError> {
        if self.is_forked() {
            return self.mint_slowly(Missed::Untaken);
        }
        match self.state.mint(self.source.recent_ns()) {
            Ok(id) => Ok(id),
            Err(missed) => self.mint_slowly(missed),
        }
    }

    /// Whether the process was forked since the generator was made. The slow path then finds out whose it is.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        fork::count() != self.forks
    }

    /// Whether this process is a fork of the one that the generator belongs to.
    pub(crate) fn is_child(&self) -> bool {
        std::process::id() != self.owner
    }

    /// Opens the window of tickets that may be used now, and mints from it.
    #[cold]
    #[inline(never)]
    fn mint_slowly(&self, mut missed: Missed) -> Result<Id, MintError> {
        self.publish_if_due();
        for _ in 0..ATTEMPTS {
            self.note(missed);
            let now_ns = self.open()?;
            match self.state.mint(now_ns) {
                Ok(id) => return Ok(id),
                Err(again) => missed = again,
            }
        }
        self.note(missed);
        // Others took every ticket that this call could have had.
        Err(self.wait(Duration::ZERO, self.source.wall()))
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let counters = &self.counters;
        let unused =
            counters.skipped.load(Ordering::Relaxed) + counters.wasted.load(Ordering::Relaxed);
        Metrics {
            minted: self.state.passed().saturating_sub(unused),
            waited: counters.waited.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            borrowed: counters.borrowed.load(Ordering::Relaxed),
            clock_steps: self.timeline().steps(),
        }
    }

    /// Takes between `least` and `most` tickets in a row: those that are there now.
    // Always: where it is not, a batch costs 0.15 ns an ID more (`cargo xtask bench snowflake`).
    #[inline(always)]
    pub(crate) fn reserve(&self, least: u64, most: u64) -> Result<Reserved, MintError> {
        if self.is_forked() {
            return self.reserve_slowly(least, most);
        }
        match self.state.reserve(self.source.recent_ns(), least, most) {
            Some(reserved) => Ok(reserved),
            None => self.reserve_slowly(least, most),
        }
    }

    #[cold]
    #[inline(never)]
    fn reserve_slowly(&self, least: u64, most: u64) -> Result<Reserved, MintError> {
        self.publish_if_due();
        for _ in 0..ATTEMPTS {
            let now_ns = self.open()?;
            if let Some(reserved) = self.state.reserve(now_ns, least, most) {
                return Ok(reserved);
            }
            if let Some(wait) = self.wait_for_batch(least)? {
                return Err(wait);
            }
        }
        Err(self.wait(Duration::ZERO, self.source.wall()))
    }

    /// How long until `count` tickets in a row may be used, if that is not now.
    fn wait_for_batch(&self, count: u64) -> Result<Option<MintError>, MintError> {
        let fields = self.state.fields();
        let authority = self.authority()?;
        let next = self.state.peek().ok_or(MintError::Closed)?;
        let last = fields.unit(Ticket(next.0 + count - 1));
        let clocks = self.read_clocks();
        if fields.horizon(authority) <= last {
            return Err(self.horizon_reached(authority, last, clocks.wall));
        }
        let due = self.unit_time(last);
        let wait = self.timeline().wait_for(clocks, due);
        if wait.is_zero() {
            return Ok(None);
        }
        // What is left of this unit is kept for the batch.
        self.saturated.store(true, Ordering::Relaxed);
        Ok(Some(self.wait(wait, due)))
    }

    /// How many tickets the window has that may be used now.
    pub(crate) fn available(&self) -> u64 {
        if self.open().is_err() {
            return 0;
        }
        self.state.left()
    }

    /// Makes the counter and the window fit what the clock shows; returns that.
    pub(crate) fn open(&self) -> Result<u64, MintError> {
        let fields = self.state.fields();
        self.keep_file()?;
        let authority = self.authority()?;
        // Within the lock, or a grant's floor could come between the counter and the bound it is held against; before the
        // clock, or the counter could have been moved on by someone who read the clock later.
        let mut timeline = self.timeline();
        let next = self.state.peek().ok_or(MintError::Closed)?;
        let clocks = self.read_clocks();
        let now = fields.layout.timestamp_at_ms(millis(clocks.wall));
        let unit = fields.unit(next);
        if now < fields.unit(self.state.last_used(next)) {
            self.counters.borrowed.fetch_add(1, Ordering::Relaxed);
        }
        if fields.horizon(authority) <= now.max(unit) {
            drop(timeline);
            self.state.shut();
            return Err(self.horizon_reached(authority, now.max(unit), clocks.wall));
        }
        let last = match timeline.look(clocks, self.unit_time(unit)) {
            Verdict::Until(last) => fields.layout.timestamp_at_ms(millis(last)),
            Verdict::After(duration) => {
                drop(timeline);
                self.saturated.store(true, Ordering::Relaxed);
                self.state.shut();
                return Err(self.wait(duration, self.unit_time(unit)));
            }
        };
        if unit + self.slack(now, unit) < now {
            let start = self.start.choose(next.0 & (fields.per_unit() - 1));
            self.skipped(self.state.raise(Ticket(fields.first(now).0 + start)));
        }
        // After the clock was read: a process that makes another file later begins in a later unit.
        if let Err(error) = self.look_at_file() {
            drop(timeline);
            return Err(self.fail_file(error));
        }
        let fresh_until_ms = fields.layout.unit_start_ms(now + 1);
        self.state
            .open_until(last, fresh_until_ms.saturating_mul(1_000_000));
        drop(timeline);
        Ok(nanos(clocks.wall))
    }

    /// The right to mint, or why there is none.
    pub(crate) fn authority(&self) -> Result<Authority, MintError> {
        if self.is_child() {
            self.state.revoke();
            return Err(self.refuse(MintError::Forked {
                owner: self.owner,
                pid: std::process::id(),
            }));
        }
        for _ in 0..ATTEMPTS {
            if let Some(authority) = self.state.authority() {
                return Ok(authority);
            }
            // Or callers that keep asking would run the counter ahead.
            self.state.shut();
            if let Some(refusal) = self.refusal() {
                return Err(self.refuse(refusal));
            }
        }
        Err(self.refuse(MintError::NotGranted))
    }

    /// How many units the counter may lag `now`, being at `unit`.
    fn slack(&self, now: u64, unit: u64) -> u64 {
        if !self.saturated.load(Ordering::Relaxed) {
            return 0;
        }
        let unit_ms = self.state.fields().layout.unit().as_millis();
        let allowed = u64::try_from(LAG.as_millis() / unit_ms).unwrap_or(0);
        if unit + allowed < now {
            self.saturated.store(false, Ordering::Relaxed);
            return 0;
        }
        allowed
    }

    pub(crate) fn note(&self, missed: Missed) {
        if missed == Missed::Wasted {
            self.counters.wasted.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn skipped(&self, tickets: u64) {
        self.counters.skipped.fetch_add(tickets, Ordering::Relaxed);
    }

    fn wait(&self, duration: Duration, until: Duration) -> MintError {
        self.counters.waited.fetch_add(1, Ordering::Relaxed);
        MintError::Wait {
            duration,
            until_ms: millis(until),
        }
    }

    fn refuse(&self, error: MintError) -> MintError {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        error
    }

    pub(crate) fn horizon_reached(
        &self,
        authority: Authority,
        unit: u64,
        wall: Duration,
    ) -> MintError {
        let fields = self.state.fields();
        let horizon = fields.horizon(authority);
        let horizon_ms = fields.layout.unit_start_ms(horizon);
        let now_ms = fields.layout.unit_start_ms(unit).max(millis(wall));
        self.refuse(if horizon == fields.end() {
            MintError::TimestampExhausted {
                bits: fields.layout.timestamp_bits(),
                expired_ms: horizon_ms,
                now_ms,
            }
        } else {
            MintError::HorizonReached { horizon_ms, now_ms }
        })
    }

    pub(crate) fn unit_time(&self, unit: u64) -> Duration {
        Duration::from_millis(self.state.fields().layout.unit_start_ms(unit))
    }

    /// The last millisecond that a ticket before `next` may carry.
    pub(crate) fn last_ms_before(&self, next: Ticket) -> u64 {
        let fields = self.state.fields();
        let unit = fields.unit(Ticket(next.0 + fields.per_unit() - 1));
        fields.layout.unit_start_ms(unit).saturating_sub(1)
    }

    pub(crate) fn read_clocks(&self) -> Reading {
        Reading {
            wall: self.source.wall(),
            boot: self.source.boot(),
        }
    }

    /// Waits that a grant demands are refused beyond this, the lease's ttl.
    #[cfg(feature = "raus")]
    pub(crate) fn set_longest_delay(&self, ttl: Duration) {
        // A generator has one lease.
        let _ = self.longest_delay.set(ttl);
    }

    pub(crate) fn longest_delay(&self) -> Option<Duration> {
        self.longest_delay.get().copied()
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn timeline(&self) -> MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.publish();
        if let Some(claim) = &self.guards.claim {
            claim.release(Ticket(self.state.passed()));
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("layout", &self.state.fields().layout)
            .field("clock", &self.source)
            .field("status", &*self.status())
            .finish_non_exhaustive()
    }
}

/// Each attempt fails only if others used up what it had opened.
const ATTEMPTS: u32 = 64;

/// How far timestamps may lag the clock while the generator is saturated, so that late wake-ups cost no rate.
const LAG: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
