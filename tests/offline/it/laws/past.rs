//! What a store grants that has no past, or an old one, and which server it takes for the same.

use super::{
    bench::Bench,
    slots::{
        Ask, QUARANTINE, Renewal, SKEW, SLOTS, TTL, Terms, by, claiming, lock, of_range, quarantine,
    },
};

/// Where the history has what.
pub(super) const IDENTITY: usize = 1;
pub(super) const TILL: usize = 2;
pub(super) const FLOOR: usize = 3;

/// A claim that nobody was heard since the store answered.
fn first(answer: &[String]) -> Ask {
    claiming("a", format!("first:{}", answer[1]))
}

pub(super) fn a_first_use_is_claimed_with_the_stores_token(bench: Bench) {
    let absent = bench.acquire(&by("a"), &[0]);
    assert_eq!(absent[0], "absent");
    let refused = bench.acquire(&claiming("a", "first:another"), &[0]);
    assert_eq!(refused, absent, "the token stays the same");
    assert_eq!(
        bench.text(&["HKEYS", SLOTS]),
        "discovery",
        "nothing else is written"
    );
    let grant = bench.grant(&first(&absent), &[0]);
    assert_eq!(grant.floor, 0);
    assert_eq!(
        bench.text(&["HKEYS", SLOTS]),
        "0 history",
        "the token is used up"
    );
    let (history, now) = (bench.history(SLOTS), bench.now().to_string());
    assert_eq!(
        history[TILL..],
        [
            "0", "0", &now, &now, "10000", "15000", "10000", "0", "0", "0"
        ]
    );
    assert_eq!(history[0], "1");
    assert!(history[IDENTITY].starts_with(&bench.embedded.run_id()));
}

pub(super) fn a_token_of_another_server_claims_nothing(bench: Bench) {
    let absent = bench.acquire(&by("a"), &[0]);
    bench.embedded.restart();
    let refused = bench.acquire(&first(&absent), &[0]);
    assert_eq!(refused[0], "absent");
    assert_ne!(refused[1], absent[1]);
}

/// Somebody was heard since, and then the store lost what it knew of that.
pub(super) fn a_token_does_not_outlive_a_loss(bench: Bench) {
    let absent = bench.acquire(&by("a"), &[0]);
    bench.advance(1);
    assert_eq!(
        bench.acquire(&claiming("b", "voice"), &[0])[0],
        "quarantine"
    );
    bench.send(&["HDEL", SLOTS, "history"]);
    assert_eq!(bench.acquire(&first(&absent), &[0])[0], "absent");
}

pub(super) fn a_voice_in_an_absent_past_is_a_loss(bench: Bench) {
    let heard = claiming("a", "voice");
    let began = bench.now();
    assert_eq!(bench.acquire(&heard, &[0]), quarantine(QUARANTINE));
    bench.advance(QUARANTINE - 1);
    assert_eq!(bench.acquire(&by("a"), &[0]), quarantine(1));
    bench.advance(1);
    let grant = bench.grant(&by("a"), &[0]);
    assert_eq!(
        grant.floor,
        began + QUARANTINE + SKEW,
        "above what was forgotten"
    );
    assert_eq!(bench.history(SLOTS)[TILL], "0", "that is over");
}

/// By those who know that there was a first use.
pub(super) fn an_absent_past_is_a_loss_if_one_is_expected(bench: Bench) {
    let expecting = Ask {
        terms: Terms::flagged("e"),
        ..by("a")
    };
    assert_eq!(bench.acquire(&expecting, &[0]), quarantine(QUARANTINE));
    let bench = Bench::new(bench.scripts()).founded();
    bench.advance(TTL + 1);
    assert_eq!(bench.acquire(&expecting, &[0])[0], "quiet", "there is one");
}

/// It may be an old copy.
pub(super) fn a_past_that_nobody_was_seen_in_for_a_ttl_is_listened_to(bench: Bench) {
    let bench = bench.founded();
    let seen = bench.now();
    bench.advance(TTL);
    let copy = bench.embedded.snapshot();
    bench.grant(&by("a"), &[0]);
    bench.embedded.rewind(&copy);
    bench.advance(1);
    let quiet = bench.acquire(&by("a"), &[0]);
    assert_eq!(quiet[0], "quiet");
    assert!(
        quiet[1].contains(&format!("@{seen}@")),
        "it is of that silence"
    );
    assert_eq!(bench.record(0), None);
    assert_eq!(bench.acquire(&by("a"), &[0]), quiet);
    let grant = bench.grant(&first(&quiet), &[0]);
    assert_eq!(grant.floor, 0);
    assert_eq!(bench.text(&["HGET", SLOTS, "discovery"]), "");
    assert_eq!(bench.grant(&by("b"), &[1]).slot, 1, "it is no more");
}

pub(super) fn a_voice_in_a_quiet_past_is_a_loss(bench: Bench) {
    let bench = bench.founded();
    bench.advance(TTL + 1);
    let heard = claiming("a", "voice");
    assert_eq!(bench.acquire(&heard, &[0]), quarantine(QUARANTINE));
    let bench = Bench::new(bench.scripts()).founded();
    assert_eq!(
        bench.grant(&heard, &[0]).slot,
        0,
        "others are heard wherever there are any"
    );
}

