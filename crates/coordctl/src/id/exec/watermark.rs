//! What a program whose minting cannot be seen may have minted.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use coord_core::clock::{Clock, SystemClock};
use raus::{Grant, Loss, Minter};
use serde_json::json;

use super::journal::Journal;
use crate::{failure::Failure, time};

/// Stands for the program where raus asks what was minted: everything up to what the clock has shown.
///
/// The program starts only when the clock here has passed all that former holders may have minted, so that IDs that it
/// makes of its clock and its machine ID are not theirs, however far the clocks of their machines are apart.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    floor_ms: AtomicU64,
    horizon_ms: AtomicU64,
    seen_ms: AtomicU64,
}

impl Watermark {
    /// Waits until the clock has passed what former holders may have minted.
    pub(super) async fn passed(&self, journal: &Journal) -> Result<(), Failure> {
        let left = || {
            let floor_ms = self.floor_ms.load(Ordering::Acquire);
            Duration::from_millis(floor_ms.saturating_sub(SystemClock.wall_ms()))
        };
        let first = left();
        if LONGEST_WAIT < first {
            return Err(Failure::Unavailable(format!(
                "a former holder may have minted for times {} ahead of this machine's clock; synchronise the clocks, or lease \
                 from another range",
                time::span(first)
            )));
        }
        if !first.is_zero() {
            let text = format!(
                "waiting {} for the clock to pass what a former holder may have minted",
                time::span(first)
            );
            journal.say("waiting", json!({ "wait_ms": time::ms(first) }), &text);
        }
        // The clock may be set while this waits; a second is soon enough to notice.
        while !left().is_zero() {
            tokio::time::sleep(left().min(Duration::from_secs(1))).await;
        }
        Ok(())
    }

    fn look(&self) {
        self.seen_ms
            .fetch_max(SystemClock.wall_ms(), Ordering::AcqRel);
    }
}

impl Minter for Watermark {
    /// Unknown: the program mints, not this one.
    fn layout(&self) -> String {
        String::new()
    }

    fn grant(&self, grant: &Grant) {
        self.floor_ms.store(grant.floor_ms, Ordering::Release);
        self.horizon_ms.store(grant.horizon_ms, Ordering::Release);
        self.look();
    }

    fn extend(&self, _fence: u64, horizon_ms: u64) {
        self.horizon_ms.store(horizon_ms, Ordering::Release);
        self.look();
    }

    /// Nothing better than what the store assumes, which lets the clock count only as far as it agrees with its own.
    fn last_minted_ms(&self) -> Option<u64> {
        self.look();
        None
    }

    fn revoke(&self, _loss: &Loss) {
        self.look();
    }

    /// A clock that was far ahead for a moment puts nothing on record that the store had not acknowledged.
    fn close(&self) -> Option<u64> {
        self.look();
        let horizon_ms = self.horizon_ms.load(Ordering::Acquire);
        let seen_ms = self.seen_ms.load(Ordering::Acquire);
        Some(seen_ms.saturating_add(1).min(horizon_ms))
    }
}

/// Clocks may differ by ten seconds on either side, and a lease may end early.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_below_the_acknowledged_horizon() {
        let watermark = Watermark::default();
        assert_eq!(watermark.close(), Some(0), "never granted");
        watermark.extend(1, u64::MAX);
        let now = SystemClock.wall_ms();
        let closed = watermark.close().expect("it always knows");
        assert!(now < closed && closed <= SystemClock.wall_ms() + 1);
        watermark.extend(1, 5);
        assert_eq!(watermark.close(), Some(5));
    }
}
