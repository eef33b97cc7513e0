//! Restarts without Redis.

use std::{collections::HashSet, fs, path::Path, sync::Arc};

use snowflake::{BuildError, ClockMode, Generator, HorizonFileError, Id, Layout, MintError};

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
    fs::write(&path, "something else").expect("writable");
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

/// What another program may do to the file while a generator mints by it.
type Harm = fn(&Path);

#[cfg(unix)]
const HARMS: &[(&str, Harm)] = &[
    ("was removed", |path| {
        fs::remove_file(path).expect("there");
    }),
    ("was replaced by another file", |path| {
        fs::remove_file(path).expect("there");
        fs::write(path, "").expect("writable");
    }),
    ("was replaced by another file", |path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).expect("there");
        fs::rename(copy, path).expect("the same directory");
    }),
    ("was removed", |path| {
        fs::rename(path, path.with_extension("old")).expect("there");
    }),
    ("was removed", |path| {
        let directory = path.parent().expect("it has one");
        fs::rename(directory, directory.with_extension("old")).expect("there");
    }),
    ("was replaced by another file", |path| {
        let other = path.with_extension("other");
        fs::copy(path, &other).expect("there");
        fs::remove_file(path).expect("there");
        std::os::unix::fs::symlink(other, path).expect("free");
    }),
];

/// These leave the file itself in its place, and are seen before it is written to again.
#[cfg(unix)]
const SPOILERS: &[Harm] = &[
    |path| {
        fs::write(path, "").expect("writable");
    },
    |path| {
        let older = fs::read(path).expect("there")[..512].to_vec();
        fs::write(path, older).expect("writable");
    },
    |path| {
        let longer = [fs::read(path).expect("there"), b"x".to_vec()].concat();
        fs::write(path, longer).expect("writable");
    },
];

#[cfg(unix)]
#[test]
fn a_generator_stops_before_it_mints_by_a_file_that_is_no_longer_there() {
    let _no_child = forks::none();
    for (found, harm) in HARMS {
        let directory = tempfile::tempdir().expect("a place for files");
        let path = directory.path().join("of").join("horizon");
        fs::create_dir(directory.path().join("of")).expect("new");
        let clock = ManualClock::at(NOW);
        let generator = open(&path, &clock, 1).expect("sound");
        while generator.try_next().is_ok() {}
        let mut queued = Box::pin(generator.next());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(queued.as_mut().poll(&mut context).is_pending());
        harm(&path);
        clock.forward(ms(1));
        let replaced = |outcome: Result<Id, MintError>| match outcome {
            Err(MintError::HorizonFileReplaced(reason)) => {
                assert!(reason.to_string().contains(found), "{reason}, not {found}");
            }
            other => panic!("{found}: {other:?}"),
        };
        replaced(generator.try_next());
        replaced(generator.next_blocking());
        match queued.as_mut().poll(&mut context) {
            std::task::Poll::Ready(outcome) => replaced(outcome),
            std::task::Poll::Pending => panic!("it knows by now"),
        }
        let error = generator.close().expect_err("not its file");
        assert!(matches!(error, HorizonFileError::Replaced { .. }));
        assert!(matches!(generator.try_next(), Err(MintError::Closed)));
    }
}

/// The place in the queue was taken before the file went away, for a time after it.
#[cfg(unix)]
#[test]
fn a_place_in_the_queue_is_worth_nothing_without_the_file() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let clock = ManualClock::at(NOW);
    let generator = open(&path, &clock, 1).expect("sound");
    while generator.try_next().is_ok() {}
    let mut queued = Box::pin(generator.next());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(queued.as_mut().poll(&mut context).is_pending());
    fs::remove_file(&path).expect("there");
    clock.forward(ms(1));
    assert!(matches!(
        queued.as_mut().poll(&mut context),
        std::task::Poll::Ready(Err(MintError::HorizonFileReplaced(_)))
    ));
}

