//! The layout of a namespace is changed on purpose.

use coord_core::{
    history::Terms,
    store::{Reply, StoreError},
};

use super::{InspectError, Inspector, moving::CHUNK, reply, reply::Relaid};
use crate::scripts;

/// What became of the change of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutChange {
    /// It is on record.
    Recorded {
        /// The one before; empty if there was none.
        before: String,
    },
    /// Somebody holds a slot: nothing was changed.
    Held {
        /// Those of the slots that were looked at.
        slots: Vec<u32>,
    },
    /// Something was granted or changed meanwhile: nothing was changed here.
    Changed,
}

impl Inspector {
    /// Puts a layout on record in place of another one, provided that nobody holds a slot: none that is on record, and none
    /// of the range.
    ///
    /// IDs that were minted under the old layout may be minted again under the new one, because the same bits mean something
    /// else. Nothing in the store can prevent that.
    ///
    /// # Errors
    ///
    /// [`InspectError`]; after a timeout the layout may have been changed all the same.
    ///
    /// # Cancel safety
    ///
    /// The layout may have been changed or not.
    pub async fn set_layout(&self, layout: &str) -> Result<LayoutChange, InspectError> {
        let whole = self.pages(Terms::default()).await?;
        let mut numbers: Vec<u32> = whole.export.slots.iter().map(|slot| slot.id).collect();
        numbers.extend(self.read().await?.slots.iter().map(|slot| slot.id));
        numbers.sort_unstable();
        numbers.dedup();
        let before = whole.export.layout;
        let mut chunks = numbers.chunks(CHUNK).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let is_last = chunks.peek().is_none();
            let to = if is_last { layout } else { "" };
            let mut args = vec![before.clone(), to.to_owned(), whole.recorded.to_string()];
            args.extend(chunk.iter().map(u32::to_string));
            let locks = chunk.iter().map(|&slot| self.identity.keys.lock(slot));
            let keys = std::iter::once(self.identity.keys.slots()).chain(locks);
            let reply = self.ask(&scripts::RELAYOUT, keys.collect(), args).await?;
            match reply::parse_relayout(&reply)? {
                Relaid::Layout(now) if is_last && now == layout => {
                    return Ok(LayoutChange::Recorded { before });
                }
                Relaid::Layout(_) if is_last => {
                    return Err(StoreError::unexpected("relayout", &Reply::Nil).into());
                }
                Relaid::Layout(_) => {}
                Relaid::Held(slots) => return Ok(LayoutChange::Held { slots }),
                Relaid::Changed => return Ok(LayoutChange::Changed),
            }
        }
    }
}
