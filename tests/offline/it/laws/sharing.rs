//! What `beat` promises of shares, and what onlookers see of them.

use super::{
    bench::Bench,
    members::{GROUP, Member, SETTLE, TTL, counts, group, key, member, settle},
};

pub(super) fn a_member_alone_is_granted_everything_once(bench: Bench) {
    let [alone] = group(&bench, [member("a", 10)]);
    assert_eq!(alone.ids(), (0..10).collect::<Vec<_>>());
    let began = bench.now() - SETTLE;
    assert!(
        alone.owned.values().all(|epoch| *epoch == began),
        "the server's ms"
    );
    assert_eq!(
        (alone.told.free, alone.told.quota, alone.told.count),
        (0, 10, 10)
    );
    assert_eq!(
        bench.number(&["LLEN", &key("inbox:1")]),
        0,
        "every grant was received"
    );
}

pub(super) fn shares_differ_by_one_and_a_newcomer_moves_the_minimum(bench: Bench) {
    let mut members = group(&bench, [member("a", 10)]).to_vec();
    for (id, wanted) in [
        ("b", vec![5, 5]),
        ("c", vec![3, 3, 4]),
        ("d", vec![2, 2, 3, 3]),
    ] {
        let before: Vec<Member> = members.clone();
        members.push(member(id, 10).joined(&bench));
        settle(&bench, &mut members);
        let mut found = counts(&members);
        let newcomers = *found.last().expect("the newcomer");
        found.sort_unstable();
        assert_eq!(found, wanted);
        let kept = before.iter().zip(&members).map(|(before, after)| {
            let kept = after
                .owned
                .keys()
                .filter(|bucket| before.owned.contains_key(bucket));
            assert_eq!(kept.count(), after.owned.len(), "only the newcomer gains");
            after.owned.len()
        });
        assert_eq!(kept.sum::<usize>() + newcomers, 10);
    }
}

pub(super) fn shares_are_proportional_to_weights(bench: Bench) {
    let heavy = Member {
        weight: 3,
        ..member("heavy", 8)
    };
    let mut members = group(&bench, [member("light", 8), heavy]);
    assert_eq!(counts(&members), [2, 6]);
    members[0].weight = 3;
    settle(&bench, &mut members);
    assert_eq!(counts(&members), [4, 4]);
}

pub(super) fn nobody_sheds_before_membership_was_quiet(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 10)]);
    let b = member("b", 10).spoken(&bench);
    a.beat(&bench, &[]);
    assert_eq!((a.told.surplus, a.told.quota, a.told.again), (0, 5, 1_000));
    bench.advance(SETTLE - 1);
    a.beat(&bench, &[]);
    assert_eq!(a.told.surplus, 0);
    bench.advance(1);
    a.beat(&bench, &[]);
    assert_eq!((a.told.surplus, b.owned.len()), (5, 0));
}

pub(super) fn joins_without_end_delay_nothing_for_ever(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 30)]);
    let began = bench.now();
    for index in 0..20 {
        member(&format!("b{index}"), 30).spoken(&bench);
        a.beat(&bench, &[]);
        // As soon as it is told to, where that is before the next one comes.
        let wait = u64::try_from(a.told.again).expect("something is to be done");
        bench.advance(wait.min(SETTLE - 100));
        a.beat(&bench, &[]);
        if 0 < a.told.surplus {
            break;
        }
    }
    assert_eq!((a.told.surplus, bench.now() - began), (27, 10_000));
}

pub(super) fn a_release_counts_by_owner_and_epoch(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4)]);
    let [a, b] = &mut members;
    // Somebody joins, so that both have something to give away.
    member("c", 4).spoken(&bench);
    bench.advance(SETTLE);
    let before = bench.text(&["GET", &key("table:0")]);
    let (mine, epoch) = a.holds()[0];
    let (theirs, their_epoch) = b.holds()[0];
    for release in [(mine, epoch - 1), (mine, epoch + 1), (theirs, their_epoch)] {
        a.beat(&bench, &[release]);
        assert_eq!(a.told.outcomes, "g", "{release:?}");
    }
    assert_eq!(bench.text(&["GET", &key("table:0")]), before);
    assert_eq!(a.told.count, 2);
}

pub(super) fn nobody_gives_away_more_than_its_surplus(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    let held = a.holds();
    a.beat(&bench, &held[..2]);
    assert_eq!(a.told.outcomes, "kk", "nobody else is there");
    let mut b = member("b", 4).spoken(&bench);
    bench.advance(SETTLE);
    a.beat(&bench, &held);
    assert_eq!(a.told.outcomes, "mmkk");
    b.beat(&bench, &[]);
    assert_eq!((b.ids(), b.told.count), (vec![held[0].0, held[1].0], 2));
    a.beat(&bench, &a.holds()[..1]);
    assert_eq!(a.told.outcomes, "k", "the shares are even");
}

