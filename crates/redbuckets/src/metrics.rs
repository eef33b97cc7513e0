//! What is counted and measured of instances and their buckets.
//!
//! Every change of owning is an event, so most of it follows from those.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coord_core::{
    clock::Clock,
    metrics::{self, Level, Metric, Stopwatch, Timings},
};

use crate::{
    event::{Event, LossCause},
    membership::Membership,
    spans,
};

/// Every metric that this crate records.
#[cfg_attr(
    not(feature = "metrics"),
    expect(unreachable_pub, reason = "exported with the feature `metrics`")
)]
pub const METRICS: &[Metric] = &[
    INSTANCES,
    BUCKETS_OWNED,
    BUCKETS_REVOKING,
    QUOTA,
    BUCKETS_UNOWNED,
    JOINS,
    JOIN_SECONDS,
    REJOIN_FAILURES,
    BEATS,
    BEAT_FAILURES,
    BEAT_SECONDS,
    AT_RISK,
    MOVES,
    LOST,
    REASSERTED,
    DRAIN_SECONDS,
    OVERDUE_DRAINS,
    STUCK,
    REBALANCES,
    REBALANCE_SECONDS,
    FENCED,
    LEAVES,
];

const GROUP: &[&str] = &["group"];

const INSTANCES: Metric = Metric::gauge(
    "redbuckets_instances",
    GROUP,
    "Instances of this process that are members of the group.",
);
const BUCKETS_OWNED: Metric = Metric::gauge(
    "redbuckets_buckets_owned",
    GROUP,
    "Buckets that this process owns, those that it is giving away included.",
);
const BUCKETS_REVOKING: Metric = Metric::gauge(
    "redbuckets_buckets_revoking",
    GROUP,
    "Owned buckets that this process is giving away.",
);
const QUOTA: Metric = Metric::gauge(
    "redbuckets_quota",
    GROUP,
    "Buckets that this process should own, as of the last heartbeat.",
);
const BUCKETS_UNOWNED: Metric = Metric::gauge(
    "redbuckets_buckets_unowned",
    GROUP,
    "Buckets of the group that nobody owned at the last heartbeat.",
);
const JOINS: Metric = Metric::counter(
    "redbuckets_joins_total",
    &["group", "outcome"],
    "Calls of `join` that ended, by how.",
);
const JOIN_SECONDS: Metric = Metric::histogram(
    "redbuckets_join_seconds",
    GROUP,
    "Time from a call of `join` to the membership.",
);
const REJOIN_FAILURES: Metric = Metric::counter(
    "redbuckets_rejoin_failures_total",
    GROUP,
    "Attempts to become a member again after a loss that failed; each is tried again.",
);
const BEATS: Metric = Metric::counter(
    "redbuckets_beats_total",
    GROUP,
    "Heartbeats that the store acknowledged.",
);
const BEAT_FAILURES: Metric = Metric::counter(
    "redbuckets_beat_failures_total",
    GROUP,
    "Heartbeats that failed; each is tried again.",
);
const BEAT_SECONDS: Metric = Metric::histogram(
    "redbuckets_beat_seconds",
    GROUP,
    "Time from sending a heartbeat to its acknowledgement.",
);
const AT_RISK: Metric = Metric::counter(
    "redbuckets_at_risk_total",
    GROUP,
    "How often no heartbeat was acknowledged for two thirds of the ttl.",
);
const MOVES: Metric = Metric::counter(
    "redbuckets_moves_total",
    &["group", "direction"],
    "Buckets that came to this process (`in`) or that it gave away (`out`).",
);
const LOST: Metric = Metric::counter(
    "redbuckets_lost_total",
    &["group", "cause"],
    "Buckets that were lost, by why.",
);
const REASSERTED: Metric = Metric::counter(
    "redbuckets_reasserted_total",
    GROUP,
    "How often the store had forgotten something and was told anew.",
);
const DRAIN_SECONDS: Metric = Metric::histogram(
    "redbuckets_drain_seconds",
    GROUP,
    "Time from a bucket's revocation to its handover.",
);
const OVERDUE_DRAINS: Metric = Metric::counter(
    "redbuckets_overdue_drains_total",
    GROUP,
    "Buckets in which work went on past `drain_timeout`.",
);
const STUCK: Metric = Metric::counter(
    "redbuckets_stuck_total",
    GROUP,
    "Buckets handed over because work in them did not report progress within `progress_timeout`.",
);
const REBALANCES: Metric = Metric::counter(
    "redbuckets_rebalances_total",
    GROUP,
    "How often this process had its share again after a change of membership.",
);
const REBALANCE_SECONDS: Metric = Metric::histogram(
    "redbuckets_rebalance_seconds",
    GROUP,
    "Time from a change of membership to this process's share.",
);
const FENCED: Metric = Metric::counter(
    "redbuckets_fenced_total",
    GROUP,
    "Instances whose id another process has taken.",
);
const LEAVES: Metric = Metric::counter(
    "redbuckets_leaves_total",
    GROUP,
    "Instances that have left.",
);

