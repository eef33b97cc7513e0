//! What a lease and a generator's options have to do with each other.

use std::{sync::Arc, time::Duration};

use raus::{MachineId, Raus};
use snowflake::{BuildError, Generator, Layout};

/// A machine ID of a store of its own.
async fn lease(name: &str, ttl: Duration, max_clock_skew: Duration) -> MachineId {
    let raus = Raus::builder(&format!("memory://{name}"), 0..=3)
        .discovery(Duration::ZERO)
        .ttl(ttl)
        .heartbeat(ttl / 6)
        .max_clock_skew(max_clock_skew)
        .build()
        .expect("sound");
    raus.acquire().await.expect("free")
}

#[tokio::test]
async fn a_leased_generator_borrows_no_more_than_its_lease_covers() {
    let second = Duration::from_secs(1);
    for (ttl, skew) in [(6, 2), (2, 6)] {
        let machine_id = lease("borrow", second * ttl, second * skew).await;
        assert_eq!(machine_id.ttl(), second * ttl);
        assert_eq!(machine_id.max_clock_skew(), second * skew);
        let build = |borrow| {
            Generator::builder()
                .borrow(borrow)
                .leased(machine_id.clone())
        };
        let most = 2 * second;
        let error = build(most + Duration::from_millis(1))
            .await
            .expect_err("too much");
        assert!(matches!(error, BuildError::BorrowBeyondLease { .. }));
        let text = error.to_string();
        for value in ["2.001s", &format!("{skew}s"), &format!("{ttl}s")] {
            assert!(text.contains(value), "{text}");
        }
        build(most)
            .await
            .expect("covered, and the refusal attached nothing");
    }
}

#[tokio::test]
async fn a_unit_that_does_not_fit_into_a_ttl_is_refused() {
    let machine_id = lease("units", Duration::from_secs(6), Duration::from_secs(6)).await;
    assert_eq!(machine_id.heartbeat(), Duration::from_secs(1));
    let build = |unit| {
        let layout = Layout::TWITTER.with_unit(unit).expect("whole");
        Generator::builder()
            .layout(layout)
            .leased(machine_id.clone())
    };
    for unit in [Duration::from_millis(4_001), Duration::from_secs(3_600)] {
        let error = build(unit).await.expect_err("too long");
        assert!(matches!(error, BuildError::UnitTooLong { .. }));
        let text = error.to_string();
        assert!(
            text.contains(&format!("{unit:?}")) && text.contains("6s"),
            "{text}"
        );
    }
    let generator = build(Duration::from_secs(4)).await.expect("it fits");
    generator
        .next_within(Duration::from_secs(60))
        .await
        .expect("minted");
}

/// A former holder, or the server's clock for a moment, was hours ahead.
#[tokio::test]
async fn a_wait_that_exceeds_the_ttl_is_an_error_and_not_waited_for() {
    use crate::clock::{ManualClock, ms};
    use snowflake::{ClockMode, MintError};

    let clock = ManualClock::at(1_800_000_000_000);
    let machine_id = lease("delays", Duration::from_secs(6), Duration::from_secs(6)).await;
    let generator = Generator::builder()
        .clock(ClockMode::Custom(Arc::new(clock.clone())))
        .leased(machine_id)
        .await
        .expect("fits");
    let door = generator.reservation();
    let floor_ms = clock.wall_ms();
    let grant = |delay| {
        door.grant_under(1, 2, floor_ms, floor_ms + 60_000_000, Some(delay))
            .expect("fits");
    };
    grant(Duration::from_secs(7_200));
    let fails = |outcome| match outcome {
        Err(MintError::DelayTooLong { delay, ttl }) => {
            assert_eq!(delay, Duration::from_secs(7_200));
            assert_eq!(ttl, Duration::from_secs(6));
        }
        other => panic!("{other:?}"),
    };
    fails(generator.try_next());
    fails(generator.next().await);
    fails(generator.next_within(Duration::from_secs(100_000)).await);
    fails(generator.next_blocking());
    // What a ttl covers is waited for.
    grant(Duration::from_secs(6));
    assert!(matches!(generator.try_next(), Err(MintError::Wait { .. })));
    clock.forward(ms(6_000));
    generator.next().await.expect("the wait is over");
}
