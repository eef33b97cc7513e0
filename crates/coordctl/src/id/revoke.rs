//! Takes a machine ID away from its holder.

use std::{io::IsTerminal, process::ExitCode};

use raus::inspect::{Revocation, SlotRecord, SlotState};
use serde_json::json;

use super::list::Reader;
use crate::{
    cli::{Global, RevokeOptions},
    failure::Failure,
    output, time,
};

pub(crate) async fn run(global: &Global, options: &RevokeOptions) -> Result<ExitCode, Failure> {
    let reader = Reader::new(global, &(options.id..=options.id))?;
    if !options.yes && !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "there is no terminal to ask on; give --yes to revoke without being asked".to_owned(),
        ));
    }
    let slot = reader.inspector().read_slot(options.id).await?;
    let free = || {
        Failure::Unavailable(format!(
            "machine ID {} is free; see `coordctl id list`",
            options.id
        ))
    };
    let slot = slot
        .filter(|slot| slot.state() != SlotState::Free)
        .ok_or_else(free)?;
    if let Some(fence) = options.fence.filter(|&fence| fence != slot.fence) {
        return Err(Failure::Failed(format!(
            "machine ID {} has fence {} now, not {fence}; nothing was changed",
            slot.id, slot.fence
        )));
    }
    if options.now {
        output::complain(
            "warning: with --now another process may get the machine ID while its holder is still at work",
        );
    }
    if !options.yes && !confirm(&slot)? {
        return Err(Failure::Failed("nothing was changed".to_owned()));
    }
    let inspector = reader.inspector();
    let outcome = if options.now {
        inspector.revoke_at_once(&slot).await?
    } else {
        inspector.revoke(&slot).await?
    };
    report(global, &slot, outcome)
}

fn report(global: &Global, slot: &SlotRecord, outcome: Revocation) -> Result<ExitCode, Failure> {
    let id = slot.id;
    match outcome {
        Revocation::Revoked { fence, free_in } if global.json => output::json(&json!({
            "revoked": id,
            "holder": slot.lock.as_ref().map(|lock| &lock.holder),
            "label": slot.label,
            "fence": fence.to_string(),
            "free_in_ms": time::ms(free_in),
        }))?,
        Revocation::Revoked { free_in, .. } if free_in.is_zero() => {
            output::line(&format!("machine ID {id} was revoked and is free"))?;
        }
        Revocation::Revoked { free_in, .. } => output::line(&format!(
            "machine ID {id} was revoked; its holder hears of it with its next renewal, and it is free in {}",
            time::span(free_in)
        ))?,
        Revocation::Changed => {
            return Err(Failure::Failed(format!(
                "machine ID {id} changed hands meanwhile; nothing was changed"
            )));
        }
        Revocation::Unrecorded => {
            return Err(Failure::Failed(format!(
                "machine ID {id} is held by a process that keeps no record (the Go original), which would not notice; \
                 stop that process, or give --now to free the machine ID all the same"
            )));
        }
        _ => return Err(Failure::Unavailable(format!("machine ID {id} is free"))),
    }
    Ok(ExitCode::SUCCESS)
}

fn confirm(slot: &SlotRecord) -> Result<bool, Failure> {
    let holder = slot
        .lock
        .as_ref()
        .map_or("an unknown holder", |lock| &lock.holder);
    let label = if slot.label.is_empty() {
        "no label"
    } else {
        &slot.label
    };
    let left = time::span(slot.lease_left);
    let (id, fence) = (slot.id, slot.fence);
    let holder = output::plain(&format!("{holder} ({label})"));
    output::confirm(&format!(
        "Take machine ID {id} from {holder}, fence {fence}, {left} left?"
    ))
}
