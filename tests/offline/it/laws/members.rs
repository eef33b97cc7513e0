//! The scripts of redbuckets by their contracts: members that keep to the protocol, without clients.

mod texts;

use std::collections::{BTreeMap, BTreeSet};

use self::texts::{next_record, parsed};
use super::bench::{Bench, FAILURE};

pub(super) const TTL: u64 = 9_000;
pub(super) const SETTLE: u64 = 1_000;
pub(super) const GROUP: &str = "rb:{g}:group";

/// A key of the group.
pub(super) fn key(name: &str) -> String {
    format!("rb:{{g}}:{name}")
}

fn keys() -> [String; 2] {
    [GROUP.to_owned(), key("-")]
}

/// One incarnation of an instance.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) uuid: String,
    /// What it asks for when it joins.
    pub(super) buckets: u32,
    pub(super) assignment: &'static str,
    pub(super) weight: u32,
    pub(super) grace: u64,
    pub(super) ttl: u64,
    pub(super) bound: u64,
    /// The longest terms that it knows of: ttl, failover bound and clock skew.
    pub(super) known: &'static str,
    /// 'e' for a record that is expected, 'u' for a server that need not tell who it is.
    pub(super) flags: &'static str,
    pub(super) discovery: u64,
    pub(super) previous: String,
    pub(super) hurry: bool,
    /// Whether its beats ask the store to look at everything.
    pub(super) thorough: bool,
    /// Whether it speaks of one bucket after the other, not of runs.
    pub(super) singly: bool,
    /// Whether what it releases failed there.
    pub(super) failing: bool,
    /// What the store told it.
    pub(super) token: String,
    pub(super) number: u32,
    pub(super) generation: String,
    pub(super) seq: u64,
    pub(super) heard: u64,
    /// When it was answered last, by the server's clock.
    pub(super) answered_at: u64,
    pub(super) got: u64,
    /// Buckets with their epochs.
    pub(super) owned: BTreeMap<u32, u64>,
    pub(super) told: Told,
}

/// The last complete answer to a beat.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) members: u32,
    pub(super) quota: u32,
    pub(super) surplus: u32,
    pub(super) again: i64,
    pub(super) more: bool,
    pub(super) range: (u32, u32),
    pub(super) grants: Vec<(u32, u64)>,
    pub(super) outcomes: String,
    pub(super) free: u32,
    pub(super) doubt: u64,
    pub(super) count: u32,
    pub(super) state: String,
    pub(super) record: String,
    pub(super) longest: String,
}

/// An instance that has not joined yet.
pub(super) fn member(id: &str, buckets: u32) -> Member {
    Member {
        id: id.to_owned(),
        uuid: format!("uuid-of-{id}"),
        buckets,
        assignment: "s",
        weight: 1,
        grace: 0,
        ttl: TTL,
        bound: 0,
        known: "0 0 0",
        flags: "-",
        discovery: 0,
        previous: "-".to_owned(),
        hurry: false,
        thorough: false,
        singly: false,
        failing: false,
        token: String::new(),
        number: 0,
        generation: String::new(),
        seq: 0,
        heard: 0,
        answered_at: 0,
        got: 0,
        owned: BTreeMap::new(),
        told: Told::default(),
    }
}

impl Member {
    pub(super) fn join(&mut self, bench: &Bench) -> Vec<String> {
        let args = [
            self.id.clone(),
            self.uuid.clone(),
            self.previous.clone(),
            self.buckets.to_string(),
            self.assignment.to_owned(),
            self.weight.to_string(),
            self.terms(),
            self.grace.to_string(),
            self.discovery.to_string(),
        ];
        let reply = bench.call("join", &keys(), &args);
        if reply[0] == "joined" {
            self.number = reply[1].parse().expect("a number");
            (self.generation, self.token) = (reply[2].clone(), reply[3].clone());
            (self.seq, self.heard, self.got) = (0, 0, 0);
            self.answered_at = reply[5].parse().expect("a time");
        }
        reply
    }

    fn terms(&self) -> String {
        let Self {
            ttl,
            bound,
            known,
            flags,
            ..
        } = self;
        format!("{ttl} {bound} 0 {known} {flags}")
    }

    #[track_caller]
    pub(super) fn joined(mut self, bench: &Bench) -> Self {
        let reply = self.join(bench);
        assert_eq!(reply[0], "joined", "{reply:?}");
        self
    }

    /// A member with a share: it has joined and said so.
    #[track_caller]
    pub(super) fn spoken(self, bench: &Bench) -> Self {
        let mut member = self.joined(bench);
        assert_eq!(member.beat(bench, &[]), "ok");
        member
    }