#[cfg(unix)]
#[test]
fn a_generator_writes_into_no_file_that_something_else_has_written_to() {
    let _no_child = forks::none();
    for spoil in SPOILERS {
        let directory = tempfile::tempdir().expect("a place for files");
        let path = directory.path().join("horizon");
        let clock = ManualClock::at(NOW);
        let generator = open(&path, &clock, 1).expect("sound");
        for _ in 0..4 {
            clock.forward(ms(2_000));
            generator.try_next().expect("raised in time");
        }
        spoil(&path);
        let spoilt = fs::read(&path).expect("there");
        clock.forward(ms(2_000));
        let error = generator.try_next().expect_err("not what it wrote");
        assert!(matches!(error, MintError::HorizonFileReplaced(_)));
        drop(generator);
        assert_eq!(fs::read(&path).expect("there"), spoilt);
    }
}

#[cfg(unix)]
#[test]
fn another_name_of_the_file_is_the_same_file() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let (hard, soft) = (path.with_extension("hard"), path.with_extension("soft"));
    std::os::unix::fs::symlink("horizon", &soft).expect("free");
    let clock = ManualClock::at(NOW);
    // Made where the link points to.
    let generator = open(&soft, &clock, 1).expect("sound");
    fs::hard_link(&path, &hard).expect("there");
    for name in [&path, &hard, &soft] {
        let error = open(name, &clock, 1).expect_err("locked");
        assert!(matches!(
            error,
            BuildError::HorizonFile(HorizonFileError::Locked { .. })
        ));
    }
    generator.try_next().expect("it is in its place");
}

/// A file is made whole, so an empty one was emptied: what it held is not known.
#[test]
fn an_empty_file_is_damaged_and_a_new_one_is_whole() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let clock = ManualClock::at(NOW);
    drop(open(&path, &clock, 1).expect("sound"));
    assert!(!fs::read(&path).expect("there").is_empty());
    let names = fs::read_dir(directory.path()).expect("there").count();
    assert_eq!(names, 1, "nothing else is left");
    open(&path, &clock, 1).expect("whole, though nothing was minted");
    fs::write(&path, "").expect("writable");
    let error = open(&path, &clock, 1).expect_err("empty");
    assert!(matches!(
        error,
        BuildError::HorizonFile(HorizonFileError::Corrupt { .. })
    ));
}

#[test]
fn of_several_that_make_the_file_at_once_one_has_it() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    for round in 0..50 {
        let path = directory.path().join(format!("horizon {round}"));
        let clock = ManualClock::at(NOW);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| open(&path, &clock, 1)))
                .collect();
            let joined = opening.into_iter().map(|it| it.join().expect("no panic"));
            joined.collect()
        });
        assert_eq!(opened.iter().filter(|it| it.is_ok()).count(), 1);
        let is_locked = |error: &BuildError| {
            matches!(
                error,
                BuildError::HorizonFile(HorizonFileError::Locked { .. })
            )
        };
        assert!(
            opened
                .iter()
                .filter_map(|it| it.as_ref().err())
                .all(is_locked)
        );
    }
}

/// Under the system's clock: the file is taken away at any moment, and another process makes a new one.
#[cfg(unix)]
#[test]
fn a_process_that_makes_the_file_anew_repeats_nothing() {
    let _no_child = forks::none();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let start = || {
        Generator::builder()
            .horizon_file(&path)
            .unguarded()
            .machine_id(7)
            .expect("sound")
    };
    for _ in 0..20 {
        let first = start();
        let (first_ids, second_ids) = std::thread::scope(|scope| {
            let minting = scope.spawn(|| {
                let ids = std::iter::from_fn(|| first.next_blocking().ok());
                ids.collect::<HashSet<_>>()
            });
            fs::remove_file(&path).expect("there");
            let second = start();
            let ids: HashSet<_> = (0..2_000)
                .map(|_| second.next_blocking().expect("its own file"))
                .collect();
            (minting.join().expect("no panic"), ids)
        });
        assert!(first_ids.is_disjoint(&second_ids));
    }
}
