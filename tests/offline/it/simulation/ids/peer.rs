//! A holder of the Go original in the same namespace: it knows the lock keys and nothing else.

use coord_core::store::{Reply, embedded::Embedded};

/// A slot that the peer holds. Nobody else may touch its key.
#[derive(Debug)]
pub(super) struct Peer {
    slot: u32,
    value: String,
}

impl Peer {
    const TTL_MS: &str = "3000";

    /// Claims `slot` with SET NX, as the original does; `number` tells its claims apart.
    pub(super) fn claim(embedded: &Embedded, slot: u32, number: u64) -> Option<Self> {
        let peer = Self {
            slot,
            value: format!("peer-{number}"),
        };
        let claimed =
            embedded.command(&["SET", &peer.key(), &peer.value, "NX", "PX", Self::TTL_MS]);
        matches!(claimed, Ok(Reply::Bytes(_))).then_some(peer)
    }

    pub(super) const fn slot(&self) -> u32 {
        self.slot
    }

    /// Refreshes the key.
    ///
    /// # Errors
    ///
    /// What is found there, where it is not the peer's value.
    pub(super) fn refresh(&self, embedded: &Embedded) -> Result<(), String> {
        let found = embedded.get(&self.key());
        if found.as_deref() != Some(self.value.as_bytes()) {
            let found = found.map(|value| String::from_utf8_lossy(&value).into_owned());
            return Err(format!(
                "the key of slot {}, a peer's, was changed to {found:?}",
                self.slot
            ));
        }
        self.send(embedded, &["PEXPIRE", &self.key(), Self::TTL_MS]);
        Ok(())
    }

    pub(super) fn release(self, embedded: &Embedded) {
        self.send(embedded, &["DEL", &self.key()]);
    }

    fn send(&self, embedded: &Embedded, command: &[&str]) {
        let reply = embedded.command(command);
        assert!(reply.is_ok(), "slot {}: {command:?}: {reply:?}", self.slot);
    }

    fn key(&self) -> String {
        format!("sim:id:{}", self.slot)
    }
}
