//! Many threads on one generator, under the real clock.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, mpsc},
    thread,
};

use snowflake::{ClockMode, Generator, Id, Layout};

/// Set to `50000000` for the long run, in a release build.
fn per_thread() -> u64 {
    std::env::var("SNOWFLAKE_IDS_PER_THREAD")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(500_000)
}

/// So many sequence numbers that a long run takes a short time.
fn roomy() -> Layout {
    Layout::new(41, 1, 16)
        .expect("58 bits")
        .with_epoch_ms(1_780_000_000_000)
        .expect("a small number")
}

/// Which IDs of [`roomy`] were seen: a bit each, a page for each millisecond.
#[derive(Default)]
struct Seen {
    pages: HashMap<u64, Vec<u64>>,
}

impl Seen {
    /// `false` if it was seen before.
    fn insert(&mut self, id: Id) -> bool {
        let parts = roomy().decode(id);
        let page = self.pages.entry(parts.timestamp);
        let page = page.or_insert_with(|| vec![0; 1 << 10]);
        let sequence = usize::try_from(parts.sequence).expect("16 bits");
        let (word, bit) = (sequence / 64, 1 << (sequence % 64));
        let is_new = page[word] & bit == 0;
        page[word] |= bit;
        is_new
    }
}

/// Checks that each thread's IDs rise and that together they are distinct.
fn distinct_and_rising(mint: impl Fn() -> Box<dyn FnMut() -> Id + Send> + Sync) {
    let (send, minted) = mpsc::sync_channel::<Vec<Id>>(64);
    thread::scope(|scope| {
        for _ in 0..8 {
            let (mut mint, send) = (mint(), send.clone());
            scope.spawn(move || {
                let mut last = None;
                let mut left = per_thread();
                while left > 0 {
                    let count = left.min(10_000);
                    let ids: Vec<_> = (0..count).map(|_| mint()).collect();
                    assert!(last < ids.first().copied() && ids.is_sorted());
                    last = ids.last().copied();
                    left -= count;
                    send.send(ids).expect("somebody counts");
                }
            });
        }
        drop(send);
        let mut seen = Seen::default();
        let mut total = 0;
        for ids in minted {
            total += ids.len() as u64;
            assert!(ids.into_iter().all(|id| seen.insert(id)), "an ID twice");
        }
        assert_eq!(total, 8 * per_thread());
    });
}

#[test]
fn ids_of_eight_threads_are_distinct_and_rise_on_each() {
    for clock in [ClockMode::Coarse, ClockMode::Ticker] {
        let builder = Generator::builder()
            .layout(roomy())
            .unguarded()
            .clock(clock);
        let generator = builder.machine_id(1).expect("fits");
        distinct_and_rising(|| {
            let generator = generator.clone();
            Box::new(move || generator.next_blocking().expect("static"))
        });
    }
}

#[test]
fn blocks_of_eight_threads_are_distinct_and_rise_on_each() {
    let builder = Generator::builder().layout(roomy()).unguarded();
    let generator = builder.machine_id(1).expect("fits");
    let size = NonZeroU32::new(64).expect("not zero");
    distinct_and_rising(|| {
        let mut local = generator.local(size);
        Box::new(move || local.next_blocking().expect("static"))
    });
}

#[test]
fn losses_and_grants_under_way_give_no_id_twice_and_none_past_a_horizon() {
    let generator = Generator::builder()
        .layout(roomy())
        .reserved()
        .expect("sound");
    let door = generator.reservation();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut all, grants) = thread::scope(|scope| {
        let minters: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut ids = Vec::new();
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        if ids.len() < 400_000 {
                            ids.extend(generator.try_next());
                            ids.extend(generator.reserve(3).into_iter().flatten());
                        }
                    }
                    ids
                })
            })
            .collect();
        let mut grants = Vec::new();
        // Ahead of any clock that this runs by.
        let mut floor_ms = 3_000_000_000_000;
        for round in 0..400 {
            let machine_id = round % 2;
            let horizon_ms = floor_ms + 5;
            door.grant(machine_id, floor_ms, horizon_ms, None)
                .expect("open");
            grants.push((machine_id, floor_ms, horizon_ms));
            thread::sleep(std::time::Duration::from_micros(200));
            if round % 3 == 0 {
                door.revoke(Arc::new(std::io::Error::other("lost")), floor_ms);
            }
            // Somebody else may have it in between.
            floor_ms = horizon_ms + 5;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let all: Vec<Id> = minters
            .into_iter()
            .flat_map(|minter| minter.join().expect("no panic"))
            .collect();
        (all, grants)
    });
    for id in &all {
        let parts = generator.layout().decode(*id);
        let granted = grants.iter().any(|&(machine_id, floor_ms, horizon_ms)| {
            machine_id == parts.machine_id && (floor_ms..horizon_ms).contains(&parts.unix_ms)
        });
        assert!(granted, "{parts:?}");
    }
    let minted = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), minted);
    assert!(minted > 0);
}
