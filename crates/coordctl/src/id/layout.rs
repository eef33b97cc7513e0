//! Shows and changes the layout of a namespace's IDs.

use std::{io::IsTerminal, process::ExitCode};

use raus::inspect::LayoutChange;
use serde_json::json;

use super::list::layout_json;
use crate::{
    cli::{Global, SetLayoutOptions},
    connect,
    failure::Failure,
    output,
};

pub(crate) async fn run(global: &Global, options: &SetLayoutOptions) -> Result<ExitCode, Failure> {
    let wanted = match options.set {
        Some(fields) => Some(fields.layout(options.epoch, options.unit)?.to_string()),
        None => None,
    };
    let raus = connect::namespace(global, &(0..=1_023))?;
    let inspector = raus.inspector()?;
    let asks = wanted.is_some() && !options.yes;
    if asks && !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "there is no terminal to ask on; give --yes to change the layout without being asked"
                .to_owned(),
        ));
    }
    let name = output::plain(raus.namespace());
    let stored = inspector.read().await?.layout;
    let Some(wanted) = wanted.filter(|wanted| *wanted != stored) else {
        show(global, &name, &stored)?;
        return Ok(ExitCode::SUCCESS);
    };
    if !stored.is_empty() {
        output::complain(&format!(
            "warning: IDs that were minted as {} may be minted a second time as {wanted}",
            output::plain(&stored)
        ));
    }
    if asks
        && !output::confirm(&format!(
            "Change the layout of namespace {name} to {wanted}?"
        ))?
    {
        return Err(Failure::Failed("nothing was changed".to_owned()));
    }
    match inspector.set_layout(&wanted).await? {
        LayoutChange::Recorded { before } if global.json => output::json(&json!({
            "namespace": raus.namespace(),
            "layout": wanted,
            "before": layout_json(&before),
        }))?,
        LayoutChange::Recorded { .. } => {
            output::line(&format!("namespace {name}: layout {wanted} from now on"))?;
        }
        LayoutChange::Held { slots } => {
            let shown: Vec<String> = slots.iter().take(8).map(u32::to_string).collect();
            let more = if shown.len() < slots.len() {
                ", …"
            } else {
                ""
            };
            return Err(Failure::Failed(format!(
                "machine IDs {}{more} are held; stop their holders first (`coordctl id list`); nothing was changed",
                shown.join(", ")
            )));
        }
        _ => {
            return Err(Failure::Failed(
                "something was granted meanwhile; nothing was changed, try again".to_owned(),
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(global: &Global, name: &str, stored: &str) -> Result<(), Failure> {
    if global.json {
        return output::json(&json!({ "namespace": name, "layout": layout_json(stored) }));
    }
    output::line(&match stored {
        "" => {
            format!("namespace {name}: no layout on record; the first generator puts its own there")
        }
        stored => format!("namespace {name}: layout {}", output::plain(stored)),
    })
}
