//! A namespace is taken to another server.

use std::{collections::BTreeMap, time::Duration};

use coord_core::history::Terms;

use super::{InspectError, Inspector, reply, reply::Page};
use crate::scripts;

/// All that is on record of a namespace, whatever its keys are called; from [`Inspector::export`], for
/// [`Inspector::import`] on another server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Export {
    /// Of this form; [`Export::VERSION`].
    pub version: u32,
    /// The namespace that it comes from.
    pub namespace: String,
    /// The server's clock, Unix ms.
    pub server_ms: u64,
    /// The timestamp below which forgotten holders may have minted, Unix ms; 0 if none are.
    pub floor_ms: u64,
    /// The longest ttl that clients use.
    pub longest_ttl_ms: u64,
    /// The longest failover bound that clients use.
    pub longest_failover_bound_ms: u64,
    /// The longest clock skew that clients accept.
    pub longest_clock_skew_ms: u64,
    /// The layout of the IDs that are minted; empty if none is on record.
    pub layout: String,
    /// Every slot on record, by number.
    pub slots: Vec<SlotExport>,
}

/// What is on record of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SlotExport {
    /// The slot.
    pub id: u32,
    /// The fencing token of the last grant.
    pub fence: u64,
    /// The timestamp below which the last holder alone may have minted, Unix ms.
    pub horizon_ms: u64,
    /// The first timestamp of the last grant, Unix ms.
    pub floor_ms: u64,
    /// The server's time at which the last lease ends, Unix ms; 0 if it was given back.
    pub leased_until_ms: u64,
    /// The last holder's label.
    pub label: String,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// How many slots are on record now.
    pub slots: u64,
    /// How long nothing new is granted.
    pub quarantine: Duration,
}

/// A namespace was not imported, or not all of it; it can be tried again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The target could not be read or written.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// What is to be imported was written by another version, or by nobody of ours.
    #[error("the export cannot be used: {0}")]
    Unusable(String),
    /// The target has slots on record that are not those of the export.
    #[error(
        "the target has grants on record that are not in the export: slots {slots:?}; choose an empty namespace"
    )]
    Occupied {
        /// Some of them.
        slots: Vec<u32>,
    },
    /// The target has another layout on record.
    #[error("IDs of the target have the layout {stored:?}, those of the export {exported:?}")]
    Layout {
        /// The one on record.
        stored: String,
        /// The one of the export.
        exported: String,
    },
    /// Somebody wrote in the target meanwhile.
    #[error("slots of the target were granted or put back meanwhile; import the same export again")]
    Changed,
}

impl Export {
    /// The version of the form that this crate writes and reads.
    pub const VERSION: u32 = 1;

    /// Whether all of it can be what a namespace had on record.
    fn check(&self) -> Result<(), ImportError> {
        let unusable = |what: String| Err(ImportError::Unusable(what));
        if self.version != Self::VERSION {
            return unusable(format!(
                "its version is {}, this crate reads version {}",
                self.version,
                Self::VERSION
            ));
        }
        let longest = u64::try_from(Terms::MAX.as_millis()).unwrap_or(u64::MAX);
        for (name, ms) in [
            ("longest_ttl_ms", self.longest_ttl_ms),
            ("longest_failover_bound_ms", self.longest_failover_bound_ms),
            ("longest_clock_skew_ms", self.longest_clock_skew_ms),
        ] {
            if longest < ms {
                return unusable(format!("{name} is {ms}; the limit is {longest}"));
            }
        }
        if LARGEST < self.floor_ms {
            return unusable(format!(
                "floor_ms is {}; the limit is {LARGEST}",
                self.floor_ms
            ));
        }
        let mut last = None;
        for slot in &self.slots {
            let id = slot.id;
            let largest = slot.fence.max(slot.horizon_ms).max(slot.floor_ms);
            if slot.fence == 0 || LARGEST < largest {
                return unusable(format!(
                    "slot {id} has a fence of 0, or a number above {LARGEST}"
                ));
            }
            if last >= Some(id) {
                return unusable(format!("slot {id} does not come in order, or twice"));
            }
            if slot.label.contains(char::is_control) {
                return unusable(format!(
                    "the label of slot {id} contains a control character"
                ));
            }
            last = Some(id);
        }
        Ok(())
    }

    fn longest(&self) -> Terms {
        Terms::new(
            Duration::from_millis(self.longest_ttl_ms),
            Duration::from_millis(self.longest_failover_bound_ms),
            Duration::from_millis(self.longest_clock_skew_ms),
        )
    }
}

