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
        let surplus = beat.surplus as usize;
        if surplus < self.going {
            self.reconsider(self.going - surplus);
        }
        let room = self
            .limits
            .max_moves
            .min(surplus)
            .saturating_sub(self.going);
        if 0 < room {
            let active = self.active();
            let chosen = match &self.limits.load {
                Some(load) => shed::by_load(&active, room, &**load),
                None => shed::by_runs(&active, room),
            };
            self.revoke(now, &chosen);
        }
    }

    fn plan_range(&mut self, now: Instant, beat: &Beat) {
        let back: Vec<u32> = self
            .holdings
            .iter()
            .filter(|(bucket, holding)| {
                matches!(holding.phase, Phase::Revoking { .. }) && beat.range.contains(bucket)
            })
            .map(|(&bucket, _)| bucket)
            .collect();
        for bucket in back {
            self.reactivate(bucket);
        }
        let room = self.limits.max_moves.saturating_sub(self.going);
        let outside: Vec<u32> = self
            .active()
            .into_iter()
            .filter(|bucket| !beat.range.contains(bucket))
            .take(room)
            .collect();
        self.revoke(now, &outside);
    }

    pub(super) fn revoke_all(&mut self, now: Instant) {
        let room = match self.ending {
            Ending::Park => usize::MAX,
            _ => self.limits.max_moves.saturating_sub(self.going),
        };
        let mut active = self.active();
        active.truncate(room);
        self.revoke(now, &active);
    }

    /// Up to `count` revocations are withdrawn, those that work goes on in first: they would take longest.
    fn reconsider(&mut self, count: usize) {
        let mut revoking: Vec<(u32, u32)> = self
            .holdings
            .iter()
            .filter(|(_, holding)| matches!(holding.phase, Phase::Revoking { .. }))
            .map(|(&bucket, holding)| (holding.guards, bucket))
            .collect();
        revoking.sort_unstable_by_key(|&(guards, bucket)| (std::cmp::Reverse(guards), bucket));
        for (_, bucket) in revoking.into_iter().take(count) {
            self.reactivate(bucket);
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
            if let Some(holding) = self.holdings.get_mut(&bucket) {
                holding.phase = Phase::Revoking {
                    since: now,
                    overdue: false,
                };
                self.going += 1;
                self.events.push(Event::Revoking {
                    bucket,
                    epoch: holding.epoch,
                    overdue: false,
                });
            }
        }
    }

    pub(super) fn collect_releases(&mut self, now: Instant) {
        self.mark_overdue(now);
        if self.ending == Ending::Park || self.going == 0 {
            return;
        }
        let mut room = match self.limits.assignment {
            Assignment::Sticky => Room::new(self.limits.chunk),
            Assignment::Contiguous => Room::of_buckets(self.limits.chunk),
        };
        if !self.releasing.iter().all(|&grant| room.takes(grant)) {
            return;
        }
        let forced = self.limits.forced;
        let ready: Vec<Grant> = self
            .holdings
            .iter()
            .filter(|(_, holding)| match holding.phase {
                Phase::Revoking { overdue, .. } => holding.guards == 0 || (overdue && forced),
                _ => false,
            })
            .map(|(&bucket, holding)| Grant {
                bucket,
                epoch: holding.epoch,
            })
            .take_while(|&grant| room.takes(grant))
            .collect();
        for grant in ready {
            if let Some(holding) = self.holdings.get_mut(&grant.bucket) {
                holding.phase = Phase::Releasing;
            }
            self.releasing.push(grant);
        }
    }

    /// Reports revocations that take longer than `drain_timeout`; says when the next one will.
    pub(crate) fn mark_overdue(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        if self.going == 0 {
            return None;
        }
        for (&bucket, holding) in &mut self.holdings {
            if let Phase::Revoking {
                since,
                overdue: overdue @ false,
            } = &mut holding.phase
            {
                let due = *since + self.limits.drain_timeout;
                if now < due {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    continue;
                }
                *overdue = true;
                self.events.push(Event::Revoking {
                    bucket,
                    epoch: holding.epoch,
                    overdue: true,
                });
            }
        }
        next
    }
}
