//! What `claim` promises: a count where that is enough, runs where it is not, and nothing for others while more is to come.

use super::{
    bench::Bench,
    members::{GROUP, Member, TTL, group, key, member, rest, settle},
};

/// More than a page of the table, and more than a call moves.
const MANY: u32 = 5_000;

fn flush(bench: &Bench) {
    for key in bench.embedded.keys() {
        bench.send(&["DEL", &key]);
    }
}

fn tables(bench: &Bench) -> Vec<String> {
    let pages = ["table:0", "table:1", "table:2"];
    let page = |page: &&str| bench.text(&["GET", &key(page)]);
    pages.iter().map(page).collect()
}

pub(super) fn a_count_is_enough_for_a_store_that_has_forgotten_nothing(bench: Bench) {
    let [mut a, mut b] = group(&bench, [member("a", 8), member("b", 8)]);
    let before = bench.text(&["GET", &key("table:0")]);
    bench.embedded.restart();
    a.thorough = true;
    assert_eq!(a.beat(&bench, &[]), "resync");
    for told in ["for the first time", "and again, as the answer was lost"] {
        assert_eq!(a.clone().claim_count(&bench)[0], "claimed", "{told}");
        a.seq += 1;
    }
    assert_eq!(a.claim_count(&bench)[3], "");
    assert_eq!(bench.text(&["GET", &key("table:0")]), before);
    assert_eq!(a.beat(&bench, &[]), "ok");
    assert_eq!((a.told.count, a.told.doubt), (4, TTL));
    assert_eq!(b.beat(&bench, &[]), "resync");
    assert_eq!(b.claim_count(&bench)[0], "claimed");
    // What it gives away and is granted afterwards is counted on.
    for bucket in b.holds() {
        a.beat(&bench, &[]);
        b.weight = 0;
        assert_eq!(b.beat(&bench, &[bucket]), "ok");
    }
    a.beat(&bench, &[]);
    assert_eq!((a.owned.len(), b.owned.len()), (8, 0));
}

pub(super) fn a_count_stands_for_no_other_buckets(bench: Bench) {
    let [a, mut b] = group(&bench, [member("a", 8), member("b", 8)]);
    bench.embedded.restart();
    let before = bench.text(&["GET", &key("table:0")]);
    let says = |change: &dyn Fn(&mut Member)| {
        let mut changed = a.clone();
        change(&mut changed);
        let reply = changed.claim_count(&bench);
        assert_eq!(bench.text(&["GET", &key("table:0")]), before);
        reply
    };
    let one_less = |a: &mut Member| {
        a.owned.pop_last();
    };
    assert_eq!(says(&one_less), ["piecemeal"], "it released one");
    assert_eq!(says(&|a| a.got += 1), ["piecemeal"], "it was granted more");
    assert_eq!(says(&|a| a.got -= 1), ["piecemeal"], "it was granted less");
    assert_eq!(says(&|a| a.generation = "1".to_owned()), ["piecemeal"]);
    assert_eq!(says(&|_| {})[0], "claimed");
    // A part of what the table gives to it is not confirmed.
    b.thorough = true;
    assert_eq!(b.beat(&bench, &[]), "resync");
    let all = b.holds();
    b.claim(&bench, &all[..3]);
    assert_eq!(b.claim_count(&bench), ["piecemeal"], "the fourth is not");
    let number = bench.text(&["HGET", &key("ids"), "a"]);
    bench.send(&["HDEL", &key("members"), &number]);
    assert_eq!(a.clone().claim_count(&bench), ["piecemeal"]);
    assert_eq!(bench.number(&["HLEN", &key("members")]), 0, "made anew");
}

/// The key is gone; nothing that was in it is missed.
pub(super) fn a_count_makes_up_for_a_lost_inbox(bench: Bench) {
    let mut a = member("a", 4).spoken(&bench);
    assert_eq!(a.owned.len(), 4);
    bench.send(&["DEL", &key("inbox:1")]);
    assert_eq!(a.beat(&bench, &[]), "resync");
    assert_eq!(a.claim_count(&bench)[0], "claimed");
    assert_eq!(a.beat(&bench, &[]), "ok");
}

/// The store has lost its last writes. What it has may be as much as what the member holds, and something else (simulation
/// seed 3965, where a range had changed in between).
pub(super) fn a_count_is_not_enough_for_a_store_that_has_forgotten_an_answer(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 4)]);
    (a.seq, a.heard) = (a.seq + 10, a.seq + 10);
    assert_eq!(a.beat(&bench, &[]), "resync");
    assert_eq!(a.claim_count(&bench), ["piecemeal"]);
    a.claim_all(&bench);
    a.beat(&bench, &[]);
    assert_eq!((a.told.doubt, a.told.count), (TTL, 4));
}

pub(super) fn what_is_claimed_from_another_is_counted(bench: Bench) {
    let [mut a, b] = group(&bench, [member("a", 8), member("b", 8)]);
    let (bucket, epoch) = b.holds()[0];
    a.owned.insert(bucket, epoch + 1);
    a.claim_all(&bench);
    let count =
        |member: &Member| bench.text(&["ZSCORE", &key("count:1"), &member.number.to_string()]);
    assert_eq!([count(&a), count(&b)], ["5", "3"]);
}

