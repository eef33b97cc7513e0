//! When a layout's timestamps end, and what is said about it beforehand.

use crate::{Layout, LayoutError};

/// Refuses a layout that has no timestamp for `now_ms`, and warns years before that.
pub(crate) fn check(layout: &Layout, now_ms: u64) -> Result<(), LayoutError> {
    let epoch_ms = layout.epoch_ms();
    if now_ms < epoch_ms {
        return Err(LayoutError::EpochInFuture { epoch_ms, now_ms });
    }
    let ended_ms = layout.expires_at_ms();
    if ended_ms <= now_ms {
        return Err(LayoutError::Ended { ended_ms, now_ms });
    }
    tell(layout);
    if is_near(ended_ms, now_ms) {
        warn(layout, ended_ms, now_ms);
    }
    Ok(())
}

/// Says by the `metrics` facade when the layout ends.
pub(crate) fn tell(layout: &Layout) {
    #[cfg(feature = "metrics")]
    crate::published::layout_ends(layout);
    #[cfg(not(feature = "metrics"))]
    let _ = layout;
}

const fn is_near(ended_ms: u64, now_ms: u64) -> bool {
    ended_ms - now_ms < NOTICE_MS
}

#[cfg(feature = "raus")]
fn warn(layout: &Layout, ends_ms: u64, now_ms: u64) {
    let days = (ends_ms - now_ms) / 86_400_000;
    tracing::warn!(
        %layout,
        ends_ms,
        days,
        "the layout has timestamps for less than five years; nothing is minted after that: plan the move to a wider layout or a \
         later epoch"
    );
}

/// Without `raus` there is no `tracing`: the metric says it.
#[cfg(not(feature = "raus"))]
const fn warn(_layout: &Layout, _ends_ms: u64, _now_ms: u64) {}

/// Five years: IDs are in databases and in other programs, which all have to be ready for others.
const NOTICE_MS: u64 = 5 * 365 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_five_years_are_near() {
        let year = 365 * 86_400_000;
        assert!(!is_near(9 * year, 4 * year));
        assert!(is_near(9 * year, 4 * year + 1));
    }
}
