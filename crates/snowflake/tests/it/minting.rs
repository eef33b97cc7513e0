//! What a generator promises, by a clock that the test moves.

use std::{sync::Arc, time::Duration};

use crate::clock::{ManualClock, generator, ms};
use snowflake::{ClockMode, Generator, Layout, LayoutError, MintError};

const NOW: u64 = 1_800_000_000_000;

#[test]
fn ids_carry_the_time_the_machine_and_a_rising_sequence() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 5);
    let layout = generator.layout();
    for sequence in 0..4_096 {
        let parts = layout.decode(generator.try_next().expect("the unit has room"));
        assert_eq!(
            (parts.unix_ms, parts.machine_id, parts.sequence),
            (NOW, 5, sequence)
        );
    }
    assert_eq!(generator.available_now(), 0);
    assert_eq!(generator.metrics().minted, 4_096);
}

#[test]
fn an_exhausted_sequence_tells_the_exact_time_to_wait() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 5);
    clock.forward(Duration::from_micros(300));
    while generator.try_next().is_ok() {}
    for _ in 0..100_000 {
        match generator.try_next() {
            Err(MintError::Wait { duration, until_ms }) => {
                assert_eq!(duration, Duration::from_micros(700));
                assert_eq!(until_ms, NOW + 1);
            }
            other => panic!("{other:?}"),
        }
    }
    clock.forward(Duration::from_micros(700));
    let id = generator.try_next().expect("the next unit began");
    assert_eq!(id.unix_ms(&Layout::TWITTER), NOW + 1);
    assert!(
        id.sequence(&Layout::TWITTER) < 8,
        "callers in vain take no tickets"
    );
}

#[test]
fn after_a_step_back_minting_goes_on_forwards() {
    for step in [ms(50), ms(1_000), ms(3_600_000)] {
        let clock = ManualClock::at(NOW);
        let generator = generator(&clock, 1);
        let mut last = generator.try_next().expect("fresh");
        clock.step_back(step);
        for _ in 0..20_000 {
            match generator.try_next() {
                Ok(id) => {
                    assert!(last < id);
                    last = id;
                }
                Err(MintError::Wait { duration, .. }) => {
                    assert!(duration <= ms(1), "{duration:?}");
                    clock.forward(duration);
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(generator.metrics().clock_steps, 1, "{step:?}");
    }
}

#[test]
fn timestamps_run_no_faster_than_time_after_a_step_back_and_meet_the_clock_again() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 1);
    generator.try_next().expect("fresh");
    clock.step_back(ms(1_000));
    clock.forward(ms(500));
    // Nothing was minted for 500 ms; that time is not there to be used up at once.
    let mut minted = 0;
    while generator.try_next().is_ok() {
        minted += 1;
    }
    assert!(minted <= 12 * 4_096, "{minted}");
    clock.forward(ms(1_000));
    let id = generator.try_next().expect("time passed");
    assert_eq!(id.unix_ms(&Layout::TWITTER), NOW + 500);
}

#[test]
fn a_step_forward_is_followed() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 1);
    let first = generator.try_next().expect("fresh");
    clock.step_forward(ms(3_600_000));
    let second = generator.try_next().expect("a later unit");
    assert!(first < second);
    assert_eq!(second.unix_ms(&Layout::TWITTER), NOW + 3_600_000);
    assert_eq!(generator.metrics().clock_steps, 1);
}

#[test]
fn a_frozen_clock_gives_one_unit_of_ids() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 1);
    let minted = (0..10_000).filter(|_| generator.try_next().is_ok()).count();
    assert_eq!(minted, 4_096);
}

#[test]
fn a_repeated_second_gives_no_id_twice() {
    // What a leap second does to a clock that is not smeared.
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 1);
    let mut last = None;
    for tick in 0..3_000 {
        if tick == 1_000 {
            clock.step_back(ms(1_000));
        }
        let id = generator.try_next().expect("one a millisecond");
        assert!(last < Some(id));
        last = Some(id);
        clock.forward(ms(1));
    }
    let id = last.expect("minted");
    assert_eq!(id.unix_ms(&Layout::TWITTER), NOW + 1_999);
}

