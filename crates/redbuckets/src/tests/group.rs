//! A group whose members are asked one after the other, in a time that is a number.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant},
    history::{Policy, Terms},
    lease::Timing,
    store::{Command, Reply, Store, embedded::Embedded},
};
use uuid::Uuid;

use crate::{
    assignment::Assignment,
    keys::Keys,
    membership::{Ending, Heard, Limits, Membership, Request},
    protocol::{self, Identity, JoinReply, Told},
};

pub(super) const TTL: Duration = Duration::from_secs(10);

/// The embedded store answers at once: its future is ready when it is first polled.
fn at_once<T>(answer: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(answer).as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("no fault is set"),
    }
}

#[derive(Clone, Default)]
pub(super) struct ManualClock(Arc<AtomicU64>);

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManualClock")
    }
}

impl ManualClock {
    pub(super) fn advance(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).expect("short");
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_boot(Duration::from_millis(self.0.load(Ordering::SeqCst)))
    }

    fn wall(&self) -> Duration {
        Duration::from_secs(1_800_000_000) + self.now().since_boot()
    }
}

pub(super) struct Member {
    pub(super) identity: Identity,
    pub(super) membership: Membership,
}

pub(super) struct Group {
    pub(super) clock: ManualClock,
    pub(super) embedded: Embedded,
    pub(super) buckets: u32,
    pub(super) assignment: Assignment,
    pub(super) grace: Duration,
    /// Of those who join from now on.
    pub(super) ttl: Duration,
    pub(super) discovery: Duration,
    pub(super) progress_timeout: Option<Duration>,
    pub(super) expect_history: bool,
    pub(super) members: Vec<Member>,
    pub(super) joined: u32,
}

impl Group {
    pub(super) fn new(buckets: u32, assignment: Assignment) -> Self {
        let clock = ManualClock::default();
        Self {
            embedded: Embedded::with_seed(Arc::new(clock.clone()), 1),
            clock,
            buckets,
            assignment,
            grace: Duration::ZERO,
            ttl: TTL,
            discovery: Duration::from_secs(1),
            progress_timeout: None,
            expect_history: false,
            members: Vec::new(),
            joined: 0,
        }
    }

    pub(super) fn ask(&self, command: Command) -> Reply {
        let store = self.embedded.client();
        let commands = [command];
        at_once(store.pipeline(&commands, TTL))
            .remove(0)
            .expect("scripts do not fail")
    }

    pub(super) fn identity(&mut self, weight: u32, id: Option<&str>) -> Identity {
        self.joined += 1;
        let mut policy = Policy::new(Terms::new(self.ttl, Duration::ZERO, Duration::ZERO));
        policy.expect_history = self.expect_history;
        Identity {
            keys: Keys::new("test", "group").expect("valid"),
            id: id.map_or_else(|| format!("member-{}", self.joined), str::to_owned),
            incarnation: Uuid::from_u128(u128::from(self.joined)),
            earlier: Vec::new(),
            token: String::new(),
            buckets: self.buckets,
            assignment: self.assignment,
            weight,
            timing: Timing::new(self.ttl, Duration::from_secs(1)).expect("valid"),
            grace: self.grace,
            settle: Duration::from_secs(1),
            discovery: self.discovery,
            policy,
            acknowledge: 0,
            told: Told::default(),
        }
    }

    pub(super) fn try_join(&mut self, weight: u32, id: Option<&str>) -> JoinReply {
        let identity = self.identity(weight, id);
        let reply = protocol::parse_join(&self.ask(identity.join("-"))).expect("understood");
        if let JoinReply::Joined {
            number,
            generation,
            token,
            told,
        } = &reply
        {
            let limits = Limits {
                ttl: self.ttl,
                chunk: 64,
                max_moves: 1_000,
                drain_timeout: TTL,
                progress_timeout: self.progress_timeout,
                forced: false,
                assignment: self.assignment,
                load: None,
            };
            self.members.push(Member {
                identity: Identity {
                    token: token.clone(),
                    ..identity
                },
                membership: Membership::new(
                    limits,
                    self.clock.now(),
                    *number,
                    generation.clone(),
                    *told,
                ),
            });
        }
        reply
    }

    pub(super) fn join(&mut self, weight: u32) {
        let reply = self.try_join(weight, None);
        assert!(matches!(reply, JoinReply::Joined { .. }), "{reply:?}");
    }

