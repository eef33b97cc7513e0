//! The names of keys and channels, which are those of the Go original.

use coord_core::namespace::Namespace;

/// The keys of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    /// In a cluster all keys of a namespace must share a hash slot: a namespace without a hash tag becomes one.
    pub(crate) fn new(namespace: &Namespace, in_cluster: bool) -> Self {
        let name = namespace.as_str();
        let has_tag = name
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .is_some_and(|(tag, _)| !tag.is_empty());
        let prefix = if in_cluster && !has_tag {
            format!("{{{name}}}")
        } else {
            name.to_owned()
        };
        Self { prefix }
    }

    /// The namespace as operators know it.
    pub(crate) fn namespace(&self) -> &str {
        &self.prefix
    }

    /// The lock key of `slot`: holds the holder's UUID as plain text, with a ttl.
    pub(crate) fn lock(&self, slot: u32) -> String {
        format!("{}:id:{slot}", self.prefix)
    }

    /// The hash of fences, horizons and history.
    pub(crate) fn slots(&self) -> String {
        format!("{}:slots", self.prefix)
    }

    /// The channel on which holders announce themselves.
    pub(crate) fn broadcast(&self) -> String {
        format!("{}:broadcast", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_original() {
        let keys = Keys::new(&Namespace::new("raus").expect("valid"), false);
        assert_eq!(keys.lock(7), "raus:id:7");
        assert_eq!(keys.broadcast(), "raus:broadcast");
        assert_eq!(keys.slots(), "raus:slots");
        assert_eq!(keys.namespace(), "raus");
    }

    #[test]
    fn in_a_cluster_a_namespace_lies_in_one_hash_slot() {
        let slots = |name| Keys::new(&Namespace::new(name).expect("valid"), true).slots();
        assert_eq!(slots("raus"), "{raus}:slots");
        assert_eq!(slots("prod:{eu}"), "prod:{eu}:slots");
        assert_eq!(slots("a{}b"), "{a{}b}:slots");
    }
}
