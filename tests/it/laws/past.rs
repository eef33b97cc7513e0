//! What a store grants that may have forgotten something.

use super::{
    bench::Bench,
    slots::{Ask, SKEW, SLOTS, TTL, by},
};

fn suspect(ms: u64, spares: bool) -> Vec<String> {
    let spares = u8::from(spares).to_string();
    vec!["suspect".to_owned(), ms.to_string(), spares]
}

pub(super) fn a_first_use_is_claimed_with_the_stores_token(bench: Bench) {
    let absent = bench.acquire(&by("a"), &[0]);
    assert_eq!(absent[0], "absent");
    let claim = |token: &str| Ask {
        mode: format!("first:{token}"),
        ..by("a")
    };
    let refused = bench.acquire(&claim("another"), &[0]);
    assert_eq!(refused, absent, "the token stays the same");
    assert_eq!(
        bench.text(&["HKEYS", SLOTS]),
        "discovery",
        "nothing else is written"
    );
    let grant = bench.grant(&claim(&absent[1]), &[0]);
    assert_eq!(grant.floor, 0);
    assert_eq!(
        bench.text(&["HKEYS", SLOTS]),
        "0 history",
        "the token is used up"
    );
    let history = bench.history(SLOTS);
    assert_eq!(history[1..], ["0", "10000", "0", "0", "0", "0", "0", "0"]);
    assert!(history[0].starts_with(&bench.embedded.run_id()));
}

pub(super) fn a_token_of_another_server_claims_nothing(bench: Bench) {
    let absent = bench.acquire(&by("a"), &[0]);
    bench.embedded.restart();
    let claim = Ask {
        mode: format!("first:{}", absent[1]),
        ..by("a")
    };
    let refused = bench.acquire(&claim, &[0]);
    assert_eq!(refused[0], "absent");
    assert_ne!(refused[1], absent[1]);
}

pub(super) fn a_voice_in_an_absent_past_is_a_loss(bench: Bench) {
    let heard = Ask {
        mode: "voice".to_owned(),
        ..by("a")
    };
    assert_eq!(bench.acquire(&heard, &[0]), suspect(TTL, false));
    bench.advance(TTL - 1);
    assert_eq!(bench.acquire(&by("a"), &[0]), suspect(1, false));
    bench.advance(1);
    let grant = bench.grant(&by("a"), &[0]);
    assert_eq!(grant.floor, bench.now() + SKEW, "above what was forgotten");
}

pub(super) fn another_server_waits_for_the_longest_ttl_it_may_have_granted(bench: Bench) {
    let bench = bench.founded();
    bench.grant(
        &Ask {
            ttl: 30_000,
            ..by("a")
        },
        &[0],
    );
    bench.grant(&by("b"), &[1]);
    bench.embedded.restart();
    let began = bench.now();
    assert_eq!(bench.acquire(&by("c"), &[2]), suspect(30_000, false));
    bench.advance(29_999);
    assert_eq!(bench.acquire(&by("c"), &[2]), suspect(1, false));
    bench.advance(1);
    let grant = bench.grant(&by("c"), &[2]);
    assert_eq!(
        grant.floor,
        began + 30_000 + SKEW,
        "above what was forgotten"
    );
    assert_eq!(bench.history(SLOTS)[2], "30000");
    bench.embedded.restart();
    assert_eq!(bench.acquire(&by("d"), &[3]), suspect(30_000, false));
}

pub(super) fn a_clock_set_back_prolongs_no_wait(bench: Bench) {
    let bench = bench.founded();
    bench.embedded.restart();
    assert_eq!(bench.acquire(&by("a"), &[0]), suspect(TTL, false));
    bench.set_clock(bench.now() - 60_000);
    assert_eq!(bench.acquire(&by("a"), &[0]), suspect(TTL, false));
    bench.advance(TTL);
    bench.grant(
        &Ask {
            lenient: true,
            ..by("a")
        },
        &[0],
    );
}

