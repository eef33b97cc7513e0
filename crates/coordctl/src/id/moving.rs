//! Takes a namespace to another server.

use std::{io::Read, path::Path, process::ExitCode};

use raus::inspect::Export;
use serde_json::json;

use crate::{
    cli::{DiscoveryOptions, Global, ImportOptions},
    connect,
    failure::Failure,
    output, time,
};

pub(crate) async fn export(global: &Global) -> Result<ExitCode, Failure> {
    let raus = connect::namespace(global, &(0..=1_023))?;
    let inspector = raus.inspector()?;
    let export = inspector.export().await?;
    let held = export.slots.iter();
    let held = held.filter(|slot| export.server_ms < slot.leased_until_ms);
    let held = held.count() as u64;
    if held != 0 {
        output::complain(&format!(
            "warning: {} still held; stop the holders before the quarantine on the other server is over",
            output::count(held, "machine ID")
        ));
    }
    let text = serde_json::to_string_pretty(&export);
    output::line(&text.map_err(|error| Failure::Failed(error.to_string()))?)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn import(global: &Global, options: &ImportOptions) -> Result<ExitCode, Failure> {
    let export = read(&options.file)?;
    let raus = connect::founder(
        global,
        &DiscoveryOptions { discovery: None },
        &options.unverified,
    )?;
    let imported = raus.inspector()?.import(&export).await?;
    if global.json {
        output::json(&json!({
            "namespace": raus.namespace(),
            "from": export.namespace,
            "slots": imported.slots,
            "quarantine_ms": time::ms(imported.quarantine),
        }))?;
    } else {
        output::line(&output::plain(&format!(
            "{} of namespace {} on record in namespace {}; nothing new is granted for {}, by then nobody may use the old \
             server any more",
            output::count(imported.slots, "machine ID"),
            export.namespace,
            raus.namespace(),
            time::span(imported.quarantine)
        )))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Export, Failure> {
    let (text, name) = if file.as_os_str() == "-" {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text).map(|_| text);
        (read, "the standard input".to_owned())
    } else {
        (std::fs::read_to_string(file), file.display().to_string())
    };
    let text = text.map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!(
            "{name} is not what `coordctl id export` writes: {error}"
        ))
    })
}
