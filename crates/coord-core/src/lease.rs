//! The life of one lease, as a pure state machine: it is told what happened and when, and says what follows.

use std::time::Duration;

use crate::clock::Instant;

/// How long a lease lasts and how often it is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    ttl: Duration,
    heartbeat: Duration,
}

impl Timing {
    /// The shortest ttl that is accepted.
    pub const MIN_TTL: Duration = Duration::from_millis(30);
    /// The longest ttl that is accepted: a crashed holder blocks its slot for as long.
    pub const MAX_TTL: Duration = Duration::from_secs(3_600);
    /// The shortest time between two renewals that is accepted.
    pub const MIN_HEARTBEAT: Duration = Duration::from_millis(10);
    /// How many heartbeats a ttl must hold: a lease survives two lost ones.
    pub const MIN_HEARTBEATS: u32 = 3;

    /// A lease of `ttl`, renewed every `heartbeat`.
    ///
    /// # Errors
    ///
    /// [`TimingError`] where `ttl` is outside 30 ms..=1 h, `heartbeat` is under 10 ms, or `ttl` is under three
    /// heartbeats.
    pub fn new(ttl: Duration, heartbeat: Duration) -> Result<Self, TimingError> {
        if ttl < Self::MIN_TTL || Self::MAX_TTL < ttl {
            return Err(TimingError::Ttl { ttl });
        }
        if heartbeat < Self::MIN_HEARTBEAT {
            return Err(TimingError::Heartbeat { heartbeat });
        }
        if ttl < heartbeat.saturating_mul(Self::MIN_HEARTBEATS) {
            return Err(TimingError::TooFewHeartbeats { ttl, heartbeat });
        }
        Ok(Self { ttl, heartbeat })
    }

    /// The length of the lease, counted by the server from the moment it executes a renewal.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The time between two renewals.
    #[must_use]
    pub const fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// The ttl in whole milliseconds, as scripts take it.
    #[must_use]
    pub fn ttl_ms(&self) -> u64 {
        u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// A clock that is being corrected runs faster or slower by at most a twelfth: chrony's default `maxslewrate`, and
    /// by far the most of what programs do that slew clocks (ntpd and adjtime: 0.05 %).
    pub const SLEW: u32 = 12;

    /// The instant at which a holder whose last acknowledged request was *sent* at `sent` must stop: 11/13 of the ttl
    /// later, less 2 ms.
    ///
    /// The server cannot have started its ttl before the request was sent, so a deadline counted from there ends
    /// before the server's, however long the answer took, and even if the server's clock is too fast by a twelfth and
    /// the holder's too slow by as much, all the time ([`SLEW`](Self::SLEW)). The 2 ms are the server's rounding.
    #[must_use]
    pub fn deadline(&self, sent: Instant) -> Instant {
        let surely = self.ttl * (Self::SLEW - 1) / (Self::SLEW + 1);
        sent + surely.saturating_sub(Duration::from_millis(2))
    }
}

/// A [`Timing`] that cannot keep a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimingError {
    /// The ttl is out of bounds.
    #[error("ttl of {ttl:?} is out of bounds; choose between 30 ms and 1 h")]
    Ttl {
        /// The rejected ttl.
        ttl: Duration,
    },
    /// The heartbeat is too short.
    #[error("heartbeat of {heartbeat:?} is too short; choose 10 ms or more")]
    Heartbeat {
        /// The rejected heartbeat.
        heartbeat: Duration,
    },
    /// The ttl does not hold three heartbeats.
    #[error(
        "ttl of {ttl:?} is shorter than three heartbeats of {heartbeat:?}; lengthen the ttl or shorten the heartbeat"
    )]
    TooFewHeartbeats {
        /// The rejected ttl.
        ttl: Duration,
        /// The heartbeat it does not fit.
        heartbeat: Duration,
    },
}

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeaseState {
    /// Held, and renewed as planned.
    Held,
    /// Still held, but two thirds of the ttl have passed without an acknowledgement.
    AtRisk,
    /// No longer held. Final.
    Lost,
}

/// What [`Lease::poll`] and the `handle_*` inputs found to have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transition {
    /// The lease went from held to at risk.
    AtRisk,
    /// A renewal was acknowledged while the lease was at risk.
    Recovered,
    /// The deadline passed without an acknowledgement.
    Expired,
}

/// One lease: `Held → AtRisk → Lost`, with its deadline and its next renewal.
#[derive(Debug, Clone)]
pub struct Lease {
    timing: Timing,
    state: LeaseState,
    acknowledged: Instant,
    due: Instant,
    failures: u32,
}