    pub(super) fn beat(&mut self, index: usize) -> Heard {
        let now = self.clock.now();
        let request = self.members[index].membership.request(now);
        let identity = &self.members[index].identity;
        match &request {
            Request::Beat(beat) => {
                let reply = self.ask(identity.beat(beat));
                let reply = protocol::parse_beat(&reply, beat.releases.len(), self.buckets);
                let membership = &mut self.members[index].membership;
                membership.handle_beat(now, reply.expect("understood"))
            }
            Request::Claim(claim) => {
                let reply = protocol::parse_claim(&self.ask(identity.claim(claim)));
                let membership = &mut self.members[index].membership;
                membership.handle_claim(reply.expect("understood"))
            }
        }
    }

    /// A beat that the store executes and whose answer does not count: it was lost, or too few replicas have it.
    pub(super) fn beat_in_vain(&mut self, index: usize) {
        let now = self.clock.now();
        let Request::Beat(beat) = self.members[index].membership.request(now) else {
            panic!("a claim");
        };
        self.ask(self.members[index].identity.beat(&beat));
        self.members[index].membership.handle_failed();
    }

    /// Everybody beats until nobody has anything to do; the number of beats that took.
    pub(super) fn run(&mut self) {
        for _ in 0..1_000 {
            let mut at_rest = true;
            for index in 0..self.members.len() {
                let heard = self.beat(index);
                at_rest &= !matches!(
                    heard,
                    Heard::Acknowledged(Duration::ZERO) | Heard::Unfinished
                );
                let events = self.members[index].membership.take_events();
                at_rest &= events.is_empty();
            }
            if at_rest {
                return;
            }
        }
        panic!("the group does not come to rest");
    }

    pub(super) fn settle(&mut self) {
        self.run();
        self.clock.advance(Duration::from_millis(1_100));
        self.run();
    }

    pub(super) fn leave(&mut self, index: usize) {
        let now = self.clock.now();
        self.members[index].membership.end(now, Ending::HandOver);
        for _ in 0..1_000 {
            if self.members[index].membership.has_ended() {
                break;
            }
            self.beat(index);
        }
        let leaver = self.members.remove(index);
        let number = leaver.membership.number();
        self.ask(leaver.identity.leave(number, false));
    }

    /// It has lived for long: where members die young, newcomers wait for their share.
    pub(super) fn crash(&mut self, index: usize) {
        for _ in 0..4 {
            self.passes(TTL * 4 / 5);
        }
        self.members.remove(index);
        for _ in 0..11 {
            self.passes(Duration::from_secs(1));
        }
    }

    fn passes(&mut self, time: Duration) {
        self.clock.advance(time);
        self.run();
    }

    pub(super) fn owners(&self) -> BTreeMap<u32, String> {
        let mut owners = BTreeMap::new();
        for member in &self.members {
            for (grant, _) in member.membership.held() {
                let before = owners.insert(grant.bucket, member.identity.id.clone());
                assert_eq!(before, None, "bucket {} has two owners", grant.bucket);
            }
        }
        owners
    }

    /// Everybody has its share, everything is owned.
    #[track_caller]
    pub(super) fn assert_fair(&self) {
        let weights: u32 = self.members.iter().map(|m| m.identity.weight).sum();
        for member in &self.members {
            let own = u32::try_from(member.membership.held().count()).expect("fits");
            let exact = self.buckets * member.identity.weight;
            let distance = (own * weights).abs_diff(exact);
            assert!(distance < weights, "{own} of {exact}/{weights}");
            if self.assignment == Assignment::Contiguous {
                let held: Vec<u32> = member.membership.held().map(|(g, _)| g.bucket).collect();
                assert!(
                    held.windows(2).all(|pair| pair[0] + 1 == pair[1]),
                    "{held:?}"
                );
            }
        }
        assert_eq!(self.owners().len(), self.buckets as usize);
    }

    /// The least number of buckets that must move for everybody to have its share.
    pub(super) fn least(&self, before: &BTreeMap<u32, String>) -> usize {
        let weights: u32 = self.members.iter().map(|m| m.identity.weight).sum();
        let (mut floors, mut kept, mut can_keep_more) = (0, 0, 0);
        for member in &self.members {
            let exact = self.buckets * member.identity.weight;
            let (floor, rest) = ((exact / weights) as usize, !exact.is_multiple_of(weights));
            let own = before
                .values()
                .filter(|id| **id == member.identity.id)
                .count();
            floors += floor;
            kept += own.min(floor);
            can_keep_more += usize::from(rest && floor < own);
        }
        let extras = self.buckets as usize - floors;
        self.buckets as usize - kept - extras.min(can_keep_more)
    }
}
