//! What one member holds and what it says next: a pure machine that is told what the store answered and what users do.
//!
//! One request is under way at a time. A bucket is *active* from its grant until it is to be given away, *revoking*
//! while work that entered it goes on, *releasing* from the request that gives it back until the answer. Only active
//! buckets are entered; only buckets without work are released.

mod plan;
mod sync;
#[cfg(test)]
mod tests;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use coord_core::clock::Instant;

use crate::{
    assignment::Assignment,
    event::{Event, LossCause},
    glance::Glance,
    protocol::{Beat, BeatReply, BeatRequest, ClaimRequest, Grant, Outcome, Refusal, Told},
};

use self::sync::Resync;

/// Says how loaded a bucket is.
pub(crate) type Load = Arc<dyn Fn(u32) -> u64 + Send + Sync>;

/// What does not change over an instance's life.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) ttl: Duration,
    pub(crate) chunk: u32,
    pub(crate) max_moves: usize,
    pub(crate) drain_timeout: Duration,
    /// Within which each piece of work has to report that it gets on, where that is wanted.
    pub(crate) progress_timeout: Option<Duration>,
    /// Whether a bucket is handed over at `drain_timeout` although work in it goes on.
    pub(crate) forced: bool,
    pub(crate) assignment: Assignment,
    /// What decides which buckets go first; their runs where there is none.
    pub(crate) load: Option<Load>,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("chunk", &self.chunk)
            .field("max_moves", &self.max_moves)
            .finish_non_exhaustive()
    }
}

/// Whether and how the member is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is not.
    No,
    /// It gives everything to the others.
    HandOver,
    /// It stops working and keeps everything for its next incarnation.
    Park,
}

/// The next request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Beat(BeatRequest),
    Claim(ClaimRequest),
}

/// What an answer means for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It lives on; the next beat is wanted this soon.
    Acknowledged(Duration),
    /// There is more to say before it may.
    Unfinished,
    /// Nothing can be said.
    Failed,
    /// A later incarnation has taken the id: its token.
    Fenced(String),
    /// It was one of this process, which did not take it up: its token.
    Overtaken(String),
    /// The group is not the one that was joined.
    Refused(Refusal),
}

#[derive(Debug)]
pub(crate) struct Membership {
    limits: Limits,
    number: u32,
    generation: String,
    seq: u64,
    got: u64,
    heard: u64,
    told: Told,
    /// When the last request that had the store look at everything was sent, and whether the one under way does.
    looked_at: Instant,
    looks: Option<Instant>,
    holdings: BTreeMap<u32, Holding>,
    /// How many guards there are in what is held.
    at_work: usize,
    /// How many guards there are under each grant that is over: the work has not ended for that.
    strays: BTreeMap<(u32, u64), u32>,
    /// Those that are revoking or releasing.
    going: BTreeSet<u32>,
    /// Those that are revoking and not overdue, by since when.
    due: BTreeSet<(Instant, u32)>,
    /// Those that are revoking and may be released.
    ready: BTreeSet<u32>,
    /// What goes next, chosen for the group's present membership.
    chosen: VecDeque<u32>,
    ending: Ending,
    sync: Option<Resync>,
    releasing: Vec<Grant>,
    /// Those of them that failed here.
    failed: BTreeSet<u32>,
    glance: Option<Glance>,
    view: View,
    rebalance: Option<Rebalance>,
    events: Vec<Event>,
}

/// What the store last said of the group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) version: u64,
    pub(crate) members: u32,
    pub(crate) quota: u32,
    pub(crate) free: u32,
    pub(crate) doubt: Duration,
    /// What the table gives to this member, grants under way included.
    pub(crate) owned: u32,
}

#[derive(Debug)]
struct Holding {
    epoch: u64,
    guards: u32,
    phase: Phase,
    /// Whether it came because work in it failed elsewhere.
    stays: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Active,
    Revoking {
        since: Instant,
        overdue: bool,
    },
    /// Work in it does not get on: it goes to another member as soon as can be, whoever lacks or has enough.
    Failed,
    Releasing,
}

/// Since membership changed.
#[derive(Debug)]
struct Rebalance {
    since: Instant,
    moved: u32,
}

