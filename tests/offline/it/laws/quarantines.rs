//! When a quarantine begins, and for how long nothing new is granted.

use super::{
    bench::Bench,
    past::{FLOOR, TILL},
    slots::{
        Ask, BOUND, QUARANTINE, Renewal, SKEW, SLOTS, TTL, Terms, by, claiming, for_ttl, link,
        lock, quarantine,
    },
};

/// What a newcomer is told that knows nothing.
fn told(bench: &Bench) -> Vec<String> {
    bench.acquire(&by("newcomer"), &[99])
}

pub(super) fn another_server_waits_for_the_longest_terms_in_use(bench: Bench) {
    let bench = bench.founded();
    let with = |holder, terms| Ask {
        terms,
        ..by(holder)
    };
    let (slow, bound, skew) = (Terms::of_ttl(30_000), 40_000, 12_000);
    bench.grant(&with("a", slow.clone()), &[0]);
    bench.grant(&with("b", Terms { bound, ..slow }), &[1]);
    let terms = Terms {
        skew,
        ..Terms::of_ttl(TTL)
    };
    bench.grant(&with("c", terms), &[2]);
    bench.embedded.restart();
    let began = bench.now();
    assert_eq!(told(&bench), quarantine(70_000));
    bench.advance(69_999);
    assert_eq!(told(&bench), quarantine(1));
    bench.advance(1);
    // A replaced master may have served a holder to the end of the bound, whose clock was ahead.
    let grant = bench.grant(&by("d"), &[3]);
    assert_eq!(grant.floor, began + 70_000 + skew);
    // Nobody used the longest ones for a whole window.
    assert_eq!(grant.longest, "10000 15000 10000");
}

/// So that it is over before anybody asks.
pub(super) fn a_quarantine_begins_with_the_first_renewal_that_sees_another_server(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.embedded.restart();
    bench.advance(999);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    assert_eq!(bench.history(SLOTS)[TILL], "0", "it looks once a second");
    bench.advance(1);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    bench.advance(4_000);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "renewed");
    assert_eq!(told(&bench), quarantine(QUARANTINE - 4_000));
}

/// A clock that was set back.
pub(super) fn a_renewal_looks_whatever_the_clock(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.embedded.restart();
    bench.set_clock(bench.now() - 5_000);
    bench.renew(&grant.renewal("a"));
    assert_ne!(bench.history(SLOTS)[TILL], "0");
}

/// Somebody with leases of a minute is cut off; the others know of it.
fn with_long_leases(bench: Bench) -> (Bench, Renewal) {
    let bench = bench.founded();
    bench.grant(&for_ttl("away", 60_000), &[5]);
    let grant = bench.grant(&by("a"), &[0]);
    assert_eq!(grant.longest, "60000 15000 10000");
    bench.advance(1_000);
    (bench, grant.renewal("a"))
}

pub(super) fn what_holders_know_of_others_outlives_the_store(bench: Bench) {
    let (bench, renewal) = with_long_leases(bench);
    bench.embedded.flush_all();
    assert_eq!(bench.renew(&renewal)[3], "60000 15000 10000");
    assert_eq!(told(&bench), quarantine(75_000));
    let (bench, renewal) = with_long_leases(Bench::new(bench.scripts()));
    bench.send(&["HDEL", SLOTS, "history"]);
    assert_eq!(bench.renew(&renewal)[0], "renewed");
    assert_eq!(
        told(&bench),
        quarantine(75_000),
        "only the history was lost"
    );
}

/// The store has an older copy, from before those with the long leases came.
pub(super) fn what_holders_know_of_others_outlives_a_rewind(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    let copy = bench.embedded.snapshot();
    bench.grant(&for_ttl("away", 60_000), &[5]);
    let mut renewal = grant.renewal("a").linked(&[link(2, 1), link(1, 7)]);
    renewal.terms.known = bench.renew(&renewal)[3].clone();
    bench.embedded.rewind(&copy);
    let next = renewal.linked(&[link(3, 1), link(2, 1)]);
    assert_eq!(bench.renew(&next)[3], "60000 15000 10000");
    assert_eq!(told(&bench), quarantine(75_000));
}