pub(super) fn nothing_is_granted_while_a_claim_goes_on(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 8)]);
    let held = a.holds();
    flush(&bench);
    a.claim_part(&bench, &held[..2], (true, false));
    let mut b = member("b", 8).spoken(&bench);
    for (at, bucket) in held[2..7].iter().enumerate() {
        bench.advance(TTL / 3);
        let reply = a.claim_part(&bench, &[*bucket], (false, false));
        assert_eq!(reply[0], "claimed");
        b.beat(&bench, &[]);
        assert_eq!((b.told.doubt, b.owned.len()), (TTL, 0), "bucket {at}");
        let until = bench.text(&["ZSCORE", &key("lease"), &a.number.to_string()]);
        assert_eq!(until, (bench.now() + TTL).to_string());
    }
    let reply = a.claim_part(&bench, &held[7..], (false, true));
    assert_eq!((&*reply[0], &*reply[3]), ("claimed", ""));
    assert_eq!(a.beat(&bench, &[]), "ok");
    bench.advance(TTL / 2);
    a.beat(&bench, &[]);
    assert_eq!(a.told.doubt, TTL / 2, "no longer than that");
}

/// Whether they are claimed or released, and whether the table knows of them.
pub(super) fn a_run_is_what_its_buckets_are(bench: Bench) {
    let by_runs = Bench::new(bench.scripts());
    for (bench, singly) in [(&bench, true), (&by_runs, false)] {
        let many = |id| Member {
            singly,
            ..member(id, MANY)
        };
        let mut members = group(bench, [many("a"), many("b")]);
        assert_eq!(members[0].owned.len(), 2_500);
        // What is left of two runs and a neighbour under another epoch.
        let held = members[0].holds();
        let claimed = [&held[..700], &held[800..1_900]].concat();
        bench.embedded.restart();
        for member in &mut members {
            member.thorough = true;
            member.beat(bench, &[]);
        }
        members[0].claim(bench, &claimed);
        flush(bench);
        bench.advance(1);
        members[0].claim(bench, &claimed);
        members[1].claim_all(bench);
        members[0].claim(bench, &claimed);
        members[0].owned = claimed.iter().copied().collect();
        for _ in 0..3 {
            bench.advance(TTL / 3);
            members[0].beat(bench, &[]);
            members[1].beat(bench, &[]);
        }
        settle(bench, &mut members);
        members[0].weight = 3;
        settle(bench, &mut members);
        assert_eq!(members[0].owned.len(), 3_750);
    }
    assert_eq!(tables(&bench), tables(&by_runs));
    let sets = |bench: &Bench| bench.text(&["HGET", GROUP, "state"]);
    assert_eq!(sets(&bench), sets(&by_runs));
}

/// Nobody has to wait for its next heartbeat to look further.
pub(super) fn what_nobody_claims_is_found_without_a_pause(bench: Bench) {
    let [mut a] = group(&bench, [member("a", MANY)]);
    let held = a.holds();
    assert_eq!(held.len(), MANY as usize);
    flush(&bench);
    let claimed = &held[..4_900];
    a.claim(&bench, claimed);
    a.owned = claimed.iter().copied().collect();
    for _ in 0..2 {
        bench.advance(TTL / 2);
        a.beat(&bench, &[]);
    }
    let mut members = [a];
    rest(&bench, &mut members);
    assert_eq!(
        (members[0].owned.len(), members[0].told.free),
        (MANY as usize, 0)
    );
    let all = ["0".to_owned(), MANY.to_string()];
    let owners = bench.call("owners", &[GROUP.to_owned()], &all);
    assert_eq!(owners[2], format!("{MANY} 1"));
}

/// Two runs that came to be neighbours are no run, whatever the clock says.
pub(super) fn an_epoch_rises_in_every_bucket_of_a_run(bench: Bench) {
    let mut members = group(&bench, [member("a", 8)]).to_vec();
    bench.advance(1_000);
    members.push(member("b", 8).joined(&bench));
    settle(&bench, &mut members);
    let before: Vec<_> = members.iter().flat_map(Member::holds).collect();
    bench.set_clock(bench.now() - 3_600_000);
    for member in &mut members {
        member.weight = 0;
        member.beat(&bench, &[]);
        member.beat(&bench, &member.holds());
        assert_eq!(member.owned.len(), 0);
    }
    let mut c = member("c", 8).joined(&bench);
    for _ in 0..3 {
        c.beat(&bench, &[]);
    }
    assert_eq!(c.owned.len(), 8);
    for (bucket, epoch) in before {
        assert!(epoch < c.owned[&bucket], "bucket {bucket}");
    }
}

pub(super) fn what_is_given_back_twice_in_one_call_is_given_up(bench: Bench) {
    let [mut a] = group(&bench, [member("a", 8)]);
    let held = a.holds();
    a.weight = 0;
    a.seq += 1;
    let twice = [&held[3..4], &held[..6]].concat();
    let error = a.try_beat(&bench, &twice, "", "");
    let error = error.expect_err("one of them is in no ring any more");
    assert!(error.contains("TRYAGAIN"), "{error}");
    assert_eq!(a.beat(&bench, &[]), "resync");
}
