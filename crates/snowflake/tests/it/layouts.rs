//! Layouts: known IDs of others, round trips, bounds.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proptest::prelude::*;
use snowflake::{ClockMode, FieldOrder, Generator, Id, Layout, LayoutError};

use crate::clock::{ManualClock, ms};

#[track_caller]
fn check(layout: Layout, id: u64, unix_ms: u64, machine_id: u32, sequence: u64) {
    let parts = layout.decode(Id::from_u64(id));
    assert_eq!(
        (parts.unix_ms, parts.machine_id, parts.sequence),
        (unix_ms, machine_id, sequence)
    );
    let again = layout.encode(parts.timestamp, machine_id, sequence);
    assert_eq!(again, Ok(Id::from_u64(id)));
}

/// The post that Wikipedia's article "Snowflake ID" takes apart: 2022-06-28T16:07:40.105Z.
#[test]
fn a_known_post_on_twitter() {
    check(
        Layout::TWITTER,
        1_541_815_603_606_036_480,
        1_656_432_460_105,
        378,
        0,
    );
}

/// The example of Discord's API reference, "Snowflakes": 2016-04-30T11:18:25.796Z, worker 1, process 0, increment 7.
#[test]
fn a_known_id_of_discord() {
    check(
        Layout::DISCORD,
        175_928_847_299_117_063,
        1_462_015_105_796,
        1 << 5,
        7,
    );
}

/// The example of Instagram's engineering blog, "Sharding & IDs at Instagram": 1,387,263,000 ms after their epoch,
/// user 31,341 of 2,000 shards, sequence 5,001 of 1,024.
#[test]
fn the_example_of_instagram() {
    let id = 11_637_205_501_278_089;
    check(
        Layout::INSTAGRAM,
        id,
        1_314_220_021_721 + 1_387_263_000,
        31_341 % 2_000,
        5_001 % 1_024,
    );
}

/// A caption of Instagram's that its API says was published at 2022-07-25T13:37:43Z; media get their IDs when the upload
/// begins, a few minutes before.
#[test]
fn a_known_id_of_instagram() {
    let id = Id::from_u64(2_890_177_687_127_817_957);
    let published_ms = 1_658_756_263_000;
    let minted_ms = id.unix_ms(&Layout::INSTAGRAM);
    assert!((published_ms - 300_000..published_ms).contains(&minted_ms));
}

/// What Sonyflake's own example server printed on two machines: id, time, sequence and machine-id.
#[test]
fn known_ids_of_sonyflake() {
    let start = 1_409_529_600_000;
    check(
        Layout::SONYFLAKE,
        257_532_141_091_473_317,
        start + 15_350_111_788 * 10,
        51_109,
        0,
    );
    check(
        Layout::SONYFLAKE,
        133_591_991_580_950_539,
        start + 7_962_703_203 * 10,
        11,
        5,
    );
}

#[test]
fn javascript_ids_stay_exact_numbers() {
    let layout = Layout::JAVASCRIPT;
    let largest = layout
        .encode(
            layout.max_timestamp(),
            layout.max_machine_id(),
            layout.max_sequence(),
        )
        .expect("the largest of each");
    assert_eq!(largest.as_u64(), (1 << 53) - 1);
}

#[test]
fn presets_expire_when_their_documentation_says() {
    let year = |layout: Layout| layout.expires_at_ms() / 31_556_952_000 + 1970;
    assert_eq!(year(Layout::TWITTER), 2080);
    assert_eq!(year(Layout::DISCORD), 2084);
    assert_eq!(year(Layout::INSTAGRAM), 2046);
    assert_eq!(year(Layout::SONYFLAKE), 2188 + 1 - 1);
    assert_eq!(year(Layout::JAVASCRIPT), 2094);
    assert!(Layout::TWITTER.expires_at().is_some());
}