/// A newcomer that knows nothing was the first to notice.
pub(super) fn what_holders_know_of_others_prolongs_a_quarantine(bench: Bench) {
    for everything in [false, true] {
        let (bench, renewal) = with_long_leases(Bench::new(bench.scripts()));
        if everything {
            bench.embedded.flush_all();
        } else {
            bench.send(&["HDEL", SLOTS, "history"]);
        }
        let began = bench.now();
        let noticed = bench.acquire(&claiming("b", "voice"), &[1]);
        assert_eq!(noticed, quarantine(QUARANTINE));
        bench.advance(5_000);
        bench.renew(&renewal);
        assert_eq!(told(&bench), quarantine(70_000), "from its beginning on");
        assert_eq!(
            bench.history(SLOTS)[FLOOR],
            (began + 75_000 + SKEW).to_string()
        );
        let mut wider = renewal.clone();
        wider.terms.known = "1 1 11000".to_owned();
        bench.renew(&wider);
        assert_eq!(
            bench.history(SLOTS)[FLOOR],
            (began + 75_000 + 11_000).to_string()
        );
        assert_eq!(told(&bench), quarantine(70_000));
    }
}

/// Who was told of a ttl does not keep it in use by that.
pub(super) fn a_ttl_that_nobody_uses_is_forgotten_after_two_windows(bench: Bench) {
    let (bench, renewal) = with_long_leases(bench);
    bench.advance(59_000);
    let longest = || bench.renew(&renewal)[3].clone();
    assert_eq!(longest(), "60000 15000 10000", "the window ends");
    bench.advance(1);
    assert_eq!(longest(), "60000 15000 10000", "the next one begins");
    bench.advance(60_000);
    assert_eq!(longest(), "60000 15000 10000", "and ends");
    bench.advance(1);
    assert_eq!(longest(), "10000 15000 10000");
    bench.embedded.restart();
    assert_eq!(told(&bench), quarantine(QUARANTINE));
}

pub(super) fn an_onlooker_sees_the_longest_terms_as_the_next_grant_finds_them(bench: Bench) {
    let (bench, renewal) = with_long_leases(bench);
    let longest = || bench.inspect(&[3])[8].clone();
    bench.advance(59_001);
    bench.renew(&renewal);
    bench.advance(60_000);
    assert_eq!(longest(), "60000 15000 10000");
    bench.advance(1);
    assert_eq!(longest(), "10000 15000 10000");
    bench.embedded.restart();
    bench.acquire(&claiming("newcomer", "voice"), &[99]);
    bench.advance(60_001);
    assert_eq!(longest(), "60000 15000 10000", "no window ends");
}

pub(super) fn a_ttl_that_is_used_again_is_kept(bench: Bench) {
    let (bench, renewal) = with_long_leases(bench);
    let mut used = bench.grant(&for_ttl("b", 60_000), &[6]).renewal("b");
    used.terms.known = "0 0 0".to_owned();
    for _ in 0..3 {
        bench.advance(60_001);
        bench.renew(&renewal);
        bench.renew(&used);
    }
    bench.advance(60_001);
    assert_eq!(bench.renew(&renewal)[3], "60000 15000 10000");
}

/// No window ends meanwhile: who is cut off cannot say that its ttl is in use.
pub(super) fn no_ttl_is_forgotten_in_a_quarantine(bench: Bench) {
    let (bench, mut renewal) = with_long_leases(bench);
    bench.advance(59_001);
    bench.renew(&renewal);
    bench.advance(59_000);
    bench.embedded.restart();
    let newcomer = told(&bench);
    assert_eq!(newcomer, quarantine(75_000));
    bench.advance(1_001);
    renewal.terms.known = "0 0 0".to_owned();
    assert_eq!(bench.renew(&renewal)[3], "60000 15000 10000");
    assert_eq!(told(&bench), quarantine(73_999));
    bench.advance(60_000);
    bench.renew(&renewal);
    assert_eq!(told(&bench), quarantine(13_999));
}

