//! Timestamps that lie too far ahead are taken back.

use std::collections::BTreeMap;

use coord_core::history::Terms;

use super::{InspectError, Inspector, moving::CHUNK, reply, reply::Repaired};
use crate::scripts;

/// The floor and the horizons that lie further ahead than any holder can have needed, because a clock was ahead; from
/// [`Inspector::plan_repair`], what would become of them, from [`Inspector::repair`], what became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// The server's clock, Unix ms.
    pub server_ms: u64,
    /// What lies beyond is reset to this: the server's time, the longest ttl and the longest clock skew, Unix ms.
    pub limit_ms: u64,
    /// The floor of the namespace as read, Unix ms; 0 if there is none.
    pub floor_ms: u64,
    /// What becomes of the floor.
    pub floor: Outcome,
    /// The slots whose horizon lies beyond the limit, by number.
    pub slots: Vec<SlotRepair>,
}

/// A slot whose horizon lies too far ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotRepair {
    /// The slot.
    pub id: u32,
    /// The last holder's label.
    pub label: String,
    /// The fencing token of the last grant, as read.
    pub fence: u64,
    /// The horizon, as read, Unix ms.
    pub horizon_ms: u64,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of a floor or of a horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It does not lie too far ahead: it stays.
    Fine,
    /// It is reset to the limit.
    Reset,
    /// Somebody holds the slot: it stays. Stop the holder or revoke the slot, and repair again.
    Held,
    /// As [`Outcome::Held`], and the lease on record ends later than any ttl from now, so that it is cut to the longest ttl.
    Cut,
    /// It is not as it was read: it stays. Read again.
    Changed,
}

impl Outcome {
    /// One word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Reset => "reset",
            Self::Held => "held",
            Self::Cut => "cut",
            Self::Changed => "changed",
        }
    }
}

impl Repair {
    /// Whether something is to be changed.
    #[must_use]
    pub fn has_work(&self) -> bool {
        let mut outcomes =
            std::iter::once(self.floor).chain(self.slots.iter().map(|slot| slot.outcome));
        outcomes.any(|outcome| matches!(outcome, Outcome::Reset | Outcome::Cut))
    }

    /// The first timestamp that may be minted a second time, Unix ms, and the first one after those; `None` if nothing is
    /// reset.
    #[must_use]
    pub fn risk_ms(&self) -> Option<(u64, u64)> {
        let reset = |outcome| outcome == Outcome::Reset;
        let floor = reset(self.floor).then_some(self.floor_ms);
        let slots = self.slots.iter().filter(|slot| reset(slot.outcome));
        let end = slots.map(|slot| slot.horizon_ms).chain(floor).max()?;
        Some((self.limit_ms, end))
    }
}

impl Inspector {
    /// Says what [`repair`](Self::repair) would change, in the whole namespace.
    ///
    /// # Errors
    ///
    /// [`InspectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn plan_repair(&self) -> Result<Repair, InspectError> {
        let whole = self.pages(Terms::default()).await?;
        let ahead = whole.export.slots.into_iter();
        let ahead = ahead.filter(|slot| whole.limit_ms < slot.horizon_ms);
        let slots = ahead.map(|slot| SlotRepair {
            id: slot.id,
            label: slot.label,
            fence: slot.fence,
            horizon_ms: slot.horizon_ms,
            outcome: Outcome::Fine,
        });
        let read = Repair {
            server_ms: whole.export.server_ms,
            limit_ms: whole.limit_ms,
            floor_ms: whole.export.floor_ms,
            floor: Outcome::Fine,
            slots: slots.collect(),
        };
        self.settle(&read, "0").await
    }

    /// Resets the floor of the namespace and the horizons of slots that nobody holds, as far as they lie too far ahead and
    /// still are as in `plan`.
    ///
    /// Timestamps between the limit and what was on record may have been minted already; they are minted again when the clock
    /// gets there. So do it only if nothing was minted while the clock was ahead, or if such IDs are discarded.
    ///
    /// # Errors
    ///
    /// [`InspectError`]; what was changed before stays so, and it can be called again.
    ///
    /// # Cancel safety
    ///
    /// Some may have been reset, others not.
    pub async fn repair(&self, plan: &Repair) -> Result<Repair, InspectError> {
        self.settle(plan, "1").await
    }

    async fn settle(&self, read: &Repair, changes: &str) -> Result<Repair, InspectError> {
        let mut result = read.clone();
        let mut outcomes = BTreeMap::new();
        let mut chunks = read.slots.chunks(CHUNK);
        let mut floor = read.floor_ms.to_string();
        // Once at least, for the floor.
        let mut chunk = chunks.next().unwrap_or_default();
        loop {
            let told = self.settle_chunk(chunk, changes, &floor).await?;
            if !floor.is_empty() {
                (result.server_ms, result.limit_ms) = (told.server_ms, told.limit_ms);
                result.floor = told.floor;
            }
            outcomes.extend(told.slots);
            floor.clear();
            match chunks.next() {
                Some(next) => chunk = next,
                None => break,
            }
        }
        for slot in &mut result.slots {
            slot.outcome = outcomes.remove(&slot.id).unwrap_or(Outcome::Changed);
        }
        Ok(result)
    }

    async fn settle_chunk(
        &self,
        slots: &[SlotRepair],
        changes: &str,
        floor: &str,
    ) -> Result<Repaired, InspectError> {
        let locks = slots.iter().map(|slot| self.identity.keys.lock(slot.id));
        let keys = std::iter::once(self.identity.keys.slots()).chain(locks);
        let mut args = vec![
            changes.to_owned(),
            self.terms(Terms::default()),
            floor.to_owned(),
        ];
        for slot in slots {
            args.extend([u64::from(slot.id), slot.fence, slot.horizon_ms].map(|n| n.to_string()));
        }
        reply::parse_repair(&self.ask(&scripts::REPAIR, keys.collect(), args).await?)
    }
}
