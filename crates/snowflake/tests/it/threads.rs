//! Many threads on one generator, under the real clock.

use std::{num::NonZeroU32, sync::Arc, thread};

use snowflake::{ClockMode, Generator, Id, Layout};

/// Set to `50000000` for the long run.
fn per_thread() -> u64 {
    std::env::var("SNOWFLAKE_IDS_PER_THREAD")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(500_000)
}

/// Room for a long run in a short time, and few enough bits that a set of them is a bitmap.
fn roomy() -> Layout {
    Layout::new(41, 1, 21)
        .expect("63 bits")
        .with_epoch_ms(1_780_000_000_000)
        .expect("a small number")
}

/// Checks that each thread's IDs rise and that together they are distinct.
fn distinct_and_rising(mint: impl Fn() -> Box<dyn FnMut() -> Id + Send> + Sync) {
    let threads = 8;
    let mut all: Vec<Id> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                let mut mint = mint();
                scope.spawn(move || {
                    let ids: Vec<_> = (0..per_thread()).map(|_| mint()).collect();
                    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
                    ids
                })
            })
            .collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().expect("rising"))
            .collect()
    });
    let minted = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), minted);
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
