//! The operators' door.

use super::Raus;
use crate::inspect::Inspector;

impl Raus {
    /// What operators see and do: who holds the slots of this range, and how to take one away. Nothing is connected
    /// yet.
    ///
    /// # Errors
    ///
    /// The system's error where no thread for the connection can be started.
    pub fn inspector(&self) -> std::io::Result<Inspector> {
        Ok(Inspector::new(
            self.shared.connector.heartbeat()?,
            self.shared.identity.clone(),
            self.shared.settings.range.clone(),
            self.shared.settings.discovery,
        ))
    }

    /// The namespace that slots are leased from.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.shared.identity.keys.namespace()
    }
}
