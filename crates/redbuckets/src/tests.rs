//! The scripts and the pure membership together, without drivers: members are asked one after the other, time is a
//! number, and every property is exact.

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
    lease::Timing,
    store::{Command, Reply, Store, embedded::Embedded},
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::{
    assignment::Assignment,
    keys::Keys,
    membership::{Ending, Heard, Limits, Membership, Request},
    protocol::{self, Identity, JoinReply, Refusal},
};

const TTL: Duration = Duration::from_secs(10);

#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManualClock")
    }
}

impl ManualClock {
    fn advance(&self, by: Duration) {
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

struct Member {
    identity: Identity,
    membership: Membership,
}

struct Group {
    clock: ManualClock,
    embedded: Embedded,
    buckets: u32,
    assignment: Assignment,
    grace: Duration,
    members: Vec<Member>,
    joined: u32,
}

impl Group {
    fn new(buckets: u32, assignment: Assignment) -> Self {
        let clock = ManualClock::default();
        Self {
            embedded: Embedded::with_seed(Arc::new(clock.clone()), 1),
            clock,
            buckets,
            assignment,
            grace: Duration::ZERO,
            members: Vec::new(),
            joined: 0,
        }
    }

    fn ask(&self, command: Command) -> Reply {
        let store = self.embedded.client();
        let commands = [command];
        let answer = store.pipeline(&commands, TTL);
        // The embedded store answers at once: its future is ready when it is first polled.
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(answer).as_mut().poll(&mut context) {
            std::task::Poll::Ready(mut replies) => replies.remove(0).expect("scripts do not fail"),
            std::task::Poll::Pending => panic!("no fault is set"),
        }
    }

    fn identity(&mut self, weight: u32, id: Option<&str>) -> Identity {
        self.joined += 1;
        Identity {
            keys: Keys::new("test", "group").expect("valid"),
            id: id.map_or_else(|| format!("member-{}", self.joined), str::to_owned),
            incarnation: Uuid::from_u128(u128::from(self.joined)),
            earlier: Vec::new(),
            token: String::new(),
            buckets: self.buckets,
            assignment: self.assignment,
            weight,
            timing: Timing::new(TTL, Duration::from_secs(1)).expect("valid"),
            grace: self.grace,
            settle: Duration::from_secs(1),
            discovery: Duration::from_secs(1),
        }
    }

    fn try_join(&mut self, weight: u32, id: Option<&str>) -> JoinReply {
        let identity = self.identity(weight, id);
        let reply = protocol::parse_join(&self.ask(identity.join("-", false))).expect("understood");
        if let JoinReply::Joined {
            number,
            generation,
            token,
        } = &reply
        {
            let limits = Limits {
                chunk: 64,
                max_moves: 1_000,
                drain_timeout: TTL,
                forced: false,
                assignment: self.assignment,
                load: None,
            };
            self.members.push(Member {
                identity: Identity {
                    token: token.clone(),
                    ..identity
                },
                membership: Membership::new(limits, *number, generation.clone()),
            });
        }
        reply
    }

    fn join(&mut self, weight: u32) {
        let reply = self.try_join(weight, None);
        assert!(matches!(reply, JoinReply::Joined { .. }), "{reply:?}");
    }

    fn beat(&mut self, index: usize) -> Heard {
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

    /// Everybody beats until nobody has anything to do; the number of beats that took.
    fn run(&mut self) {
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

    fn settle(&mut self) {
        self.run();
        self.clock.advance(Duration::from_millis(1_100));
        self.run();
    }

    fn leave(&mut self, index: usize) {
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

    fn crash(&mut self, index: usize) {
        self.members.remove(index);
        for _ in 0..11 {
            self.clock.advance(Duration::from_secs(1));
            self.run();
        }
    }

    fn owners(&self) -> BTreeMap<u32, String> {
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
    fn assert_fair(&self) {
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
    fn least(&self, before: &BTreeMap<u32, String>) -> usize {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whoever joins, leaves or crashes, with whatever weights: shares are fair and the least possible moves.
    #[test]
    fn every_change_moves_the_minimum(
        buckets in 1_u32..200,
        weights in prop::collection::vec(1_u32..5, 1..9),
        equal: bool,
        changes in prop::collection::vec((0_u8..4, 0_usize..100, 1_u32..5), 1..12),
    ) {
        let mut group = Group::new(buckets, Assignment::Sticky);
        for weight in weights {
            group.join(if equal { 1 } else { weight });
        }
        group.settle();
        group.assert_fair();
        for (change, which, weight) in changes {
            let before = group.owners();
            let index = which % group.members.len();
            match change {
                2 if 1 < group.members.len() => group.leave(index),
                3 if 1 < group.members.len() => group.crash(index),
                _ => group.join(if equal { 1 } else { weight }),
            }
            group.settle();
            group.assert_fair();
            let after = group.owners();
            let moved = before.iter().filter(|(bucket, owner)| after.get(*bucket) != Some(owner)).count();
            prop_assert_eq!(moved, group.least(&before));
        }
    }

    #[test]
    fn contiguous_groups_stay_contiguous(
        buckets in 1_u32..150,
        changes in prop::collection::vec((0_u8..4, 0_usize..100, 1_u32..4), 1..10),
    ) {
        let mut group = Group::new(buckets, Assignment::Contiguous);
        group.join(1);
        group.settle();
        for (change, which, weight) in changes {
            let index = which % group.members.len();
            match change {
                2 if 1 < group.members.len() => group.leave(index),
                3 if 1 < group.members.len() => group.crash(index),
                _ => group.join(weight),
            }
            group.settle();
            group.assert_fair();
        }
    }
}

/// As the original's tests: every bucket exactly once, for all bucket counts up to 100 and 1 to 102 members.
#[test]
fn every_bucket_is_owned_once_for_all_small_groups() {
    for assignment in [Assignment::Sticky, Assignment::Contiguous] {
        for buckets in (1..=100).step_by(if cfg!(debug_assertions) { 33 } else { 1 }) {
            let mut group = Group::new(buckets, assignment);
            for members in 1..=102_u32 {
                group.join(1);
                let checked = members < 12 || members.is_power_of_two() || 99 <= members;
                if checked {
                    group.settle();
                    group.assert_fair();
                }
            }
        }
    }
}

#[test]
fn a_join_of_the_seventeenth_moves_sixty_of_1024() {
    let mut group = Group::new(1_024, Assignment::Sticky);
    for _ in 0..16 {
        group.join(1);
    }
    group.settle();
    let before = group.owners();
    group.join(1);
    group.settle();
    let after = group.owners();
    let moved = before
        .iter()
        .filter(|(bucket, owner)| after.get(*bucket) != Some(owner));
    assert_eq!(moved.count(), 60);
}

/// A newcomer within the settle time takes over what a leaver gives away: 1,024 moves for ten restarts.
#[test]
fn a_rolling_restart_with_new_ids_moves_every_bucket_once() {
    let mut group = Group::new(1_024, Assignment::Sticky);
    for _ in 0..10 {
        group.join(1);
    }
    group.settle();
    let mut moved = 0;
    for _ in 0..10 {
        let before = group.owners();
        group.join(1);
        group.leave(0);
        group.settle();
        group.assert_fair();
        let after = group.owners();
        moved += before
            .iter()
            .filter(|(bucket, owner)| after.get(*bucket) != Some(owner))
            .count();
    }
    assert_eq!(moved, 1_024);
}

#[test]
fn a_rolling_restart_with_stable_ids_moves_nothing() {
    let mut group = Group::new(1_024, Assignment::Sticky);
    group.grace = Duration::from_secs(5);
    for index in 0..10 {
        let id = format!("stable-{index}");
        assert!(matches!(
            group.try_join(1, Some(&id)),
            JoinReply::Joined { .. }
        ));
    }
    group.settle();
    let before = group.owners();
    for _ in 0..10 {
        let now = group.clock.now();
        let mut leaver = group.members.remove(0);
        leaver.membership.end(now, Ending::Park);
        assert!(leaver.membership.has_ended());
        let number = leaver.membership.number();
        group.ask(leaver.identity.leave(number, true));
        group.clock.advance(Duration::from_secs(3));
        group.run();
        let id = leaver.identity.id.clone();
        assert!(matches!(
            group.try_join(1, Some(&id)),
            JoinReply::Joined { .. }
        ));
        group.settle();
    }
    assert_eq!(group.owners(), before);
}

#[test]
fn a_living_id_is_not_taken() {
    let mut group = Group::new(8, Assignment::Sticky);
    group.try_join(1, Some("twin"));
    group.settle();
    let reply = group.try_join(1, Some("twin"));
    assert!(
        matches!(reply, JoinReply::Occupied { left, .. } if left <= TTL),
        "{reply:?}"
    );
}

#[test]
fn another_bucket_count_or_assignment_is_refused_and_changes_nothing() {
    let mut group = Group::new(8, Assignment::Sticky);
    group.join(1);
    group.settle();
    let before: Vec<_> = group
        .embedded
        .keys()
        .into_iter()
        .map(|key| group.embedded.get(&key))
        .collect();
    group.buckets = 9;
    let reply = group.try_join(1, None);
    assert_eq!(reply, JoinReply::Refused(Refusal::Buckets { theirs: 8 }));
    group.buckets = 8;
    group.assignment = Assignment::Contiguous;
    let reply = group.try_join(1, None);
    let theirs = Assignment::Sticky;
    assert_eq!(reply, JoinReply::Refused(Refusal::Assignment { theirs }));
    let after: Vec<_> = group
        .embedded
        .keys()
        .into_iter()
        .map(|key| group.embedded.get(&key))
        .collect();
    assert_eq!(before, after);
}

#[test]
fn a_flush_is_survived_by_claims() {
    let mut group = Group::new(300, Assignment::Sticky);
    for _ in 0..3 {
        group.join(1);
    }
    group.settle();
    let before: Vec<_> = group
        .members
        .iter()
        .flat_map(|m| m.membership.held().collect::<Vec<_>>())
        .collect();
    group.embedded.flush_all();
    group.join(1);
    group.run();
    let after: Vec<_> = group
        .members
        .iter()
        .flat_map(|m| m.membership.held().collect::<Vec<_>>())
        .collect();
    assert_eq!(
        before, after,
        "nothing is granted in doubt, nothing is lost"
    );
    for _ in 0..11 {
        group.clock.advance(Duration::from_secs(1));
        group.run();
    }
    group.settle();
    group.assert_fair();
}
