//! The scripts' arguments and replies in terms of this crate: pure conversions.

use std::time::Duration;

use coord_core::{
    history::{Acknowledge, Mode},
    lease::Timing,
    store::{Command, Reply, StoreError},
};
use uuid::Uuid;

use crate::{keys::Keys, scripts};

/// What every request for one machine ID has in common.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) keys: Keys,
    pub(crate) label: String,
    pub(crate) timing: Timing,
    pub(crate) max_clock_skew: Duration,
    pub(crate) acknowledge: Acknowledge,
}

/// What the store keeps of one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    pub(crate) holder: Uuid,
    pub(crate) fence: u64,
    pub(crate) floor_ms: u64,
    pub(crate) horizon_ms: u64,
    pub(crate) server_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AcquireReply {
    /// Where `replicas` is not 0, the grant takes effect once so many have acknowledged it.
    Granted {
        slot: Slot,
        replicas: u32,
        garbled: Option<u32>,
    },
    /// `garbled`: a slot that counts as held, because somebody has overwritten its record.
    Taken {
        held: u64,
        ahead: u64,
        garbled: Option<u32>,
    },
    /// `spares`: slots that were never granted, or given back, would be granted now.
    Suspect {
        wait: Duration,
        spares: bool,
    },
    TooFewReplicas {
        found: u32,
        wanted: u32,
    },
    Absent {
        token: String,
    },
    Skew {
        server_ms: u64,
    },
    WrongType {
        key: String,
        found: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RenewReply {
    Renewed { horizon_ms: u64, server_ms: u64 },
    Reasserted { horizon_ms: u64, server_ms: u64 },
    Capped { server_ms: u64, error: String },
    Foreign,
    Superseded { fence: u64 },
    Forgotten,
    WrongType { key: String, found: String },
}

impl Identity {
    pub(crate) fn acquire(
        &self,
        holder: Uuid,
        slots: &[u32],
        wall_ms: u64,
        mode: &Mode,
        lenient: bool,
        can_confirm: bool,
    ) -> Command {
        let keys = std::iter::once(self.keys.slots())
            .chain(slots.iter().map(|&slot| self.keys.lock(slot)))
            .collect();
        let mut args = vec![
            holder.to_string(),
            self.timing.ttl_ms().to_string(),
            wall_ms.to_string(),
            self.skew_ms(),
            self.label.clone(),
            mode.as_arg(),
            u8::from(lenient).to_string(),
            self.acknowledge.as_arg(can_confirm),
        ];
        args.extend(slots.iter().map(u32::to_string));
        Command::Eval {
            script: &scripts::ACQUIRE,
            keys,
            args,
        }
    }

    /// `till_ms` is the server's time at which the last acknowledged lease ends.
    pub(crate) fn renew(&self, slot: &Slot, wall_ms: u64, last_ms: u64, till_ms: u64) -> Command {
        Command::Eval {
            script: &scripts::RENEW,
            keys: vec![self.keys.slots(), self.keys.lock(slot.number)],
            args: vec![
                slot.holder.to_string(),
                slot.number.to_string(),
                slot.fence.to_string(),
                self.timing.ttl_ms().to_string(),
                wall_ms.to_string(),
                self.skew_ms(),
                last_ms.to_string(),
                self.label.clone(),
                till_ms.to_string(),
            ],
        }
    }

    pub(crate) fn release(&self, slot: &Slot, horizon_ms: u64) -> Command {
        Command::Eval {
            script: &scripts::RELEASE,
            keys: vec![self.keys.slots(), self.keys.lock(slot.number)],
            args: vec![
                slot.holder.to_string(),
                slot.number.to_string(),
                slot.fence.to_string(),
                horizon_ms.to_string(),
            ],
        }
    }

    /// What the original publishes at every heartbeat and listens for at discovery.
    pub(crate) fn announce(&self, slot: &Slot) -> Command {
        Command::Publish {
            channel: self.keys.broadcast(),
            payload: format!("{}:{}", slot.holder, slot.number),
        }
    }

    fn skew_ms(&self) -> String {
        self.max_clock_skew.as_millis().to_string()
    }
}

/// Reads what `acquire` answered to `holder`'s offer of `offered`: nothing that was not offered can have been granted.
pub(crate) fn parse_acquire(
    reply: &Reply,
    holder: Uuid,
    offered: &[u32],
) -> Result<AcquireReply, StoreError> {
    let parsed = || -> Option<AcquireReply> {
        let items = reply.as_array()?;
        Some(match (items.first()?.as_str()?, &items[1..]) {
            ("granted", [number, fence, floor, horizon, server, replicas, garbled]) => {
                let slot = Slot {
                    number: u32::try_from(number.as_u64()?).ok()?,
                    holder,
                    fence: fence.as_u64()?,
                    floor_ms: floor.as_u64()?,
                    horizon_ms: horizon.as_u64()?,
                    server_ms: server.as_u64()?,
                };
                if !offered.contains(&slot.number)
                    || slot.fence == 0
                    || slot.horizon_ms < slot.floor_ms
                {
                    return None;
                }
                AcquireReply::Granted {
                    slot,
                    replicas: u32::try_from(replicas.as_u64()?).ok()?,
                    garbled: parse_garbled(garbled, offered)?,
                }
            }
            ("taken", [held, ahead, garbled]) => {
                let (held, ahead) = (held.as_u64()?, ahead.as_u64()?);
                if held.checked_add(ahead)? != offered.len() as u64 {
                    return None;
                }
                AcquireReply::Taken {
                    held,
                    ahead,
                    garbled: parse_garbled(garbled, offered)?,
                }
            }
            ("suspect", [wait, spares]) => AcquireReply::Suspect {
                wait: Duration::from_millis(wait.as_u64()?).min(Timing::MAX_TTL),
                spares: spares.as_u64()? == 1,
            },
            ("few", [found, wanted]) => AcquireReply::TooFewReplicas {
                found: u32::try_from(found.as_u64()?).ok()?,
                wanted: u32::try_from(wanted.as_u64()?).ok()?,
            },
            ("absent", [token]) => AcquireReply::Absent {
                token: token.as_str()?.to_owned(),
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
            ("renewed", [horizon, server]) => RenewReply::Renewed {
                horizon_ms: horizon.as_u64()?,
                server_ms: server.as_u64()?,
            },
            ("reasserted", [horizon, server]) => RenewReply::Reasserted {
                horizon_ms: horizon.as_u64()?,
                server_ms: server.as_u64()?,
            },
            ("capped", [_, server, error]) => RenewReply::Capped {
                server_ms: server.as_u64()?,
                error: error.as_str()?.to_owned(),
            },
            ("lost", [kind]) if kind.as_str() == Some("foreign") => RenewReply::Foreign,
            ("lost", [kind, fence]) if kind.as_str() == Some("superseded") => {
                RenewReply::Superseded {
                    fence: fence.as_u64()?,
                }
            }
            ("lost", [kind]) if kind.as_str() == Some("forgotten") => RenewReply::Forgotten,
            ("wrongtype", [key, found]) => RenewReply::WrongType {
                key: key.as_str()?.to_owned(),
                found: found.as_str()?.to_owned(),
            },
            _ => return None,
        })
    };
    parsed().ok_or_else(|| StoreError::unexpected("renew", reply))
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

#[cfg(test)]
mod tests;