/// A copy from before, in which the window had almost ended.
pub(super) fn a_loss_ends_no_window(bench: Bench) {
    let (bench, renewal) = with_long_leases(bench);
    bench.advance(59_001);
    bench.renew(&renewal);
    bench.advance(600_000);
    bench.embedded.restart();
    let expecting = claiming("newcomer", "voice");
    assert_eq!(bench.acquire(&expecting, &[99]), quarantine(75_000));
}

/// A small step back, just when a window has begun, in which not everybody was heard yet.
pub(super) fn a_clock_set_back_forgets_no_ttl(bench: Bench) {
    let (bench, renewal) = with_long_leases(bench);
    let away = bench.recorded(5);
    bench.advance(59_001);
    bench.renew(&renewal);
    bench.set_clock(bench.now() - 1);
    assert_eq!(bench.renew(&renewal)[3], "60000 15000 10000");
    bench.set_past(5, away.till + 59_000);
    assert_eq!(
        bench.acquire(&by("b"), &[0, 5])[0],
        "taken",
        "and cuts no lease"
    );
    assert_eq!(bench.recorded(5).till, away.till + 59_000);
    bench.embedded.restart();
    assert_eq!(told(&bench), quarantine(75_000));
}

pub(super) fn a_clock_set_back_prolongs_no_quarantine(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.embedded.restart();
    assert_eq!(told(&bench), quarantine(QUARANTINE));
    bench.set_clock(bench.now() - 60_000);
    assert_eq!(told(&bench), quarantine(QUARANTINE));
    bench.advance(QUARANTINE - 1);
    assert_eq!(told(&bench), quarantine(1));
    // A renewal notices it as well.
    bench.set_clock(bench.now() - 60_000);
    bench.renew(&grant.renewal("a"));
    bench.advance(QUARANTINE);
    let lenient = Ask {
        mode: "ask".to_owned(),
        lenient: true,
        ..by("b")
    };
    assert_eq!(bench.acquire(&lenient, &[1])[0], "ahead", "and not: wait");
}

pub(super) fn an_onlooker_sees_what_is_left_of_a_quarantine(bench: Bench) {
    let bench = bench.founded();
    bench.embedded.restart();
    let seen = |has_begun: &str| {
        let reply = bench.inspect(&[3]);
        assert_eq!(reply[9], has_begun);
        reply[2..4].to_vec()
    };
    assert_eq!(seen("0"), quarantine(QUARANTINE), "as it would begin");
    told(&bench);
    bench.advance(4_000);
    assert_eq!(seen("1"), quarantine(QUARANTINE - 4_000));
    bench.set_clock(bench.now() - 60_000);
    assert_eq!(seen("1"), quarantine(QUARANTINE));
}

/// Slot 0 is held, and forgotten; a quarantine began a second after the grant.
fn forgotten(bench: Bench) -> (Bench, Renewal) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.advance(1_000);
    bench.embedded.restart();
    bench.send(&["HDEL", SLOTS, "0"]);
    bench.send(&["DEL", &lock(0)]);
    told(&bench);
    bench.advance(4_000);
    (bench, grant.renewal("a"))
}

pub(super) fn a_loss_from_before_a_quarantine_begins_no_other(bench: Bench) {
    let (bench, renewal) = forgotten(bench);
    assert_eq!(bench.renew(&renewal)[0], "reasserted");
    assert_eq!(told(&bench), quarantine(QUARANTINE - 4_000));
    let began = bench.now() - 4_000;
    for (acknowledged, left) in [(began - 1, QUARANTINE - 4_000), (began, QUARANTINE)] {
        bench.send(&["HDEL", SLOTS, "0"]);
        let later = Renewal {
            till: acknowledged + TTL,
            ..renewal.clone()
        };
        assert_eq!(bench.renew(&later)[0], "reasserted");
        assert_eq!(told(&bench), quarantine(left));
    }
}