impl Membership {
    pub(crate) fn new(
        limits: Limits,
        sent: Instant,
        number: u32,
        generation: String,
        told: Told,
    ) -> Self {
        Self {
            limits,
            number,
            generation,
            seq: 0,
            got: 0,
            heard: 0,
            told,
            looked_at: sent,
            looks: None,
            holdings: BTreeMap::new(),
            at_work: 0,
            strays: BTreeMap::new(),
            going: BTreeSet::new(),
            due: BTreeSet::new(),
            ready: BTreeSet::new(),
            chosen: VecDeque::new(),
            ending: Ending::No,
            sync: None,
            releasing: Vec::new(),
            failed: BTreeSet::new(),
            glance: None,
            view: View::default(),
            rebalance: None,
            events: Vec::new(),
        }
    }

    /// The next request. Everything it says stays true until its answer, or its failure, is handled.
    pub(crate) fn request(&mut self, now: Instant) -> Request {
        self.seq += 1;
        // The store counts this instance's terms only when it looks at everything. They outlast every lease if it does so
        // once in half a ttl.
        let is_due = self.seq % 8 == 1 || self.looked_at + self.limits.ttl / 2 <= now;
        let thorough = is_due || self.sync.is_some();
        self.looks = thorough.then_some(now);
        if let Some(sync) = &mut self.sync {
            return Request::Claim(sync.request(self.seq, self.heard, self.limits.chunk));
        }
        self.collect_releases(now);
        Request::Beat(BeatRequest {
            number: self.number,
            seq: self.seq,
            generation: self.generation.clone(),
            got: self.got,
            heard: self.heard,
            draining: self.ending == Ending::HandOver,
            chunk: self.limits.chunk,
            releases: self.releasing.clone(),
            failed: self.failed.clone(),
            glance: self
                .glance
                .clone()
                .filter(|_| !thorough && self.may_glance()),
            thorough,
            longest: self.told.longest,
        })
    }

    /// Whether all is well if nothing has changed.
    fn may_glance(&self) -> bool {
        self.ending == Ending::No
            && self.going.is_empty()
            && self.releasing.is_empty()
            && self.heard + 1 == self.seq
    }

    /// The request under way was answered; what the store said besides.
    fn note_answer(&mut self, told: Told) {
        self.heard = self.seq;
        self.looked_at = self.looks.take().unwrap_or(self.looked_at);
        self.told = told;
    }

    /// What the store said last of the group's terms, for the next incarnation.
    pub(crate) const fn told(&self) -> Told {
        self.told
    }

    pub(crate) fn handle_beat(&mut self, now: Instant, reply: BeatReply) -> Heard {
        match reply {
            BeatReply::Beaten(beat) => self.handle_beaten(now, &beat),
            BeatReply::Same(again) => {
                self.heard = self.seq;
                if let Some(glance) = &mut self.glance {
                    glance.record = glance.record_after(self.seq);
                }
                let at_once = self.has_releasable();
                Heard::Acknowledged(if at_once { Duration::ZERO } else { again })
            }
            BeatReply::Resync => {
                self.start_sync();
                Heard::Unfinished
            }
            BeatReply::Fenced(by) => Heard::Fenced(by),
            // Only an answer to an earlier request can say so, and those are not waited for any more.
            BeatReply::Stale => self.handle_failed(),
        }
    }

    fn handle_beaten(&mut self, now: Instant, beat: &Beat) -> Heard {
        self.note_answer(beat.told);
        self.glance.clone_from(&beat.glance);
        self.follow_version(now, beat);
        self.settle_releases(&beat.outcomes);
        self.got += beat.received;
        for &grant in &beat.grants {
            if !self.has(grant) {
                self.take(grant, beat.staying.contains(&grant.bucket));
            }
        }
        self.view = View {
            version: beat.version,
            members: beat.members,
            quota: beat.quota,
            free: beat.free,
            doubt: beat.doubt,
            owned: beat.owned,
        };
        self.plan(now, beat);
        self.finish_rebalance(now, beat);
        let at_once = beat.more || self.has_releasable();
        Heard::Acknowledged(if at_once { Duration::ZERO } else { beat.again })
    }

