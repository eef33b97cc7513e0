//! The names of keys and channels, which are those of the Go original.

use coord_core::namespace::Namespace;

/// The keys of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    namespace: Namespace,
}

impl Keys {
    pub(crate) const fn new(namespace: Namespace) -> Self {
        Self { namespace }
    }

    /// The namespace as operators know it.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The lock key of `slot`: holds the holder's UUID as plain text, with a ttl.
    pub(crate) fn lock(&self, slot: u32) -> String {
        format!("{}:id:{slot}", self.namespace)
    }

    /// The hash of fences, horizons and history.
    pub(crate) fn slots(&self) -> String {
        format!("{}:slots", self.namespace)
    }

    /// The channel on which holders announce themselves.
    pub(crate) fn broadcast(&self) -> String {
        format!("{}:broadcast", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_original() {
        let keys = Keys::new(Namespace::new("raus").expect("valid"));
        assert_eq!(keys.lock(7), "raus:id:7");
        assert_eq!(keys.broadcast(), "raus:broadcast");
        assert_eq!(keys.slots(), "raus:slots");
    }
}
