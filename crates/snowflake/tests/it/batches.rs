//! Batches, per-thread blocks, borrowing, sequence starts and pools.

use std::{collections::HashSet, num::NonZeroU32, sync::Arc};

use snowflake::{BuildError, Builder, ClockMode, Generator, Id, Layout, MintError, SequenceStart};

use crate::clock::{ManualClock, generator, ms};

const NOW: u64 = 1_800_000_000_000;

fn by(clock: &ManualClock) -> Builder {
    Generator::builder().clock(ClockMode::Custom(Arc::new(clock.clone())))
}

#[test]
fn a_range_has_exactly_the_ids_asked_for() {
    let generator = generator(&ManualClock::at(NOW), 3);
    generator.try_next().expect("fresh");
    let range = generator.reserve(64).expect("room");
    assert_eq!(range.len(), 64);
    let ids: Vec<_> = range.collect();
    assert_eq!(ids.len(), 64);
    assert!(ids.is_sorted());
    let next = generator.try_next().expect("room");
    assert!(ids[63] < next);
    let sequences: Vec<_> = ids.iter().map(|id| id.sequence(&Layout::TWITTER)).collect();
    assert_eq!(sequences, (1..65).collect::<Vec<_>>());
    assert_eq!(generator.metrics().minted, 66);
    assert_eq!(generator.reserve(0).expect("nothing").len(), 0);
}

#[test]
fn iterating_by_step_and_by_fold_agree() {
    let layout = Layout::SONYFLAKE;
    let clock = ManualClock::at(NOW);
    let generator = by(&clock).layout(layout).machine_id(9).expect("fits");
    for _ in 0..20 {
        let by_step = generator.reserve(5).expect("room");
        let by_step: Vec<_> = by_step.collect();
        assert_eq!(by_step.len(), 5);
        let mut by_fold = Vec::new();
        generator
            .reserve(5)
            .expect("room")
            .for_each(|id| by_fold.push(id));
        assert_eq!(by_fold.len(), 5);
        for (step, fold) in by_step.iter().zip(&by_fold) {
            let (step, fold) = (layout.decode(*step), layout.decode(*fold));
            assert_eq!(step.sequence + 5, fold.sequence);
            assert_eq!(step.machine_id, 9);
        }
    }
}

#[test]
fn a_range_that_does_not_fit_the_unit_waits_for_the_next_and_spans_both() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 3);
    drop(generator.reserve(4_090).expect("room"));
    match generator.reserve(10) {
        Err(MintError::Wait { duration, .. }) => assert_eq!(duration, ms(1)),
        other => panic!("{other:?}"),
    }
    generator.try_next().expect("six are left for others");
    clock.forward(ms(1));
    let ids: Vec<_> = generator.reserve(10).expect("the next unit").collect();
    assert!(ids.is_sorted());
    let units: Vec<_> = ids
        .iter()
        .map(|id| id.unix_ms(&Layout::TWITTER) - NOW)
        .collect();
    assert_eq!(units, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    let again: HashSet<_> = ids.iter().collect();
    assert_eq!(again.len(), 10);
}

