//! What the scripts answer that change a namespace or read all of it.

use std::time::Duration;

use coord_core::{
    history::Terms,
    store::{Reply, StoreError},
};

use super::{
    super::{Export, ImportError, InspectError, Outcome, SlotExport, first_use::Answer},
    lossy, milliseconds, parse_history, refusal,
};

pub(in crate::inspect) fn parse_init(reply: &Reply) -> Result<Answer, InspectError> {
    let parsed = || -> Option<Result<Answer, InspectError>> {
        let items = reply.as_array()?;
        Some(match (items.first()?.as_str()?, &items[1..]) {
            ("created", []) => Ok(Answer::Created),
            // Whether a quarantine has begun is asked of `inspect`.
            ("exists", [standing, left]) => Ok(Answer::Exists(parse_history(
                standing.as_str()?,
                left,
                true,
            )?)),
            ("lost", [wait]) => Ok(Answer::Lost(milliseconds(wait)?)),
            ("absent", [token]) => Ok(Answer::Listen(token.as_str()?.to_owned())),
            (kind, rest) => return refusal(kind, rest).map(Err),
        })
    };
    parsed().unwrap_or_else(|| Err(StoreError::unexpected("init", reply).into()))
}

/// One page of a namespace.
#[derive(Debug)]
pub(in crate::inspect) struct Page {
    pub(in crate::inspect) next: String,
    pub(in crate::inspect) limit_ms: u64,
    pub(in crate::inspect) recorded: u64,
    pub(in crate::inspect) garbled: Vec<String>,
    /// Everything else, and the slots of this page.
    pub(in crate::inspect) export: Export,
}

pub(in crate::inspect) fn parse_page(reply: &Reply, namespace: &str) -> Result<Page, InspectError> {
    let parsed = || -> Option<Result<Page, InspectError>> {
        let items = reply.as_array()?;
        let (kind, rest) = (items.first()?.as_str()?, &items[1..]);
        let [
            next,
            server,
            limit,
            floor,
            longest,
            layout,
            recorded,
            slots,
            garbled,
        ] = rest
        else {
            return refusal(kind, rest).map(Err);
        };
        let slots = slots.as_array()?.iter().map(parse_export);
        let garbled = garbled.as_array()?.iter().map(lossy);
        let longest = Terms::parse(longest.as_str()?)?;
        let export = Export {
            version: Export::VERSION,
            namespace: namespace.to_owned(),
            server_ms: server.as_u64()?,
            floor_ms: floor.as_u64()?,
            longest_ttl_ms: longest.ttl_ms,
            longest_failover_bound_ms: longest.failover_bound_ms,
            longest_clock_skew_ms: longest.max_clock_skew_ms,
            layout: lossy(layout)?,
            slots: slots.collect::<Option<_>>()?,
        };
        Some(Ok(Page {
            next: next.as_str()?.to_owned(),
            limit_ms: limit.as_u64()?,
            recorded: recorded.as_u64()?,
            garbled: garbled.collect::<Option<_>>()?,
            export,
        }))
    };
    parsed().unwrap_or_else(|| Err(StoreError::unexpected("page", reply).into()))
}

fn parse_export(reply: &Reply) -> Option<SlotExport> {
    let [id, fence, horizon, floor, till, label] = reply.as_array()? else {
        return None;
    };
    Some(SlotExport {
        id: u32::try_from(id.as_u64()?).ok()?,
        fence: fence.as_u64()?,
        horizon_ms: horizon.as_u64()?,
        floor_ms: floor.as_u64()?,
        leased_until_ms: till.as_u64()?,
        label: lossy(label)?,
    })
}

/// What became of the floor, and of each slot that was asked about.
#[derive(Debug)]
pub(in crate::inspect) struct Repaired {
    pub(in crate::inspect) server_ms: u64,
    pub(in crate::inspect) limit_ms: u64,
    pub(in crate::inspect) floor: Outcome,
    pub(in crate::inspect) slots: Vec<(u32, Outcome)>,
}

pub(in crate::inspect) fn parse_repair(reply: &Reply) -> Result<Repaired, InspectError> {
    let outcome = |reply: &Reply| match reply.as_str()? {
        "fine" => Some(Outcome::Fine),
        "changed" => Some(Outcome::Changed),
        "reset" => Some(Outcome::Reset),
        "held" => Some(Outcome::Held),
        "cut" => Some(Outcome::Cut),
        _ => None,
    };
    let parsed = || -> Option<Result<Repaired, InspectError>> {
        let items = reply.as_array()?;
        match (items.first()?.as_str()?, &items[1..]) {
            ("repair", [server, limit, floor, slots @ ..]) => {
                let slots = slots.iter().map(|slot| match slot.as_array()? {
                    [id, became] => Some((u32::try_from(id.as_u64()?).ok()?, outcome(became)?)),
                    _ => None,
                });
                Some(Ok(Repaired {
                    server_ms: server.as_u64()?,
                    limit_ms: limit.as_u64()?,
                    floor: outcome(floor)?,
                    slots: slots.collect::<Option<_>>()?,
                }))
            }
            (kind, rest) => refusal(kind, rest).map(Err),
        }
    };
    parsed().unwrap_or_else(|| Err(StoreError::unexpected("repair", reply).into()))
}

#[derive(Debug)]
pub(in crate::inspect) enum Relaid {
    Layout(String),
    Held(Vec<u32>),
    Changed,
}

pub(in crate::inspect) fn parse_relayout(reply: &Reply) -> Result<Relaid, InspectError> {
    let parsed = || -> Option<Result<Relaid, InspectError>> {
        let items = reply.as_array()?;
        Some(match (items.first()?.as_str()?, &items[1..]) {
            ("layout", [layout]) => Ok(Relaid::Layout(lossy(layout)?)),
            ("held", slots) => {
                let number = |slot: &Reply| u32::try_from(slot.as_u64()?).ok();
                Ok(Relaid::Held(
                    slots.iter().map(number).collect::<Option<_>>()?,
                ))
            }
            ("changed", []) => Ok(Relaid::Changed),
            (kind, rest) => return refusal(kind, rest).map(Err),
        })
    };
    parsed().unwrap_or_else(|| Err(StoreError::unexpected("relayout", reply).into()))
}

/// How long the quarantine lasts, and how many slots are on record.
pub(in crate::inspect) fn parse_import(
    reply: &Reply,
    layout: &str,
) -> Result<(Duration, u64), ImportError> {
    let parsed = || -> Option<Result<(Duration, u64), ImportError>> {
        let items = reply.as_array()?;
        Some(match (items.first()?.as_str()?, &items[1..]) {
            ("imported", [wait, recorded]) => Ok((milliseconds(wait)?, recorded.as_u64()?)),
            ("changed", []) => Err(ImportError::Changed),
            ("taken", [slot]) => Err(ImportError::Occupied {
                slots: vec![u32::try_from(slot.as_u64()?).ok()?],
            }),
            ("layout", [stored]) => Err(ImportError::Layout {
                stored: lossy(stored)?,
                exported: layout.to_owned(),
            }),
            (kind, rest) => return refusal(kind, rest).map(|error| Err(error.into())),
        })
    };
    let unexpected = || InspectError::from(StoreError::unexpected("import", reply)).into();
    parsed().unwrap_or_else(|| Err(unexpected()))
}
