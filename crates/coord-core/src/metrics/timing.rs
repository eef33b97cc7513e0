//! How long things take.

use super::{Labels, Metric};
use crate::clock::Clock;
#[cfg(feature = "metrics")]
use crate::clock::Instant;

/// When something began. Empty, and reads no clock, without the feature `metrics`.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    #[cfg(feature = "metrics")]
    since: Instant,
}

impl Stopwatch {
    /// It begins now.
    #[must_use]
    pub fn start(clock: &dyn Clock) -> Self {
        #[cfg(not(feature = "metrics"))]
        let _ = clock;
        Self {
            #[cfg(feature = "metrics")]
            since: clock.now(),
        }
    }

    /// Records how long it has taken.
    pub fn record(self, clock: &dyn Clock, metric: &Metric, labels: Labels<'_>) {
        #[cfg(feature = "metrics")]
        metric.record(clock.now().saturating_since(self.since), labels);
        #[cfg(not(feature = "metrics"))]
        let _ = (clock, metric, labels);
    }
}

/// When each of several things began, by number. Empty without the feature `metrics`.
#[derive(Debug, Default)]
pub struct Timings {
    #[cfg(feature = "metrics")]
    since: std::collections::HashMap<u32, Instant>,
}

impl Timings {
    /// This one begins, unless it had before.
    pub fn begin(&mut self, number: u32, clock: &dyn Clock) {
        #[cfg(feature = "metrics")]
        self.since.entry(number).or_insert_with(|| clock.now());
        #[cfg(not(feature = "metrics"))]
        let _ = (number, clock);
    }

    /// This one comes to nothing.
    pub fn forget(&mut self, number: u32) {
        #[cfg(feature = "metrics")]
        self.since.remove(&number);
        #[cfg(not(feature = "metrics"))]
        let _ = number;
    }

    /// This one is over: records how long it took, where it began.
    pub fn end(&mut self, number: u32, clock: &dyn Clock, metric: &Metric, labels: Labels<'_>) {
        #[cfg(feature = "metrics")]
        if let Some(since) = self.since.remove(&number) {
            metric.record(clock.now().saturating_since(since), labels);
        }
        #[cfg(not(feature = "metrics"))]
        let _ = (number, clock, metric, labels);
    }
}
