//! What is counted and measured of machine IDs.
//!
//! Every change of holding is an event, so most of it follows from those.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coord_core::{
    clock::Clock,
    metrics::{self, Level, Metric, Stopwatch},
};

use crate::{
    acquire::Granted,
    error::AcquireError,
    event::{Event, LossCause},
    spans,
};

/// Every metric that this crate records.
#[cfg_attr(
    not(feature = "metrics"),
    expect(unreachable_pub, reason = "exported with the feature `metrics`")
)]
pub const METRICS: &[Metric] = &[
    LEASES_HELD,
    LEASES_AT_RISK,
    ACQUISITIONS,
    ACQUIRE_SECONDS,
    RENEWALS,
    RENEWAL_FAILURES,
    RENEWAL_SECONDS,
    AT_RISK,
    LOST,
    REACQUIRED,
    REACQUIRE_FAILURES,
    REASSERTED,
    RELEASES,
    HORIZON_STUCK,
    CLOCK_SKEW,
];

const NAMESPACE: &[&str] = &["namespace"];

const LEASES_HELD: Metric = Metric::gauge(
    "raus_leases_held",
    NAMESPACE,
    "Machine IDs that this process holds.",
);
const LEASES_AT_RISK: Metric = Metric::gauge(
    "raus_leases_at_risk",
    NAMESPACE,
    "Held machine IDs whose renewals were not acknowledged for two thirds of the ttl.",
);
const ACQUISITIONS: Metric = Metric::counter(
    "raus_acquisitions_total",
    &["namespace", "outcome"],
    "Calls of `acquire` that ended, by how.",
);
const ACQUIRE_SECONDS: Metric = Metric::histogram(
    "raus_acquire_seconds",
    NAMESPACE,
    "Time from a call of `acquire` to its machine ID.",
);
const RENEWALS: Metric = Metric::counter(
    "raus_renewals_total",
    NAMESPACE,
    "Renewals that the store acknowledged.",
);
const RENEWAL_FAILURES: Metric = Metric::counter(
    "raus_renewal_failures_total",
    NAMESPACE,
    "Renewals that failed; each is tried again.",
);
const RENEWAL_SECONDS: Metric = Metric::histogram(
    "raus_renewal_seconds",
    NAMESPACE,
    "Time from sending a renewal to its acknowledgement.",
);
const AT_RISK: Metric = Metric::counter(
    "raus_at_risk_total",
    NAMESPACE,
    "How often a machine ID came to be at risk.",
);
const LOST: Metric = Metric::counter(
    "raus_lost_total",
    &["namespace", "cause"],
    "Machine IDs that were lost, by why.",
);
const REACQUIRED: Metric = Metric::counter(
    "raus_reacquired_total",
    NAMESPACE,
    "Machine IDs that were leased by themselves after a loss.",
);
const REACQUIRE_FAILURES: Metric = Metric::counter(
    "raus_reacquire_failures_total",
    NAMESPACE,
    "Attempts to lease another machine ID after a loss that failed; each is tried again.",
);
const REASSERTED: Metric = Metric::counter(
    "raus_reasserted_total",
    NAMESPACE,
    "Machine IDs that the store had forgotten and that were put back.",
);
const RELEASES: Metric = Metric::counter(
    "raus_releases_total",
    &["namespace", "outcome"],
    "Machine IDs that were given back, by how that ended.",
);
const HORIZON_STUCK: Metric = Metric::counter(
    "raus_horizon_stuck_total",
    NAMESPACE,
    "How often a horizon could not be raised any more, so that minting stops at it.",
);
const CLOCK_SKEW: Metric = Metric::gauge(
    "raus_clock_skew_seconds",
    NAMESPACE,
    "By how much the server's clock was ahead of this machine's at the last renewal; up to a round trip too much.",
);

/// Tells the recorder what [`METRICS`] and those of the store are. Done whenever a [`Raus`](crate::Raus) is built; needed again
/// only for a recorder that was installed later.
#[cfg_attr(
    not(feature = "metrics"),
    expect(unreachable_pub, reason = "exported with the feature `metrics`")
)]
pub fn describe_metrics() {
    metrics::describe(METRICS);
}

/// What is counted or measured of a namespace begins at zero, or its first rise would not be seen.
pub(crate) fn begin(namespace: &str) {
    describe_metrics();
    let namespace = ("namespace", namespace);
    for metric in METRICS.iter().filter(|it| it.labels == NAMESPACE) {
        metric.begin(&[namespace]);
    }
    zero(&LOST, namespace, "cause", CAUSES);
    zero(&ACQUISITIONS, namespace, "outcome", spans::OUTCOMES);
    let ends = &["confirmed", "unconfirmed"];
    zero(&RELEASES, namespace, "outcome", ends);
}

