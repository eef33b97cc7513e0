//! The scripts' arguments and replies in terms of this crate: pure conversions.

mod parse;

use std::{collections::BTreeSet, fmt::Write, ops::Range, time::Duration};

use coord_core::{
    history::{Policy, Terms},
    lease::Timing,
    store::Command,
};
use uuid::Uuid;

pub(crate) use self::parse::{parse_beat, parse_claim, parse_join, parse_leave};
use crate::{assignment::Assignment, glance::Glance, keys::Keys, scripts};

/// What every request of one incarnation has in common.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) keys: Keys,
    pub(crate) id: String,
    pub(crate) incarnation: Uuid,
    /// Earlier incarnations of this process, the last few.
    pub(crate) earlier: Vec<Uuid>,
    /// The incarnation as the store knows it, with the time at which it joined; empty before.
    pub(crate) token: String,
    pub(crate) buckets: u32,
    pub(crate) assignment: Assignment,
    pub(crate) weight: u32,
    pub(crate) timing: Timing,
    pub(crate) grace: Duration,
    pub(crate) settle: Duration,
    pub(crate) discovery: Duration,
    /// What the store is told of this instance's terms.
    pub(crate) policy: Policy,
    /// How many replicas must have what a beat was answered.
    pub(crate) acknowledge: u32,
    /// What the store said last, in an earlier incarnation.
    pub(crate) told: Told,
}

/// What a reply says besides its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The longest terms in the group: a store that has forgotten them learns them again.
    pub(crate) longest: Terms,
    /// When it was said, by the server's clock.
    pub(crate) server_ms: u64,
}

/// A bucket and the fencing token of one grant of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) bucket: u32,
    pub(crate) epoch: u64,
}

/// What a heartbeat says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BeatRequest {
    pub(crate) number: u32,
    pub(crate) seq: u64,
    pub(crate) generation: String,
    pub(crate) got: u64,
    /// The last request that was answered.
    pub(crate) heard: u64,
    pub(crate) draining: bool,
    pub(crate) chunk: u32,
    pub(crate) releases: Vec<Grant>,
    /// Those of them that are to go to another member, whoever lacks or has enough.
    pub(crate) failed: BTreeSet<u32>,
    /// What the store is expected to have, where nothing was going on when it last answered.
    pub(crate) glance: Option<Glance>,
    /// Whether the store is to look at everything, although nothing has changed there.
    pub(crate) thorough: bool,
    pub(crate) longest: Terms,
}

/// What a member says that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimRequest {
    pub(crate) seq: u64,
    /// `None` in the first call.
    pub(crate) generation: Option<String>,
    /// The last request that was answered.
    pub(crate) heard: u64,
    pub(crate) last: bool,
    pub(crate) claims: Vec<Grant>,
    /// In place of claims.
    pub(crate) count: Option<Count>,
    /// As of the last answer before the claim began.
    pub(crate) told: Told,
}

/// How much a member holds: enough for a store that has forgotten nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    /// What it was in step with.
    pub(crate) generation: String,
    /// How many grants it received since.
    pub(crate) got: u64,
    pub(crate) buckets: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JoinReply {
    Joined {
        number: u32,
        generation: String,
        token: String,
        told: Told,
    },
    Occupied {
        left: Duration,
        over_ms: u64,
    },
    Refused(Refusal),
}

/// Why the store will not have an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    Buckets {
        theirs: u32,
    },
    Assignment {
        theirs: Assignment,
    },
    Weights {
        most: u32,
    },
    Full,
    /// The server does not tell its identity.
    Unverified,
    NewerVersion {
        version: u64,
    },
    WrongType {
        key: String,
        found: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BeatReply {
    Beaten(Box<Beat>),
    /// Nothing has changed; when the next thing is to be done.
    Same(Duration),
    Resync,
    /// The token of the later incarnation.
    Fenced(String),
    Stale,
}

/// What the store answers to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) version: u64,
    pub(crate) members: u32,
    pub(crate) quota: u32,
    pub(crate) surplus: u32,
    /// When the next thing is to be done, where that is known.
    pub(crate) again: Duration,
    pub(crate) more: bool,
    /// What is to be kept, in a contiguous group.
    pub(crate) range: Range<u32>,
    pub(crate) grants: Vec<Grant>,
    /// How many runs those came in, by which their receipt is acknowledged.
    pub(crate) received: u64,
    /// Those of them that come because work in them failed elsewhere.
    pub(crate) staying: Vec<u32>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) free: u32,
    /// How long nothing free is granted, because the store may have forgotten owners.
    pub(crate) doubt: Duration,
    pub(crate) owned: u32,
    /// For the next request, where nothing is going on.
    pub(crate) glance: Option<Glance>,
    pub(crate) told: Told,
}

/// What became of a released bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is another member's, or free.
    Gone,
    /// Nobody lacks it: it stays.
    Keep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimReply {
    Claimed {
        number: u32,
        generation: String,
        rejected: Vec<u32>,
        told: Told,
    },
    /// The store cannot tell by the count what is held.
    Piecemeal,
    Restart,
    /// The token of the later incarnation.
    Fenced(String),
    Stale,
    Refused(Refusal),
}

/// What fits into one request: so many runs, which are neighbouring buckets under one epoch, and so many buckets.
#[derive(Debug)]
pub(crate) struct Room {
    runs: u32,
    buckets: usize,
    last: Option<Grant>,
}

impl Room {
    /// The most buckets in one request: the server serves nobody else meanwhile.
    pub(crate) const BUCKETS: usize = 1_024;

