//! What `join`, `claim` and `drain` promise: who is who, and who holds what after something was forgotten.

use super::{
    bench::Bench,
    members::{GROUP, Member, SETTLE, TTL, counts, drain, evict, group, key, member, rest, settle},
};

fn alone(bench: &Bench, buckets: u32) -> Member {
    let [alone] = group(bench, [member("a", buckets)]);
    alone
}

pub(super) fn a_group_is_what_it_was_made(bench: Bench) {
    alone(&bench, 4);
    let before = bench.everything();
    assert_eq!(member("b", 5).join(&bench), ["buckets", "4"]);
    let mut contiguous = Member {
        assignment: "c",
        ..member("b", 4)
    };
    assert_eq!(contiguous.join(&bench), ["assignment", "s"]);
    assert_eq!(member("b", 5).claim(&bench, &[]), ["buckets", "4"]);
    assert_eq!(bench.everything(), before);
}

pub(super) fn a_foreign_key_is_named_and_nothing_is_written(bench: Bench) {
    for name in [
        "group", "members", "ids", "lease", "retired", "table:0", "count:1", "order:1",
    ] {
        let kind = if name == "retired" { "SET" } else { "RPUSH" };
        bench.send(&[kind, &key(name), "mine"]);
        let before = bench.everything();
        let reply = member("a", 4).join(&bench);
        assert_eq!(reply[..2], ["wrongtype", &key(name)]);
        assert_eq!(
            member("a", 4).claim(&bench, &[])[..2],
            ["wrongtype", &key(name)]
        );
        assert_eq!(bench.everything(), before);
        bench.send(&["DEL", &key(name)]);
    }
}

pub(super) fn an_id_is_its_incarnations_while_the_lease_runs(bench: Bench) {
    let mut a = alone(&bench, 4);
    let twin = || Member {
        uuid: "second".to_owned(),
        ..member("a", 4)
    };
    let over = (bench.now() + TTL).to_string();
    assert_eq!(twin().join(&bench), ["occupied", "9000", &over]);
    assert_eq!(a.beat(&bench, &[]), "ok");
    let again = member("a", 4).join(&bench);
    assert_eq!(
        again[1..4],
        ["1", &a.generation, &a.token],
        "a join that was heard twice"
    );
    assert_eq!(a.beat(&bench, &[]), "ok");
    let mut successor = Member {
        previous: a.token.clone(),
        ..twin()
    };
    assert_eq!(successor.join(&bench)[0], "joined", "the same process");
    assert_eq!(a.beat(&bench, &[]), "fenced");
    assert_eq!(a.claim(&bench, &a.holds())[0], "fenced");
    assert_eq!(a.leave(&bench, false), "not_member");
}

pub(super) fn a_successor_gets_what_its_predecessor_had_with_higher_epochs(bench: Bench) {
    let a = alone(&bench, 4);
    bench.advance(TTL);
    let mut second = Member {
        uuid: "second".to_owned(),
        ..member("a", 4)
    };
    assert_eq!(
        second.join(&bench)[..2],
        ["occupied", "3000"],
        "or the clock was set forward"
    );
    bench.advance(1_500);
    assert_eq!(second.join(&bench)[..2], ["occupied", "1500"]);
    bench.advance(1_499);
    assert_eq!(second.join(&bench)[..2], ["occupied", "1"]);
    bench.advance(1);
    let mut second = second.joined(&bench);
    assert_eq!(second.number, a.number);
    second.beat(&bench, &[]);
    assert_eq!(second.ids(), a.ids());
    for (bucket, epoch) in a.holds() {
        assert!(epoch < second.owned[&bucket]);
    }
    let clock = bench.now();
    bench.set_clock(clock - 1);
    let third = Member {
        uuid: "third".to_owned(),
        previous: second.token.clone(),
        ..member("a", 4)
    };
    let third = third.joined(&bench);
    let born = |token: &str| {
        token
            .split(':')
            .next()
            .and_then(|it| it.parse::<u64>().ok())
    };
    assert_eq!(
        born(&third.token),
        born(&second.token).map(|it| it + 1),
        "whatever the clock"
    );
}