/// A failover that one replica vouches for: slot 0 was held, slot 1 never.
fn failed_over(bench: Bench) -> Bench {
    bench.embedded.set_replicas(1, false);
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    assert_eq!(grant.need, 1);
    bench.advance(5_000);
    let replicated = bench.embedded.snapshot();
    bench.embedded.rollback(&replicated);
    bench
}

pub(super) fn replicas_vouch_for_what_was_never_granted(bench: Bench) {
    let bench = failed_over(bench);
    assert_eq!(bench.grant(&by("b"), &[0, 1]).slot, 1);
    bench.advance(6_000);
    // Its lease is over, as far as this server knows; its renewals may be among what was lost.
    assert_eq!(bench.acquire(&by("c"), &[0]), suspect(4_000, true));
    assert_eq!(bench.grant(&by("c"), &[0, 2]).slot, 2);
    bench.advance(4_000);
    assert_eq!(bench.grant(&by("d"), &[0]).slot, 0);
    assert_eq!(
        bench.history(SLOTS)[4],
        "1",
        "replicas acknowledge as before"
    );
}

pub(super) fn a_label_has_no_right_to_a_lease_that_may_live(bench: Bench) {
    let bench = failed_over(bench);
    bench.grant(&by("b"), &[1]);
    bench.advance(6_000);
    let mut record = bench.recorded(0);
    record.label = "me".to_owned();
    bench.set_record(0, &record);
    let mine = Ask {
        label: "me",
        ..by("c")
    };
    assert_eq!(bench.acquire(&mine, &[0]), suspect(4_000, true));
    record.till = 0;
    bench.set_record(0, &record);
    assert_eq!(bench.grant(&mine, &[2, 0]).slot, 0, "it was given back");
}

pub(super) fn a_restart_from_disk_is_no_promotion(bench: Bench) {
    bench.embedded.set_replicas(1, false);
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.embedded.restart();
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(TTL, false));
    assert_eq!(
        bench.history(SLOTS)[4],
        "2",
        "who had the mark is not known"
    );
}

pub(super) fn a_successor_that_is_younger_than_the_last_grant_proves_nothing(bench: Bench) {
    let bench = failed_over(bench);
    bench.set_history(SLOTS, 7, 0);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(TTL, false));
}

pub(super) fn a_successor_of_another_server_proves_nothing(bench: Bench) {
    let bench = failed_over(bench);
    bench.set_history(SLOTS, 0, format!("run:{:040}", 1));
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(TTL, false));
}

pub(super) fn a_doubt_is_not_over_because_of_a_failover(bench: Bench) {
    let bench = failed_over(bench);
    bench.set_history(SLOTS, 1, bench.now() + 2_000);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(TTL, false));
}

pub(super) fn a_past_without_acknowledgements_is_not_vouched_for(bench: Bench) {
    for mark in [0, 2] {
        let bench = failed_over(Bench::new(bench.scripts()));
        bench.set_history(SLOTS, 4, mark);
        assert_eq!(bench.acquire(&by("b"), &[1]), suspect(TTL, false));
        assert_eq!(bench.history(SLOTS)[4], mark.to_string());
    }
}

pub(super) fn a_grant_takes_effect_when_replicas_have_it(bench: Bench) {
    let bench = bench.founded();
    assert_eq!(bench.grant(&by("a"), &[0]).need, 0);
    bench.embedded.set_replicas(2, false);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 2);
    assert_eq!(bench.history(SLOTS)[4], "1");
    assert_eq!(
        bench.grant(&by("b"), &[1]).need,
        2,
        "and so does the same one asked for again"
    );
    assert_eq!(
        bench
            .grant(
                &Ask {
                    acks: "1",
                    ..by("c")
                },
                &[2]
            )
            .need,
        1
    );
    let before = bench.everything();
    let greedy = Ask {
        acks: "3",
        ..by("d")
    };
    assert_eq!(bench.acquire(&greedy, &[3]), ["few", "2", "3"]);
    assert_eq!(bench.everything(), before);
}

