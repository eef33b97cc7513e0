//! What a generator does under a lease.

use std::{io, sync::Arc};

use crate::clock::{ManualClock, ms};
use snowflake::{ClockMode, Generator, GrantError, Layout, MintError};

const NOW: u64 = 1_800_000_000_000;

fn reserved(clock: &ManualClock) -> Generator {
    Generator::builder()
        .clock(ClockMode::Custom(Arc::new(clock.clone())))
        .reserved()
        .expect("the defaults are sound")
}

#[test]
fn nothing_is_minted_before_the_first_grant() {
    let generator = reserved(&ManualClock::at(NOW));
    assert!(matches!(generator.try_next(), Err(MintError::NotGranted)));
    assert_eq!(generator.reservation().last_minted_ms(), None);
    assert_eq!(generator.reservation().close(), Some(0));
    assert_eq!(generator.reservation().last_minted_ms(), None);
}

#[test]
fn minting_stops_at_the_horizon_not_before_and_not_after() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(3, NOW, NOW + 60_000, None).expect("fits");
    clock.forward(ms(59_999));
    let id = generator.try_next().expect("the last millisecond");
    assert_eq!(id.unix_ms(&Layout::TWITTER), NOW + 59_999);
    clock.forward(ms(1));
    for _ in 0..10_000 {
        match generator.try_next() {
            Err(MintError::HorizonReached { horizon_ms, now_ms }) => {
                assert_eq!((horizon_ms, now_ms), (NOW + 60_000, NOW + 60_000));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(door.last_minted_ms(), Some(NOW + 59_999));
    door.extend(NOW + 120_000);
    let id = generator.try_next().expect("extended");
    assert_eq!(id.unix_ms(&Layout::TWITTER), NOW + 60_000);
    assert_eq!(id.sequence(&Layout::TWITTER), 0);
}

#[test]
fn a_horizon_is_never_moved_back() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(3, NOW, NOW + 2, None).expect("fits");
    door.extend(NOW + 1);
    clock.forward(ms(1));
    generator.try_next().expect("still below the first horizon");
}

#[test]
fn a_loss_stops_minting_and_the_next_grant_starts_it_again() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(3, NOW, NOW + 60_000, None).expect("fits");
    generator.try_next().expect("granted");
    door.revoke(Arc::new(io::Error::other("somebody else has it")), NOW + 7);
    match generator.try_next() {
        Err(MintError::Lost { reason, since_ms }) => {
            assert_eq!(reason.to_string(), "somebody else has it");
            assert!(reason.get().downcast_ref::<io::Error>().is_some());
            assert_eq!(since_ms, NOW + 7);
        }
        other => panic!("{other:?}"),
    }
    door.extend(NOW + 120_000);
    assert!(
        generator.try_next().is_err(),
        "a late renewal revives nothing"
    );
    door.grant(9, NOW + 5, NOW + 60_000, None).expect("fits");
    let id = generator.try_next().expect("granted again");
    assert_eq!(id.machine_id(&Layout::TWITTER), 9);
    assert_eq!(
        id.unix_ms(&Layout::TWITTER),
        NOW + 5,
        "at the floor, ahead of the clock"
    );
}

#[test]
fn a_floor_ahead_of_the_clock_is_begun_at_and_left_at_the_rate_of_time() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(1, NOW + 5_000, NOW + 60_000, None)
        .expect("fits");
    for _ in 0..4_096 {
        generator.try_next().expect("the floor's millisecond");
    }
    match generator.try_next() {
        Err(MintError::Wait { duration, until_ms }) => {
            assert_eq!((duration, until_ms), (ms(1), NOW + 5_001));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_delayed_grant_starts_in_time() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(1, NOW, NOW + 60_000, Some(ms(250)))
        .expect("fits");
    clock.forward(ms(249));
    match generator.try_next() {
        Err(MintError::Wait { duration, until_ms }) => {
            assert_eq!((duration, until_ms), (ms(1), NOW + 250));
        }
        other => panic!("{other:?}"),
    }
    door.extend(NOW + 90_000);
    clock.forward(ms(1));
    generator.try_next().expect("the delay is over");
    clock.forward(ms(80_000));
    generator.try_next().expect("extended while it was pending");
}

#[test]
fn a_closed_generator_says_where_the_next_holder_begins() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(1, NOW + 10, NOW + 60_000, None).expect("fits");
    assert_eq!(door.last_minted_ms(), Some(NOW + 9), "nothing yet");
    generator.try_next().expect("granted");
    assert_eq!(door.last_minted_ms(), Some(NOW + 10));
    for _ in 0..3 {
        assert_eq!(door.close(), Some(NOW + 11));
        assert_eq!(
            door.last_minted_ms(),
            Some(NOW + 10),
            "a renewal on its way says no less"
        );
        generator.close().expect("no file");
    }
    assert!(matches!(generator.try_next(), Err(MintError::Closed)));
    assert_eq!(
        door.grant(1, NOW, NOW + 60_000, None),
        Err(GrantError::Closed)
    );
    assert!(matches!(generator.try_next(), Err(MintError::Closed)));
}

