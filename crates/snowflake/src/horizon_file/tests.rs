//! The file itself, without a generator.

use std::{sync::mpsc, thread};

use super::*;

const NOW: u64 = 1_000_000;

/// A file with a window of a second.
fn open(path: &Path, now_ms: u64) -> Result<(HorizonFile, u64), HorizonFileError> {
    let window = Duration::from_secs(1);
    let (file, stored_ms) = HorizonFile::open(path, &Layout::TWITTER, 1, window, now_ms)?;
    Ok((file, stored_ms.unwrap_or(now_ms)))
}

fn somewhere() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    (directory, path)
}

impl HorizonFile {
    /// As when the disk is full, from now on.
    pub(crate) fn make_unwritable(&self) {
        let mut records = self.records.lock().expect("nobody panicked");
        records.file = File::open(&self.path).expect("still there");
    }
}

/// The horizons and turns of both records, as far as they are intact.
fn records(path: &Path) -> [Option<(u64, u64)>; 2] {
    let text = std::fs::read(path).expect("readable");
    let mut records = text.chunks(RECORD as usize).map(|record| {
        let (_, horizon_ms, turn) = parse(record)?;
        Some((horizon_ms, turn))
    });
    [0, 1].map(|_| records.next().flatten())
}

#[test]
fn a_torn_record_is_passed_over_and_two_are_refused() {
    let path = Path::new("horizon");
    let mut text = record("me", 5_000, 1) + &record("me", 8_000, 2);
    assert_eq!(
        read(text.as_bytes(), "me", path).expect("intact"),
        (8_000, 2)
    );
    text.replace_range(512 + 5..512 + 6, "9");
    assert_eq!(
        read(text.as_bytes(), "me", path).expect("one is intact"),
        (5_000, 1)
    );
    text.replace_range(5..6, "9");
    let error = read(text.as_bytes(), "me", path).expect_err("none is intact");
    assert!(matches!(error, HorizonFileError::Corrupt { .. }));
}

#[test]
fn another_owner_is_refused() {
    let text = record("machine 1", 5_000, 1);
    let error = read(text.as_bytes(), "machine 2", Path::new("horizon")).expect_err("foreign");
    assert!(error.to_string().contains("machine 1, not for machine 2"));
}

#[test]
fn the_horizon_is_raised_when_half_a_window_is_left() {
    let (_directory, path) = somewhere();
    let (file, floor) = open(&path, NOW).expect("new");
    assert_eq!(floor, NOW);
    let kept = |at| file.keep(at).expect("writable");
    assert_eq!(kept(NOW), Some(NOW + 1_000), "nothing was stored yet");
    assert_eq!(kept(NOW + 499), None);
    assert_eq!(kept(NOW + 500), Some(NOW + 2_000));
    assert_eq!(kept(NOW + 1_499), None);
    assert_eq!(kept(NOW + 9_000), Some(NOW + 10_000));
}

/// A write that is torn spoils the older record, also the first one after a restart.
#[test]
fn records_take_turns_over_restarts() {
    let (_directory, path) = somewhere();
    let mut horizon = NOW;
    for turn in 0..6 {
        let (file, floor) = open(&path, NOW).expect("sound");
        assert_eq!(floor, horizon);
        horizon = file.keep(floor).expect("writable").expect("due");
        let mut expected = [(horizon - 1_000, turn), (horizon, turn + 1)].map(Some);
        expected.rotate_left(usize::from(turn % 2 == 1));
        assert_eq!(records(&path), expected);
    }
    let (file, _) = open(&path, NOW).expect("sound");
    file.keep(horizon).expect("writable").expect("due");
    file.keep(horizon + 500).expect("writable").expect("due");
    let expected = [Some((horizon + 2_000, 8)), Some((horizon + 1_000, 7))];
    assert_eq!(records(&path), expected, "nor between two of one run");
}

/// Only who could mint nothing anyway waits for the disk.
#[test]
fn while_one_writes_others_go_on_up_to_the_horizon() {
    let (_directory, path) = somewhere();
    let (file, _) = open(&path, NOW).expect("new");
    file.keep(NOW).expect("writable");
    for (now_ms, waits) in [(NOW + 500, false), (NOW + 999, false), (NOW + 1_000, true)] {
        thread::scope(|scope| {
            let writing = file.records.lock().expect("nobody panicked");
            let (answer, answered) = mpsc::channel();
            let file = &file;
            scope.spawn(move || {
                let kept = file.keep(now_ms).expect("writable");
                answer.send(kept).expect("somebody listens");
            });
            if waits {
                let early = answered.recv_timeout(Duration::from_millis(100));
                assert!(early.is_err(), "{early:?}");
                drop(writing);
                assert_eq!(answered.recv(), Ok(Some(NOW + 2_000)));
            } else {
                let kept = answered.recv_timeout(Duration::from_secs(20));
                drop(writing);
                assert_eq!(kept, Ok(None), "at {now_ms}");
            }
        });
    }
}

#[test]
fn a_horizon_a_day_ahead_is_the_furthest() {
    let (_directory, path) = somewhere();
    let day = 86_400_000;
    let (file, _) = open(&path, NOW + day).expect("new");
    file.finish(NOW + day).expect("writable");
    drop(file);
    assert!(matches!(
        open(&path, NOW - 1),
        Err(HorizonFileError::FarAhead { .. })
    ));
    let (_file, floor) = open(&path, NOW).expect("not too far");
    assert_eq!(floor, NOW + day);
}

#[cfg(unix)]
#[test]
fn the_directory_of_a_file_is_synced_whether_named_or_not() {
    disk::sync_directory(Path::new("horizon")).expect("the present one");
    disk::sync_directory(&std::env::temp_dir().join("horizon")).expect("there");
    disk::sync_directory(Path::new("/nowhere/at/all/horizon")).expect_err("not there");
}
