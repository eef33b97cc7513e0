//! What the fuzz targets call. No part of the API.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use coord_core::{clock::Instant, fuzzing::Input, store::Reply};

use crate::{
    assignment::Assignment,
    event::LossCause,
    glance::Glance,
    inspect,
    membership::{Ending, Heard, Limits, Membership, Request},
    protocol::{self, Beat, BeatReply, ClaimReply, Grant, Outcome, Told},
};

const BUCKETS: u32 = 16;

/// Whatever a server answers, nothing is granted that is no bucket of the group, or without an epoch.
pub fn reply(reply: &Reply) {
    for releases in [0, 1, 3] {
        if let Ok(BeatReply::Beaten(beat)) = protocol::parse_beat(reply, releases, BUCKETS) {
            assert_eq!(beat.outcomes.len(), releases);
            let is_sound = |grant: &Grant| grant.bucket < BUCKETS && 0 < grant.epoch;
            assert!(beat.grants.iter().all(is_sound));
            let text = reply.as_array().and_then(|items| items.get(9)?.as_str());
            let words = text.map_or(0, |text| text.split_ascii_whitespace().count());
            assert_eq!(words as u64, 2 * beat.received);
            if let Some(glance) = &beat.glance {
                let _ = glance.record_after(u64::MAX);
            }
        }
    }
    let _ = protocol::parse_join(reply);
    let _ = protocol::parse_claim(reply);
    let _ = protocol::parse_leave(reply);
    inspect::fuzz(reply);
}

/// Whatever a server answers to one request after the other and users do meanwhile: a member holds only what an answer
/// granted to it, lets nobody into anything else, and gives nothing away that is worked on.
pub fn member(data: &[u8]) {
    let mut input = Input::new(data);
    let (chunk, forced) = (1 + input.below(5), input.below(4) == 0);
    let limits = Limits {
        ttl: Duration::from_secs(3),
        chunk,
        max_moves: 1 + input.below(6) as usize,
        drain_timeout: Duration::from_secs(3),
        progress_timeout: None,
        forced,
        assignment: match input.below(2) {
            0 => Assignment::Sticky,
            _ => Assignment::Contiguous,
        },
        load: None,
    };
    let now = Instant::from_boot(Duration::from_secs(1));
    let mut world = World {
        member: Membership::new(limits, now, 1, "1".to_owned(), Told::default()),
        now,
        granted: HashSet::new(),
        working: HashMap::new(),
        forced,
    };
    while !input.is_empty() {
        world.step(&mut input);
        world.check();
    }
    world.member.lose_all(&LossCause::Expired);
    assert_eq!(world.member.held().count(), 0);
}

