//! What keeps a machine ID from being used twice on one machine.

use std::time::Duration;

use snowflake::{BuildError, ClockMode, Generator, Layout, MintError};

#[test]
fn a_second_generator_with_one_machine_id_is_refused_while_the_first_lives() {
    let first = Generator::with_machine_id(901).expect("free");
    let clone = first.clone();
    let error = Generator::with_machine_id(901).expect_err("taken");
    assert!(matches!(error, BuildError::Duplicate { machine_id: 901 }));
    drop(first);
    assert!(Generator::with_machine_id(901).is_err(), "a clone lives");
    let last = clone.next_blocking().expect("static");
    drop(clone);
    let second = Generator::with_machine_id(901).expect("free again");
    assert!(last < second.next_blocking().expect("static"));
}

#[test]
fn another_layout_is_another_space_of_ids() {
    let first = Generator::with_machine_id(902).expect("free");
    let second = Generator::builder()
        .layout(Layout::DISCORD)
        .machine_id(902)
        .expect("another epoch");
    assert!(first.try_next().is_ok() && second.try_next().is_ok());
}

#[test]
fn the_guard_can_be_turned_off() {
    let _first = Generator::with_machine_id(903).expect("free");
    let second = Generator::builder().unguarded().machine_id(903);
    assert!(second.is_ok());
}

#[test]
fn a_closed_generator_frees_its_machine_id() {
    let first = Generator::with_machine_id(904).expect("free");
    let last = first.next_blocking().expect("static");
    first.close().expect("no file");
    let second = Generator::with_machine_id(904).expect("free again");
    assert!(last < second.next_blocking().expect("static"));
}

#[test]
fn a_generator_that_could_not_be_made_holds_nothing() {
    let future = Layout::TWITTER.with_epoch_ms(1 << 50).expect("a number");
    for _ in 0..2 {
        let error = Generator::builder().layout(future).machine_id(905);
        assert!(matches!(error, Err(BuildError::Layout(_))), "{error:?}");
    }
}

#[test]
fn a_quick_successor_in_the_process_repeats_nothing() {
    let mut last = None;
    for _ in 0..100 {
        let generator = Generator::with_machine_id(906).expect("free");
        for _ in 0..50 {
            let id = generator.next_blocking().expect("static");
            assert!(last < Some(id));
            last = Some(id);
        }
    }
}

#[test]
fn every_clock_mints_under_real_time() {
    let mut modes = vec![ClockMode::Coarse, ClockMode::Exact, ClockMode::Ticker];
    #[cfg(feature = "tsc")]
    modes.push(ClockMode::Tsc);
    for (machine_id, mode) in (910..).zip(modes) {
        let generator = Generator::builder()
            .clock(mode.clone())
            .machine_id(machine_id)
            .expect("free");
        let mut last = None;
        for _ in 0..50_000 {
            let id = generator.next_blocking().expect("static");
            assert!(last < Some(id), "{mode:?}");
            last = Some(id);
        }
    }
}

#[cfg(unix)]
#[test]
fn the_child_of_a_fork_refuses_from_its_first_id_on() {
    let _one_child = crate::forks::one();
    let generator = Generator::with_machine_id(905).expect("free");
    let mut local = generator.local(64.try_into().expect("not zero"));
    for _ in 0..50 {
        // The window of the present millisecond is open, and a block is taken: the fast paths of the child see both.
        generator.next_blocking().expect("static");
        local.next_blocking().expect("static");
        let refuses = in_child(|| {
            let refused = |outcome| matches!(outcome, Err(MintError::Forked { .. }));
            refused(generator.try_next())
                && refused(local.try_next())
                && refused(generator.reserve(1).map(|_| snowflake::Id::from_u64(0)))
        });
        assert!(refuses, "the child minted");
        generator.next_blocking().expect("the parent goes on");
    }
}

/// Runs `check` in a child process and returns what it says.
#[cfg(unix)]
#[expect(unsafe_code, reason = "what a fork does can only be seen in one")]
pub(crate) fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls nothing but `check`, which takes no lock that another thread may have held, and _exit.
    let child = unsafe { libc::fork() };
    assert!(0 <= child, "fork");
    if child == 0 {
        let status = i32::from(!check());
        // SAFETY: ends the child at once, without running the test harness' own exit handlers.
        unsafe { libc::_exit(status) }
    }
    let mut status = 0;
    // SAFETY: waits for the child that was just made, with a valid place for its status.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child, "waitpid");
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

/// Three runs that begin within one unit: each begins with the next one.
#[test]
fn a_quick_restart_repeats_nothing_however_long_the_unit() {
    for unit_ms in [1, 10, 11, 250, 1_000] {
        let layout = Layout::TWITTER
            .with_unit(Duration::from_millis(unit_ms))
            .expect("whole");
        let mut last = None;
        for _ in 0..3 {
            // Unguarded: as another process, it knows nothing of the one before.
            let generator = Generator::builder()
                .layout(layout)
                .unguarded()
                .machine_id(920)
                .expect("free");
            for _ in 0..3 {
                let id = generator.next_blocking().expect("static");
                assert!(last < Some(id), "{unit_ms} ms");
                last = Some(id);
            }
        }
    }
}

/// A service must not be held up at its start by an hour's unit.
#[tokio::test]
async fn the_first_caller_waits_for_a_long_unit_and_not_who_builds() {
    let layout = Layout::TWITTER
        .with_unit(Duration::from_secs(3_600))
        .expect("whole");
    let generator = Generator::builder()
        .layout(layout)
        .unguarded()
        .machine_id(921)
        .expect("free");
    match generator.try_next() {
        Err(MintError::Wait { duration, until_ms }) => {
            assert!(duration <= layout.unit(), "{duration:?}");
            assert_eq!((until_ms - layout.epoch_ms()) % 3_600_000, 0);
        }
        // The hour may just have ended.
        Ok(id) => assert_eq!(id.sequence(&layout), 0),
        Err(error) => panic!("{error}"),
    }
}
