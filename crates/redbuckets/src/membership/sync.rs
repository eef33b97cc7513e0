//! Telling a store that may have forgotten something what is held.

use std::time::Duration;

use super::{Heard, Membership, Phase};
use crate::{
    event::{Event, LossCause},
    protocol::{ClaimReply, ClaimRequest, Grant, Told},
};

/// A resynchronisation under way: what is yet to be claimed.
#[derive(Debug)]
pub(super) struct Resync {
    generation: Option<String>,
    unclaimed: Vec<Grant>,
    asked: usize,
    /// As of the last answer before it began: what the store said afterwards proves nothing.
    told: Told,
}

impl Resync {
    pub(super) fn request(&mut self, seq: u64, heard: u64, chunk: u32) -> ClaimRequest {
        self.asked = self.unclaimed.len().min(chunk as usize);
        ClaimRequest {
            seq,
            generation: self.generation.clone(),
            heard,
            last: self.asked == self.unclaimed.len(),
            claims: self.unclaimed[..self.asked].to_vec(),
            told: self.told,
        }
    }
}

impl Membership {
    pub(crate) fn handle_claim(&mut self, reply: ClaimReply) -> Heard {
        match reply {
            ClaimReply::Claimed {
                number,
                generation,
                rejected,
                told,
            } => {
                self.reject(rejected);
                let Some(sync) = &mut self.sync else {
                    return Heard::Failed;
                };
                sync.unclaimed.drain(..sync.asked);
                let finished = sync.unclaimed.is_empty();
                sync.generation = Some(generation.clone());
                self.number = number;
                self.note_answer(told);
                if !finished {
                    return Heard::Unfinished;
                }
                self.generation = generation;
                self.sync = None;
                let count = u32::try_from(self.holdings.len()).unwrap_or(u32::MAX);
                self.events.push(Event::Reasserted { count });
                Heard::Acknowledged(Duration::ZERO)
            }
            ClaimReply::Restart => {
                self.start_sync();
                Heard::Unfinished
            }
            ClaimReply::Fenced(by) => Heard::Fenced(by),
            ClaimReply::Stale => self.handle_failed(),
            ClaimReply::Refused(refusal) => Heard::Refused(refusal),
        }
    }

    /// These were granted to others since.
    pub(crate) fn reject(&mut self, rejected: Vec<u32>) {
        for bucket in rejected {
            self.lose(bucket, LossCause::Superseded);
        }
    }

    /// The answer never came, or was none. What was claimed so far may be in the store or not: it starts over.
    pub(crate) fn handle_failed(&mut self) -> Heard {
        self.glance = None;
        if self.sync.is_some() {
            self.start_sync();
        }
        Heard::Failed
    }

    /// The store may have forgotten: everything that is worked on is claimed anew. What is being released is not: the
    /// store may have given it to another, and nobody works on it here.
    pub(super) fn start_sync(&mut self) {
        let going: Vec<Grant> = self
            .holdings
            .iter()
            .filter(|(_, holding)| holding.phase == Phase::Releasing)
            .map(|(&bucket, holding)| Grant {
                bucket,
                epoch: holding.epoch,
            })
            .collect();
        for grant in going {
            self.released(grant);
        }
        self.releasing.clear();
        self.failed.clear();
        self.got = 0;
        let unclaimed = self
            .holdings
            .iter()
            .map(|(&bucket, holding)| Grant {
                bucket,
                epoch: holding.epoch,
            })
            .collect();
        self.sync = Some(Resync {
            generation: None,
            unclaimed,
            asked: 0,
            told: self.told,
        });
    }
}
