//! What users do in buckets, and what they may see.

use std::time::Duration;

use coord_core::clock::Instant;

use super::{Ending, Holding, Membership, Phase, View};
use crate::{event::Event, protocol::Grant};

/// What the end of a piece of work changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exit {
    /// A bucket may be given away now.
    pub(crate) releasable: bool,
    /// Nobody works in the bucket any more, under whatever grant.
    pub(crate) last: bool,
    /// Of work whose grant was over before.
    pub(crate) stray: bool,
}

impl Membership {
    /// Work begins in a bucket, if it may; the grant's epoch.
    pub(crate) fn enter(&mut self, bucket: u32) -> Option<u64> {
        let holding = self.holdings.get_mut(&bucket)?;
        if holding.phase != Phase::Active {
            return None;
        }
        holding.guards += 1;
        self.at_work += 1;
        Some(holding.epoch)
    }

    /// As [`enter`](Self::enter), where nobody works in the bucket, under whatever grant.
    pub(crate) fn enter_alone(&mut self, bucket: u32) -> Option<u64> {
        if self.is_worked_in(bucket) {
            return None;
        }
        self.enter(bucket)
    }

    /// More work begins under a grant under which work goes on; whether it does.
    pub(crate) fn enter_too(&mut self, grant: Grant) -> bool {
        if let Some(holding) = self.holdings.get_mut(&grant.bucket)
            && holding.epoch == grant.epoch
        {
            let goes_on = 0 < holding.guards;
            holding.guards += u32::from(goes_on);
            self.at_work += usize::from(goes_on);
            return goes_on;
        }
        let strays = self.strays.get_mut(&(grant.bucket, grant.epoch));
        strays.map(|guards| *guards += 1).is_some()
    }

    /// Work has ended; what that changes.
    pub(crate) fn exit(&mut self, bucket: u32, epoch: u64) -> Exit {
        let mut exit = Exit::default();
        match self.holdings.get_mut(&bucket) {
            Some(holding) if holding.epoch == epoch => {
                if holding.guards == 0 {
                    return exit;
                }
                holding.guards -= 1;
                self.at_work -= 1;
                exit.releasable =
                    holding.guards == 0 && matches!(holding.phase, Phase::Revoking { .. });
                if exit.releasable {
                    self.ready.insert(bucket);
                }
            }
            _ => {
                let Some(guards) = self.strays.get_mut(&(bucket, epoch)) else {
                    return exit;
                };
                *guards -= 1;
                if *guards == 0 {
                    self.strays.remove(&(bucket, epoch));
                }
                exit.stray = true;
            }
        }
        exit.last = !self.is_worked_in(bucket);
        exit
    }

    fn is_worked_in(&self, bucket: u32) -> bool {
        let held = self.holdings.get(&bucket);
        held.is_some_and(|holding| 0 < holding.guards)
            || self
                .strays
                .range((bucket, 0)..=(bucket, u64::MAX))
                .next()
                .is_some()
    }

    /// A grant is over; work under it goes on counting until it has ended.
    pub(super) fn strand(&mut self, bucket: u32, over: &Holding) {
        if 0 < over.guards {
            self.at_work -= over.guards as usize;
            *self.strays.entry((bucket, over.epoch)).or_default() += over.guards;
        }
    }

    /// Takes over the work of an earlier membership, all of whose grants are over.
    pub(crate) fn inherit(&mut self, earlier: &mut Self) {
        self.strays = std::mem::take(&mut earlier.strays);
    }

    pub(crate) fn epoch(&self, bucket: u32) -> Option<u64> {
        self.holdings.get(&bucket).map(|holding| holding.epoch)
    }

    /// Where a grant stands; `None` once it is over.
    pub(crate) fn phase(&self, bucket: u32, epoch: u64) -> Option<Phase> {
        let holding = self.holdings.get(&bucket)?;
        (holding.epoch == epoch).then_some(holding.phase)
    }

    /// The member is on its way out; how, in the end: whoever is handing over does not change its mind.
    pub(crate) fn end(&mut self, now: Instant, ending: Ending) -> Ending {
        if self.ending != Ending::HandOver {
            self.ending = ending;
        }
        self.revoke_all(now);
        self.ending
    }

    pub(crate) const fn ending(&self) -> Ending {
        self.ending
    }

    /// Whether nothing is worked on any more and, where everything was to be handed over, the store has it all.
    pub(crate) fn has_ended(&self) -> bool {
        let idle = self.at_work == 0 && self.strays.is_empty();
        match self.ending {
            Ending::No => false,
            Ending::HandOver => {
                idle && self.holdings.is_empty() && self.sync.is_none() && self.view.owned == 0
            }
            Ending::Park => idle,
        }
    }

    /// Whether work goes on in what is held, and whether it does under grants that are over.
    pub(crate) fn is_at_work(&self) -> (bool, bool) {
        (0 < self.at_work, !self.strays.is_empty())
    }

    /// Buckets with work in them, in rising order.
    pub(crate) fn busy(&self) -> Vec<u32> {
        let held = self.holdings.iter();
        let mut busy: Vec<u32> = held
            .filter(|(_, holding)| 0 < holding.guards)
            .map(|(&bucket, _)| bucket)
            .chain(self.strays.keys().map(|&(bucket, _)| bucket))
            .collect();
        busy.sort_unstable();
        busy.dedup();
        busy
    }

    /// Within which time work has to report, where that is wanted.
    pub(crate) const fn progress_timeout(&self) -> Option<Duration> {
        self.limits.progress_timeout
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    pub(crate) const fn view(&self) -> &View {
        &self.view
    }

    /// How many buckets are held, and how many of those are to be given away.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.holdings.len(), self.going.len())
    }

    /// Every bucket held, with its epoch and whether it may be entered.
    pub(crate) fn held(&self) -> impl Iterator<Item = (Grant, bool)> {
        self.holdings.iter().map(|(&bucket, holding)| {
            let grant = Grant {
                bucket,
                epoch: holding.epoch,
            };
            (grant, holding.phase == Phase::Active)
        })
    }

    /// What happened since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}