    fn has_releasable(&self) -> bool {
        self.ending != Ending::Park && !self.ready.is_empty()
    }

    /// Whether there is nothing new in a grant: it is said twice, or by a server that lies. Work that goes on under the one
    /// that is held goes on counting.
    fn has(&self, grant: Grant) -> bool {
        let held = self.holdings.get(&grant.bucket);
        held.is_some_and(|held| grant.epoch <= held.epoch)
    }

    fn take(&mut self, grant: Grant, stays: bool) {
        self.moved(1);
        let guards = self.strays.remove(&(grant.bucket, grant.epoch));
        let holding = Holding {
            epoch: grant.epoch,
            guards: guards.unwrap_or(0),
            phase: Phase::Active,
            stays,
        };
        self.at_work += holding.guards as usize;
        let before = self.holdings.insert(grant.bucket, holding);
        if let Some(before) = before {
            self.forget_going(grant.bucket, before.phase);
            self.strand(grant.bucket, &before);
        }
        self.events.push(Event::Granted {
            bucket: grant.bucket,
            epoch: grant.epoch,
        });
    }

    fn settle_releases(&mut self, outcomes: &[Outcome]) {
        let releasing = std::mem::take(&mut self.releasing);
        self.failed.clear();
        for (grant, outcome) in releasing.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Gone => self.released(grant),
                Outcome::Keep => self.reactivate(grant.bucket),
            }
        }
    }

    fn released(&mut self, grant: Grant) {
        if self.epoch(grant.bucket) != Some(grant.epoch) {
            return;
        }
        self.remove(grant.bucket);
        self.events.push(Event::Released {
            bucket: grant.bucket,
            epoch: grant.epoch,
        });
    }

    fn reactivate(&mut self, bucket: u32) {
        if let Some(holding) = self.holdings.get_mut(&bucket)
            && holding.phase != Phase::Active
        {
            let before = std::mem::replace(&mut holding.phase, Phase::Active);
            let epoch = holding.epoch;
            self.forget_going(bucket, before);
            self.chosen.clear();
            self.events.push(Event::Kept { bucket, epoch });
        }
    }

    fn lose(&mut self, bucket: u32, cause: LossCause) {
        if let Some(holding) = self.remove(bucket) {
            self.events.push(Event::Lost {
                bucket,
                epoch: holding.epoch,
                cause,
            });
        }
    }

    fn remove(&mut self, bucket: u32) -> Option<Holding> {
        let holding = self.holdings.remove(&bucket)?;
        self.forget_going(bucket, holding.phase);
        self.strand(bucket, &holding);
        self.moved(1);
        Some(holding)
    }

    /// Nothing is held any more.
    pub(crate) fn lose_all(&mut self, cause: &LossCause) {
        let buckets: Vec<u32> = self.holdings.keys().copied().collect();
        for bucket in buckets {
            self.lose(bucket, cause.clone());
        }
        self.sync = None;
        self.releasing.clear();
        self.failed.clear();
    }

    fn moved(&mut self, count: u32) {
        if let Some(rebalance) = &mut self.rebalance {
            rebalance.moved += count;
        }
    }

    fn follow_version(&mut self, now: Instant, beat: &Beat) {
        if beat.version == self.view.version {
            return;
        }
        self.chosen.clear();
        if self.rebalance.is_none() {
            self.rebalance = Some(Rebalance {
                since: now,
                moved: 0,
            });
        }
    }

    fn finish_rebalance(&mut self, now: Instant, beat: &Beat) {
        if self.rebalance.is_none() {
            return;
        }
        let held = self.holdings.len() == beat.quota as usize;
        let ranged = self.limits.assignment == Assignment::Sticky
            || self
                .holdings
                .keys()
                .all(|bucket| beat.range.contains(bucket));
        let balanced = held && ranged && self.going.is_empty() && beat.surplus == 0 && !beat.more;
        if balanced && let Some(rebalance) = self.rebalance.take() {
            self.events.push(Event::Rebalanced {
                members: beat.members,
                quota: beat.quota,
                moved: rebalance.moved,
                took: now.saturating_since(rebalance.since),
            });
        }
    }
}
