//! Leases a machine ID, mints under it and gives it back.

use std::{io::Write, process::ExitCode, time::Duration};

use coord_core::clock::{Clock, SystemClock};
use serde_json::json;
use snowflake::{Generator, Id, Layout, LayoutError, MintError};

use crate::{
    cli::{Global, MintOptions},
    connect,
    failure::{Failure, causes},
    output,
};

pub(crate) async fn run(global: &Global, options: &MintOptions) -> Result<ExitCode, Failure> {
    let layout = options.layout.layout()?;
    let range = options
        .range
        .clone()
        .unwrap_or_else(|| 0..=layout.max_machine_id().min(1_023));
    layout
        .check_range(&range)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    check_time(&layout)?;
    let raus = connect::lessor(global, &range, &options.lease)?.build()?;
    let machine_id = connect::acquire(&raus, &options.lease).await?;
    let (id, fence) = (machine_id.id(), machine_id.fence());
    let generator = Generator::builder().layout(layout).leased(machine_id).await;
    let generator = generator.map_err(|error| Failure::Usage(causes(&error)))?;
    let ids = mint(&generator, options.count).await;
    let released = generator.release().await;
    let ids = ids?;
    if let Err(error) = released {
        output::complain(&causes(&error));
    }
    let texts = ids.iter().map(|&id| options.format.write(id));
    if global.json {
        let ids: Vec<String> = texts.map(|text| text.as_str().to_owned()).collect();
        output::json(&json!({
            "machine_id": id,
            "fence": fence.to_string(),
            "layout": layout.to_string(),
            "format": options.format.to_string(),
            "ids": ids,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for text in texts {
        writeln!(out, "{text}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the layout has timestamps for today: asked before anything is leased.
fn check_time(layout: &Layout) -> Result<(), Failure> {
    let now_ms = SystemClock.wall_ms();
    let error = if now_ms < layout.epoch_ms() {
        LayoutError::EpochInFuture {
            epoch_ms: layout.epoch_ms(),
            now_ms,
        }
        .to_string()
    } else if layout.expires_at_ms() <= now_ms {
        MintError::TimestampExhausted {
            bits: layout.timestamp_bits(),
            expired_ms: layout.expires_at_ms(),
            now_ms,
        }
        .to_string()
    } else {
        return Ok(());
    };
    Err(Failure::Usage(error))
}

async fn mint(generator: &Generator, count: u32) -> Result<Vec<Id>, Failure> {
    let mut ids = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let id = match generator.try_next() {
            Err(MintError::Wait { .. }) => generator.next_within(PATIENCE).await,
            outcome => outcome,
        };
        ids.push(id.map_err(|error| Failure::Failed(causes(&error)))?);
    }
    Ok(ids)
}

/// A former holder's horizon may lie as far ahead as clocks may differ.
const PATIENCE: Duration = Duration::from_secs(30);
