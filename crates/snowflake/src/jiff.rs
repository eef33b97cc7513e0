//! Times of the crate `jiff`.

use jiff::Timestamp;

use crate::{Id, Layout};

impl Id {
    /// When the ID's unit of time began; `None` beyond the year 9999.
    #[must_use]
    pub fn to_jiff(self, layout: &Layout) -> Option<Timestamp> {
        let unix_ms = i64::try_from(self.unix_ms(layout)).ok()?;
        Timestamp::from_millisecond(unix_ms).ok()
    }
}
