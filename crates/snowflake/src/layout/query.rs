//! Which IDs belong to which times: for range queries.

#[cfg(feature = "std")]
use core::time::Duration;

use super::{Layout, LayoutError};
use crate::Id;

impl Layout {
    /// The smallest ID that can carry the time `unix_ms`, in milliseconds since the Unix epoch: for
    /// `WHERE id >= …`. Earlier than the epoch gives the smallest ID of all.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Timestamp`] for a time that the layout cannot carry any more.
    pub const fn min_id_at(&self, unix_ms: u64) -> Result<Id, LayoutError> {
        let timestamp = self.timestamp_at_ms(unix_ms);
        self.encode(timestamp, 0, 0)
    }

    /// The largest ID that can carry the time `unix_ms`, in milliseconds since the Unix epoch: for
    /// `WHERE id <= …`.
    ///
    /// # Errors
    ///
    /// [`LayoutError::BeforeEpoch`] for a time before the layout's epoch, which no ID carries;
    /// [`LayoutError::Timestamp`] for one that the layout cannot carry any more.
    pub const fn max_id_at(&self, unix_ms: u64) -> Result<Id, LayoutError> {
        if unix_ms < self.epoch_ms {
            return Err(LayoutError::BeforeEpoch {
                unix_ms,
                epoch_ms: self.epoch_ms,
            });
        }
        let timestamp = self.timestamp_at_ms(unix_ms);
        self.encode(timestamp, self.max_machine_id(), self.max_sequence())
    }

    /// The smallest and the largest ID that can have been minted from `from` up to, but not including, `until`; for
    /// `WHERE id BETWEEN … AND …`. Where a unit of time is longer than 1 ms, that of each end is included.
    ///
    /// # Errors
    ///
    /// [`LayoutError::BeforeEpoch`] if all of the span lies before the layout's epoch, [`LayoutError::Timestamp`] if an
    /// end is later than the layout can carry, [`LayoutError::EmptySpan`] if nothing lies between the two.
    #[cfg(feature = "std")]
    pub fn ids_between(
        &self,
        from: std::time::SystemTime,
        until: std::time::SystemTime,
    ) -> Result<core::ops::RangeInclusive<Id>, LayoutError> {
        let since_1970 = |time: std::time::SystemTime| {
            time.duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default()
        };
        let (from, until) = (since_1970(from), since_1970(until));
        if until <= from {
            return Err(LayoutError::EmptySpan);
        }
        let last = until - Duration::from_nanos(1);
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(self.min_id_at(ms(from))?..=self.max_id_at(ms(last))?)
    }

    /// The first instant that no ID can carry any more; `None` where [`SystemTime`](std::time::SystemTime) cannot
    /// hold it.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn expires_at(&self) -> Option<std::time::SystemTime> {
        std::time::UNIX_EPOCH.checked_add(Duration::from_millis(self.expires_at_ms()))
    }
}