pub(super) fn who_waits_for_nobody_says_so_to_the_replicas(bench: Bench) {
    let bench = bench.founded();
    let hasty = |holder| Ask {
        acks: "never",
        ..by(holder)
    };
    assert_eq!(bench.grant(&hasty("a"), &[0]).need, 0);
    assert_eq!(bench.history(SLOTS)[4], "0");
    bench.embedded.set_replicas(1, false);
    assert_eq!(
        bench.grant(&hasty("b"), &[1]).need,
        0,
        "nobody ever waited for them"
    );
    bench.grant(&by("c"), &[2]);
    assert_eq!(bench.history(SLOTS)[4], "1");
    assert_eq!(
        bench.grant(&hasty("d"), &[3]).need,
        1,
        "the mark has to be taken back first"
    );
    assert_eq!(bench.history(SLOTS)[4], "2");
}

pub(super) fn a_server_without_its_replicas_waits_for_one_ttl(bench: Bench) {
    bench.embedded.set_replicas(1, false);
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.embedded.set_replicas(0, false);
    let began = bench.now();
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    assert_eq!(bench.history(SLOTS)[6], began.to_string());
    bench.advance(TTL - 1);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1, false));
    assert_eq!(bench.acquire(&by("a"), &[1]), suspect(1, false));
    bench.advance(1);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 0);
    let history = bench.history(SLOTS);
    assert_eq!(
        (&*history[4], &*history[6]),
        ("0", "0"),
        "and goes on without them"
    );
}

/// It may have been succeeded by the one that is gone, which never hears of what the other acknowledges.
pub(super) fn a_server_without_one_of_its_replicas_waits_for_one_ttl(bench: Bench) {
    bench.embedded.set_replicas(2, false);
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    assert_eq!(bench.history(SLOTS)[8], "2");
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.advance(TTL);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
    let history = bench.history(SLOTS);
    assert_eq!(
        (&*history[4], &*history[6], &*history[8]),
        ("1", "0", "1"),
        "and goes on with the other"
    );
}

pub(super) fn a_replica_that_is_back_ends_the_wait(bench: Bench) {
    bench.embedded.set_replicas(1, false);
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    bench.embedded.set_replicas(0, false);
    bench.acquire(&by("b"), &[1]);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
    assert_eq!(bench.history(SLOTS)[6], "0");
}

/// A replica that started before the last grant is told from one that did not by this time; without it none would
/// vouch a day later.
pub(super) fn the_time_of_the_last_grant_is_kept(bench: Bench) {
    bench.embedded.set_replicas(1, false);
    let bench = bench.founded();
    bench.grant(&by("a"), &[0]);
    let first = bench.now();
    bench.advance(10_000);
    bench.grant(&by("b"), &[1]);
    assert_eq!(
        bench.history(SLOTS)[7],
        first.to_string(),
        "not with every grant"
    );
    bench.advance(1);
    bench.grant(&by("c"), &[2]);
    assert_eq!(bench.history(SLOTS)[7], bench.now().to_string());
}

/// Who has no connection to wait on cannot tell replicas of its grants, so that a failover would forget them alone.
pub(super) fn who_cannot_wait_is_granted_nothing_where_others_wait(bench: Bench) {
    let bench = bench.founded();
    let unable = |holder| Ask {
        acks: "unable",
        ..by(holder)
    };
    bench.embedded.set_replicas(1, false);
    assert_eq!(
        bench.grant(&unable("a"), &[0]).need,
        0,
        "nobody ever waited for them"
    );
    bench.grant(&by("b"), &[1]);
    let before = bench.everything();
    assert_eq!(bench.acquire(&unable("c"), &[2]), ["few", "0", "1"]);
    assert_eq!(bench.everything(), before);
}
