//! What users do in buckets, and what they may see.

use coord_core::clock::Instant;

use super::{Ending, Membership, Phase, View};
use crate::{event::Event, protocol::Grant};

impl Membership {
    /// Work begins in a bucket, if it may; the grant's epoch.
    pub(crate) fn enter(&mut self, bucket: u32) -> Option<u64> {
        let holding = self.holdings.get_mut(&bucket)?;
        if holding.phase != Phase::Active {
            return None;
        }
        holding.guards += 1;
        Some(holding.epoch)
    }

    /// Work has ended; whether that lets a bucket go.
    pub(crate) fn exit(&mut self, bucket: u32, epoch: u64) -> bool {
        let Some(holding) = self.holdings.get_mut(&bucket) else {
            return false;
        };
        if holding.epoch != epoch || holding.guards == 0 {
            return false;
        }
        holding.guards -= 1;
        holding.guards == 0 && matches!(holding.phase, Phase::Revoking { .. })
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

    /// Whether nothing is worked on any more and, where everything was to be handed over, the store has it all.
    pub(crate) fn has_ended(&self) -> bool {
        match self.ending {
            Ending::No => false,
            Ending::HandOver => {
                self.holdings.is_empty() && self.sync.is_none() && self.view.owned == 0
            }
            Ending::Park => self.holdings.values().all(|holding| holding.guards == 0),
        }
    }

    /// Buckets with work in them.
    pub(crate) fn busy(&self) -> Vec<u32> {
        self.holdings
            .iter()
            .filter(|(_, holding)| 0 < holding.guards)
            .map(|(&bucket, _)| bucket)
            .collect()
    }

    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    pub(crate) const fn view(&self) -> &View {
        &self.view
    }

    /// How many buckets are held, and how many of those are to be given away.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.holdings.len(), self.going)
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
