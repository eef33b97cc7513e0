//! What is counted and measured, by the `metrics` facade.
//!
//! Each crate keeps a table of [`Metric`]s and records through them. Without the feature `metrics` everything here is
//! empty and costs nothing; with it, nothing is recorded where the program has installed no recorder.

mod level;
mod store;
mod timing;

pub use self::{
    level::Level,
    timing::{Stopwatch, Timings},
};

pub(crate) use self::store::measured;

use std::time::Duration;

/// Labels of one time series: each name with its value.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// One metric: what programs and dashboards call it, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, unit and all.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The names of its labels. Their values come from configuration or from fixed lists.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub description: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A count that only rises.
    Counter,
    /// A value of the moment.
    Gauge,
    /// How values are spread; all of them are seconds here.
    Histogram,
}

impl MetricKind {
    /// One word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// A count that only rises.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        Self::new(MetricKind::Counter, name, labels, description)
    }

    /// A value of the moment.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        Self::new(MetricKind::Gauge, name, labels, description)
    }

    /// How long something takes, in seconds.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        Self::new(MetricKind::Histogram, name, labels, description)
    }

    const fn new(
        kind: MetricKind,
        name: &'static str,
        labels: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            labels,
            description,
        }
    }

    /// Shows a counter or a histogram that has nothing to show yet: a rise is seen only from something. Gauges are left alone.
    pub fn begin(&self, labels: Labels<'_>) {
        match self.kind {
            MetricKind::Counter => self.add(0, labels),
            #[cfg(feature = "metrics")]
            MetricKind::Histogram => drop(metrics::histogram!(self.name, owned(labels))),
            _ => {}
        }
    }

    /// Counts so many.
    pub fn add(&self, count: u64, labels: Labels<'_>) {
        #[cfg(feature = "metrics")]
        metrics::counter!(self.name, owned(labels)).increment(count);
        #[cfg(not(feature = "metrics"))]
        let _ = (count, labels);
    }

    /// Counts one.
    pub fn count(&self, labels: Labels<'_>) {
        self.add(1, labels);
    }

    /// The value is this now.
    pub fn set(&self, value: f64, labels: Labels<'_>) {
        #[cfg(feature = "metrics")]
        metrics::gauge!(self.name, owned(labels)).set(value);
        #[cfg(not(feature = "metrics"))]
        let _ = (value, labels);
    }

    /// Something took as long as this.
    pub fn record(&self, took: Duration, labels: Labels<'_>) {
        #[cfg(feature = "metrics")]
        metrics::histogram!(self.name, owned(labels)).record(took.as_secs_f64());
        #[cfg(not(feature = "metrics"))]
        let _ = (took, labels);
    }

    /// Tells the recorder what it is about to get.
    pub fn describe(&self) {
        #[cfg(feature = "metrics")]
        {
            use metrics::Unit;
            match self.kind {
                MetricKind::Counter => {
                    metrics::describe_counter!(self.name, Unit::Count, self.description);
                }
                MetricKind::Gauge => metrics::describe_gauge!(self.name, self.description),
                MetricKind::Histogram => {
                    metrics::describe_histogram!(self.name, Unit::Seconds, self.description);
                }
            }
        }
    }
}

#[cfg(feature = "metrics")]
fn owned(labels: Labels<'_>) -> Vec<metrics::Label> {
    let label = |&(name, value): &(&'static str, &str)| metrics::Label::new(name, value.to_owned());
    labels.iter().map(label).collect()
}

/// Borders between the buckets of every histogram here, in seconds: from a round trip within one machine to the time at which
/// a lease is lost. A recorder that does not know them may summarise in a way that cannot be added up over processes.
pub const BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

/// Every metric of this crate.
pub const METRICS: &[Metric] = &[SCRIPT_SECONDS, STORE_ERRORS, STORE_UP];

pub(crate) const SCRIPT_SECONDS: Metric = Metric::histogram(
    "coord_script_seconds",
    &["script"],
    "Time from sending a pipeline with this script to its answer, failed ones included.",
);
pub(crate) const STORE_ERRORS: Metric = Metric::counter(
    "coord_store_errors_total",
    &["operation", "kind"],
    "Operations on the store that failed, each attempt counted.",
);
pub(crate) const STORE_UP: Metric = Metric::gauge(
    "coord_store_up",
    &["server"],
    "Whether the store answered the last operation: 1 or 0.",
);

/// Tells the recorder what `metrics` and those of this crate are.
pub fn describe(metrics: &[Metric]) {
    for metric in metrics.iter().chain(METRICS) {
        metric.describe();
    }
}