#[test]
fn impossible_layouts_are_refused_with_the_numbers() {
    let error = Layout::new(41, 11, 12).expect_err("64 bits");
    assert_eq!(
        error.to_string(),
        "41 + 11 + 12 bits are 64, but an ID has at most 63; make a field narrower"
    );
    assert!(matches!(
        Layout::new(15, 1, 1),
        Err(LayoutError::FieldWidth { .. })
    ));
    assert!(matches!(
        Layout::new(20, 33, 1),
        Err(LayoutError::FieldWidth { .. })
    ));
    assert!(matches!(
        Layout::new(20, 1, 33),
        Err(LayoutError::FieldWidth { .. })
    ));
    for unit in [
        Duration::ZERO,
        Duration::from_micros(1_500),
        Duration::from_secs(3_601),
    ] {
        assert_eq!(
            Layout::TWITTER.with_unit(unit),
            Err(LayoutError::Unit { unit })
        );
    }
    assert!(Layout::TWITTER.with_epoch_ms(u64::MAX).is_err());
    for epoch_ms in [1, 1_735_689_600, 100_000_000_000] {
        let error = Layout::TWITTER.with_epoch_ms(epoch_ms);
        assert_eq!(error, Err(LayoutError::EpochInSeconds { epoch_ms }));
    }
    let error = Layout::TWITTER
        .with_epoch_ms(1_735_689_600)
        .expect_err("in seconds");
    assert!(
        error
            .to_string()
            .contains("multiply it by 1000: 1735689600000 ms"),
        "{error}"
    );
    assert!(Layout::TWITTER.check_range(&(0..=1_023)).is_ok());
    assert!(Layout::TWITTER.check_range(&(0..=1_024)).is_err());
}

#[test]
fn what_just_fits_is_accepted() {
    let epoch = 1 << 53;
    let layout = Layout::TWITTER.with_epoch_ms(epoch);
    assert_eq!(layout.expect("the largest").epoch_ms(), epoch);
    assert!(Layout::TWITTER.with_epoch_ms(epoch + 1).is_err());
    for epoch in [0, 100_000_000_001] {
        assert!(Layout::TWITTER.with_epoch_ms(epoch).is_ok());
    }
    let hour = Duration::from_secs(3_600);
    let layout = Layout::TWITTER.with_unit(hour).expect("the longest");
    assert_eq!(layout.unit(), hour);
    let bits = |layout: Layout| {
        (
            layout.timestamp_bits(),
            layout.machine_bits(),
            layout.sequence_bits(),
        )
    };
    assert_eq!(bits(Layout::TWITTER), (41, 10, 12));
    assert_eq!(bits(Layout::SONYFLAKE), (39, 16, 8));
    let epoch = Layout::TWITTER.epoch_ms();
    let last = Layout::TWITTER.max_id_at(epoch).expect("the first time");
    assert_eq!(last.as_u64(), (1 << 22) - 1);
    assert!(Layout::TWITTER.max_id_at(epoch - 1).is_err());
}

#[test]
fn a_layout_that_outlasts_64_bits_of_milliseconds_says_so() {
    let layout = Layout::new(63, 0, 0).expect("63 bits");
    let layout = layout.with_unit(Duration::from_secs(3_600));
    assert_eq!(layout.expect("an hour").expires_at_ms(), u64::MAX);
}

#[test]
fn a_span_of_time_is_a_range_of_ids() {
    let layout = Layout::TWITTER;
    let from = UNIX_EPOCH + Duration::from_millis(1_656_432_460_105);
    let until = from + Duration::from_millis(1);
    let ids = layout.ids_between(from, until).expect("one millisecond");
    assert!(ids.contains(&Id::from_u64(1_541_815_603_606_036_480)));
    assert_eq!(layout.decode(*ids.end()).unix_ms, 1_656_432_460_105);
    assert_eq!(ids.end().as_u64() - ids.start().as_u64(), (1 << 22) - 1);
    assert_eq!(layout.ids_between(until, from), Err(LayoutError::EmptySpan));
    assert!(
        layout
            .ids_between(SystemTime::UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(9))
            .is_err()
    );
}