struct World {
    member: Membership,
    now: Instant,
    granted: HashSet<(u32, u64)>,
    /// How often work goes on under each grant.
    working: HashMap<(u32, u64), u32>,
    forced: bool,
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        self.now = self.now + Duration::from_millis(100 * u64::from(input.below(20)));
        let bucket = input.below(BUCKETS as u16 + 1);
        match input.below(16) {
            0..=3 => {
                let alone = input.below(2) == 1;
                let epoch = match alone {
                    true => self.member.enter_alone(bucket),
                    false => self.member.enter(bucket),
                };
                if let Some(epoch) = epoch {
                    assert!(!alone || self.working.keys().all(|&(busy, _)| busy != bucket));
                    assert!(self.granted.contains(&(bucket, epoch)));
                    *self.working.entry((bucket, epoch)).or_default() += 1;
                }
            }
            4 | 5 => {
                let key = self.working.keys().min().copied();
                if let Some((bucket, epoch)) = key {
                    self.member.exit(bucket, epoch);
                    self.stop_one((bucket, epoch));
                }
            }
            6 => {
                // Of a grant that nobody made: those have epochs up to 4.
                self.member.exit(bucket, input.number().saturating_add(5));
            }
            7 if input.below(8) == 0 => {
                let ending = [Ending::HandOver, Ending::Park][input.below(2) as usize];
                self.member.end(self.now, ending);
            }
            8 => self.member.lose_all(&LossCause::Expired),
            _ => self.talk(input),
        }
    }

    fn stop_one(&mut self, grant: (u32, u64)) {
        if let Some(count) = self.working.get_mut(&grant) {
            *count -= 1;
            if *count == 0 {
                self.working.remove(&grant);
            }
        }
    }

    /// A request, and what comes of it.
    fn talk(&mut self, input: &mut Input<'_>) {
        let request = self.member.request(self.now);
        let heard = match &request {
            _ if input.below(8) == 0 => self.member.handle_failed(),
            Request::Beat(beat) => {
                for release in &beat.releases {
                    let grant = (release.bucket, release.epoch);
                    assert!(self.granted.contains(&grant), "{grant:?} was not held");
                    assert!(
                        self.forced || !self.working.contains_key(&grant),
                        "{grant:?} is worked on"
                    );
                }
                let reply = self.beat(input, beat.releases.len());
                self.member.handle_beat(self.now, reply)
            }
            Request::Claim(claim) => {
                for claimed in &claim.claims {
                    assert!(self.granted.contains(&(claimed.bucket, claimed.epoch)));
                }
                let reply = claimed(input);
                self.member.handle_claim(reply)
            }
        };
        if matches!(heard, Heard::Fenced(_) | Heard::Refused(_)) {
            self.member.lose_all(&LossCause::Fenced);
        }
    }

    fn beat(&mut self, input: &mut Input<'_>, releases: usize) -> BeatReply {
        match input.below(16) {
            0 => BeatReply::Resync,
            1 => BeatReply::Stale,
            2 => BeatReply::Same(input.ms()),
            3 if input.below(8) == 0 => BeatReply::Fenced("1:x".to_owned()),
            _ => BeatReply::Beaten(Box::new(self.beaten(input, releases))),
        }
    }

    fn beaten(&mut self, input: &mut Input<'_>, releases: usize) -> Beat {
        let grants: Vec<Grant> = (0..input.below(6))
            .map(|_| Grant {
                bucket: input.below(BUCKETS as u16),
                epoch: u64::from(1 + input.below(4)),
            })
            .collect();
        let known = grants.iter().map(|grant| (grant.bucket, grant.epoch));
        self.granted.extend(known);
        let outcomes = (0..releases).map(|_| match input.below(2) {
            0 => Outcome::Gone,
            _ => Outcome::Keep,
        });
        Beat {
            outcomes: outcomes.collect(),
            received: grants.len() as u64,
            staying: grants.iter().take(1).map(|grant| grant.bucket).collect(),
            grants,
            version: input.number(),
            members: input.below(256),
            quota: input.below(256),
            surplus: [0, 1, 5, u32::MAX][input.below(4) as usize],
            again: input.ms(),
            more: input.below(2) == 1,
            range: input.below(20)..input.below(20),
            free: input.below(256),
            doubt: [Duration::ZERO, Duration::MAX][input.below(2) as usize],
            owned: input.below(3),
            glance: (input.below(2) == 1).then(|| Glance {
                state: "state".to_owned(),
                record: String::from_utf8_lossy(input.chunk()).into_owned(),
            }),
            told: Told::default(),
        }
    }

    fn check(&mut self) {
        let held: HashSet<(u32, u64)> = self
            .member
            .held()
            .map(|(grant, _)| (grant.bucket, grant.epoch))
            .collect();
        assert!(held.is_subset(&self.granted));
        // Work counts until it ends, in what was taken away as well.
        let working: BTreeSet<u32> = self.working.keys().map(|&(bucket, _)| bucket).collect();
        assert!(self.member.busy().into_iter().eq(working));
        let is_held = self.working.keys().any(|grant| held.contains(grant));
        let is_stray = self.working.keys().any(|grant| !held.contains(grant));
        assert_eq!(self.member.is_at_work(), (is_held, is_stray));
        let _ = (self.member.has_ended(), self.member.view().clone());
        let _ = self.member.mark_overdue(self.now);
        self.member.take_events();
    }
}

fn claimed(input: &mut Input<'_>) -> ClaimReply {
    match input.below(8) {
        0 => ClaimReply::Restart,
        1 => ClaimReply::Stale,
        2 if input.below(8) == 0 => ClaimReply::Fenced("1:x".to_owned()),
        _ => ClaimReply::Claimed {
            number: input.below(256),
            generation: "2".to_owned(),
            rejected: (0..input.below(4)).map(|_| input.below(20)).collect(),
            told: Told::default(),
        },
    }
}