#[test]
fn timestamps_that_outgrow_the_layout_are_an_error() {
    let layout = Layout::TWITTER;
    let clock = ManualClock::at(layout.expires_at_ms() - 1);
    let generator = generator(&clock, 1023);
    let last = generator.try_next().expect("the last millisecond");
    assert_eq!(last.timestamp(&layout), layout.max_timestamp());
    for later in [ms(1), ms(1_000), ms(100 * 365 * 86_400_000)] {
        clock.forward(later);
        match generator.try_next() {
            Err(MintError::TimestampExhausted {
                bits,
                expired_ms,
                now_ms,
            }) => {
                assert_eq!((bits, expired_ms), (41, layout.expires_at_ms()));
                assert!(now_ms >= expired_ms);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_machine_id_beyond_the_layout_is_refused() {
    let error = Generator::with_machine_id(1_024).expect_err("10 bits");
    match error {
        snowflake::BuildError::Layout(LayoutError::MachineId { machine_id, max }) => {
            assert_eq!((machine_id, max), (1_024, 1_023));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn an_epoch_in_the_future_is_refused() {
    let clock = ManualClock::at(NOW);
    let layout = Layout::TWITTER
        .with_epoch_ms(NOW + 1)
        .expect("a small number");
    let error = Generator::builder()
        .layout(layout)
        .clock(ClockMode::Custom(Arc::new(clock)))
        .machine_id(1)
        .expect_err("no time yet");
    assert!(error.to_string().contains("layout"), "{error}");
}

#[test]
fn a_layout_whose_timestamps_have_ended_is_refused() {
    let layout = Layout::new(41, 10, 12).expect("63 bits");
    let end = layout.expires_at_ms();
    let build = |now_ms| {
        Generator::builder()
            .layout(layout)
            .clock(ClockMode::Custom(Arc::new(ManualClock::at(now_ms))))
            .machine_id(1)
    };
    let last = build(end - 1).expect("a millisecond is left");
    assert!(last.try_next().is_ok());
    for now_ms in [end, end + 1] {
        let error = build(now_ms).expect_err("none is left");
        assert!(matches!(
            error,
            snowflake::BuildError::Layout(LayoutError::Ended { ended_ms, .. }) if ended_ms == end
        ));
    }
}

/// What is passed over or taken in vain is no ID, and nothing is borrowed where nothing may be.
#[test]
fn what_is_counted_is_what_was_minted() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 1);
    let mut minted = 0;
    for _ in 0..10 {
        for _ in 0..5_000 {
            minted += u64::from(generator.try_next().is_ok());
        }
        assert_eq!(generator.metrics().minted, minted);
        clock.forward(Duration::from_micros(2_700));
    }
    assert!(0 < generator.metrics().waited);
    assert_eq!(generator.metrics().borrowed, 0);
}

/// Late wake-ups cost a saturated generator no rate, and an idle one goes by the clock again.
#[test]
fn only_a_saturated_generator_lags_the_clock_and_by_ten_milliseconds_at_most() {
    let unit_after = |pauses: &[u64]| {
        let clock = ManualClock::at(NOW);
        let generator = generator(&clock, 1);
        while generator.try_next().is_ok() {}
        let mut last = 0;
        for &pause in pauses {
            clock.forward(ms(pause));
            let id = generator.try_next().expect("time passed");
            last = id.unix_ms(&Layout::TWITTER) - NOW;
        }
        last
    };
    assert_eq!(unit_after(&[11]), 1, "ten after the unit that comes next");
    assert_eq!(unit_after(&[12]), 12);
    assert_eq!(unit_after(&[100, 5]), 105, "it is saturated no more");
}

#[test]
fn long_units_are_lagged_no_longer_than_short_ones() {
    let layout = Layout::SONYFLAKE;
    let clock = ManualClock::at(NOW);
    let generator = Generator::builder()
        .clock(ClockMode::Custom(Arc::new(clock.clone())))
        .layout(layout)
        .machine_id(700)
        .expect("fits");
    for sequence in 0..256 {
        let id = generator.try_next().expect("room");
        assert_eq!(id.machine_id(&layout), 700);
        assert_eq!(id.sequence(&layout), sequence);
    }
    assert!(matches!(generator.try_next(), Err(MintError::Wait { .. })));
    clock.forward(ms(50));
    let id = generator.try_next().expect("time passed");
    assert_eq!(id.unix_ms(&layout), NOW + 50);
}
