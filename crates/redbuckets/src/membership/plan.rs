//! What is to be given away, and when it may go.

use coord_core::clock::Instant;

use super::{Ending, Membership, Phase};
use crate::{
    assignment::Assignment,
    event::Event,
    protocol::{Beat, Grant, Room},
    shed,
};

impl Membership {
    /// Decides what is to go, and what may stay after all.
    pub(super) fn plan(&mut self, now: Instant, beat: &Beat) {
        if self.ending != Ending::No {
            return self.revoke_all(now);
        }
        if self.limits.assignment == Assignment::Contiguous {
            return self.plan_range(now, beat);
        }
        let (surplus, going) = (beat.surplus as usize, self.going.len());
        if surplus < going {
            self.reconsider(going - surplus);
        }
        let most = self.limits.max_moves.min(surplus);
        let room = most.saturating_sub(self.going.len());
        if 0 < room {
            let chosen = self.choose(room, surplus - self.going.len());
            self.revoke(now, &chosen);
        }
    }

    /// `room` of the `surplus` buckets that are still to be chosen.
    fn choose(&mut self, room: usize, surplus: usize) -> Vec<u32> {
        if let Some(load) = &self.limits.load {
            return shed::by_load(&self.candidates(surplus), room, &**load);
        }
        // Chosen once for a rebalance, however many steps it takes: whoever has many buckets has many steps.
        let mut next = Vec::new();
        for is_fresh in [false, true] {
            if is_fresh {
                self.chosen = shed::by_runs(&self.candidates(surplus), surplus).into();
            }
            while next.len() < room
                && let Some(bucket) = self.chosen.pop_front()
            {
                let held = self.holdings.get(&bucket);
                if held.is_some_and(|holding| holding.phase == Phase::Active) {
                    next.push(bucket);
                }
            }
            if !next.is_empty() {
                break;
            }
        }
        next
    }

    fn plan_range(&mut self, now: Instant, beat: &Beat) {
        let back: Vec<u32> = self
            .revoking()
            .map(|(bucket, _)| bucket)
            .filter(|bucket| beat.range.contains(bucket))
            .collect();
        for bucket in back {
            self.reactivate(bucket);
        }
        let room = self.limits.max_moves.saturating_sub(self.going.len());
        let below = self.holdings.range(..beat.range.start);
        let outside: Vec<u32> = below
            .chain(self.holdings.range(beat.range.end.max(beat.range.start)..))
            .filter(|(_, holding)| holding.phase == Phase::Active)
            .map(|(&bucket, _)| bucket)
            .take(room)
            .collect();
        self.revoke(now, &outside);
    }

    /// Everybody is told at once: work that ends together needs no longer for many buckets than for one.
    pub(super) fn revoke_all(&mut self, now: Instant) {
        if self.going.len() < self.holdings.len() {
            self.revoke(now, &self.active());
        }
    }

    /// Up to `count` revocations are withdrawn, those that work goes on in first: they would take longest.
    fn reconsider(&mut self, count: usize) {
        let mut revoking: Vec<(u32, u32)> = self
            .revoking()
            .map(|(bucket, guards)| (guards, bucket))
            .collect();
        revoking.sort_unstable_by_key(|&(guards, bucket)| (std::cmp::Reverse(guards), bucket));
        for (_, bucket) in revoking.into_iter().take(count) {
            self.reactivate(bucket);
        }
    }

    /// Buckets that are to go and are not on their way, with how much work goes on in them.
    fn revoking(&self) -> impl Iterator<Item = (u32, u32)> {
        self.going.iter().filter_map(|bucket| {
            let holding = self.holdings.get(bucket)?;
            matches!(holding.phase, Phase::Revoking { .. }).then_some((*bucket, holding.guards))
        })
    }

    /// What `surplus` buckets may be chosen from. What another gave away because work in it failed there stays as long as there
    /// are others: it is that member which lacks a bucket since.
    fn candidates(&self, surplus: usize) -> Vec<u32> {
        let active = self.active();
        let may_go = |bucket: &u32| self.holdings.get(bucket).is_some_and(|held| !held.stays);
        let going: Vec<u32> = active.iter().copied().filter(may_go).collect();
        if surplus <= going.len() {
            going
        } else {
            active
        }
    }