pub(super) fn a_newcomer_in_a_hurry_wakes_the_others(bench: Bench) {
    alone(&bench, 4);
    let published = |bench: &Bench| {
        bench
            .embedded
            .stats()
            .get("command:publish")
            .copied()
            .unwrap_or(0)
    };
    let before = published(&bench);
    member("b", 4).spoken(&bench);
    let mut c = Member {
        hurry: true,
        ..member("c", 4)
    }
    .joined(&bench);
    assert_eq!(published(&bench), before, "nobody has anything to do yet");
    c.beat(&bench, &[]);
    assert_eq!(published(&bench), before + 2, "all but itself");
    c.beat(&bench, &[]);
    assert_eq!(published(&bench), before + 2, "once");
}

pub(super) fn a_drained_member_gives_everything_away_and_stays(bench: Bench) {
    let a = alone(&bench, 4);
    assert_eq!(drain(&bench, "nobody", true), ["not_member"]);
    let before = bench.everything();
    assert_eq!(drain(&bench, "a", true), ["last"]);
    assert_eq!(bench.everything(), before);
    let mut members = [a, member("b", 4).joined(&bench)];
    settle(&bench, &mut members);
    assert_eq!(drain(&bench, "a", true), ["draining", "2"]);
    let before = bench.everything();
    assert_eq!(drain(&bench, "a", true), ["draining", "2"]);
    assert_eq!(bench.everything(), before, "once is enough");
    members[0].beat(&bench, &[]);
    assert_eq!((members[0].told.quota, members[0].told.surplus), (0, 2));
    rest(&bench, &mut members);
    assert_eq!((counts(&members), members[0].told.members), (vec![0, 4], 2));
    assert_eq!(drain(&bench, "a", false), ["resumed", "0"]);
    settle(&bench, &mut members);
    assert_eq!(counts(&members), [2, 2]);
}

pub(super) fn who_has_gone_is_given_up_and_who_lives_is_not(bench: Bench) {
    let graceful = |id: &str| Member {
        grace: 600_000,
        ..member(id, 4)
    };
    let mut members = [member("a", 4).joined(&bench), graceful("b").joined(&bench)];
    settle(&bench, &mut members);
    assert_eq!(evict(&bench, "nobody"), ["not_member"]);
    let before = bench.everything();
    assert_eq!(evict(&bench, "b")[0], "lives");
    assert_eq!(bench.everything(), before);
    let [mut a, _crashed] = members;
    for _ in 0..5 {
        bench.advance(TTL / 4);
        a.beat(&bench, &[]);
    }
    assert_eq!(a.told.count, 2, "it is waited for");
    assert_eq!(evict(&bench, "b"), ["evicted", "2"]);
    let before = bench.everything();
    assert_eq!(evict(&bench, "b"), ["evicted", "2"]);
    assert_eq!(bench.everything(), before, "once is enough");
    a.beat(&bench, &[]);
    a.beat(&bench, &[]);
    assert_eq!((a.told.members, a.told.count), (1, 4));
}

pub(super) fn draining_who_has_left_for_a_while_gives_it_up(bench: Bench) {
    let graceful = Member {
        grace: 600_000,
        ..member("b", 4)
    };
    let mut members = [member("a", 4).joined(&bench), graceful.joined(&bench)];
    settle(&bench, &mut members);
    let [mut a, b] = members;
    assert_eq!(b.leave(&bench, true), "left");
    bench.advance(1);
    a.beat(&bench, &[]);
    assert_eq!(a.told.count, 2, "it is waited for");
    assert_eq!(drain(&bench, "b", false), ["resumed", "2"]);
    assert_eq!(drain(&bench, "b", true), ["evicted", "2"]);
    a.beat(&bench, &[]);
    a.beat(&bench, &[]);
    assert_eq!((a.told.members, a.told.count), (1, 4));
}

pub(super) fn another_incarnation_is_not_drained(bench: Bench) {
    let mut members = [member("a", 4).joined(&bench), member("b", 4).joined(&bench)];
    settle(&bench, &mut members);
    drain(&bench, "a", true);
    rest(&bench, &mut members);
    let second = Member {
        uuid: "second".to_owned(),
        previous: members[0].token.clone(),
        ..member("a", 4)
    };
    members[0] = second.joined(&bench);
    settle(&bench, &mut members);
    assert_eq!(counts(&members), [2, 2]);
}

