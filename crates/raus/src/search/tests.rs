use proptest::prelude::*;

use super::*;

fn search(size: u32, max_candidates: usize, seed: u64) -> Search {
    let mut rng = fastrand::Rng::with_seed(seed);
    Search::new(
        0..=size - 1,
        &[],
        HashSet::new(),
        max_candidates,
        Duration::from_secs(10),
        &mut rng,
    )
}

fn taken(held: u64, ahead: u64) -> AcquireReply {
    AcquireReply::Taken(Taken {
        held,
        ahead,
        ..Taken::default()
    })
}

fn offered(search: &Search) -> Vec<u32> {
    match search.step() {
        Step::Offer { slots, .. } => slots,
        other => panic!("expected an offer, got {other:?}"),
    }
}

proptest! {
    /// Whatever is held, each slot of the range is offered exactly once, in at most one call more than the range
    /// has chunks; with 1,024 slots that is two calls.
    #[test]
    fn the_one_free_slot_is_found(size in 1_u32..=1_024, seed: u64, free in 0_u32..1_024, waited: bool) {
        let free = free % size;
        let mut search = search(size, 64, seed);
        if waited {
            search = search.with_few_at_first();
            prop_assert!(offered(&search).len() <= 4);
        }
        for call in 1.. {
            prop_assert!(call <= 2);
            let slots = offered(&search);
            if slots.contains(&free) {
                break;
            }
            let held = slots.len() as u64;
            let progress = search.handle_reply(0, taken(held, 0));
            prop_assert!(matches!(progress, Progress::Continue), "{:?}", progress);
        }
    }

    #[test]
    fn a_full_range_is_reported_with_its_size(size in 1_u32..=5_000, seed: u64) {
        let mut search = search(size, 64, seed);
        loop {
            let held = offered(&search).len() as u64;
            match search.handle_reply(0, taken(held, 0)) {
                Progress::Continue => {}
                Progress::Failed(AcquireError::RangeExhausted { held, .. }) => {
                    prop_assert_eq!(held, u64::from(size));
                    break;
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}

#[test]
fn slots_far_ahead_are_asked_for_again_leniently() {
    let mut search = search(10, 64, 1);
    assert_eq!(offered(&search).len(), 10);
    search.handle_reply(0, taken(7, 3));
    assert!(matches!(search.step(), Step::Offer { lenient: true, slots, .. } if slots.len() == 10));
    let progress = search.handle_reply(0, taken(10, 0));
    assert!(matches!(
        progress,
        Progress::Failed(AcquireError::RangeExhausted { held: 10, .. })
    ));
}

/// Where all that is free lies far ahead even for the lenient, that is what is wrong.
#[test]
fn what_lies_too_far_ahead_twice_is_an_error_that_names_the_nearest() {
    let mut search = search(2_000, 64, 1);
    let hour = Duration::from_secs(3_600);
    for nearest in 1.. {
        let ahead = offered(&search).len() as u64;
        let reply = AcquireReply::Taken(Taken {
            ahead,
            ahead_by: hour * nearest,
            ..Taken::default()
        });
        match search.handle_reply(0, reply) {
            Progress::Continue => assert!(nearest < 10, "it goes on forever"),
            Progress::Failed(AcquireError::HorizonAhead { by, .. }) => {
                // The strict walk has three offers, the lenient one two.
                return assert_eq!((nearest, by), (5, hour * 4));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_full_range_tells_when_its_first_lease_ends() {
    let mut search = search(2_000, 64, 1);
    let mut within = [None, Some(7), Some(5)]
        .map(|s| s.map(Duration::from_secs))
        .into_iter();
    loop {
        let reply = AcquireReply::Taken(Taken {
            held: offered(&search).len() as u64,
            frees_within: within.next().expect("three offers"),
            ..Taken::default()
        });
        if let Progress::Failed(error) = search.handle_reply(0, reply) {
            let expected = Some(Duration::from_secs(5));
            return assert!(matches!(
                error,
                AcquireError::RangeExhausted { held: 2_000, frees_within, .. } if frees_within == expected
            ));
        }
    }
}

#[test]
fn what_is_said_of_the_whole_range_ends_the_search() {
    let mut search = search(1_000, 64, 1);
    let reply = AcquireReply::Taken(Taken {
        held: 1_000,
        whole: true,
        ..Taken::default()
    });
    assert!(matches!(
        search.handle_reply(0, reply),
        Progress::Failed(AcquireError::RangeExhausted { held: 1_000, .. })
    ));
}

#[test]
fn a_full_range_with_an_overwritten_record_names_that() {
    let mut search = search(2_000, 64, 1);
    assert_eq!(search.garbled(), None);
    let mut garbled = Some(7);
    loop {
        let reply = AcquireReply::Taken(Taken {
            held: offered(&search).len() as u64,
            garbled: garbled.take(),
            ..Taken::default()
        });
        match search.handle_reply(0, reply) {
            Progress::Continue => assert_eq!(search.garbled(), Some(7)),
            Progress::Garbled(slot) => return assert_eq!(slot, 7),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_heard_counts_for_one_call() {
    let mut search = search(10, 64, 1);
    let token = "run@1".to_owned();
    let absent = AcquireReply::Absent {
        token: token.clone(),
        is_quiet: false,
    };
    search.handle_reply(0, absent);
    let listen = Step::Listen {
        token: token.clone(),
        is_quiet: false,
    };
    assert_eq!(search.step(), listen);
    search.handle_heard(Mode::First { token });
    assert!(matches!(
        search.step(),
        Step::Offer {
            mode: Mode::First { .. },
            ..
        }
    ));
    let wait = Duration::from_secs(1);
    search.handle_reply(0, AcquireReply::Quarantine { wait });
    assert_eq!(search.step(), Step::Wait(wait));
    search.handle_waited();
    assert!(matches!(
        search.step(),
        Step::Offer {
            mode: Mode::Ask,
            ..
        }
    ));
}

#[test]
fn what_no_waiting_mends_is_an_error_at_once() {
    let failed = |reply| match search(10, 64, 1).handle_reply(0, reply) {
        Progress::Failed(error) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        failed(AcquireReply::Unverified),
        AcquireError::Unverified
    ));
    let newer = failed(AcquireReply::NewerVersion { version: 2 });
    assert!(matches!(newer, AcquireError::NewerVersion { version: 2 }));
    let by = Duration::from_secs(7_200);
    let ahead = failed(AcquireReply::Ahead { by });
    assert!(matches!(ahead, AcquireError::HorizonAhead { by: found, .. } if found == by));
}

#[test]
fn a_lost_answer_repeats_the_question() {
    let search = search(2_000, 64, 9);
    assert_eq!(search.step(), search.step());
    assert_eq!(offered(&search).len(), 64);
}
