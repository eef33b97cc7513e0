//! The spans that traces see, with their fields; docs/METRICS.md lists them.

use tracing::{Span, field::Empty};

use crate::{
    acquire::Granted,
    error::{AcquireError, ReleaseError},
    protocol::{Identity, Slot},
};

/// One acquisition.
pub(crate) fn acquire(identity: &Identity) -> Span {
    let namespace = identity.keys.namespace();
    tracing::info_span!(
        "raus.acquire",
        namespace,
        id = Empty,
        fence = Empty,
        outcome = Empty
    )
}

/// One attempt to lease another machine ID after the loss of `lost`.
pub(crate) fn reacquire(identity: &Identity, lost: &Slot) -> Span {
    let namespace = identity.keys.namespace();
    tracing::info_span!(
        "raus.reacquire",
        namespace,
        lost = lost.number,
        id = Empty,
        fence = Empty,
        outcome = Empty
    )
}

/// One renewal, from its sending to its answer.
pub(crate) fn renew(identity: &Identity, id: u32, fence: u64) -> Span {
    let namespace = identity.keys.namespace();
    tracing::debug_span!("raus.renew", namespace, id, fence, outcome = Empty)
}

/// One release, from closing what mints to the store's confirmation.
pub(crate) fn release(identity: &Identity, slot: &Slot) -> Span {
    let namespace = identity.keys.namespace();
    let (id, fence) = (slot.number, slot.fence);
    tracing::info_span!("raus.release", namespace, id, fence, outcome = Empty)
}

/// Says on `span` how the search ended, and closes it: before anybody hears of the outcome.
pub(crate) fn note_search(span: Span, found: &Result<Option<Granted>, AcquireError>) {
    if let Ok(Some(granted)) = found {
        span.record("id", granted.slot.number);
        span.record("fence", granted.slot.fence);
    }
    span.record("outcome", outcome(found));
    drop(span);
}

/// As [`note_search`], for a release.
pub(crate) fn note_release(span: Span, released: &Result<(), ReleaseError>) {
    let outcome = match released {
        Ok(()) => "confirmed",
        Err(_) => "unconfirmed",
    };
    span.record("outcome", outcome);
    drop(span);
}

/// One word for how a search for a slot ended.
pub(crate) const fn outcome(found: &Result<Option<Granted>, AcquireError>) -> &'static str {
    match found {
        Ok(Some(_)) => "granted",
        // The caller went away.
        Ok(None) => "abandoned",
        Err(AcquireError::RangeExhausted { .. }) => "range_exhausted",
        Err(AcquireError::ClockSkew { .. }) => "clock_skew",
        Err(AcquireError::Quarantined { .. }) => "quarantine",
        Err(AcquireError::HorizonAhead { .. }) => "horizon_ahead",
        Err(AcquireError::TooFewReplicas { .. }) => "too_few_replicas",
        Err(AcquireError::Store(_)) => "store",
        Err(_) => "refused",
    }
}

/// Every word that [`outcome`] has.
pub(crate) const OUTCOMES: &[&str] = &[
    "granted",
    "abandoned",
    "range_exhausted",
    "clock_skew",
    "quarantine",
    "horizon_ahead",
    "too_few_replicas",
    "store",
    "refused",
];