/// The whole group is gone; who claims first makes it anew.
pub(super) fn what_members_hold_outlives_the_store(bench: Bench) {
    let mut members = [member("a", 6).joined(&bench), member("b", 6).joined(&bench)];
    settle(&bench, &mut members);
    let before: Vec<_> = members.iter().map(Member::holds).collect();
    for key in bench.embedded.keys() {
        bench.send(&["DEL", &key]);
    }
    // One of a's buckets is not claimed: nobody may have it before a ttl is over.
    let (first, _) = before[0][0];
    let claims = before[0][1..].to_vec();
    members[0].owned.remove(&first);
    for (member, claims) in members.iter_mut().zip([claims, before[1].clone()]) {
        assert_eq!(member.beat(&bench, &[]), "resync");
        let reply = member.claim(&bench, &claims);
        assert_eq!((&*reply[0], &*reply[3]), ("claimed", ""));
    }
    assert_eq!(members[0].beat(&bench, &before[0][1..]), "ok");
    assert_eq!(
        members[0].told.outcomes, "kk",
        "its own, under the epochs they had"
    );
    assert_eq!(
        (
            members[0].told.free,
            members[0].told.doubt,
            members[0].told.grants.len()
        ),
        (1, TTL, 0)
    );
    bench.advance(TTL / 2);
    assert_eq!(members[1].beat(&bench, &[]), "ok");
    bench.advance(TTL / 2 - 1);
    assert_eq!(members[0].beat(&bench, &[]), "ok");
    assert!(members[0].told.grants.is_empty());
    bench.advance(1);
    rest(&bench, &mut members);
    assert_eq!(counts(&members), [3, 3]);
    for (before, member) in before.iter().zip(&members) {
        for (bucket, epoch) in before.iter().filter(|(bucket, _)| *bucket != first) {
            assert_eq!(
                member.owned[bucket], *epoch,
                "what is claimed keeps its epoch"
            );
        }
    }
    assert_eq!(bench.number(&["HLEN", &key("members")]), 2);
    // Now that nothing is in doubt any more, nothing is going on.
    let calm = (0..2).any(|_| {
        members[0].beat(&bench, &[]);
        !members[0].told.state.is_empty()
    });
    assert!(calm);
}

pub(super) fn a_torn_group_is_made_anew_and_grants_nothing_for_one_ttl(bench: Bench) {
    alone(&bench, 4);
    bench.send(&["DEL", &key("members")]);
    let mut b = member("b", 4).joined(&bench);
    b.beat(&bench, &[]);
    assert_eq!((b.told.doubt, b.told.grants.len()), (TTL, 0));
    for _ in 0..2 {
        bench.advance(TTL / 2);
        b.beat(&bench, &[]);
    }
    assert_eq!(b.owned.len(), 4);
}

pub(super) fn the_higher_epoch_decides_between_claims(bench: Bench) {
    let mut members = [member("a", 6).joined(&bench), member("b", 6).joined(&bench)];
    settle(&bench, &mut members);
    let [a, b] = &mut members;
    let (bucket, epoch) = a.holds()[0];
    let claims = |b: &Member, epoch| [b.holds(), vec![(bucket, epoch)]].concat();
    for lower in [epoch - 1, epoch] {
        let reply = b.claim(&bench, &claims(b, lower));
        assert_eq!(reply[3], bucket.to_string(), "it is another's");
    }
    assert_eq!(a.beat(&bench, &[]), "ok");
    let reply = b.claim(&bench, &claims(b, epoch + 1));
    assert_eq!((&*reply[0], &*reply[3]), ("claimed", ""));
    assert_eq!(
        a.beat(&bench, &[]),
        "resync",
        "it holds less than it thinks"
    );
    let reply = a.claim(&bench, &a.holds());
    assert_eq!(reply[3], bucket.to_string());
    let till = (bench.now() + TTL).to_string();
    assert_eq!(bench.history(GROUP)[2], till, "something was forgotten");
}

