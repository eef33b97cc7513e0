//! How an acquisition waits for a slot of a full range: until a release is told, or the first lease ends.

use std::{ops::RangeInclusive, time::Duration};

use coord_core::clock::Instant;

use super::{Acquisition, releases::Listener};
use crate::error::AcquireError;

/// Why to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// A lease may have ended.
    ByTime,
    /// This slot was given back.
    ByRelease(u32),
}

#[derive(Debug)]
pub(super) struct Waiting {
    /// `None` until the first wait, and while nobody tells.
    releases: Option<Listener>,
    pause: Duration,
    next: Instant,
}

impl Waiting {
    pub(super) const fn new() -> Self {
        Self {
            releases: None,
            pause: Self::FIRST_PAUSE,
            next: Instant::from_boot(Duration::ZERO),
        }
    }

    /// `error` says that the whole range is full; after a question for one slot of it only the next release counts.
    pub(super) fn plan(&mut self, now: Instant, error: &AcquireError, rng: &mut fastrand::Rng) {
        let known = match error {
            AcquireError::RangeExhausted { frees_within, .. } => *frees_within,
            _ => None,
        };
        // Without a word about releases, a slot that was given back is found by asking.
        let longest = match &self.releases {
            Some(_) => Duration::MAX,
            None => Self::MAX_PAUSE,
        };
        let wait = known
            .unwrap_or(self.pause)
            .clamp(self.pause, longest.max(self.pause));
        // Everybody waits for the same lease: whoever asks first tells the others what is next.
        let spread = (wait / 10).clamp(Self::FIRST_PAUSE, Self::MAX_SPREAD);
        self.next = now + wait + spread.mul_f64(rng.f64());
        self.pause = (self.pause * 2).min(Self::MAX_PAUSE);
    }

    /// Waits for the next reason to ask, up to `deadline`; `None` if there was none, or nobody waits any more.
    pub(super) async fn wait(
        &mut self,
        acquisition: &mut Acquisition,
        range: &RangeInclusive<u32>,
        deadline: Instant,
    ) -> Option<Woken> {
        if self.releases.is_none() {
            let channel = acquisition.identity.keys.freed();
            let store = &*acquisition.store;
            self.releases = acquisition.releases.listen(store, &channel).await;
            if self.releases.is_some() {
                // What was given back before somebody listened is told to nobody.
                return (acquisition.clock.now() < deadline).then_some(Woken::ByTime);
            }
        }
        let now = acquisition.clock.now();
        let until = self.next.min(deadline);
        let woken = tokio::select! {
            biased;
            _ = acquisition.caller.changed() => return None,
            released = next_of(&mut self.releases, range) => released,
            () = tokio::time::sleep(until.saturating_since(now)) => None,
        };
        if let Some(slot) = woken {
            // Many were told: they do not all ask at the same moment.
            let spread = Self::FIRST_PAUSE.mul_f64(acquisition.rng.f64());
            acquisition
                .unless_abandoned(tokio::time::sleep(spread))
                .await;
            return (acquisition.clock.now() < deadline).then_some(Woken::ByRelease(slot));
        }
        (acquisition.clock.now() < deadline).then_some(Woken::ByTime)
    }

    const FIRST_PAUSE: Duration = Duration::from_millis(50);
    const MAX_PAUSE: Duration = Duration::from_secs(5);
    const MAX_SPREAD: Duration = Duration::from_secs(2);
}

/// The next slot of the range that was given back. Pending while nobody tells.
async fn next_of(releases: &mut Option<Listener>, range: &RangeInclusive<u32>) -> Option<u32> {
    while let Some(listener) = releases {
        match listener.next().await {
            Some(slot) if range.contains(&slot) => return Some(slot),
            Some(_) => {}
            None => *releases = None,
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(frees_within: Option<Duration>) -> AcquireError {
        AcquireError::RangeExhausted {
            range: 0..=3,
            held: 4,
            frees_within,
        }
    }

    fn waits(waiting: &mut Waiting, error: &AcquireError) -> Duration {
        let now = Instant::from_boot(Duration::from_secs(1_000));
        waiting.plan(now, error, &mut fastrand::Rng::with_seed(7));
        waiting.next.saturating_since(now)
    }

    fn listening() -> Waiting {
        let mut waiting = Waiting::new();
        waiting.releases = Some(Listener::silent().1);
        waiting
    }

    #[test]
    fn the_first_lease_to_end_is_waited_for_in_one_go() {
        let minute = Duration::from_secs(60);
        let wait = waits(&mut listening(), &full(Some(minute)));
        assert!(
            minute <= wait && wait <= minute + Waiting::MAX_SPREAD,
            "{wait:?}"
        );
    }

    #[test]
    fn a_range_that_stays_full_is_asked_for_less_and_less_often() {
        let mut waiting = listening();
        let waits: Vec<_> = (0..10)
            .map(|_| waits(&mut waiting, &full(Some(Duration::ZERO))))
            .collect();
        assert!(waits[0] <= 2 * Waiting::FIRST_PAUSE, "{waits:?}");
        assert!(waits[9] >= Waiting::MAX_PAUSE, "{waits:?}");
    }

    #[test]
    fn who_hears_of_no_release_asks_every_few_seconds() {
        let hour = Duration::from_secs(3_600);
        let wait = waits(&mut Waiting::new(), &full(Some(hour)));
        assert!(wait <= Waiting::MAX_PAUSE + Waiting::MAX_SPREAD, "{wait:?}");
    }
}
