//! Unit tests and properties.

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_boot(Duration::from_millis(ms))
}

fn ms(instant: Instant) -> u128 {
    instant.since_boot().as_millis()
}

fn timing(ttl_ms: u64, heartbeat_ms: u64) -> Timing {
    Timing::new(
        Duration::from_millis(ttl_ms),
        Duration::from_millis(heartbeat_ms),
    )
    .expect("valid in this test")
}

#[test]
fn goes_from_held_over_at_risk_to_lost() {
    let mut lease = Lease::granted(at(0), timing(60_000, 1_000), 1.0);
    assert_eq!(lease.poll(at(39_999)), None);
    assert_eq!(lease.poll(at(40_000)), Some(Transition::AtRisk));
    assert_eq!(lease.poll(at(50_767)), None);
    assert_eq!(lease.poll(at(50_768)), Some(Transition::Expired));
    assert_eq!(lease.state(), LeaseState::Lost);
    assert_eq!(lease.poll(at(70_000)), None);
}

#[test]
fn the_deadline_counts_from_sending_not_from_the_answer() {
    let mut lease = Lease::granted(at(0), timing(1_001, 100), 1.0);
    lease.handle_acknowledged(at(400), at(100), 1.0);
    assert_eq!(lease.deadline(), at(100 + 845));
}

#[test]
fn an_older_answer_never_shortens_the_lease() {
    let mut lease = Lease::granted(at(0), timing(1_000, 100), 1.0);
    lease.handle_acknowledged(at(300), at(200), 1.0);
    lease.handle_acknowledged(at(310), at(100), 1.0);
    assert_eq!(lease.acknowledged(), at(200));
}

#[test]
fn an_answer_after_the_deadline_revives_nothing() {
    let mut lease = Lease::granted(at(0), timing(1_000, 100), 1.0);
    let outcome = lease.handle_acknowledged(at(1_200), at(900), 1.0);
    assert_eq!(outcome, Some(Transition::Expired));
    assert_eq!(lease.state(), LeaseState::Lost);
    assert_eq!(lease.handle_acknowledged(at(1_201), at(1_000), 1.0), None);
    assert_eq!(lease.state(), LeaseState::Lost);
}

#[test]
fn an_answer_recovers_a_lease_at_risk() {
    let mut lease = Lease::granted(at(0), timing(900, 100), 1.0);
    assert_eq!(lease.poll(at(700)), Some(Transition::AtRisk));
    assert_eq!(
        lease.handle_acknowledged(at(720), at(700), 1.0),
        Some(Transition::Recovered)
    );
    assert_eq!(lease.state(), LeaseState::Held);
}

#[test]
fn failures_back_off_up_to_the_heartbeat() {
    let mut lease = Lease::granted(at(0), timing(60_000, 1_000), 1.0);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        lease.handle_failed(at(0), 1.0);
        pauses.push(lease.due().since_boot().as_millis());
    }
    assert_eq!(pauses, [50, 100, 200, 400, 500, 500]);
}

#[test]
fn impossible_timings_name_the_value_and_the_limit() {
    let check = |ttl, heartbeat, expected: &str| {
        let error = Timing::new(Duration::from_millis(ttl), Duration::from_millis(heartbeat))
            .expect_err("must be refused");
        assert_eq!(error.to_string(), expected);
    };
    check(
        10,
        1,
        "ttl of 10ms is out of bounds; choose between 30 ms and 1 h",
    );
    check(
        3_600_001,
        1_000,
        "ttl of 3600.001s is out of bounds; choose between 30 ms and 1 h",
    );
    check(
        1_000,
        9,
        "heartbeat of 9ms is too short; choose 10 ms or more",
    );
    check(
        2_999,
        1_000,
        "ttl of 2.999s is shorter than three heartbeats of 1s; lengthen the ttl or shorten the heartbeat",
    );
}

#[test]
fn a_ttl_is_told_in_whole_milliseconds() {
    assert_eq!(timing(1_500, 100).ttl_ms(), 1_500);
}

#[test]
fn the_bounds_themselves_are_accepted() {
    for (ttl, heartbeat) in [(30, 10), (3_600_000, 1_000), (3_000, 1_000)] {
        let timing = timing(ttl, heartbeat);
        assert_eq!(timing.ttl(), Duration::from_millis(ttl));
        assert_eq!(timing.heartbeat(), Duration::from_millis(heartbeat));
    }
    let too_short = Timing::new(Duration::from_millis(29), Timing::MIN_HEARTBEAT);
    assert!(matches!(too_short, Err(TimingError::Ttl { .. })));
}

#[test]
fn a_renewal_is_due_a_heartbeat_after_the_last_one_or_a_tenth_earlier() {
    for (jitter, due) in [(1.0, 100), (0.0, 90), (0.5, 95), (7.0, 100)] {
        let mut lease = Lease::granted(at(1_000), timing(1_000, 100), jitter);
        assert_eq!(lease.due(), at(1_000 + due));
        assert_eq!(
            lease.handle_acknowledged(at(1_210), at(1_200), jitter),
            None
        );
        assert_eq!(lease.due(), at(1_200 + due), "counted from its sending");
    }
}

#[test]
fn an_answer_that_took_too_long_recovers_nothing() {
    let mut lease = Lease::granted(at(0), timing(900, 100), 1.0);
    assert_eq!(lease.poll(at(700)), Some(Transition::AtRisk));
    assert_eq!(lease.handle_acknowledged(at(720), at(120), 1.0), None);
    assert_eq!(
        lease.state(),
        LeaseState::AtRisk,
        "two thirds of the ttl have passed again"
    );
    let recovered = lease.handle_acknowledged(at(720), at(121), 1.0);
    assert_eq!(recovered, Some(Transition::Recovered));
}

