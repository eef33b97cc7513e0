//! What a generator sustains where the layout is the limit: 4,096 IDs a millisecond.

use std::hint::black_box;

use ferroid::{futures::SnowflakeGeneratorAsyncTokioExt as _, id::SnowflakeTwitterId};
use snowflake::{ClockMode, Layout};
use tokio::runtime::Runtime;

use crate::{
    measure::{Effort, Table, now, pin},
    peers,
};

pub(crate) fn run(effort: Effort) -> anyhow::Result<Table> {
    let title = "Sustained: millions of IDs a second, one thread, 12-bit sequence";
    let mut table = Table::new(title, "M/s", LIMIT);
    pin(0)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    for _ in 0..effort.repetitions {
        table.add(LIMIT, 4.096);
        ours(effort, &runtime, &mut table)?;
        theirs(effort, &runtime, &mut table)?;
    }
    Ok(table)
}

fn ours(effort: Effort, runtime: &Runtime, table: &mut Table) -> anyhow::Result<()> {
    let generator = peers::leased(Layout::TWITTER, ClockMode::Coarse)?;
    table.add(
        "snowflake, next_blocking",
        rate(effort, || black_box(generator.next_blocking()).is_ok()),
    );
    let mut slots = [0_u64; 1_000];
    table.add(
        "snowflake, fill of 1,000",
        1_000.0
            * rate(effort, || {
                let filled = generator.fill(&mut slots);
                black_box(&slots);
                filled.is_ok()
            }),
    );
    table.add(
        "snowflake, next().await",
        runtime.block_on(async {
            let begin = now();
            let mut minted = 0_u64;
            while begin.elapsed() < effort.window {
                for _ in 0..64 {
                    minted += u64::from(black_box(generator.next().await).is_ok());
                }
            }
            minted as f64 / begin.elapsed().as_secs_f64() / 1e6
        }),
    );
    Ok(())
}

fn theirs(effort: Effort, runtime: &Runtime, table: &mut Table) -> anyhow::Result<()> {
    let ferroid = peers::ferroid();
    table.add(
        "ferroid, next_id, spinning",
        rate(effort, || {
            black_box(ferroid.next_id(|_| std::hint::spin_loop()));
            true
        }),
    );
    table.add(
        "ferroid, next_id_async",
        runtime.block_on(async {
            let begin = now();
            let mut minted = 0_u64;
            while begin.elapsed() < effort.window {
                for _ in 0..64 {
                    let id: SnowflakeTwitterId = ferroid.next_id_async().await;
                    black_box(id);
                    minted += 1;
                }
            }
            minted as f64 / begin.elapsed().as_secs_f64() / 1e6
        }),
    );
    let snowflaked = snowflaked::sync::Generator::new(1);
    table.add(
        "snowflaked",
        rate(effort, || {
            black_box(snowflaked.generate::<u64>());
            true
        }),
    );
    let snowdon = peers::Snowdon::default();
    table.add(
        "snowdon",
        rate(effort, || black_box(snowdon.generate()).is_ok()),
    );
    let me = peers::snowflake_me()?;
    table.add(
        "snowflake_me",
        rate(effort, || black_box(me.next_id()).is_ok()),
    );
    Ok(())
}

/// Successful calls, in millions a second.
fn rate(effort: Effort, mut mint: impl FnMut() -> bool) -> f64 {
    let begin = now();
    let mut minted = 0_u64;
    while begin.elapsed() < effort.window {
        for _ in 0..64 {
            minted += u64::from(mint());
        }
    }
    minted as f64 / begin.elapsed().as_secs_f64() / 1e6
}

const LIMIT: &str = "the layout's limit";