pub(super) fn a_loss_after_a_quarantine_begins_another(bench: Bench) {
    let (bench, renewal) = forgotten(bench);
    bench.advance(QUARANTINE);
    let later = Renewal {
        till: bench.now() + 1,
        ..renewal
    };
    assert_eq!(bench.renew(&later)[0], "reasserted");
    assert_eq!(told(&bench), quarantine(QUARANTINE));
    bench.advance(1_000);
    bench.embedded.restart();
    bench.send(&["HDEL", SLOTS, "0"]);
    let again = Renewal {
        till: bench.now() + 1,
        ..later
    };
    assert_eq!(bench.renew(&again)[0], "reasserted");
    assert_eq!(told(&bench), quarantine(QUARANTINE), "on another server");
}

/// The data are replaced under a server that stays what it was.
pub(super) fn a_holder_that_misses_what_it_was_answered_begins_a_quarantine(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    let copy = bench.embedded.snapshot();
    let chain = [link(4, 1), link(3, 1), link(2, 1), link(1, 7)];
    let renewal = |till, numbers: &[u64]| Renewal {
        till,
        horizon: grant.horizon + 500,
        last: grant.floor,
        ..grant.renewal("a").linked(numbers)
    };
    for at in [2, 1] {
        bench.advance(1_000);
        let renewal = renewal(bench.now(), &chain[at..at + 2]);
        assert_eq!(bench.renew(&renewal)[0], "renewed");
    }
    let till = bench.now() + TTL;
    bench.embedded.rewind(&copy);
    let reply = bench.renew(&renewal(till, &chain[..2]));
    assert_eq!(reply[0], "reasserted");
    assert_eq!(
        bench.recorded(0).chain,
        format!("{},{}", chain[0], chain[1])
    );
    assert_eq!(told(&bench), quarantine(QUARANTINE));
    bench.embedded.rewind(&copy);
    let horizon = bench.now() + TTL + 5_000;
    let acknowledged = Renewal {
        horizon,
        ..renewal(till, &chain[..2])
    };
    assert_eq!(bench.renew(&acknowledged)[1], horizon.to_string());
    bench.embedded.rewind(&copy);
    let before = bench.everything();
    assert_eq!(
        bench.renew(&renewal(bench.now(), &chain[..2])),
        ["lost", "forgotten"],
        "its lease is over"
    );
    assert_eq!(bench.everything(), before);
    assert_eq!(BOUND + TTL, QUARANTINE);
}

pub(super) fn a_loss_on_another_server_begins_another_quarantine(bench: Bench) {
    let (bench, renewal) = forgotten(bench);
    bench.embedded.restart();
    assert_eq!(bench.renew(&renewal)[0], "reasserted");
    let till = bench.now() + QUARANTINE;
    assert_eq!(bench.history(SLOTS)[TILL], till.to_string());
}

pub(super) fn a_second_quarantine_lowers_no_floor(bench: Bench) {
    let bench = bench.founded();
    let floor = bench.now() + 100_000;
    bench.set_history(SLOTS, FLOOR, floor);
    bench.embedded.restart();
    told(&bench);
    assert_eq!(bench.history(SLOTS)[FLOOR], floor.to_string());
}

/// It was known who it was, and it is compared with that once it tells again.
pub(super) fn a_server_that_hides_in_a_loss_is_known_later(bench: Bench) {
    let bench = bench.founded();
    let grant = bench.grant(&by("a"), &[0]);
    bench.send(&["HDEL", SLOTS, "0"]);
    bench.embedded.set_info_forbidden(true);
    assert_eq!(bench.renew(&grant.renewal("a"))[0], "reasserted");
    bench.advance(QUARANTINE);
    bench.embedded.restart();
    bench.embedded.set_info_forbidden(false);
    assert_eq!(told(&bench), quarantine(QUARANTINE));
}
