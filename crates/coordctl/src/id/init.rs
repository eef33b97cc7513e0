//! Declares that a namespace is new.

use std::process::ExitCode;

use raus::inspect::{FirstUse, History};
use serde_json::json;

use super::list::history_json;
use crate::{
    cli::{Global, InitOptions},
    connect,
    failure::Failure,
    output, time,
};

pub(crate) async fn run(global: &Global, options: &InitOptions) -> Result<ExitCode, Failure> {
    let raus = connect::founder(global, &options.discovery, &options.unverified)?;
    let name = raus.namespace();
    let (is_new, history) = match raus.inspector()?.init().await? {
        FirstUse::Begun => (true, History::Known),
        FirstUse::Known(history) => (false, history),
        FirstUse::Lost { wait } => {
            return Err(Failure::Failed(format!(
                "namespace {} is not new: machine IDs of it are on record, or a living holder was heard, so the server has \
                 lost its history; nothing new is granted for {}, then all is well",
                output::plain(name),
                time::span(wait)
            )));
        }
        other => return Err(Failure::Failed(format!("unknown outcome {other:?}"))),
    };
    if global.json {
        output::json(&json!({
            "namespace": name,
            "new": is_new,
            "history": history_json(history),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let name = output::plain(name);
    output::line(&match history {
        _ if is_new => format!("namespace {name} begins now: its history is known"),
        History::Quarantine { left, .. } => format!(
            "namespace {name} has a history already, and is in quarantine: nothing new is granted for {}; nothing was changed",
            time::span(left)
        ),
        _ => format!("namespace {name} has a history already; nothing was changed"),
    })?;
    Ok(ExitCode::SUCCESS)
}
