//! How much may be under way to a server: no more than it has shown that it answers in time.

use std::time::Duration;

use crate::clock::Instant;

/// How many renewals of one kind may wait for their answers.
///
/// It widens with what was answered promptly, narrows where answers take longer than the way to the server, and is
/// all but shut where nothing is answered: then a few renewals at a time find out whether the server is back.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    /// Whether a batch waits until the one before it was answered.
    in_turn: bool,
    under_way: usize,
    /// How long an answer takes that waits for no other, as far as that was seen.
    quickest: Option<Duration>,
    /// When the limit was last changed: the answers to what was sent before say nothing about it.
    changed: Instant,
    /// How many full batches were answered since.
    settled: u32,
    failures: u32,
    opens_at: Instant,
}

impl Window {
    /// The most renewals that are sent at once. Redis runs one of redbuckets in 10 to 300 µs.
    pub(super) const BATCH: usize = 256;
    /// With how many it begins, also when a server is back: they show how long the way is, with hardly any work. A power
    /// of two times this is a batch.
    const LEAST: usize = 16;
    const MOST: usize = 4 * Self::BATCH;
    const SETTLED: u32 = 64;

    pub(super) const fn new(now: Instant, in_turn: bool) -> Self {
        Self {
            limit: Self::LEAST,
            in_turn,
            under_way: 0,
            quickest: None,
            changed: now,
            settled: 0,
            failures: 0,
            opens_at: now,
        }
    }

    /// How many renewals the next batch may have, where `waiting` are due. All of few go in one batch, which the next one
    /// waits for. Of many there are two halves or more under way, so that the server need not wait for us.
    pub(super) fn room(&self, now: Instant, waiting: usize) -> usize {
        if now < self.opens_at {
            return 0;
        }
        if self.under_way == 0 && (self.in_turn || waiting < self.limit) {
            return self.limit.min(Self::BATCH);
        }
        let half = self.half();
        let fits = !self.in_turn && self.under_way + half <= self.limit;
        if fits && half <= waiting { half } else { 0 }
    }

    /// The least that is sent while something is under way.
    fn half(&self) -> usize {
        (self.limit / 2).min(Self::BATCH)
    }

    /// When something can be sent again; `None` where that depends on an answer.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        (self.under_way == 0).then_some(self.opens_at)
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) const fn handle_sent(&mut self, count: usize) {
        self.under_way += count;
    }

    /// The `count` renewals sent at `sent`, which could wait for `patience`, were answered at `now`.
    pub(super) fn handle_answered(
        &mut self,
        now: Instant,
        sent: Instant,
        count: usize,
        patience: Duration,
    ) {
        self.under_way = self.under_way.saturating_sub(count);
        let took = now.saturating_since(sent);
        let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
        self.quickest = Some(quickest);
        self.failures = 0;
        self.opens_at = now;
        if sent < self.changed {
            return;
        }
        let waited = took.saturating_sub(quickest);
        if patience / 2 < waited {
            if self.limit == Self::LEAST {
                // So few cannot have waited for each other: the way to the server has become longer.
                self.quickest = Some(took);
            }
            self.set_limit(now, self.limit / 2);
        } else if self.half() <= count {
            let wait = self.wait_if_doubled(waited, count);
            if wait <= patience / 2 && quickest + wait <= patience - patience / 16 {
                self.set_limit(now, self.limit * 2);
            } else {
                self.settle(now);
            }
        }
    }

    /// Keeps the limit; now and then looks anew how long the way is, which may have become longer.
    fn settle(&mut self, now: Instant) {
        self.settled += 1;
        if Self::SETTLED < self.settled {
            self.quickest = None;
            self.set_limit(now, Self::LEAST);
        }
    }

    /// How long the last of twice as many might wait for the others, where the last of `count` has `waited` so long.
    fn wait_if_doubled(&self, waited: Duration, count: usize) -> Duration {
        // What the quickest answer waited for is part of the way.
        let first = Self::LEAST / 2;
        let others = count.saturating_sub(first).max(first);
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        waited * u32::try_from(2 * self.limit - first).unwrap_or(u32::MAX) / others
    }

    /// None of the `count` renewals sent at `sent` was answered; nothing is sent before `pause` is over.
    pub(super) fn handle_failed(
        &mut self,
        now: Instant,
        sent: Instant,
        count: usize,
        pause: Duration,
    ) {
        self.under_way = self.under_way.saturating_sub(count);
        // What was sent together fails together, and counts once.
        if sent < self.changed {
            return;
        }
        self.quickest = None;
        self.failures = self.failures.saturating_add(1);
        self.opens_at = now + pause;
        self.set_limit(now, Self::LEAST);
    }

    fn set_limit(&mut self, now: Instant, limit: usize) {
        let most = if self.in_turn {
            Self::BATCH
        } else {
            Self::MOST
        };
        self.limit = limit.clamp(Self::LEAST, most);
        self.changed = now;
        self.settled = 0;
    }
}
