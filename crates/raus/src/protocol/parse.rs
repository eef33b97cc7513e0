//! What the scripts answer.

use std::time::Duration;

use coord_core::{
    history::Terms,
    store::{Reply, StoreError},
};
use uuid::Uuid;

use super::{AcquireReply, RenewReply, Renewed, Slot, Taken};

/// Reads what `acquire` answered to `holder`'s offer of `offered`: nothing that was not offered can have been granted.
pub(crate) fn parse_acquire(
    reply: &Reply,
    holder: Uuid,
    offered: &[u32],
) -> Result<AcquireReply, StoreError> {
    let parsed = || -> Option<AcquireReply> {
        let items = reply.as_array()?;
        Some(match (items.first()?.as_str()?, &items[1..]) {
            ("granted", granted) => parse_granted(granted, holder, offered)?,
            ("taken", taken) => AcquireReply::Taken(parse_taken(taken, offered)?),
            ("quarantine", [wait]) => AcquireReply::Quarantine {
                wait: Duration::from_millis(wait.as_u64()?).min(2 * Terms::MAX),
            },
            (kind @ ("absent" | "quiet"), [token]) => AcquireReply::Absent {
                token: token.as_str()?.to_owned(),
                is_quiet: kind == "quiet",
            },
            ("unverified", []) => AcquireReply::Unverified,
            ("newer", [version]) => AcquireReply::NewerVersion {
                version: version.as_u64()?,
            },
            ("ahead", [by]) => AcquireReply::Ahead {
                by: Duration::from_millis(by.as_u64()?),
            },
            ("skew", [server]) => AcquireReply::Skew {
                server_ms: server.as_u64()?,
            },
            ("wrongtype", [key, found]) => AcquireReply::WrongType {
                key: key.as_str()?.to_owned(),
                found: found.as_str()?.to_owned(),
            },
            _ => return None,
        })
    };
    parsed().ok_or_else(|| StoreError::unexpected("acquire", reply))
}

fn parse_granted(items: &[Reply], holder: Uuid, offered: &[u32]) -> Option<AcquireReply> {
    let [
        number,
        fence,
        floor,
        horizon,
        server,
        longest,
        layout,
        garbled,
    ] = items
    else {
        return None;
    };
    let slot = Slot {
        number: u32::try_from(number.as_u64()?).ok()?,
        holder,
        fence: fence.as_u64()?,
        floor_ms: floor.as_u64()?,
        horizon_ms: horizon.as_u64()?,
        server_ms: server.as_u64()?,
    };
    let is_sound =
        offered.contains(&slot.number) && slot.fence != 0 && slot.floor_ms <= slot.horizon_ms;
    is_sound.then_some(AcquireReply::Granted {
        slot,
        longest: Terms::parse(longest.as_str()?)?,
        layout: layout.as_str()?.to_owned(),
        garbled: parse_garbled(garbled, offered)?,
    })
}

fn parse_taken(items: &[Reply], offered: &[u32]) -> Option<Taken> {
    let [held, ahead, frees_within, whole, ahead_by, garbled] = items else {
        return None;
    };
    let (held, ahead) = (held.as_u64()?, ahead.as_u64()?);
    let whole = whole.as_str()? == "1";
    if !whole && held.checked_add(ahead)? != offered.len() as u64 {
        return None;
    }
    Some(Taken {
        held,
        ahead,
        frees_within: match frees_within {
            Reply::Int(-1) => None,
            within => Some(Duration::from_millis(within.as_u64()?)),
        },
        whole,
        ahead_by: Duration::from_millis(ahead_by.as_u64()?),
        garbled: parse_garbled(garbled, offered)?,
    })
}

fn parse_garbled(reply: &Reply, offered: &[u32]) -> Option<Option<u32>> {
    match reply.as_str()? {
        "" => Some(None),
        slot => {
            let slot = slot.parse().ok().filter(|slot| offered.contains(slot))?;
            Some(Some(slot))
        }
    }
}

pub(crate) fn parse_renew(reply: &Reply) -> Result<RenewReply, StoreError> {
    let parsed = || -> Option<RenewReply> {
        let items = reply.as_array()?;
        Some(match (items.first()?.as_str()?, &items[1..]) {
            ("renewed", renewed) => RenewReply::Renewed(parse_renewed(renewed)?),
            ("reasserted", renewed) => RenewReply::Reasserted(parse_renewed(renewed)?),
            ("capped", [_, server, _, error]) => RenewReply::Capped {
                server_ms: server.as_u64()?,
                error: error.as_str()?.to_owned(),
            },
            ("lost", lost) => parse_lost(lost)?,
            ("late", []) => RenewReply::Late,
            ("newer", [version]) => RenewReply::NewerVersion {
                version: version.as_u64()?,
            },
            ("wrongtype", [key, found]) => RenewReply::WrongType {
                key: key.as_str()?.to_owned(),
                found: found.as_str()?.to_owned(),
            },
            _ => return None,
        })
    };
    parsed().ok_or_else(|| StoreError::unexpected("renew", reply))
}

fn parse_renewed(items: &[Reply]) -> Option<Renewed> {
    let [horizon, server, longest] = items else {
        return None;
    };
    Some(Renewed {
        horizon_ms: horizon.as_u64()?,
        server_ms: server.as_u64()?,
        longest: Terms::parse(longest.as_str()?)?,
    })
}

fn parse_lost(items: &[Reply]) -> Option<RenewReply> {
    Some(match (items.first()?.as_str()?, &items[1..]) {
        ("foreign", []) => RenewReply::Foreign,
        ("forgotten", []) => RenewReply::Forgotten,
        ("cloned", []) => RenewReply::Cloned,
        ("superseded", [fence]) => RenewReply::Superseded {
            fence: fence.as_u64()?,
        },
        ("layout", [stored]) => RenewReply::Layout {
            stored: stored.as_str()?.to_owned(),
        },
        _ => return None,
    })
}

/// Whether the slot was still ours when it was given back.
pub(crate) fn parse_release(reply: &Reply) -> Result<bool, StoreError> {
    let outcome = reply.as_array().and_then(|items| items.first()?.as_str());
    match outcome {
        Some("released") => Ok(true),
        Some("not_held") => Ok(false),
        _ => Err(StoreError::unexpected("release", reply)),
    }
}

/// The layout on record.
pub(crate) fn parse_layout(reply: &Reply) -> Result<String, StoreError> {
    match reply.as_array() {
        Some([kind, layout]) if kind.as_str() == Some("layout") => {
            layout.as_str().map(str::to_owned)
        }
        _ => None,
    }
    .ok_or_else(|| StoreError::unexpected("layout", reply))
}
