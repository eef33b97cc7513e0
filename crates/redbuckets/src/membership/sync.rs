//! Telling a store that may have forgotten something what is held.

use std::time::Duration;

use super::{Heard, Membership, Phase};
use crate::{
    event::{Event, LossCause},
    protocol::{ClaimReply, ClaimRequest, Count, Grant, Room, Told},
};

/// A resynchronisation under way.
#[derive(Debug)]
pub(super) struct Resync {
    generation: Option<String>,
    /// What is said first.
    count: Option<Count>,
    /// What is held, if that is to be said: claimed up to `done`, asked for up to `asked`.
    claims: Vec<Grant>,
    done: usize,
    asked: usize,
    /// As of the last answer before it began: what the store said afterwards proves nothing.
    told: Told,
}

impl Resync {
    pub(super) fn request(&mut self, seq: u64, heard: u64, chunk: u32) -> ClaimRequest {
        let mut room = Room::new(chunk);
        let left = &self.claims[self.done..];
        let fits = left.iter().take_while(|&&grant| room.takes(grant)).count();
        self.asked = self.done + fits;
        ClaimRequest {
            seq,
            generation: self.generation.clone(),
            heard,
            last: self.asked == self.claims.len(),
            claims: self.claims[self.done..self.asked].to_vec(),
            count: self.count.clone(),
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
                sync.done = sync.asked;
                let finished = sync.done == sync.claims.len();
                sync.generation = Some(generation.clone());
                self.number = number;
                self.note_answer(told);
                if finished {
                    self.generation = generation;
                    self.sync = None;
                    let count = u32::try_from(self.holdings.len()).unwrap_or(u32::MAX);
                    self.events.push(Event::Reasserted { count });
                }
                Heard::Acknowledged(Duration::ZERO)
            }
            ClaimReply::Piecemeal => {
                // The store counts its grants anew from the first claim on.
                self.got = 0;
                let claims = self.claims();
                if let Some(sync) = &mut self.sync {
                    (sync.count, sync.claims) = (None, claims);
                }
                Heard::Unfinished
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

    fn claims(&self) -> Vec<Grant> {
        self.holdings
            .iter()
            .map(|(&bucket, holding)| Grant {
                bucket,
                epoch: holding.epoch,
            })
            .collect()
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
        self.sync = Some(Resync {
            generation: None,
            count: Some(Count {
                generation: self.generation.clone(),
                got: self.got,
                buckets: self.holdings.len(),
            }),
            claims: Vec::new(),
            done: 0,
            asked: 0,
            told: self.told,
        });
    }
}