/// A member that has lost its memory of a grant is granted it anew, under an epoch of its own.
pub(super) fn what_is_not_claimed_is_granted_anew(bench: Bench) {
    let mut a = alone(&bench, 4);
    let before = a.holds();
    let claimed = before[..3].to_vec();
    assert_eq!(a.claim(&bench, &claimed)[0], "claimed");
    a.owned.remove(&before[3].0);
    assert_eq!(a.beat(&bench, &[]), "ok");
    assert_eq!(a.told.grants, [(before[3].0, bench.now())]);
    assert!(before[3].1 < bench.now());
}

pub(super) fn a_claim_that_was_executed_before_changes_nothing(bench: Bench) {
    let mut a = alone(&bench, 4);
    let claims = a.holds();
    a.claim(&bench, &claims);
    let before = bench.everything();
    a.seq -= 1;
    assert_eq!(a.claim(&bench, &[]), ["stale"]);
    assert_eq!(bench.everything(), before);
}

/// An answer that the store knows nothing of: it lost its last writes.
pub(super) fn a_claim_from_the_future_raises_doubt(bench: Bench) {
    let mut a = alone(&bench, 4);
    (a.seq, a.heard) = (a.seq + 10, a.seq + 10);
    assert_eq!(a.beat(&bench, &[]), "resync");
    a.claim_all(&bench);
    a.beat(&bench, &[]);
    assert_eq!(a.told.doubt, TTL);
}

pub(super) fn another_server_is_claimed_from_and_grants_nothing_for_one_ttl(bench: Bench) {
    let mut a = alone(&bench, 4);
    bench.embedded.restart();
    let mut b = member("b", 4).joined(&bench);
    assert_eq!(a.beat(&bench, &[]), "resync", "another generation");
    a.claim_all(&bench);
    bench.advance(SETTLE);
    b.beat(&bench, &[]);
    assert_eq!((b.told.doubt, b.told.grants.len()), (TTL - SETTLE, 0));
    let held = a.holds();
    // An owner may hand over: it knows what it held.
    a.beat(&bench, &held[..2]);
    assert_eq!((&*a.told.outcomes, a.told.surplus), ("mm", 0));
    b.beat(&bench, &[]);
    assert_eq!(counts(&[a, b]), [2, 2]);
}

pub(super) fn no_lease_is_over_while_the_past_is_in_doubt(bench: Bench) {
    let mut members = [member("a", 4).joined(&bench), member("b", 4).joined(&bench)];
    settle(&bench, &mut members);
    for _ in 0..2 {
        bench.advance(3_000);
        members[0].beat(&bench, &[]);
    }
    bench.embedded.restart();
    assert_eq!(member("c", 4).join(&bench)[0], "joined");
    members[0].beat(&bench, &[]);
    members[0].claim_all(&bench);
    bench.advance(4_000);
    members[0].beat(&bench, &[]);
    assert_eq!(
        members[0].told.members, 3,
        "b may have been renewed on the other server"
    );
    let second = Member {
        uuid: "second".to_owned(),
        ..member("b", 4)
    };
    assert_eq!(second.clone().join(&bench)[..2], ["occupied", "5000"]);
}

/// What the table gives to a member and it does not claim may be somebody's whom this server has forgotten.
pub(super) fn another_server_keeps_what_is_not_claimed(bench: Bench) {
    let mut a = alone(&bench, 4);
    bench.embedded.restart();
    a.thorough = true;
    assert_eq!(a.beat(&bench, &[]), "resync");
    let before = a.holds();
    a.owned.remove(&before[3].0);
    a.claim_all(&bench);
    a.beat(&bench, &[]);
    assert_eq!((a.told.grants.len(), a.told.doubt), (0, TTL));
    for _ in 0..2 {
        bench.advance(TTL / 2);
        a.beat(&bench, &[]);
    }
    assert_eq!(a.told.grants, [(before[3].0, bench.now())]);
}

pub(super) fn a_drained_member_is_out_of_the_shares_at_once(bench: Bench) {
    let mut members = [member("a", 4).joined(&bench), member("b", 4).joined(&bench)];
    settle(&bench, &mut members);
    drain(&bench, "a", true);
    members[1].beat(&bench, &[]);
    assert_eq!(members[1].told.quota, 4, "before a was heard again");
}
