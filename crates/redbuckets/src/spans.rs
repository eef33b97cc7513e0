//! The spans that traces see, with their fields; docs/METRICS.md lists them.

use tracing::{Span, field::Empty};

use crate::{
    error::{JoinError, LeaveError},
    join::Joined,
    protocol::Identity,
};

/// One call of `join`, or one attempt to become a member again.
pub(crate) fn join(identity: &Identity) -> Span {
    let (group, instance) = (identity.keys.name(), identity.id.as_str());
    tracing::info_span!(
        "redbuckets.join",
        group,
        instance,
        member = Empty,
        outcome = Empty
    )
}

/// One heartbeat, from its sending to its answer.
pub(crate) fn beat(identity: &Identity, releases: usize) -> Span {
    let (group, instance) = (identity.keys.name(), identity.id.as_str());
    tracing::debug_span!(
        "redbuckets.beat",
        group,
        instance,
        releases,
        outcome = Empty
    )
}

/// One call of `drain`.
pub(crate) fn drain(group: &str, instance: &str) -> Span {
    tracing::info_span!("redbuckets.drain", group, instance, outcome = Empty)
}

/// One leave, from the first revocation to the store's confirmation.
pub(crate) fn leave(identity: &Identity) -> Span {
    let (group, instance) = (identity.keys.name(), identity.id.as_str());
    tracing::info_span!("redbuckets.leave", group, instance, outcome = Empty)
}

/// Says on `span` how joining ended, and closes it: before anybody hears of the outcome. Returns that.
pub(crate) fn note_join(span: Span, joined: &Result<Joined, JoinError>) -> &'static str {
    if let Ok(joined) = joined {
        span.record("member", joined.number);
    }
    let outcome = match joined {
        Ok(_) => "joined",
        Err(JoinError::DuplicateInstance { .. }) => "duplicate_instance",
        Err(
            JoinError::BucketCount { .. }
            | JoinError::Assignment { .. }
            | JoinError::Weights { .. },
        ) => "other_configuration",
        Err(JoinError::Full) => "full",
        Err(JoinError::Store(_)) => "store",
        Err(_) => "refused",
    };
    span.record("outcome", outcome);
    drop(span);
    outcome
}

/// As [`note_join`], for a drain or a leave.
pub(crate) fn note_end(span: Span, ended: &Result<(), LeaveError>) {
    let outcome = match ended {
        Ok(()) => "done",
        Err(LeaveError::Busy { .. }) => "busy",
        Err(_) => "unconfirmed",
    };
    span.record("outcome", outcome);
    drop(span);
}

/// Every word that [`note_join`] has.
pub(crate) const JOIN_OUTCOMES: &[&str] = &[
    "joined",
    "duplicate_instance",
    "other_configuration",
    "full",
    "store",
    "refused",
];
