//! What a server that may have been succeeded by one of its replicas grants.

use super::{
    bench::Bench,
    past::{failed_over, suspect},
    slots::{Ask, SLOTS, TTL, by, lock},
};

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

/// Its lag is -1 for some ms.
pub(super) fn a_replica_heard_of_at_the_turn_of_a_second_is_there(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.advance(1_000 - bench.now() % 1_000);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
}

/// A namespace whose last grant `replicas` acknowledged.
fn acknowledged(bench: Bench, replicas: u32) -> Bench {
    bench.embedded.set_replicas(replicas, false);
    let bench = bench.founded();
    assert_eq!(bench.grant(&by("a"), &[0]).need, u64::from(replicas));
    bench
}

pub(super) fn a_replica_in_place_of_another_ends_no_wait(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.embedded.set_replicas(0, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.embedded.set_replicas(1, false);
    bench.advance(TTL - 1);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1, false));
    bench.advance(1);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
    let history = bench.history(SLOTS);
    assert_eq!((&*history[6], &*history[8], &*history[9]), ("0", "1", "2"));
}

/// Real servers, after two failovers or a cut link: what came since the last grant was promoted, and nobody missed it.
pub(super) fn a_replica_that_came_and_went_between_grants_was_there(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.embedded.set_replicas(2, false);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.advance(TTL);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
}

pub(super) fn a_replica_that_came_and_stayed_costs_nothing(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.embedded.set_replicas(2, false);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 2);
}

pub(super) fn another_loss_begins_the_wait_anew(bench: Bench) {
    let bench = acknowledged(bench, 3);
    bench.embedded.set_replicas(2, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.advance(TTL - 1);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.advance(TTL - 1);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1, false));
    bench.advance(1);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
}

/// Its wait begins with the loss, not with the return.
pub(super) fn who_wants_more_replicas_than_there_are_notices_a_loss(bench: Bench) {
    let bench = acknowledged(bench, 1);
    let demanding = Ask {
        acks: "1",
        ..by("b")
    };
    bench.embedded.set_replicas(0, false);
    assert_eq!(bench.acquire(&demanding, &[1]), ["few", "0", "1"]);
    bench.advance(TTL);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.grant(&demanding, &[1]).need, 1);
}

pub(super) fn a_count_of_joins_that_was_set_back_is_a_loss(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.set_history(SLOTS, 9, 5);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
}

/// It has the grant from its disk, and another replica than the one that may have succeeded it.
pub(super) fn a_server_that_restarted_gives_nothing_again_at_once(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.embedded.restart();
    assert_eq!(bench.acquire(&by("a"), &[0]), suspect(TTL, false));
    bench.advance(TTL - 1);
    bench.send(&["SET", &lock(0), "a", "PX", "1000"]);
    assert_eq!(bench.acquire(&by("a"), &[0]), suspect(1, false));
    bench.advance(1);
    assert_eq!(bench.grant(&by("a"), &[0]).need, 1);
}

pub(super) fn a_clock_set_back_prolongs_no_wait_for_a_replica(bench: Bench) {
    let bench = acknowledged(bench, 2);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.set_clock(bench.now() - 5_000);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.advance(TTL);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
}

pub(super) fn after_a_failover_the_first_replica_is_waited_for(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.advance(5_000);
    bench.embedded.set_replicas(0, false);
    let replicated = bench.embedded.snapshot();
    bench.embedded.rollback(&replicated);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.advance(500);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
}

/// It may be the one that was promoted next.
pub(super) fn after_a_failover_every_replica_that_ever_came_has_to_be_there(bench: Bench) {
    let bench = failed_over(bench);
    bench.embedded.set_replicas(2, false);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(1_000, false));
    bench.advance(TTL);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
}

pub(super) fn a_renewal_looks_after_replicas_for_those_who_come_later(bench: Bench) {
    let bench = acknowledged(bench, 2);
    let grant = bench.grant(&by("b"), &[1]);
    let looked = bench.history(SLOTS);
    bench.embedded.set_replicas(1, false);
    let renewal = grant.renewal("b");
    bench.advance(TTL / 3);
    assert_eq!(bench.renew(&renewal)[0], "renewed");
    assert_eq!(bench.history(SLOTS), looked, "not with every renewal");
    bench.advance(1);
    let noticed = bench.now();
    assert_eq!(bench.renew(&renewal)[0], "renewed");
    let history = bench.history(SLOTS);
    assert_eq!(
        history[6..9],
        [noticed.to_string(), noticed.to_string(), "1".to_owned()]
    );
    bench.advance(TTL / 2);
    assert_eq!(bench.renew(&renewal)[0], "renewed");
    bench.advance(TTL / 2);
    assert_eq!(bench.grant(&by("c"), &[2]).need, 1, "the wait is over");
}

/// Whose past was in doubt for a ttl has waited for whoever went before.
pub(super) fn after_a_doubt_only_later_losses_count(bench: Bench) {
    let bench = acknowledged(bench, 1);
    bench.embedded.restart();
    bench.embedded.set_replicas(0, false);
    bench.embedded.set_replicas(1, false);
    assert_eq!(bench.acquire(&by("b"), &[1]), suspect(TTL, false));
    bench.advance(TTL);
    assert_eq!(bench.grant(&by("b"), &[1]).need, 1);
}

/// Its counts are not those of the server that wrote them.
pub(super) fn a_renewal_does_not_look_before_the_past_was_judged(bench: Bench) {
    let bench = acknowledged(bench, 1);
    let grant = bench.grant(&by("b"), &[1]);
    let renewal = grant.renewal("b");
    bench.advance(TTL / 2);
    let replicated = bench.embedded.snapshot();
    bench.embedded.rollback(&replicated);
    let before = bench.history(SLOTS);
    assert_eq!(bench.renew(&renewal)[0], "renewed");
    assert_eq!(bench.history(SLOTS), before);
    assert_eq!(bench.grant(&by("c"), &[2]).need, 1, "vouched for");
}