/// Tells the recorder what [`METRICS`] and those of the store are. Done whenever a [`Redbuckets`](crate::Redbuckets) is built;
/// needed again only for a recorder that was installed later.
#[cfg_attr(
    not(feature = "metrics"),
    expect(unreachable_pub, reason = "exported with the feature `metrics`")
)]
pub fn describe_metrics() {
    metrics::describe(METRICS);
}

/// What is counted or measured of a group begins at zero, or its first rise would not be seen.
pub(crate) fn begin(group: &str) {
    describe_metrics();
    let group = ("group", group);
    for metric in METRICS.iter().filter(|it| it.labels == GROUP) {
        metric.begin(&[group]);
    }
    let all = [
        (&JOINS, "outcome", spans::JOIN_OUTCOMES),
        (&MOVES, "direction", &["in", "out"]),
        (&LOST, "cause", CAUSES),
    ];
    for (counter, label, values) in all {
        for value in values {
            counter.begin(&[group, (label, value)]);
        }
    }
}

/// Counts the outcome of one call of `join`, in one word.
pub(crate) fn note_join(group: &str, watch: Stopwatch, clock: &dyn Clock, outcome: &'static str) {
    if outcome == "joined" {
        watch.record(clock, &JOIN_SECONDS, &[("group", group)]);
    }
    JOINS.count(&[("group", group), ("outcome", outcome)]);
}

/// What one instance contributes.
pub(crate) struct Meter {
    group: String,
    clock: Arc<dyn Clock>,
    parts: Mutex<Parts>,
}

struct Parts {
    instances: Level,
    owned: Level,
    revoking: Level,
    quota: Level,
    draining: Timings,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

impl Meter {
    pub(crate) fn new(group: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            parts: Mutex::new(Parts {
                instances: Level::new(&INSTANCES, group),
                owned: Level::new(&BUCKETS_OWNED, group),
                revoking: Level::new(&BUCKETS_REVOKING, group),
                quota: Level::new(&QUOTA, group),
                draining: Timings::default(),
            }),
            clock,
            group: group.to_owned(),
        }
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// A heartbeat was acknowledged.
    pub(crate) fn beaten(&self, watch: Stopwatch) {
        let labels = &[("group", self.group.as_str())];
        BEATS.count(labels);
        watch.record(&*self.clock, &BEAT_SECONDS, labels);
    }

    /// The instance is a member from now on; what it has is known from its first heartbeat.
    pub(crate) fn joined(&self) {
        self.parts().instances.set(1);
    }

    /// What the instance has now.
    pub(crate) fn show(&self, is_member: bool, membership: &Membership) {
        let view = membership.view();
        let (owned, revoking) = membership.counts();
        let mut parts = self.parts();
        parts.instances.set(u64::from(is_member));
        parts.owned.set(owned as u64);
        parts.revoking.set(revoking as u64);
        let quota = if is_member { view.quota } else { 0 };
        parts.quota.set(u64::from(quota));
        if is_member {
            BUCKETS_UNOWNED.set(f64::from(view.free), &[("group", &self.group)]);
        }
    }

    pub(crate) fn observe(&self, event: &Event) {
        let group = ("group", self.group.as_str());
        let labels = &[group];
        match event {
            Event::Granted { .. } => MOVES.count(&[group, ("direction", "in")]),
            Event::Revoking {
                bucket, overdue, ..
            } => {
                if *overdue {
                    OVERDUE_DRAINS.count(labels);
                }
                self.parts().draining.begin(*bucket, &*self.clock);
            }
            Event::Stuck { bucket, .. } => {
                STUCK.count(labels);
                self.parts().draining.begin(*bucket, &*self.clock);
            }
            Event::Kept { bucket, .. } => self.parts().draining.forget(*bucket),
            Event::Released { bucket, .. } => {
                MOVES.count(&[group, ("direction", "out")]);
                let draining = &mut self.parts().draining;
                draining.end(*bucket, &*self.clock, &DRAIN_SECONDS, labels);
            }
            Event::Lost { bucket, cause, .. } => {
                LOST.count(&[group, ("cause", self::cause(cause))]);
                self.parts().draining.forget(*bucket);
            }
            Event::Rebalanced { took, .. } => {
                REBALANCES.count(labels);
                REBALANCE_SECONDS.record(*took, labels);
            }
            Event::Reasserted { .. } => REASSERTED.count(labels),
            Event::BeatFailed { .. } => BEAT_FAILURES.count(labels),
            Event::AtRisk { .. } => AT_RISK.count(labels),
            Event::RejoinFailed { .. } => REJOIN_FAILURES.count(labels),
            Event::Fenced { .. } => FENCED.count(labels),
            Event::Left { .. } => LEAVES.count(labels),
            Event::Joined { .. } | Event::Missed { .. } => {}
        }
    }

    /// One change is always complete, so a poisoned lock is still good.
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn cause(cause: &LossCause) -> &'static str {
    match cause {
        LossCause::Expired => "expired",
        LossCause::Fenced => "fenced",
        LossCause::Overtaken => "overtaken",
        LossCause::Superseded => "superseded",
        LossCause::Replaced => "replaced",
        LossCause::Left => "left",
        LossCause::Abandoned => "abandoned",
    }
}

const CAUSES: &[&str] = &[
    "expired",
    "fenced",
    "overtaken",
    "superseded",
    "replaced",
    "left",
    "abandoned",
];
