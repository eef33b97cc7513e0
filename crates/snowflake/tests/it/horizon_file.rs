//! Restarts without Redis.

use std::{path::Path, sync::Arc};

use snowflake::{BuildError, ClockMode, Generator, HorizonFileError, Layout, MintError};

use crate::{
    clock::{ManualClock, ms},
    forks,
};

const NOW: u64 = 1_800_000_000_000;

fn open(path: &Path, clock: &ManualClock, machine_id: u32) -> Result<Generator, BuildError> {
    Generator::builder()
        .clock(ClockMode::Custom(Arc::new(clock.clone())))
        .horizon_file(path)
        .machine_id(machine_id)
}

#[test]
fn a_crash_and_a_clock_set_back_repeat_no_id() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let clock = ManualClock::at(NOW);
    let mut last = None;
    for _ in 0..100 {
        // Dropped without being closed, as a crash would.
        let generator = open(&path, &clock, 1).expect("sound");
        for _ in 0..50 {
            let id = generator.try_next().expect("room");
            assert!(last < Some(id));
            last = Some(id);
        }
        clock.step_back(ms(1_000));
        clock.forward(ms(10));
    }
}

#[test]
fn the_horizon_moves_on_while_minting() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let clock = ManualClock::at(NOW);
    let generator = open(&directory.path().join("horizon"), &clock, 1).expect("sound");
    for _ in 0..100 {
        clock.forward(ms(500));
        generator.try_next().expect("raised in time");
    }
    clock.forward(ms(86_400_000));
    let id = generator.try_next().expect("raised after a pause too");
    assert_eq!(id.unix_ms(&Layout::TWITTER), NOW + 86_450_000);
}

#[test]
fn a_clean_end_lets_the_next_run_begin_right_after() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let clock = ManualClock::at(NOW);
    let first = open(&path, &clock, 1).expect("sound");
    let last = first.try_next().expect("room");
    first.close().expect("written");
    assert!(matches!(first.try_next(), Err(MintError::Closed)));
    drop(first);
    let second = open(&path, &clock, 1).expect("sound");
    let next = second.try_next().expect("room");
    assert_eq!(next.unix_ms(&Layout::TWITTER), NOW + 1);
    assert!(last < next);
}

#[test]
fn two_processes_cannot_share_a_file() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let clock = ManualClock::at(NOW);
    let _first = open(&path, &clock, 1).expect("sound");
    let error = open(&path, &clock, 1).expect_err("locked");
    assert!(matches!(
        error,
        BuildError::HorizonFile(HorizonFileError::Locked { .. })
    ));
}

#[test]
fn a_foreign_or_spoilt_or_distant_file_is_refused() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let clock = ManualClock::at(NOW);
    let generator = open(&path, &clock, 1).expect("sound");
    generator.try_next().expect("room");
    drop(generator);
    let error = open(&path, &clock, 2).expect_err("another machine ID");
    assert!(matches!(
        error,
        BuildError::HorizonFile(HorizonFileError::Mismatch { .. })
    ));
    clock.step_back(ms(2 * 86_400_000));
    let error = open(&path, &clock, 1).expect_err("two days ahead");
    assert!(matches!(
        error,
        BuildError::HorizonFile(HorizonFileError::FarAhead { .. })
    ));
    std::fs::write(&path, "something else").expect("writable");
    let error = open(&path, &clock, 1).expect_err("no horizon in it");
    assert!(matches!(
        error,
        BuildError::HorizonFile(HorizonFileError::Corrupt { .. })
    ));
    let error = open(Path::new("/nowhere/at/all"), &clock, 1).expect_err("no such directory");
    assert!(matches!(
        error,
        BuildError::HorizonFile(HorizonFileError::Io { .. })
    ));
}