impl Lease {
    /// A lease whose grant was requested at `sent`. `jitter` in 0.0..1.0 spreads the renewals of many processes.
    #[must_use]
    pub fn granted(sent: Instant, timing: Timing, jitter: f64) -> Self {
        Self {
            timing,
            state: LeaseState::Held,
            acknowledged: sent,
            due: sent + jittered(timing.heartbeat, jitter),
            failures: 0,
        }
    }

    /// A renewal sent at `sent` was acknowledged; the answer arrived at `now`.
    ///
    /// Acknowledgements may arrive out of order, so an older one never shortens the lease. One that arrives after
    /// the deadline changes nothing: what was lost stays lost.
    pub fn handle_acknowledged(
        &mut self,
        now: Instant,
        sent: Instant,
        jitter: f64,
    ) -> Option<Transition> {
        if let expired @ Some(Transition::Expired) = self.poll(now) {
            return expired;
        }
        if self.state == LeaseState::Lost {
            return None;
        }
        self.failures = 0;
        self.acknowledged = self.acknowledged.max(sent);
        self.due = self.acknowledged + jittered(self.timing.heartbeat, jitter);
        let recovered = self.state == LeaseState::AtRisk && now < self.risk_at();
        if !recovered {
            return None;
        }
        self.state = LeaseState::Held;
        Some(Transition::Recovered)
    }

    /// A renewal failed, or its answer never came; the next attempt follows after a jittered, growing pause.
    pub fn handle_failed(&mut self, now: Instant, jitter: f64) {
        self.due = now + pause(self.timing.heartbeat, self.failures, jitter);
        self.failures = self.failures.saturating_add(1);
    }

    /// The store answered without prolonging the lease, and waits for more: the next request follows at once.
    pub fn handle_unfinished(&mut self, now: Instant) {
        self.failures = 0;
        self.due = now;
    }

    /// The next renewal is wanted at `due`, unless it is planned for earlier.
    pub fn hasten(&mut self, due: Instant) {
        self.due = self.due.min(due);
    }

    /// Whether the last renewal failed, so that a backoff is under way.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.failures != 0
    }

    /// The store says that the lease is another's, or gone.
    pub fn handle_refused(&mut self) {
        self.state = LeaseState::Lost;
    }

    /// Moves the state to what it is at `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Transition> {
        match self.state {
            LeaseState::Lost => None,
            _ if self.deadline() <= now => {
                self.state = LeaseState::Lost;
                Some(Transition::Expired)
            }
            LeaseState::Held if self.risk_at() <= now => {
                self.state = LeaseState::AtRisk;
                Some(Transition::AtRisk)
            }
            LeaseState::Held | LeaseState::AtRisk => None,
        }
    }

    /// Where the lease stood when it was last polled.
    #[must_use]
    pub const fn state(&self) -> LeaseState {
        self.state
    }

    /// The instant at which the holder must stop unless a renewal is acknowledged before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.timing.deadline(self.acknowledged)
    }

    /// When the next renewal is to be sent.
    #[must_use]
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// The lease's timing.
    #[must_use]
    pub const fn timing(&self) -> Timing {
        self.timing
    }

    /// The send time of the last acknowledged request.
    #[must_use]
    pub const fn acknowledged(&self) -> Instant {
        self.acknowledged
    }

    /// The earliest instant at which [`poll`](Self::poll) has something to say; `None` once lost.
    #[must_use]
    pub fn changes_at(&self) -> Option<Instant> {
        match self.state {
            LeaseState::Held => Some(self.risk_at().min(self.deadline())),
            LeaseState::AtRisk => Some(self.deadline()),
            LeaseState::Lost => None,
        }
    }

    fn risk_at(&self) -> Instant {
        self.acknowledged + self.timing.ttl * 2 / 3
    }
}

/// How long to wait after one more failure than `failures` in a row, where renewals are `heartbeat` apart.
pub(crate) fn pause(heartbeat: Duration, failures: u32, jitter: f64) -> Duration {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_millis(500);
    let pause = heartbeat.min(FIRST).saturating_mul(1 << failures.min(16));
    jittered(pause.min(heartbeat).min(LONGEST), jitter)
}

/// `period` shortened by up to a tenth: renewals spread out, and none ever comes later than the period.
fn jittered(period: Duration, jitter: f64) -> Duration {
    period.mul_f64(0.9 + 0.1 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