pub(super) fn what_failed_goes_to_another_whoever_lacks(bench: Bench) {
    let [mut a, mut b] = group(&bench, [member("a", 6), member("b", 6)]);
    a.failing = true;
    let published = |bench: &Bench| bench.embedded.stats().get("command:publish").copied();
    let before = published(&bench);
    let (bucket, epoch) = a.holds()[1];
    a.beat(&bench, &[(bucket, epoch - 1)]);
    assert_eq!(a.told.outcomes, "g", "of another grant");
    a.beat(&bench, &[(bucket, epoch)]);
    assert_eq!((&*a.told.outcomes, a.told.count, a.told.free), ("m", 2, 0));
    assert_eq!(published(&bench), Some(before.unwrap_or(0) + 1));
    b.beat(&bench, &[]);
    assert!(epoch < b.owned[&bucket], "its epoch rises");
    bench.advance(SETTLE);
    b.beat(&bench, &[]);
    assert_eq!(
        (b.told.count, b.told.surplus),
        (4, 1),
        "balance comes again"
    );
}

pub(super) fn what_failed_comes_back_under_a_higher_epoch_where_nobody_else_is(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    a.failing = true;
    let (bucket, epoch) = a.holds()[1];
    a.beat(&bench, &[(bucket, epoch)]);
    assert_eq!((&*a.told.outcomes, a.told.count, a.told.free), ("m", 4, 0));
    assert!(epoch < a.owned[&bucket], "its epoch rises");
}

pub(super) fn what_is_released_is_handed_over_at_once_and_its_new_owner_woken(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    let mut b = member("b", 4).spoken(&bench);
    bench.advance(SETTLE);
    let published = |bench: &Bench| bench.embedded.stats().get("command:publish").copied();
    let before = published(&bench);
    let released = a.holds()[2..].to_vec();
    a.beat(&bench, &released);
    assert_eq!(published(&bench), Some(before.unwrap_or(0) + 1));
    assert_eq!((a.told.free, &*a.told.outcomes), (0, "mm"));
    b.beat(&bench, &[]);
    for (bucket, epoch) in released {
        assert!(epoch < b.owned[&bucket], "its epoch rises");
    }
    assert_eq!(counts(&[a, b]), [2, 2]);
}

pub(super) fn an_epoch_rises_whatever_the_clock(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 2)]);
    let mut b = member("b", 2).spoken(&bench);
    bench.advance(SETTLE);
    a.beat(&bench, &[]);
    bench.set_clock(bench.now() - 600_000);
    let (bucket, epoch) = a.holds()[1];
    a.beat(&bench, &[(bucket, epoch)]);
    assert_eq!(a.told.outcomes, "m");
    b.beat(&bench, &[]);
    assert_eq!(b.owned[&bucket], epoch + 1);
}

pub(super) fn a_contiguous_group_has_one_range_each(bench: Bench) {
    let contiguous = |id: &str, weight| Member {
        assignment: "c",
        weight,
        ..member(id, 12)
    };
    let mut members = group(&bench, [contiguous("a", 1), contiguous("b", 1)]).to_vec();
    assert_eq!(
        [members[0].ids(), members[1].ids()],
        [(0..6).collect::<Vec<_>>(), (6..12).collect()]
    );
    members.push(contiguous("c", 2).joined(&bench));
    settle(&bench, &mut members);
    let owned: Vec<Vec<u32>> = members.iter().map(Member::ids).collect();
    assert_eq!(owned, [vec![0, 1, 2], vec![3, 4, 5], (6..12).collect()]);
}

pub(super) fn an_onlooker_sees_members_and_owners_and_changes_nothing(bench: Bench) {
    let [a, b] = group(
        &bench,
        [
            member("a", 5),
            Member {
                grace: 500,
                ..member("b", 5)
            },
        ],
    );
    bench.advance(1_000);
    let (before, now) = (bench.everything(), bench.now().to_string());
    let asked = ["1", "256"].map(str::to_owned);
    let reply = bench.call("members", &[GROUP.to_owned()], &asked);
    assert_eq!(reply[..3], ["group", &now, "known"]);
    assert_eq!(reply[4..6], ["5", "s"]);
    assert_eq!((&*reply[7], &*reply[8], &*reply[10]), ("2", "0", "2"));
    let quota = |member: &Member| member.owned.len();
    let lines = format!(
        "1 a {} 1 0 {} {} 8000 0 0 1 0 0 2 b {} 1 0 {} {} 8000 500 0 1 0 0",
        a.token,
        quota(&a),
        quota(&a),
        b.token,
        quota(&b),
        quota(&b)
    );
    assert_eq!(reply[12], lines);
    let reply = bench.call(
        "owners",
        &[GROUP.to_owned()],
        &["0", "9"].map(str::to_owned),
    );
    assert_eq!(reply[0], "owners");
    let owner = |bucket| {
        if a.owned.contains_key(&bucket) {
            "1"
        } else {
            "2"
        }
    };
    let runs: Vec<&str> = reply[2].split(' ').collect();
    let owners: Vec<&str> = runs
        .chunks(2)
        .flat_map(|run| vec![run[1]; run[0].parse().expect("a length")])
        .collect();
    assert_eq!(owners, (0..5).map(owner).collect::<Vec<_>>());
    assert_eq!(bench.everything(), before);
}

