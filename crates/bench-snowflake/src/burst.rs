//! What one ID costs while the present millisecond has some left.

use std::{hint::black_box, sync::atomic::Ordering, time::Duration};

use ferroid::generator::Poll;
use snowflake::{ClockMode, Layout};

use crate::{
    measure::{Effort, Table, median, now, pin, spin},
    peers,
};

/// IDs a burst: half of what a millisecond has, so that none has to wait.
const BURST: u32 = 2_048;

pub(crate) fn run(effort: Effort) -> anyhow::Result<Table> {
    let title = "Burst: nanoseconds an ID, one thread, 2,048 IDs within one millisecond";
    let mut table = Table::new(title, "ns", FLOOR);
    pin(0)?;
    for _ in 0..effort.repetitions {
        floors(effort, &mut table);
        ours(effort, &mut table)?;
        batches(effort, &mut table)?;
        theirs(effort, &mut table)?;
    }
    Ok(table)
}

fn floors(effort: Effort, table: &mut Table) {
    let counter = peers::counter();
    table.add(
        FLOOR,
        single(effort, || {
            black_box(counter.0.fetch_add(1, Ordering::Relaxed));
            true
        }),
    );
}

fn ours(effort: Effort, table: &mut Table) -> anyhow::Result<()> {
    for (name, clock) in [
        ("snowflake, leased, ticker clock", ClockMode::Ticker),
        ("snowflake, leased, default clock", ClockMode::Coarse),
        ("snowflake, leased, exact clock", ClockMode::Exact),
    ] {
        let generator = peers::leased(Layout::TWITTER, clock)?;
        table.add(
            name,
            single(effort, || match generator.try_next() {
                Ok(id) => {
                    black_box(id);
                    true
                }
                Err(_) => false,
            }),
        );
    }
    for (name, clock) in [
        (
            "snowflake, per-thread blocks, ticker clock",
            ClockMode::Ticker,
        ),
        (
            "snowflake, per-thread blocks, default clock",
            ClockMode::Coarse,
        ),
    ] {
        let mut local = peers::leased(Layout::TWITTER, clock)?.local(peers::block());
        table.add(
            name,
            single(effort, || match local.try_next() {
                Ok(id) => {
                    black_box(id);
                    true
                }
                Err(_) => false,
            }),
        );
    }
    Ok(())
}

fn batches(effort: Effort, table: &mut Table) -> anyhow::Result<()> {
    let generator = peers::leased(Layout::TWITTER, ClockMode::Coarse)?;
    let ticking = peers::leased(Layout::TWITTER, ClockMode::Ticker)?;
    let mut slots = [0_u64; 64];
    table.add(
        "snowflake, reserve(64), summed up",
        batch(effort, || match generator.reserve(64) {
            Ok(range) => {
                let sum = range.fold(0, |sum, id| sum ^ id.as_u64());
                black_box(sum);
                true
            }
            Err(_) => false,
        }),
    );
    table.add(
        "snowflake, fill of 64",
        batch(effort, || {
            let filled = generator.try_fill(&mut slots);
            black_box(&slots);
            filled.is_ok_and(|count| count == 64)
        }),
    );
    table.add(
        "snowflake, fill of 64, ticker clock",
        batch(effort, || {
            let filled = ticking.try_fill(&mut slots);
            black_box(&slots);
            filled.is_ok_and(|count| count == 64)
        }),
    );
    let snowid = peers::snowid()?;
    table.add(
        "snowid, batch of 64",
        batch(effort, || {
            let filled = snowid.try_generate_batch(&mut slots);
            black_box(&slots);
            filled == 64
        }),
    );
    let me = peers::snowflake_me()?;
    let mut ids = Vec::with_capacity(64);
    table.add(
        "snowflake_me, batch of 64",
        batch(effort, || {
            ids.clear();
            let filled = me.next_ids_into(64, &mut ids);
            black_box(&ids);
            filled.is_ok()
        }),
    );
    Ok(())
}

fn theirs(effort: Effort, table: &mut Table) -> anyhow::Result<()> {
    let ferroid = peers::ferroid();
    table.add(
        "ferroid, atomic",
        single(effort, || match ferroid.poll_id() {
            Poll::Ready { id } => {
                black_box(id);
                true
            }
            Poll::Pending { .. } => false,
        }),
    );
    let snowid = peers::snowid()?;
    table.add(
        "snowid",
        single(effort, || black_box(snowid.try_generate()).is_ok()),
    );
    let snowflaked = snowflaked::sync::Generator::new(1);
    table.add(
        "snowflaked",
        single(effort, || {
            black_box(snowflaked.generate::<u64>());
            true
        }),
    );
    let snowdon = peers::Snowdon::default();
    table.add(
        "snowdon",
        single(effort, || black_box(snowdon.generate()).is_ok()),
    );
    let me = peers::snowflake_me()?;
    table.add(
        "snowflake_me",
        single(effort, || black_box(me.next_id()).is_ok()),
    );
    table.add(
        "uuid v7",
        single(effort, || {
            black_box(uuid::Uuid::now_v7());
            true
        }),
    );
    Ok(())
}

fn single(effort: Effort, mint: impl FnMut() -> bool) -> f64 {
    bursts(effort, BURST, 1, mint)
}

fn batch(effort: Effort, mint: impl FnMut() -> bool) -> f64 {
    bursts(effort, BURST / 64, 64, mint)
}

/// The median time of an ID over several bursts, each begun in a fresh millisecond.
#[inline(never)]
fn bursts(effort: Effort, calls: u32, ids: u32, mut mint: impl FnMut() -> bool) -> f64 {
    let mut times = Vec::with_capacity(effort.bursts);
    let mut attempts = 0;
    while times.len() < effort.bursts && attempts < effort.bursts * 10 {
        attempts += 1;
        spin(Duration::from_micros(1_100));
        // What the first ID of a millisecond costs is not what a burst costs.
        for _ in 0..8 {
            black_box(mint());
        }
        let start = now();
        let mut all = true;
        for _ in 0..calls {
            all &= mint();
        }
        let elapsed = start.elapsed();
        if all {
            times.push(elapsed.as_secs_f64() * 1e9 / f64::from(calls * ids));
        }
    }
    median(&times)
}

const FLOOR: &str = "bare fetch_add";
