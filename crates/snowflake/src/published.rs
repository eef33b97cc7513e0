//! What generators count, told to the recorder of the `metrics` facade: now and then, never for each ID.

#[cfg(feature = "metrics")]
pub(crate) use facade::Published;
#[cfg(feature = "metrics")]
pub(crate) use facade::layout_ends;
#[cfg(feature = "metrics")]
pub use facade::{GAUGES, METRICS, describe_metrics};

use crate::inner::Inner;

impl Inner {
    /// Tells what was counted since the last time.
    pub(crate) fn publish(&self) {
        // A child's copy of the counts is its parent's to tell.
        #[cfg(feature = "metrics")]
        if !self.is_forked() {
            self.published.advance(self.metrics());
            crate::ending::tell(&self.state.fields().layout);
        }
    }

    /// As [`publish`](Self::publish), at most once a second.
    pub(crate) fn publish_if_due(&self) {
        #[cfg(feature = "metrics")]
        if self.published.is_due(self.source.boot()) {
            self.publish();
        }
    }
}

#[cfg(feature = "metrics")]
mod facade {
    use std::{
        sync::{
            Mutex, PoisonError,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

    use crate::{Layout, Metrics};

    /// Every counter that this crate records, with what it says. They count over all generators of the process.
    pub const METRICS: &[(&str, &str)] = &[
        (MINTED, "IDs handed out, reserved ones included."),
        (
            WAITS,
            "How often a caller was told to wait for the next ID, or waited.",
        ),
        (
            REFUSALS,
            "How often minting was refused: no right to mint, at its horizon, closed.",
        ),
        (
            BORROWED,
            "How often timestamps were found ahead of the wall clock.",
        ),
        (
            CLOCK_STEPS,
            "How often the wall clock was seen to step by more than 20 ms.",
        ),
    ];

    /// Every gauge that this crate records, with what it says. Their label is `layout`, such as
    /// `41/10/12 of 1 ms since 1288834974657`.
    pub const GAUGES: &[(&str, &str)] = &[(
        LAYOUT_ENDS,
        "When the timestamps of a layout in use end, in seconds since 1970.",
    )];

    const LAYOUT_ENDS: &str = "snowflake_layout_ends_seconds";
    const MINTED: &str = "snowflake_ids_minted_total";
    const WAITS: &str = "snowflake_waits_total";
    const REFUSALS: &str = "snowflake_refusals_total";
    const BORROWED: &str = "snowflake_borrowed_total";
    const CLOCK_STEPS: &str = "snowflake_clock_steps_total";

    /// Tells the recorder what [`METRICS`] and [`GAUGES`] are, and that the counters begin at zero. Done whenever a generator is
    /// built; needed again only for a recorder that was installed later.
    pub fn describe_metrics() {
        for &(name, description) in METRICS {
            describe_counter!(name, Unit::Count, description);
            counter!(name).increment(0);
        }
        for &(name, description) in GAUGES {
            describe_gauge!(name, Unit::Seconds, description);
        }
    }

    pub(crate) fn layout_ends(layout: &Layout) {
        let ends = Duration::from_millis(layout.expires_at_ms());
        gauge!(LAYOUT_ENDS, "layout" => layout.to_string()).set(ends.as_secs_f64());
    }

    /// What was told already, and when.
    #[derive(Debug, Default)]
    pub(crate) struct Published {
        told: Mutex<Metrics>,
        at_ms: AtomicU64,
    }

    impl Published {
        const PERIOD_MS: u64 = 1_000;

        /// Whether it is time; for one of several callers at once.
        pub(crate) fn is_due(&self, now: Duration) -> bool {
            let now_ms = crate::clock::millis(now);
            let at_ms = self.at_ms.load(Ordering::Relaxed);
            at_ms + Self::PERIOD_MS <= now_ms
                && self
                    .at_ms
                    .compare_exchange(at_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
        }

        /// Taken while others mint, totals may seem to shrink a little: then nothing is told.
        pub(crate) fn advance(&self, now: Metrics) {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let advance = |name: &'static str, told: &mut u64, now: u64| {
                counter!(name).increment(now.saturating_sub(*told));
                *told = now.max(*told);
            };
            advance(MINTED, &mut told.minted, now.minted);
            advance(WAITS, &mut told.waited, now.waited);
            advance(REFUSALS, &mut told.refused, now.refused);
            advance(BORROWED, &mut told.borrowed, now.borrowed);
            advance(CLOCK_STEPS, &mut told.clock_steps, now.clock_steps);
        }
    }
}