impl Inspector {
    /// Reads all that is on record of the whole namespace.
    ///
    /// Holders that go on minting afterwards raise their horizons beyond what was exported: see
    /// [`import`](Self::import).
    ///
    /// # Errors
    ///
    /// [`InspectError`], also if a field holds no record, whose horizon would be missing.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn export(&self) -> Result<Export, InspectError> {
        let whole = self.pages(Terms::default()).await?;
        if !whole.garbled.is_empty() {
            return Err(InspectError::Garbled {
                key: self.identity.keys.slots(),
                fields: whole.garbled,
            });
        }
        Ok(whole.export)
    }

    /// Puts on record what another server had, and begins a quarantine. Refused if slots are on record that the export does
    /// not have, so that nothing is mixed up; an import that was interrupted can be repeated.
    ///
    /// No process may use the other server any more when the quarantine is over. Those that hold a slot and are pointed to
    /// this server keep it.
    ///
    /// # Errors
    ///
    /// [`ImportError`]; some of the slots may have been written, and it can be repeated.
    ///
    /// # Cancel safety
    ///
    /// Some of the slots may have been written; it can be repeated.
    pub async fn import(&self, export: &Export) -> Result<Imported, ImportError> {
        export.check()?;
        let found = self.pages(export.longest()).await?;
        let known: BTreeMap<u32, u64> = export.slots.iter().map(|s| (s.id, s.fence)).collect();
        let others = found.export.slots.iter();
        let others = others.filter(|slot| known.get(&slot.id) != Some(&slot.fence));
        let slots: Vec<u32> = others.map(|slot| slot.id).take(SHOWN).collect();
        if !slots.is_empty() {
            return Err(ImportError::Occupied { slots });
        }
        let mut imported = Imported {
            slots: found.recorded,
            quarantine: Duration::ZERO,
        };
        let mut chunks = export.slots.chunks(CHUNK);
        // Once at least, for the history and the layout.
        let mut chunk = chunks.next().unwrap_or_default();
        loop {
            imported = self.import_chunk(export, chunk, imported.slots).await?;
            match chunks.next() {
                Some(next) => chunk = next,
                None => return Ok(imported),
            }
        }
    }

    async fn import_chunk(
        &self,
        export: &Export,
        slots: &[SlotExport],
        recorded: u64,
    ) -> Result<Imported, ImportError> {
        let mut args = vec![
            self.terms(export.longest()),
            recorded.to_string(),
            export.floor_ms.to_string(),
            export.layout.clone(),
        ];
        for slot in slots {
            let was_leased = u8::from(slot.leased_until_ms != 0).to_string();
            let numbers = [
                u64::from(slot.id),
                slot.fence,
                slot.horizon_ms,
                slot.floor_ms,
            ];
            args.extend(numbers.map(|n| n.to_string()));
            args.extend([was_leased, slot.label.clone()]);
        }
        let keys = vec![self.identity.keys.slots()];
        let reply = self.ask(&scripts::IMPORT, keys, args).await;
        let reply = reply.map_err(InspectError::from)?;
        let (quarantine, slots) = reply::parse_import(&reply, &export.layout)?;
        Ok(Imported { slots, quarantine })
    }

    /// The whole namespace, page by page, as of the last one; each slot once.
    pub(super) async fn pages(&self, known: Terms) -> Result<Page, InspectError> {
        let mut slots = BTreeMap::new();
        let mut garbled = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let args = vec![cursor, CHUNK.to_string(), self.terms(known)];
            let keys = vec![self.identity.keys.slots()];
            let reply = self.ask(&scripts::PAGE, keys, args).await?;
            let mut page = reply::parse_page(&reply, self.identity.keys.namespace())?;
            slots.extend(page.export.slots.drain(..).map(|slot| (slot.id, slot)));
            garbled.append(&mut page.garbled);
            if page.next == "0" {
                page.export.slots = slots.into_values().collect();
                garbled.sort_unstable();
                garbled.dedup();
                page.garbled = garbled;
                return Ok(page);
            }
            cursor = page.next;
        }
    }
}

/// How many slots one call of a script takes.
pub(super) const CHUNK: usize = 1_000;

/// How many slots an error names.
const SHOWN: usize = 5;

/// The largest number that scripts write exactly and count on from.
const LARGEST: u64 = 9_007_199_254_740_990;
