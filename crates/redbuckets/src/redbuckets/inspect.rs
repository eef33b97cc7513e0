//! The operators' door.

use super::Redbuckets;
use crate::inspect::Inspector;

impl Redbuckets {
    /// What operators see and do: who owns what, and how to drain a member. The options of an instance do not matter to
    /// it. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// The system's error where no thread for the connection can be started.
    pub fn inspector(&self) -> std::io::Result<Inspector> {
        let keys = self.inner.keys.clone();
        Ok(Inspector::new(self.inner.connector.heartbeat()?, keys))
    }
}
