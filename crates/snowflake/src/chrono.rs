//! Times of the crate `chrono`.

use chrono::{DateTime, Utc};

use crate::{Id, Layout};

impl Id {
    /// When the ID's unit of time began; `None` beyond what `chrono` can hold.
    #[must_use]
    pub fn to_chrono(self, layout: &Layout) -> Option<DateTime<Utc>> {
        let unix_ms = i64::try_from(self.unix_ms(layout)).ok()?;
        DateTime::from_timestamp_millis(unix_ms)
    }
}