pub(super) fn what_is_free_is_taken_up_to_the_share(bench: Bench) {
    let mut members = group(&bench, [member("a", 11), member("b", 11), member("c", 11)]);
    let [a, b, c] = &mut members;
    assert_eq!(c.leave(&bench, false), "left");
    a.beat(&bench, &[]);
    assert_eq!((a.owned.len(), a.told.free), (6, 1));
    b.beat(&bench, &[]);
    assert_eq!((b.owned.len(), b.told.free), (5, 0));
}

/// The answer to its join may have been lost, and the next one may never come.
pub(super) fn who_only_joined_has_no_share(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    let mut b = member("b", 4).joined(&bench);
    bench.advance(SETTLE);
    a.beat(&bench, &[]);
    assert_eq!((a.told.members, a.told.quota, a.told.surplus), (2, 4, 0));
    assert_eq!(a.beat(&bench, &a.holds()), "ok");
    assert_eq!(a.told.outcomes, "kkkk", "nobody lacks any");
    b.beat(&bench, &[]);
    bench.advance(SETTLE);
    a.beat(&bench, &[]);
    assert_eq!((a.told.quota, a.told.surplus), (2, 2));
}

/// One more would cost every call; whoever has one of those comes as before, and nobody hears of the other.
pub(super) fn a_group_has_64_different_weights(bench: Bench) {
    for weight in 1..=64 {
        let mut one = member(&format!("m{weight}"), 4_160);
        one.weight = weight;
        one.spoken(&bench);
    }
    let weighing = |id: &str, weight| {
        let mut one = member(id, 4_160);
        one.weight = weight;
        one
    };
    let before = bench.text(&["HGET", GROUP, "state"]);
    let refused = weighing("another", 65).join(&bench);
    assert_eq!(refused, ["weights", "64"]);
    assert_eq!(bench.text(&["HGET", GROUP, "state"]), before);
    assert_eq!(bench.text(&["HEXISTS", &key("ids"), "another"]), "0");
    assert_eq!(weighing("another", 64).join(&bench)[0], "joined");
}

/// Neither when it comes nor when it is taken for dead.
pub(super) fn who_only_joined_delays_nothing(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    member("ghost", 4).joined(&bench);
    for _ in 0..3 {
        bench.advance(TTL / 3 - SETTLE / 3 + 1);
        a.beat(&bench, &[]);
    }
    let _b = member("b", 4).spoken(&bench);
    bench.advance(SETTLE - 1);
    member("another", 4).joined(&bench);
    a.beat(&bench, &[]);
    assert_eq!((a.told.members, a.told.surplus, a.told.again), (3, 0, 1));
    bench.advance(1);
    a.beat(&bench, &[]);
    assert_eq!(a.told.surplus, 2);
}

pub(super) fn a_successor_is_handed_nothing_before_it_speaks(bench: Bench) {
    let mut members = group(&bench, [member("a", 4), member("b", 4), member("c", 4)]);
    let [a, b, c] = &mut members;
    let (had_a, had_c) = (a.owned.len(), c.owned.len());
    let second = Member {
        uuid: "second".to_owned(),
        previous: b.token.clone(),
        ..member("b", 4)
    };
    let mut second = second.joined(&bench);
    c.weight = 0;
    c.beat(&bench, &c.holds());
    let lacks = 2 - had_a;
    assert_eq!((c.owned.len(), c.told.free as usize), (0, had_c - lacks));
    a.beat(&bench, &[]);
    assert_eq!(a.owned.len(), 2);
    second.beat(&bench, &[]);
    assert_eq!(second.owned.len(), 2);
}

pub(super) fn a_bucket_of_nobody_is_shown_as_nobodys(bench: Bench) {
    let [_, b] = group(&bench, [member("a", 4), member("b", 4)]);
    let own = b.ids();
    assert_eq!(b.leave(&bench, false), "left");
    for bucket in own {
        let asked = [bucket.to_string(), (bucket + 1).to_string()];
        assert_eq!(bench.call("owners", &[GROUP.to_owned()], &asked)[2], "1 0");
    }
}