    /// One heartbeat; what it is answered in one word.
    pub(super) fn beat(&mut self, bench: &Bench, releases: &[(u32, u64)]) -> String {
        self.seq += 1;
        self.send_beat(bench, releases, "", "")
    }

    /// A heartbeat of somebody who believes that nothing has changed.
    pub(super) fn glance(&mut self, bench: &Bench) -> String {
        self.seq += 1;
        let Told { state, record, .. } = self.told.clone();
        self.send_beat(bench, &[], &state, &record)
    }

    /// A request with the present number, which may have been executed before.
    pub(super) fn send_beat(
        &mut self,
        bench: &Bench,
        releases: &[(u32, u64)],
        state: &str,
        record: &str,
    ) -> String {
        let reply = self.try_beat(bench, releases, state, record);
        let reply = reply.unwrap_or_else(|error| panic!("{FAILURE}beat: {error}"));
        match &*reply[0] {
            "ok" => self.handle(&reply, releases),
            "same" => {
                self.heard = self.seq;
                self.told.record = next_record(record, self.seq);
            }
            _ => {}
        }
        reply[0].clone()
    }

    /// A heartbeat with what it is answered, and no more.
    pub(super) fn try_beat(
        &self,
        bench: &Bench,
        releases: &[(u32, u64)],
        state: &str,
        record: &str,
    ) -> Result<Vec<String>, String> {
        let seq = self.seq.to_string();
        let args = [
            self.id.clone(),
            self.token.clone(),
            self.number.to_string(),
            seq.clone(),
            self.generation.clone(),
            self.got.to_string(),
            self.weight.to_string(),
            self.ttl.to_string(),
            SETTLE.to_string(),
            "64".to_owned(),
            self.heard.to_string(),
            if self.failing {
                format!("{}!", self.pairs(releases))
            } else {
                self.pairs(releases)
            },
            state.to_owned(),
            record.to_owned(),
            next_record(record, self.seq),
            (self.ttl + self.grace).to_string(),
            self.terms(),
            u8::from(self.thorough || self.seq % 8 == 1).to_string(),
            self.discovery.to_string(),
            u8::from(self.hurry).to_string(),
        ];
        bench.try_call("beat", &keys(), &args)
    }

    fn handle(&mut self, reply: &[String], releases: &[(u32, u64)]) {
        self.heard = self.seq;
        let number = |index: usize| reply[index].parse().expect("a number");
        self.told = Told {
            members: number(2),
            quota: number(3),
            surplus: number(4),
            again: reply[5].parse().expect("a number"),
            more: reply[6] == "1",
            range: (number(7), number(8)),
            grants: parsed(&reply[9]),
            outcomes: reply[10].clone(),
            free: number(11),
            doubt: reply[12].parse().expect("a number"),
            count: number(13),
            state: reply[14].clone(),
            record: reply[15].clone(),
            longest: reply[16].clone(),
        };
        self.answered_at = reply[17].parse().expect("a time");
        for ((bucket, _), outcome) in releases.iter().zip(self.told.outcomes.chars()) {
            if outcome != 'k' {
                self.owned.remove(bucket);
            }
        }
        let runs = reply[9].split_whitespace().count() / 2;
        self.got += u64::try_from(runs).expect("few");
        self.owned.extend(self.told.grants.iter().copied());
    }

    /// The first and only call of a claim.
    pub(super) fn claim(&mut self, bench: &Bench, claims: &[(u32, u64)]) -> Vec<String> {
        self.claim_part(bench, claims, (true, true))
    }

    /// A call of a claim; whether it is the first and the last one.
    pub(super) fn claim_part(
        &mut self,
        bench: &Bench,
        claims: &[(u32, u64)],
        calls: (bool, bool),
    ) -> Vec<String> {
        let answered_at = self.answered_at;
        let reply = self.send_claim(bench, &self.pairs(claims), calls, "-");
        if reply[0] == "claimed" {
            self.got = 0;
        }
        // What the store says before the last one proves nothing.
        if !calls.1 {
            self.answered_at = answered_at;
        }
        reply
    }

    /// A claim that says how much it holds in place of what.
    pub(super) fn claim_count(&mut self, bench: &Bench) -> Vec<String> {
        let count = format!("{} {} {}", self.generation, self.got, self.owned.len());
        self.send_claim(bench, "", (true, true), &count)
    }