#[test]
fn a_batch_that_needs_a_whole_unit_waits_for_no_more_than_the_next() {
    let generator = generator(&ManualClock::at(NOW), 3);
    drop(generator.reserve(4_096).expect("all of this unit"));
    match generator.reserve(4_096) {
        Err(MintError::Wait { duration, until_ms }) => {
            assert_eq!((duration, until_ms), (ms(1), NOW + 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn asking_how_many_are_left_uses_none_up() {
    let clock = ManualClock::at(NOW);
    for start in [SequenceStart::Zero, SequenceStart::Random { below: 2_048 }] {
        let generator = by(&clock)
            .sequence_start(start)
            .machine_id(1)
            .expect("fits");
        let first = generator.try_next().expect("room");
        let left = 4_095 - first.sequence(&Layout::TWITTER);
        for _ in 0..20 {
            assert_eq!(generator.available_now(), left, "{start:?}");
        }
        generator.try_next().expect("room");
        assert_eq!(generator.available_now(), left - 1);
    }
}

#[test]
fn a_range_larger_than_a_unit_is_refused() {
    let generator = generator(&ManualClock::at(NOW), 3);
    assert!(generator.reserve(4_096).is_ok());
    assert!(matches!(
        generator.reserve(4_097),
        Err(MintError::BatchTooLarge {
            count: 4_097,
            max: 4_096
        })
    ));
}

#[test]
fn filling_takes_what_is_there_and_then_waits() {
    let clock = ManualClock::at(NOW);
    let mocked = generator(&clock, 3);
    let mut slots = [0_u64; 5_000];
    assert_eq!(mocked.try_fill(&mut slots).expect("room"), 4_096);
    assert!(mocked.try_fill(&mut slots).is_err());
    assert_eq!(mocked.try_fill::<u64>(&mut []).expect("nothing to do"), 0);

    let real = Generator::with_machine_id(77).expect("fits");
    let mut ids = vec![Id::from_u64(0); 20_000];
    real.fill(&mut ids).expect("static");
    assert!(ids.is_sorted());
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 20_000);
}

#[test]
fn blocks_share_no_id_and_go_stale_with_their_unit() {
    let clock = ManualClock::at(NOW);
    let generator = generator(&clock, 3);
    let size = NonZeroU32::new(16).expect("not zero");
    let (mut a, mut b) = (generator.local(size), generator.local(size));
    let mut ids = HashSet::new();
    for _ in 0..100 {
        ids.insert(a.try_next().expect("room"));
        ids.insert(b.try_next().expect("room"));
    }
    assert_eq!(ids.len(), 200);
    let last = a.try_next().expect("room");
    clock.forward(ms(5));
    let fresh = a.try_next().expect("room");
    assert_eq!(last.unix_ms(&Layout::TWITTER), NOW);
    assert_eq!(fresh.unix_ms(&Layout::TWITTER), NOW + 5);
}

#[test]
fn a_block_ends_with_the_right_to_mint() {
    let clock = ManualClock::at(NOW);
    let generator = by(&clock).reserved().expect("sound");
    let door = generator.reservation();
    door.grant(1, NOW, NOW + 60_000, None).expect("fits");
    let mut local = generator.local(NonZeroU32::new(64).expect("not zero"));
    local.try_next().expect("granted");
    door.revoke(Arc::new(std::io::Error::other("lost")), NOW);
    assert!(matches!(local.try_next(), Err(MintError::Lost { .. })));
    door.grant(2, NOW, NOW + 60_000, None).expect("fits");
    let id = local.try_next().expect("granted again");
    assert_eq!(id.machine_id(&Layout::TWITTER), 2);
}

#[test]
fn borrowing_ends_at_its_bound_and_at_the_horizon() {
    let clock = ManualClock::at(NOW);
    let generator = by(&clock).borrow(ms(10)).reserved().expect("sound");
    let door = generator.reservation();
    door.grant(1, NOW, NOW + 60_000, None).expect("fits");
    let count = std::iter::from_fn(|| generator.try_next().ok()).count();
    assert_eq!(count, 11 * 4_096);
    assert!(matches!(generator.try_next(), Err(MintError::Wait { .. })));
    assert!(generator.metrics().borrowed > 0);
    assert!(
        door.last_minted_ms() >= Some(NOW + 10),
        "what is borrowed counts"
    );
    clock.forward(ms(59_995));
    let count = std::iter::from_fn(|| generator.try_next().ok()).count();
    assert_eq!(count, 5 * 4_096);
    assert!(matches!(
        generator.try_next(),
        Err(MintError::HorizonReached { .. })
    ));
}

#[test]
fn borrowing_without_a_stored_horizon_is_refused() {
    let error = Generator::builder()
        .borrow(ms(1))
        .machine_id(1)
        .expect_err("a restart would repeat");
    assert!(matches!(error, BuildError::BorrowWithoutHorizon));
    let error = Generator::builder().borrow(ms(60_001)).reserved();
    assert!(matches!(error, Err(BuildError::Borrow { .. })));
}

#[test]
fn sequences_that_do_not_begin_at_zero_spread_over_shards() {
    let starts = [
        SequenceStart::Random { below: 256 },
        SequenceStart::Continue { below: 256 },
    ];
    for start in starts {
        let clock = ManualClock::at(NOW);
        let generator = by(&clock)
            .sequence_start(start)
            .machine_id(1)
            .expect("fits");
        let mut shards = [0; 4];
        let mut last = None;
        for _ in 0..4_000 {
            let id = generator.try_next().expect("one a millisecond");
            assert!(last < Some(id));
            last = Some(id);
            shards[usize::try_from(id.as_u64() % 4).expect("small")] += 1;
            clock.forward(ms(1));
        }
        assert!(
            shards.iter().all(|&count| count > 700),
            "{start:?}: {shards:?}"
        );
        assert_eq!(generator.metrics().minted, 4_000);
    }
    let error = Generator::builder()
        .sequence_start(SequenceStart::Random { below: 2_049 })
        .machine_id(1);
    assert!(matches!(error, Err(BuildError::SequenceStart { .. })));
}

#[test]
fn a_pool_multiplies_the_ceiling_and_loses_members_quietly() {
    let clock = ManualClock::at(NOW);
    let members: Vec<_> = (0..4)
        .map(|_| by(&clock).reserved().expect("sound"))
        .collect();
    for (machine_id, member) in (0..).zip(&members) {
        let door = member.reservation();
        door.grant(machine_id, NOW, NOW + 60_000, None)
            .expect("fits");
    }
    let pool = Generator::from_pool(members.clone()).expect("one layout");
    assert_eq!(pool.generators().len(), 4);
    let ids: HashSet<_> = std::iter::from_fn(|| pool.try_next().ok()).collect();
    assert_eq!(ids.len(), 4 * 4_096);
    assert!(matches!(pool.try_next(), Err(MintError::Wait { .. })));
    clock.forward(ms(1));
    let lost = members[2].reservation();
    lost.revoke(Arc::new(std::io::Error::other("lost")), NOW);
    let ids: HashSet<_> = std::iter::from_fn(|| pool.try_next().ok()).collect();
    // Learning that a unit is used up costs a ticket of the next.
    assert!(
        (3 * 4_095..=3 * 4_096).contains(&ids.len()),
        "{}",
        ids.len()
    );
    for member in &members {
        let _ = member.reservation().close();
    }
    assert!(matches!(pool.try_next(), Err(MintError::Closed)));
    assert!(matches!(Generator::from_pool([]), Err(BuildError::Pool)));
}

#[tokio::test]
async fn a_pool_can_be_waited_on() {
    let members = [501, 502].map(|id| Generator::with_machine_id(id).expect("fits"));
    let pool = Generator::from_pool(members).expect("one layout");
    let mut ids = HashSet::new();
    for _ in 0..20_000 {
        assert!(ids.insert(pool.next().await.expect("static")));
    }
    assert!(ids.insert(pool.next_blocking().expect("static")));
}

#[test]
fn threads_begin_with_different_members_of_a_pool() {
    let clock = ManualClock::at(NOW);
    let members: Vec<_> = (0..4)
        .map(|id| {
            by(&clock)
                .layout(Layout::SONYFLAKE)
                .machine_id(id)
                .expect("fits")
        })
        .collect();
    let pool = Generator::from_pool(members).expect("one layout");
    assert_eq!(pool.layout(), Layout::SONYFLAKE);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| pool.try_next().expect("room"));
        }
    });
    // Threads of other tests take numbers as well, so how many begin where is not known.
    for member in pool.generators() {
        assert!(0 < member.metrics().minted, "{member:?}");
    }
}

/// Asking again and again would keep a processor busy.
#[test]
fn waiting_for_a_pool_sleeps() {
    let clock = ManualClock::at(NOW);
    let member = generator(&clock, 1);
    while member.try_next().is_ok() {}
    let pool = Generator::from_pool([member]).expect("one layout");
    let mut next = std::pin::pin!(pool.next());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(next.as_mut().poll(&mut context).is_pending());
}