/// What was heard counts for the silence that was asked about.
pub(super) fn a_token_is_of_one_silence(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("b"), &[1]);
    bench.advance(TTL + 1);
    let quiet = bench.acquire(&by("a"), &[0]);
    assert_eq!(bench.renew(&grant.renewal("b"))[0], "reasserted");
    bench.advance(TTL + 1);
    let refused = bench.acquire(&first(&quiet), &[0]);
    assert_eq!(refused[0], "quiet");
    assert_ne!(refused[1], quiet[1]);
}

/// A holder is seen, even if nobody asks for a slot.
pub(super) fn a_past_with_a_holder_is_not_quiet(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.advance(TTL - 1);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    bench.advance(2);
    assert_eq!(bench.grant(&by("b"), &[1]).slot, 1);
    // Nor is one with somebody who asks, or whose quarantine runs.
    bench.advance(1_000);
    bench.grant(&by("c"), &[2]);
    bench.advance(TTL);
    assert_eq!(bench.grant(&by("d"), &[3]).slot, 3);
    bench.embedded.restart();
    assert_eq!(bench.acquire(&by("e"), &[4]), quarantine(QUARANTINE));
    bench.advance(TTL + 1);
    assert_eq!(
        bench.acquire(&by("e"), &[4]),
        quarantine(QUARANTINE - TTL - 1)
    );
}

/// A first replica, a backup: the process never ceased to be the master.
pub(super) fn a_server_that_begins_a_backlog_is_the_same(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    let identity = || bench.history(SLOTS)[IDENTITY].clone();
    let mut before = identity();
    bench.embedded.renew_replication_id();
    assert_eq!(bench.grant(&by("b"), &[1]).floor, 0);
    assert_ne!(identity(), before, "a grant notes it");
    before = identity();
    bench.embedded.renew_replication_id();
    bench.advance(1_000);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    assert_ne!(identity(), before, "and so does a renewal");
    assert_eq!(bench.inspect(&[0])[2], "known");
    assert_eq!(bench.grant(&by("c"), &[2]).floor, 0);
}

/// It has the data of the master that it followed, and may lack what was acknowledged before.
pub(super) fn a_server_that_was_a_replica_meanwhile_is_another(bench: Bench) {
    let bench = bench.founded();
    let data = bench.embedded.snapshot();
    bench.embedded.rollback(&data);
    let run = bench.embedded.run_id();
    bench.set_history(SLOTS, IDENTITY, format!("{run}:{:040}", 1));
    assert_eq!(bench.inspect(&[0])[2], "quarantine");
    assert_eq!(bench.acquire(&by("a"), &[0]), quarantine(QUARANTINE));
}

pub(super) fn a_server_that_does_not_tell_its_identity_is_used_if_that_is_allowed(bench: Bench) {
    bench.embedded.set_info_forbidden(true);
    assert_eq!(bench.acquire(&by("a"), &[0])[..1], ["unverified"]);
    assert!(bench.everything().is_empty());
    let allowing = |ask: Ask| Ask {
        terms: Terms::flagged("u"),
        ..ask
    };
    let absent = bench.acquire(&allowing(by("a")), &[0]);
    let grant = bench.grant(&allowing(first(&absent)), &[0]);
    assert_eq!(bench.history(SLOTS)[IDENTITY], "?");
    assert_eq!(bench.acquire(&by("b"), &[1])[..1], ["unverified"]);
    bench.embedded.set_info_forbidden(false);
    bench.advance(1_000);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    let told = bench.history(SLOTS)[IDENTITY].clone();
    assert!(told.starts_with(&bench.embedded.run_id()));
    bench.embedded.set_info_forbidden(true);
    bench.advance(1_000);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    assert_eq!(bench.grant(&allowing(by("b")), &[1]).floor, 0);
    assert_eq!(bench.history(SLOTS)[IDENTITY], told, "what was told stays");
    bench.embedded.restart();
    bench.embedded.set_info_forbidden(false);
    assert_eq!(bench.acquire(&by("c"), &[2]), quarantine(QUARANTINE));
    bench.embedded.set_info_forbidden(true);
    bench.send(&["HDEL", SLOTS, "history"]);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    assert_eq!(bench.history(SLOTS)[IDENTITY], "?");
}

/// What it means is not known to this version, so nothing is changed but locks that are the caller's own.
pub(super) fn what_a_newer_version_wrote_is_left_alone(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.send(&["HSET", SLOTS, "history", "2 whatever"]);
    bench.set_past(1, bench.now() + 99_000_000);
    let before = bench.everything();
    let newer = ["newer", "2"];
    assert_eq!(bench.acquire(&by("b"), &[2]), newer);
    assert_eq!(bench.acquire(&by("a"), &[0]), newer, "what is its own");
    assert_eq!(bench.acquire(&of_range("b", "0-1"), &[0, 1]), newer, "full");
    let renewal = grant.renewal("a");
    assert_eq!(bench.renew(&renewal), newer);
    assert_eq!(bench.revoke(0, "a", grant.fence, true), newer);
    assert_eq!(bench.inspect(&[0]), newer);
    assert_eq!(bench.layout("41/10/12"), newer);
    assert_eq!(bench.everything(), before);
    bench.send(&["HSET", SLOTS, "0", "of a new kind"]);
    bench.send(&["SET", &lock(1), "go"]);
    let other = Renewal { slot: 1, ..renewal };
    let hash = bench.text(&["HGETALL", SLOTS]);
    assert_eq!(bench.leave(&other, grant.horizon, true), "not_held");
    assert_eq!(bench.release("a", &grant, grant.horizon), "released");
    assert_eq!(bench.holder(0), "");
    assert_eq!(bench.text(&["HGETALL", SLOTS]), hash);
}