    fn send_claim(
        &mut self,
        bench: &Bench,
        claims: &str,
        (is_first, is_last): (bool, bool),
        count: &str,
    ) -> Vec<String> {
        self.seq += 1;
        let generation = if is_first { "-" } else { &self.generation };
        let args = [
            self.id.clone(),
            self.token.clone(),
            self.seq.to_string(),
            generation.to_owned(),
            self.buckets.to_string(),
            self.assignment.to_owned(),
            self.weight.to_string(),
            self.terms(),
            self.grace.to_string(),
            SETTLE.to_string(),
            u8::from(is_first).to_string(),
            u8::from(is_last).to_string(),
            self.heard.to_string(),
            claims.to_owned(),
            self.answered_at.to_string(),
            self.discovery.to_string(),
            count.to_owned(),
        ];
        let reply = bench.call("claim", &keys(), &args);
        if reply[0] == "claimed" {
            self.number = reply[1].parse().expect("a number");
            self.generation.clone_from(&reply[2]);
            self.heard = self.seq;
            self.answered_at = reply[5].parse().expect("a time");
            for bucket in reply[3].split_whitespace() {
                self.owned.remove(&bucket.parse().expect("a bucket"));
            }
        }
        reply
    }

    /// [`Member::claim`] of everything that it holds.
    #[track_caller]
    pub(super) fn claim_all(&mut self, bench: &Bench) {
        let claims = self.holds();
        let reply = self.claim(bench, &claims);
        assert_eq!(reply[0], "claimed", "{reply:?}");
    }

    /// As runs, unless it speaks of one bucket after the other.
    fn pairs(&self, grants: &[(u32, u64)]) -> String {
        let is_run = |one: &(u32, u64), next: &(u32, u64)| {
            !self.singly && one.0 + 1 == next.0 && one.1 == next.1
        };
        let texts = grants.chunk_by(is_run).map(|run| match run {
            [(bucket, epoch)] => format!("{bucket} {epoch}"),
            _ => format!("{}-{} {}", run[0].0, run[run.len() - 1].0, run[0].1),
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn leave(&self, bench: &Bench, keep: bool) -> String {
        let args = [
            self.id.clone(),
            self.token.clone(),
            self.number.to_string(),
            SETTLE.to_string(),
            u8::from(keep).to_string(),
        ];
        bench.call("leave", &keys(), &args).remove(0)
    }

    pub(super) fn holds(&self) -> Vec<(u32, u64)> {
        let pairs = self.owned.iter();
        pairs.map(|(bucket, epoch)| (*bucket, *epoch)).collect()
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.owned.keys().copied().collect()
    }

    /// What it is to give away, by the last answer.
    fn surplus(&self) -> Vec<(u32, u64)> {
        let mut held = self.holds();
        if self.assignment == "c" {
            let (low, high) = self.told.range;
            held.retain(|(bucket, _)| !(low..high).contains(bucket));
            return held;
        }
        let surplus = usize::try_from(self.told.surplus).expect("few");
        held.split_off(held.len().saturating_sub(surplus))
    }
}

/// Members at rest.
pub(super) fn group<const N: usize>(bench: &Bench, members: [Member; N]) -> [Member; N] {
    let mut members = members.map(|member| member.joined(bench));
    settle(bench, &mut members);
    members
}

/// Asks a member to drain, or takes that back.
pub(super) fn drain(bench: &Bench, id: &str, wanted: bool) -> Vec<String> {
    let args = [
        id.to_owned(),
        u8::from(wanted).to_string(),
        SETTLE.to_string(),
    ];
    bench.call("drain", &keys()[..1], &args)
}

/// Gives up a member that has gone.
pub(super) fn evict(bench: &Bench, id: &str) -> Vec<String> {
    let args = [id.to_owned(), "e".to_owned(), SETTLE.to_string()];
    bench.call("drain", &keys()[..1], &args)
}

/// Everybody beats, and gives away what it is told to, until nobody has anything to do.
pub(super) fn rest(bench: &Bench, members: &mut [Member]) {
    for _ in 0..200 {
        let mut quiet = true;
        for member in members.iter_mut() {
            let surplus = member.surplus();
            let reply = member.beat(bench, &surplus);
            assert_eq!(reply, "ok", "{}", member.id);
            let told = &member.told;
            quiet &= surplus.is_empty() && told.grants.is_empty() && !told.more;
            quiet &= member.surplus().is_empty();
        }
        if quiet {
            return;
        }
    }
    panic!("the group does not come to rest");
}

/// [`rest`], once membership has been quiet for long enough that what is too much is given away.
pub(super) fn settle(bench: &Bench, members: &mut [Member]) {
    rest(bench, members);
    bench.advance(SETTLE);
    rest(bench, members);
}

/// How many buckets each has; fails where one has two owners.
pub(super) fn counts(members: &[Member]) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    for member in members {
        for bucket in member.owned.keys() {
            assert!(seen.insert(*bucket), "bucket {bucket} has two owners");
        }
    }
    members.iter().map(|member| member.owned.len()).collect()
}
