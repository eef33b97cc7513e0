//! The names of what is seen from outside; docs/METRICS.md lists them.

use coord_core::metrics::Metric;

/// What is counted from look to look.
pub(super) const LOOKS: Metric = Metric::counter(
    "coord_looks_total",
    &["outcome"],
    "Looks at the server, by whether they were answered.",
);
const GRANTS: Metric = Metric::counter(
    "raus_grants_seen_total",
    &["namespace"],
    "Machine IDs that were seen to be granted anew.",
);
const MOVES: Metric = Metric::counter(
    "redbuckets_moves_seen_total",
    &["group"],
    "Buckets that were seen to have another owner than at the look before.",
);
const MEMBERSHIP_CHANGES: Metric = Metric::counter(
    "redbuckets_membership_changes_seen_total",
    &["group"],
    "Changes of membership since the exporter began.",
);

pub(super) const UP: Metric = Metric::gauge(
    "coord_up",
    &[],
    "Whether the last look was answered: 1 or 0. Where it is 0, nothing else of the server is shown.",
);
pub(super) const LAST_LOOK: Metric = Metric::gauge(
    "coord_last_look_timestamp_seconds",
    &[],
    "When a look was last answered, in seconds since the Unix epoch.",
);
pub(super) const ROUND_TRIP: Metric = Metric::gauge(
    "coord_round_trip_seconds",
    &[],
    "Time of one script that touches no key, at the last look.",
);
pub(super) const SERVER_CLOCK_SKEW: Metric = Metric::gauge(
    "coord_clock_skew_seconds",
    &[],
    "By how much the server's clock is ahead of the exporter's, within half a round trip.",
);
pub(super) const SLOTS: Metric = Metric::gauge(
    "raus_slots",
    &["namespace", "state"],
    "Machine IDs of the range, by where they stand.",
);
pub(super) const HISTORY: Metric = Metric::gauge(
    "raus_history",
    &["namespace", "state"],
    "1 for what the store's history is, 0 for the others.",
);
pub(super) const QUARANTINE: Metric = Metric::gauge(
    "raus_quarantine_seconds",
    &["namespace"],
    "For how long the store grants nothing, because it may have forgotten holders.",
);
pub(super) const LEASE_LEFT_MIN: Metric = Metric::gauge(
    "raus_lease_left_min_seconds",
    &["namespace"],
    "What is left of the held lease that ends first; absent where none is held.",
);
pub(super) const LEASE_LEFT_MAX: Metric = Metric::gauge(
    "raus_lease_left_max_seconds",
    &["namespace"],
    "What is left of the held lease that ends last; absent where none is held.",
);
pub(super) const HORIZON_AHEAD: Metric = Metric::gauge(
    "raus_horizon_ahead_max_seconds",
    &["namespace"],
    "How far the furthest horizon of a held machine ID is ahead of the server's clock.",
);
pub(super) const GROUP_EXISTS: Metric = Metric::gauge(
    "redbuckets_group_exists",
    &["group"],
    "Whether there is such a group: 1 or 0.",
);
pub(super) const BUCKETS: Metric = Metric::gauge(
    "redbuckets_buckets",
    &["group", "state"],
    "Buckets, by where they stand; together all of the group.",
);
pub(super) const MEMBERS: Metric = Metric::gauge(
    "redbuckets_members",
    &["group", "state"],
    "Members, by where they stand.",
);
pub(super) const DEVIATION: Metric = Metric::gauge(
    "redbuckets_share_deviation_max",
    &["group"],
    "The largest difference between what a member owns and what it should own, in buckets.",
);
pub(super) const DOUBT: Metric = Metric::gauge(
    "redbuckets_quarantine_seconds",
    &["group"],
    "For how long the store grants nothing free, because it may have forgotten owners.",
);
pub(super) const MEMBER_LEASE_LEFT: Metric = Metric::gauge(
    "redbuckets_lease_left_min_seconds",
    &["group"],
    "What is left of the membership that ends first; absent where there is none.",
);
pub(super) const MEMBER_OWNED: Metric = Metric::gauge(
    "redbuckets_member_owned",
    &["group", "member"],
    "Buckets that a member owns; with `--per-member` only.",
);
pub(super) const MEMBER_QUOTA: Metric = Metric::gauge(
    "redbuckets_member_quota",
    &["group", "member"],
    "Buckets that a member should own; with `--per-member` only.",
);

/// What is the state of the moment: on a page of its own for each look, so that what is gone is not shown.
pub(super) const STATES: &[Metric] = &[
    UP,
    LAST_LOOK,
    ROUND_TRIP,
    SERVER_CLOCK_SKEW,
    SLOTS,
    HISTORY,
    QUARANTINE,
    LEASE_LEFT_MIN,
    LEASE_LEFT_MAX,
    HORIZON_AHEAD,
    GROUP_EXISTS,
    BUCKETS,
    MEMBERS,
    DEVIATION,
    DOUBT,
    MEMBER_LEASE_LEFT,
    MEMBER_OWNED,
    MEMBER_QUOTA,
];

/// Counters begin at zero, or their first rise would not be seen.
pub(super) fn begin() {
    coord_core::metrics::describe(&[LOOKS, GRANTS, MOVES, MEMBERSHIP_CHANGES]);
    for outcome in ["answered", "failed"] {
        LOOKS.add(0, &[("outcome", outcome)]);
    }
}

pub(super) fn note_look(answered: bool) {
    let outcome = if answered { "answered" } else { "failed" };
    LOOKS.count(&[("outcome", outcome)]);
}

pub(super) fn note_grants(namespace: &str, count: u64) {
    GRANTS.add(count, &[("namespace", namespace)]);
}

pub(super) fn note_moves(group: &str, moves: u64, changes: u64) {
    MOVES.add(moves, &[("group", group)]);
    MEMBERSHIP_CHANGES.add(changes, &[("group", group)]);
}
