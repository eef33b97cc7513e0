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

    /// The channel on which releases are told to those who wait for a slot.
    pub(crate) fn freed(&self) -> String {
        format!("{}:freed", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a cluster hashes of a key: what stands in its first pair of braces, if anything does.
    fn hashed(key: &str) -> &str {
        let tag = key
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        tag.map_or(key, |(tag, _)| if tag.is_empty() { key } else { tag })
    }

    fn all(keys: &Keys) -> [String; 5] {
        [
            keys.slots(),
            keys.broadcast(),
            keys.freed(),
            keys.lock(0),
            keys.lock(u32::MAX),
        ]
    }

    /// Any text, most of it of what means something to Redis, Lua or a shell.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[a-c{}:*?\\[\\]\u{0}\n '\"$;ü]{0,12}",
            "[a-c{}:]{0,140}",
        ]
    }

    proptest! {
        /// A name is refused, or its keys begin with it and lie in one hash slot.
        #[test]
        fn no_name_breaks_out_of_its_keys(name in name(), in_cluster: bool) {
            if let Ok(namespace) = Namespace::new(name.clone()) {
                let keys = Keys::new(&namespace, in_cluster);
                let (all, start) = (all(&keys), format!("{}:", keys.namespace()));
                for key in &all {
                    prop_assert!(key.starts_with(&start));
                    prop_assert!(!key.contains(|c: char| c.is_control() || c.is_whitespace()));
                    if in_cluster {
                        prop_assert_eq!(hashed(key), hashed(&all[0]));
                    }
                }
                let tagged = format!("{{{name}}}");
                prop_assert!(keys.namespace() == name || keys.namespace() == tagged);
            }
        }

        #[test]
        fn two_names_share_no_key(one in "[ab{}:id0slot]{1,9}", other in "[ab{}:id0slot]{1,9}") {
            prop_assume!(one != other);
            let keys = |name: String| Namespace::new(name).map(|name| Keys::new(&name, false));
            if let (Ok(one), Ok(other)) = (keys(one), keys(other)) {
                let others = all(&other);
                prop_assert!(all(&one).iter().all(|key| !others.contains(key)));
            }
        }
    }

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
