//! Throughput of two threads on one generator, with room for every ID.

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use ferroid::{
    define_snowflake_id,
    generator::{AtomicSnowflakeGenerator, Poll},
    time::{MonotonicClock, TWITTER_EPOCH},
};
use snowflake::{ClockMode, Layout};

use crate::{
    measure::{Effort, Table, now, pin},
    peers,
};

define_snowflake_id!(
    WideId, u64,
    reserved: 1,
    timestamp: 41,
    machine_id: 1,
    sequence: 21
);

pub(crate) fn run(effort: Effort) -> anyhow::Result<Table> {
    let title = "Shared: millions of IDs a second, two threads on one generator, 21-bit sequence";
    let mut table = Table::new(title, "M/s", "ferroid, atomic");
    let layout = Layout::new(41, 1, 21)?.with_epoch_ms(Layout::TWITTER.epoch_ms())?;
    for _ in 0..effort.repetitions {
        let counter = peers::counter();
        table.add(
            "bare fetch_add",
            two(effort, || {
                black_box(counter.0.fetch_add(1, Ordering::Relaxed));
                true
            }),
        );
        for (name, clock) in [
            ("snowflake, leased, ticker clock", ClockMode::Ticker),
            ("snowflake, leased, default clock", ClockMode::Coarse),
        ] {
            let generator = peers::leased(layout, clock)?;
            table.add(
                name,
                two(effort, || black_box(generator.try_next()).is_ok()),
            );
        }
        let ferroid: AtomicSnowflakeGenerator<WideId, MonotonicClock> =
            AtomicSnowflakeGenerator::new(1, MonotonicClock::with_epoch(TWITTER_EPOCH));
        table.add(
            "ferroid, atomic",
            two(effort, || {
                matches!(black_box(ferroid.poll_id()), Poll::Ready { .. })
            }),
        );
    }
    Ok(table)
}

/// Successful calls of both threads, in millions a second.
fn two(effort: Effort, mint: impl Fn() -> bool + Sync) -> f64 {
    let (start, stop) = (Barrier::new(3), AtomicBool::new(false));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|processor| {
                let (mint, start, stop) = (&mint, &start, &stop);
                scope.spawn(move || {
                    let pinned = pin(processor);
                    start.wait();
                    let mut minted = 0_u64;
                    while !stop.load(Ordering::Relaxed) {
                        for _ in 0..64 {
                            minted += u64::from(mint());
                        }
                    }
                    pinned.map(|()| minted)
                })
            })
            .collect();
        start.wait();
        let began = now();
        thread::sleep(effort.window);
        stop.store(true, Ordering::Relaxed);
        let elapsed = began.elapsed().as_secs_f64();
        let minted: u64 = threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("minting does not panic").ok())
            .sum();
        minted as f64 / elapsed / 1e6
    })
}