#[test]
fn the_widest_layouts_mint() {
    for (timestamp, machine, sequence) in [
        (63, 0, 0),
        (31, 32, 0),
        (31, 0, 32),
        (41, 0, 22),
        (41, 22, 0),
    ] {
        let layout = Layout::new(timestamp, machine, sequence)
            .expect("63 bits")
            .with_epoch_ms(1_780_000_000_000)
            .expect("a small number");
        let machine_id = layout.max_machine_id();
        let clock = ManualClock::at(1_780_000_000_000);
        let generator = Generator::builder()
            .clock(ClockMode::Custom(Arc::new(clock.clone())))
            .layout(layout)
            .machine_id(machine_id)
            .expect("fits");
        for _ in 0..10 {
            let id = generator.try_next().expect("room");
            assert_eq!(id.machine_id(&layout), machine_id, "{layout}");
            clock.forward(ms(1));
        }
    }
}

fn layouts() -> impl Strategy<Value = Layout> {
    (
        16_u8..=63,
        0_u8..=32,
        0_u8..=32,
        1_u64..=3_600_000,
        prop_oneof![Just(0), 100_000_000_001_u64..1 << 41],
        any::<bool>(),
    )
        .prop_filter_map("at most 63 bits", |(t, m, s, unit, epoch, swapped)| {
            if t + m + s > 63 {
                return None;
            }
            let order = if swapped {
                FieldOrder::TimestampSequenceMachine
            } else {
                FieldOrder::TimestampMachineSequence
            };
            let layout = Layout::new(t, m, s).ok()?;
            let layout = layout.with_unit(Duration::from_millis(unit)).ok()?;
            Some(layout.with_epoch_ms(epoch).ok()?.with_order(order))
        })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(layout in layouts(), t: u64, m: u32, s: u64) {
        let t = t & layout.max_timestamp();
        let m = m & layout.max_machine_id();
        let s = s & layout.max_sequence();
        let id = layout.encode(t, m, s).expect("masked");
        let parts = layout.decode(id);
        prop_assert_eq!((parts.timestamp, parts.machine_id, parts.sequence), (t, m, s));
        prop_assert!(id.as_u64() >> 63 == 0);
    }

    #[test]
    fn ids_sort_by_time_first(layout in layouts(), a: (u64, u32, u64), b: (u64, u32, u64)) {
        let id = |(t, m, s): (u64, u32, u64)| {
            layout.encode(t & layout.max_timestamp(), m & layout.max_machine_id(), s & layout.max_sequence())
        };
        let (a, b) = (id(a).expect("masked"), id(b).expect("masked"));
        if a.timestamp(&layout) < b.timestamp(&layout) {
            prop_assert!(a < b);
        }
    }

    #[test]
    fn values_beyond_their_field_are_refused(layout in layouts(), over in 1_u64..1_000) {
        let t = layout.max_timestamp().saturating_add(over);
        prop_assert!(layout.encode(t, 0, 0).is_err());
        let s = layout.max_sequence() + over;
        prop_assert!(layout.encode(0, 0, s).is_err());
        if let Some(m) = layout.max_machine_id().checked_add(over as u32) {
            prop_assert!(layout.encode(0, m, 0).is_err());
        }
    }

    #[test]
    fn the_bounds_of_a_time_hold_its_ids_and_no_others(layout in layouts(), t: u64, m: u32, s: u64) {
        let t = t & layout.max_timestamp() & ((1 << 41) - 1);
        let id = layout.encode(t, m & layout.max_machine_id(), s & layout.max_sequence()).expect("masked");
        let unix_ms = id.unix_ms(&layout);
        let (min, max) = (layout.min_id_at(unix_ms).expect("its own"), layout.max_id_at(unix_ms).expect("its own"));
        prop_assert!(min <= id && id <= max);
        prop_assert_eq!((min.timestamp(&layout), max.timestamp(&layout)), (t, t));
        if t > 0 {
            prop_assert!(layout.max_id_at(unix_ms - 1).expect("earlier") < min);
        }
    }
}