    pub(crate) const fn new(runs: u32) -> Self {
        Self {
            runs,
            buckets: Self::BUCKETS,
            last: None,
        }
    }

    /// Where each bucket is looked at by itself.
    pub(crate) const fn of_buckets(buckets: u32) -> Self {
        Self {
            buckets: buckets as usize,
            ..Self::new(buckets)
        }
    }

    /// Whether this one fits behind those before it.
    pub(crate) fn takes(&mut self, grant: Grant) -> bool {
        let goes_on = self.last.is_some_and(|last| last.is_before(grant));
        if self.buckets == 0 || (!goes_on && self.runs == 0) {
            return false;
        }
        self.runs -= u32::from(!goes_on);
        self.buckets -= 1;
        self.last = Some(grant);
        true
    }
}

impl Grant {
    /// Whether both are of one run.
    fn is_before(self, next: Self) -> bool {
        self.epoch == next.epoch && self.bucket + 1 == next.bucket
    }
}

impl Identity {
    /// Whether the incarnation with this token is one of this process.
    pub(crate) fn is_own(&self, token: &str) -> bool {
        let uuid = token.split_once(':').map(|(_, uuid)| uuid);
        self.earlier
            .iter()
            .any(|earlier| Some(earlier.to_string().as_str()) == uuid)
    }

    /// `previous` is the token of an incarnation of this very process that has stopped, or "-".
    pub(crate) fn join(&self, previous: &str) -> Command {
        self.eval(
            &scripts::JOIN,
            vec![
                self.id.clone(),
                self.incarnation.to_string(),
                previous.to_owned(),
                self.buckets.to_string(),
                self.assignment.letter().to_owned(),
                self.weight.to_string(),
                self.policy.as_arg(self.told.longest),
                ms(self.grace),
                ms(self.discovery),
            ],
        )
    }

    pub(crate) fn beat(&self, request: &BeatRequest) -> Command {
        let weight = if request.draining { 0 } else { self.weight };
        let (state, record, next) = match &request.glance {
            Some(glance) => (
                glance.state.clone(),
                glance.record.clone(),
                glance.record_after(request.seq),
            ),
            None => Default::default(),
        };
        self.eval(
            &scripts::BEAT,
            vec![
                self.id.clone(),
                self.token.clone(),
                request.number.to_string(),
                request.seq.to_string(),
                request.generation.clone(),
                request.got.to_string(),
                weight.to_string(),
                self.timing.ttl_ms().to_string(),
                ms(self.settle),
                request.chunk.to_string(),
                request.heard.to_string(),
                releases_text(request),
                state,
                record,
                next,
                ms(self.timing.ttl() + self.grace),
                self.policy.as_arg(request.longest),
                u8::from(request.thorough).to_string(),
                ms(self.discovery),
                u8::from(self.is_in_a_hurry()).to_string(),
            ],
        )
    }

    /// Whether buckets may move sooner than the others would hear of it by themselves.
    fn is_in_a_hurry(&self) -> bool {
        self.settle < self.timing.heartbeat()
    }

    pub(crate) fn claim(&self, request: &ClaimRequest) -> Command {
        self.eval(
            &scripts::CLAIM,
            vec![
                self.id.clone(),
                self.token.clone(),
                request.seq.to_string(),
                request.generation.clone().unwrap_or_else(|| "-".to_owned()),
                self.buckets.to_string(),
                self.assignment.letter().to_owned(),
                self.weight.to_string(),
                self.policy.as_arg(request.told.longest),
                ms(self.grace),
                ms(self.settle),
                u8::from(request.generation.is_none()).to_string(),
                u8::from(request.last).to_string(),
                request.heard.to_string(),
                grants_text(&request.claims),
                request.told.server_ms.to_string(),
                ms(self.discovery),
                request.count.as_ref().map_or_else(
                    || "-".to_owned(),
                    |count| format!("{} {} {}", count.generation, count.got, count.buckets),
                ),
            ],
        )
    }

    pub(crate) fn leave(&self, number: u32, keep: bool) -> Command {
        self.eval(
            &scripts::LEAVE,
            vec![
                self.id.clone(),
                self.token.clone(),
                number.to_string(),
                ms(self.settle),
                u8::from(keep).to_string(),
            ],
        )
    }

    fn eval(&self, script: &'static coord_core::store::Script, args: Vec<String>) -> Command {
        Command::Eval {
            script,
            keys: self.keys.declared(),
            args,
        }
    }
}

fn ms(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// What is released, those marked in which work failed.
fn releases_text(request: &BeatRequest) -> String {
    runs_text(&request.releases, |grant| {
        request.failed.contains(&grant.bucket)
    })
}

fn grants_text(grants: &[Grant]) -> String {
    runs_text(grants, |_| false)
}

/// As runs: "first-last epoch …", or "bucket epoch" where a run is one bucket, as each is that is marked: "bucket epoch!".
fn runs_text(grants: &[Grant], is_marked: impl Fn(Grant) -> bool) -> String {
    let mut text = String::new();
    let is_run =
        |one: &Grant, next: &Grant| one.is_before(*next) && !is_marked(*one) && !is_marked(*next);
    for run in grants.chunk_by(is_run) {
        let (first, last) = (run[0], run[run.len() - 1]);
        if !text.is_empty() {
            text.push(' ');
        }
        let _ = write!(text, "{}", first.bucket);
        if first.bucket < last.bucket {
            let _ = write!(text, "-{}", last.bucket);
        }
        let mark = if is_marked(first) { "!" } else { "" };
        let _ = write!(text, " {}{mark}", first.epoch);
    }
    text
}

#[cfg(test)]
mod tests;