/// A renewal's reply may arrive after its slot was lost and another one granted.
#[test]
fn an_extension_for_another_grant_is_ignored() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    for delay in [None, Some(ms(1))] {
        door.grant_under(8, 3, NOW, NOW + 1_000, delay)
            .expect("fits");
        for other in [7, 9] {
            door.extend_under(other, NOW + 9_000);
        }
        clock.forward(ms(1_000));
        let horizon_ms = clock.wall_ms();
        assert!(
            matches!(generator.try_next(), Err(MintError::HorizonReached { .. })),
            "at {horizon_ms}"
        );
        door.extend_under(8, NOW + 9_000);
        generator.try_next().expect("its own");
        door.extend(NOW + 10_000);
        clock.step_back(ms(1_000));
    }
    door.grant(3, NOW + 3_000, NOW + 4_000, None).expect("fits");
    door.extend_under(8, NOW + 9_000);
    clock.forward(ms(4_000));
    assert!(matches!(
        generator.try_next(),
        Err(MintError::HorizonReached { .. })
    ));
}

#[test]
fn a_grant_of_a_machine_id_beyond_the_layout_changes_nothing() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(1, NOW, NOW + 60_000, None).expect("fits");
    let error = door.grant(1_024, NOW, NOW + 60_000, None);
    assert!(matches!(error, Err(GrantError::Layout(_))));
    generator.try_next().expect("the first grant stands");
}

#[test]
fn units_longer_than_a_millisecond_are_used_only_where_all_of_them_is_granted() {
    let clock = ManualClock::at(NOW + 5);
    let generator = Generator::builder()
        .layout(Layout::SONYFLAKE)
        .clock(ClockMode::Custom(Arc::new(clock.clone())))
        .reserved()
        .expect("sound");
    let door = generator.reservation();
    door.grant(700, NOW + 5, NOW + 29, None).expect("fits");
    let id = generator.try_next().expect("from the next unit on");
    assert_eq!(id.unix_ms(&Layout::SONYFLAKE), NOW + 10);
    assert_eq!(door.last_minted_ms(), Some(NOW + 19));
    clock.forward(ms(15));
    assert!(
        matches!(generator.try_next(), Err(MintError::HorizonReached { horizon_ms, .. }) if horizon_ms == NOW + 20)
    );
}

#[tokio::test]
async fn waiting_calls_come_through_under_the_real_clock() {
    let generator = Generator::with_machine_id(1).expect("fits");
    let mut last = None;
    for _ in 0..30_000 {
        let id = generator.next().await.expect("static");
        assert!(last < Some(id));
        last = Some(id);
    }
    for _ in 0..10_000 {
        let id = generator.next_blocking().expect("static");
        assert!(last < Some(id));
        last = Some(id);
    }
}

#[tokio::test]
async fn next_within_waits_for_a_grant() {
    let generator = Generator::builder().reserved().expect("sound");
    let door = generator.reservation();
    let short = generator.next_within(ms(1)).await;
    assert!(matches!(short, Err(MintError::NotGranted)), "{short:?}");
    let waiting = generator.clone();
    let minted = tokio::spawn(async move { waiting.next_within(ms(60_000)).await });
    tokio::task::yield_now().await;
    door.grant(4, 0, u64::MAX, None).expect("fits");
    let id = minted.await.expect("no panic").expect("granted");
    assert_eq!(id.machine_id(&Layout::TWITTER), 4);
}

#[test]
fn callers_during_a_grant_are_never_told_to_wait_for_its_floor() {
    let clock = ManualClock::at(NOW);
    let generator = reserved(&clock);
    let door = generator.reservation();
    door.grant(1, NOW, NOW + 60_000, None).expect("fits");
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            loop {
                match generator.try_next() {
                    Ok(_) | Err(MintError::NotGranted) => {}
                    Err(MintError::Wait { duration, .. }) => {
                        assert!(duration <= ms(1), "{duration:?}");
                    }
                    Err(MintError::Closed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        for round in 1..2_000 {
            let floor_ms = NOW + round * 5_000;
            door.grant(2, floor_ms, floor_ms + 60_000, None)
                .expect("fits");
        }
        let _ = door.close();
        asking.join().expect("no long wait");
    });
}