    fn active(&self) -> Vec<u32> {
        self.holdings
            .iter()
            .filter(|(_, holding)| holding.phase == Phase::Active)
            .map(|(&bucket, _)| bucket)
            .collect()
    }

    fn revoke(&mut self, now: Instant, buckets: &[u32]) {
        for &bucket in buckets {
            let Some(holding) = self.holdings.get_mut(&bucket) else {
                continue;
            };
            holding.phase = Phase::Revoking {
                since: now,
                overdue: false,
            };
            self.going.insert(bucket);
            self.due.insert((now, bucket));
            if holding.guards == 0 {
                self.ready.insert(bucket);
            }
            self.events.push(Event::Revoking {
                bucket,
                epoch: holding.epoch,
                overdue: false,
            });
        }
    }

    /// Work under a grant does not get on: the bucket goes, with or without its guards, to a member that works. So does one
    /// that came back meanwhile, and in which no other work began for that.
    pub(crate) fn fail(&mut self, grant: Grant) {
        let is_alone = self.view.members <= 1 || self.limits.assignment == Assignment::Contiguous;
        let Some(holding) = self.holdings.get_mut(&grant.bucket) else {
            return;
        };
        let can_fail = matches!(holding.phase, Phase::Active | Phase::Revoking { .. });
        let is_concerned = match holding.epoch == grant.epoch {
            true => 0 < holding.guards,
            false => holding.guards == 0 && !is_alone,
        };
        if !(can_fail && is_concerned) {
            return;
        }
        let grant = Grant {
            epoch: holding.epoch,
            ..grant
        };
        let before = std::mem::replace(&mut holding.phase, Phase::Failed);
        self.forget_going(grant.bucket, before);
        self.going.insert(grant.bucket);
        self.ready.insert(grant.bucket);
        self.events.push(Event::Stuck {
            bucket: grant.bucket,
            epoch: grant.epoch,
        });
    }

    /// A bucket is not to be given away any more, or not ours.
    pub(super) fn forget_going(&mut self, bucket: u32, phase: Phase) {
        if let Phase::Revoking { since, .. } = phase {
            self.due.remove(&(since, bucket));
        }
        self.ready.remove(&bucket);
        self.going.remove(&bucket);
    }

    pub(super) fn collect_releases(&mut self, now: Instant) {
        self.mark_overdue(now);
        if self.ending == Ending::Park {
            return;
        }
        let mut room = match self.limits.assignment {
            Assignment::Sticky => Room::new(self.limits.chunk),
            Assignment::Contiguous => Room::of_buckets(self.limits.chunk),
        };
        if !self.releasing.iter().all(|&grant| room.takes(grant)) {
            return;
        }
        while let Some(bucket) = self.ready.pop_first() {
            let Some(holding) = self.holdings.get_mut(&bucket) else {
                continue;
            };
            let epoch = holding.epoch;
            if !room.takes(Grant { bucket, epoch }) {
                self.ready.insert(bucket);
                return;
            }
            match std::mem::replace(&mut holding.phase, Phase::Releasing) {
                Phase::Revoking { since, .. } => _ = self.due.remove(&(since, bucket)),
                Phase::Failed => _ = self.failed.insert(bucket),
                Phase::Active | Phase::Releasing => {}
            }
            let epoch = holding.epoch;
            self.releasing.push(Grant { bucket, epoch });
        }
    }

    /// Reports revocations that take longer than `drain_timeout`; says when the next one will.
    pub(crate) fn mark_overdue(&mut self, now: Instant) -> Option<Instant> {
        while let Some(&(revoked, bucket)) = self.due.first() {
            let due = revoked + self.limits.drain_timeout;
            if now < due {
                return Some(due);
            }
            self.due.pop_first();
            if let Some(holding) = self.holdings.get_mut(&bucket)
                && let Phase::Revoking { overdue, .. } = &mut holding.phase
            {
                *overdue = true;
                self.events.push(Event::Revoking {
                    bucket,
                    epoch: holding.epoch,
                    overdue: true,
                });
                if self.limits.forced {
                    self.ready.insert(bucket);
                }
            }
        }
        None
    }
}