#[test]
fn a_refusal_ends_a_lease_for_good() {
    let mut lease = Lease::granted(at(0), timing(900, 100), 1.0);
    lease.handle_refused();
    assert_eq!(lease.state(), LeaseState::Lost);
    assert_eq!(lease.poll(at(5_000)), None);
    assert_eq!(lease.handle_acknowledged(at(10), at(5), 1.0), None);
    assert_eq!(lease.state(), LeaseState::Lost);
}

#[test]
fn a_lease_says_when_to_look_at_it_again() {
    let mut lease = Lease::granted(at(0), timing(1_300, 100), 1.0);
    assert_eq!(lease.changes_at().map(ms), Some(866));
    lease.poll(at(867));
    assert_eq!(lease.changes_at(), Some(at(1_098)));
    lease.poll(at(1_098));
    assert_eq!(lease.changes_at(), None);
}

/// A store that has more to say is asked at once, a member in a hurry sooner than planned, and neither is a failure.
#[test]
fn what_is_wanted_sooner_comes_sooner() {
    let mut lease = Lease::granted(at(0), timing(900, 100), 1.0);
    assert!(!lease.is_failing());
    lease.handle_failed(at(100), 1.0);
    assert!(lease.is_failing());
    lease.handle_unfinished(at(120));
    assert_eq!(lease.due(), at(120));
    assert!(!lease.is_failing());
    lease.handle_acknowledged(at(130), at(120), 1.0);
    lease.hasten(at(500));
    assert_eq!(lease.due(), at(220), "never later than planned");
    lease.hasten(at(150));
    assert_eq!(lease.due(), at(150));
}

/// After an answer the pauses begin anew.
#[test]
fn an_answer_ends_a_backoff() {
    let mut lease = Lease::granted(at(0), timing(60_000, 1_000), 1.0);
    for _ in 0..3 {
        lease.handle_failed(at(0), 1.0);
    }
    lease.handle_acknowledged(at(10), at(5), 1.0);
    lease.handle_failed(at(20), 1.0);
    assert_eq!(lease.due(), at(70));
}

proptest! {
    /// Whatever answers arrive in whatever order, the holder stops before the server's ttl, counted from the
    /// execution of the last acknowledged request, is over.
    #[test]
    fn the_deadline_precedes_the_servers(
        ttl_ms in 30_u64..3_600_000,
        answers in prop::collection::vec((0_u64..5_000, 0_u64..2_000, 0_u64..2_000), 0..20),
    ) {
        let timing = timing(ttl_ms, (ttl_ms / 3).max(10));
        let mut lease = Lease::granted(at(0), timing, 0.5);
        let mut servers_expiry = at(ttl_ms);
        let mut now = 0;
        for (gap, to_server, back) in answers {
            let sent = now + gap;
            let executed = sent + to_server;
            now = executed + back;
            lease.poll(at(now));
            if lease.state() == LeaseState::Lost {
                break;
            }
            servers_expiry = servers_expiry.max(at(executed + ttl_ms));
            lease.handle_acknowledged(at(now), at(sent), 0.5);
            prop_assert!(lease.deadline() < servers_expiry);
            prop_assert!(lease.due() <= at(sent) + timing.heartbeat());
        }
    }

    /// However the two clocks are slewed while a renewal counts, in whatever steps: the holder stops before the server
    /// takes the lease for over, even if the renewal was executed the moment it was sent.
    #[test]
    fn the_deadline_precedes_the_servers_while_clocks_are_slewed(
        ttl_ms in 30_u64..=3_600_000,
        begins_us in 0_u64..1_000,
        slews in prop::collection::vec((0_u64..=100, -1_000_i64..=1_000, -1_000_i64..=1_000), 1..20),
    ) {
        let timing = timing(ttl_ms, (ttl_ms / 3).max(10));
        let held_ns = i128::try_from(timing.deadline(at(0)).since_boot().as_nanos()).expect("small");
        let slew = i128::from(Timing::SLEW) * 1_000;
        let (mut here_ns, mut there_ns) = (0_i128, 0_i128);
        for (weight, here, there) in slews.iter().chain([&(100, -1_000, 1_000)]).cycle() {
            // Of true time, so long that the slowest clock gets to the deadline at some point.
            let span = i128::from(*weight) * held_ns / 1_000 + 1;
            let ahead = |rate: i64| span * (slew + i128::from(rate)) / slew;
            let (here, there) = (ahead(*here), ahead(*there));
            if held_ns <= here_ns + here {
                // The rest of the way, at these rates.
                there_ns += there * (held_ns - here_ns) / here;
                break;
            }
            here_ns += here;
            there_ns += there;
        }
        // By its own clock, which it reads in whole ms.
        let began_ns = i128::from(begins_us) * 1_000;
        let now_ms = (began_ns + there_ns) / 1_000_000;
        prop_assert!(now_ms < i128::from(ttl_ms), "{} of {}", now_ms, ttl_ms);
    }

    /// A failing renewal is tried again within a heartbeat and never at once.
    #[test]
    fn retries_are_neither_hasty_nor_late(failures in 1_usize..50, jitter in 0.0_f64..1.0) {
        let timing = timing(60_000, 1_000);
        let mut lease = Lease::granted(at(0), timing, jitter);
        for _ in 0..failures {
            lease.handle_failed(at(5_000), jitter);
            prop_assert!(at(5_045) <= lease.due() && lease.due() <= at(6_000));
        }
    }
}