fn zero(counter: &Metric, namespace: (&'static str, &str), label: &'static str, values: &[&str]) {
    for value in values {
        counter.begin(&[namespace, (label, value)]);
    }
}

/// Counts the outcome of one call of `acquire`.
pub(crate) fn note_acquisition(
    namespace: &str,
    watch: Stopwatch,
    clock: &dyn Clock,
    found: &Result<Option<Granted>, AcquireError>,
) {
    if let Ok(Some(_)) = found {
        watch.record(clock, &ACQUIRE_SECONDS, &[("namespace", namespace)]);
    }
    let outcome = spans::outcome(found);
    ACQUISITIONS.count(&[("namespace", namespace), ("outcome", outcome)]);
}

/// What one machine ID contributes.
pub(crate) struct Meter {
    namespace: String,
    levels: Mutex<Levels>,
}

struct Levels {
    held: Level,
    at_risk: Level,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

impl Meter {
    /// Of a machine ID that was just granted.
    pub(crate) fn new(namespace: &str) -> Self {
        let mut held = Level::new(&LEASES_HELD, namespace);
        held.set(1);
        Self {
            levels: Mutex::new(Levels {
                held,
                at_risk: Level::new(&LEASES_AT_RISK, namespace),
            }),
            namespace: namespace.to_owned(),
        }
    }

    /// A renewal was acknowledged.
    pub(crate) fn renewed(&self, watch: Stopwatch, clock: &dyn Clock) {
        let labels = &[("namespace", self.namespace.as_str())];
        RENEWALS.count(labels);
        watch.record(clock, &RENEWAL_SECONDS, labels);
        self.show(1, 0);
    }

    /// What the two clocks showed, in Unix ms: ours at sending, the server's at executing.
    pub(crate) fn clocks(&self, wall_ms: u64, server_ms: u64) {
        let apart = Duration::from_millis(wall_ms.abs_diff(server_ms)).as_secs_f64();
        let ahead = if server_ms < wall_ms { -apart } else { apart };
        CLOCK_SKEW.set(ahead, &[("namespace", &self.namespace)]);
    }

    pub(crate) fn observe(&self, event: &Event) {
        let labels = &[("namespace", self.namespace.as_str())];
        match event {
            Event::RenewalFailed { .. } => RENEWAL_FAILURES.count(labels),
            Event::HorizonStuck { .. } => HORIZON_STUCK.count(labels),
            Event::AtRisk { .. } => {
                AT_RISK.count(labels);
                self.show(1, 1);
            }
            Event::Reasserted { .. } => REASSERTED.count(labels),
            Event::Lost(loss) => {
                let cause = cause(&loss.cause);
                LOST.count(&[("namespace", &self.namespace), ("cause", cause)]);
                self.show(0, 0);
            }
            Event::ReacquireFailed { .. } => REACQUIRE_FAILURES.count(labels),
            Event::Reacquired { .. } => {
                REACQUIRED.count(labels);
                self.show(1, 0);
            }
            Event::Released { .. } => self.released("confirmed"),
            Event::ReleaseFailed { .. } => self.released("unconfirmed"),
            Event::AnnouncementRefused { .. }
            | Event::ClockSkewed { .. }
            | Event::Missed { .. } => {}
        }
    }

    fn released(&self, outcome: &'static str) {
        RELEASES.count(&[("namespace", &self.namespace), ("outcome", outcome)]);
        self.show(0, 0);
    }

    fn show(&self, held: u64, at_risk: u64) {
        let mut levels = self.levels();
        levels.held.set(held);
        levels.at_risk.set(at_risk);
    }

    /// One change is always complete, so a poisoned lock is still good.
    fn levels(&self) -> MutexGuard<'_, Levels> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn cause(cause: &LossCause) -> &'static str {
    match cause {
        LossCause::Expired { .. } => "expired",
        LossCause::Foreign => "foreign",
        LossCause::Superseded { .. } => "superseded",
        LossCause::Forgotten => "forgotten",
        LossCause::Cloned => "cloned",
        LossCause::Layout { .. } => "layout",
        LossCause::Abandoned => "abandoned",
    }
}

const CAUSES: &[&str] = &[
    "expired",
    "foreign",
    "superseded",
    "forgotten",
    "cloned",
    "layout",
    "abandoned",
];
