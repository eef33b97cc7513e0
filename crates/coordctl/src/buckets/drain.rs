//! An operator's request that an instance gives its buckets away, or is given up.

use std::{process::ExitCode, time::Duration};

use coord_core::clock::{Clock, SystemClock};
use redbuckets::inspect::DrainOutcome;
use serde_json::json;

use super::group::Reader;
use crate::{
    cli::{DrainOptions, EvictOptions, Global},
    failure::Failure,
    output, time,
};

pub(crate) async fn run(global: &Global, options: &DrainOptions) -> Result<ExitCode, Failure> {
    let reader = Reader::new(global, &options.group)?;
    let id = options.instance.as_str();
    let outcome = if options.undo {
        reader.inspector().resume(id).await?
    } else {
        reader.inspector().drain(id).await?
    };
    tell(global, options, &reader, outcome).await
}

pub(crate) async fn evict(global: &Global, options: &EvictOptions) -> Result<ExitCode, Failure> {
    let reader = Reader::new(global, &options.group)?;
    let id = options.instance.as_str();
    match reader.inspector().evict(id).await? {
        DrainOutcome::Evicted { owned } => evicted(global, id, owned),
        DrainOutcome::Lives { left } => Err(Failure::Failed(format!(
            "{id} lives: its lease runs for {}; drain it instead. Nothing was changed",
            time::span(left)
        ))),
        _ => Err(nobody(id)),
    }
}

async fn tell(
    global: &Global,
    options: &DrainOptions,
    reader: &Reader,
    outcome: DrainOutcome,
) -> Result<ExitCode, Failure> {
    let id = options.instance.as_str();
    match outcome {
        DrainOutcome::Draining { owned } => drained(global, options, reader, owned).await,
        DrainOutcome::Evicted { owned } => evicted(global, id, owned),
        DrainOutcome::Resumed { owned } => report(
            global,
            id,
            "resumed",
            owned,
            &format!("{id} takes its share again"),
        ),
        DrainOutcome::Last => Err(Failure::Failed(format!(
            "{id} is the last member that takes buckets: they would be nobody's. Start another instance first; nothing was changed"
        ))),
        _ => Err(nobody(id)),
    }
}

fn nobody(id: &str) -> Failure {
    Failure::Unavailable(format!(
        "no member of the group has the id {id:?}; see `coordctl buckets members`"
    ))
}

fn evicted(global: &Global, id: &str, owned: u32) -> Result<ExitCode, Failure> {
    let text = format!(
        "{id} had gone and is not waited for any more; {} go to the others",
        output::count(owned, "bucket")
    );
    report(global, id, "evicted", owned, &text)
}

async fn drained(
    global: &Global,
    options: &DrainOptions,
    reader: &Reader,
    owned: u32,
) -> Result<ExitCode, Failure> {
    let id = options.instance.as_str();
    let Some(wait) = options.wait else {
        let text = format!(
            "{id} gives {} away; it gets its share again with --undo",
            output::count(owned, "bucket")
        );
        return report(global, id, "draining", owned, &text);
    };
    let give_up_at = SystemClock.now() + wait;
    loop {
        let group = reader.read().await?;
        let member = group.read.members.iter().find(|member| member.id == id);
        let left = member.map_or(0, |member| member.owned);
        if left == 0 {
            return report(
                global,
                id,
                "drained",
                0,
                &format!("{id} owns nothing any more"),
            );
        }
        if give_up_at <= SystemClock.now() {
            return Err(Failure::Failed(format!(
                "{id} still owns {} after {}; work in what it owns goes on",
                output::count(left, "bucket"),
                time::span(wait)
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn report(
    global: &Global,
    id: &str,
    state: &str,
    owned: u32,
    text: &str,
) -> Result<ExitCode, Failure> {
    if global.json {
        output::json(&json!({ "instance": id, "state": state, "owned": owned }))?;
    } else {
        output::line(&output::plain(text))?;
    }
    Ok(ExitCode::SUCCESS)
}

const PAUSE: Duration = Duration::from_millis(200);
