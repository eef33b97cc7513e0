//! The names of keys and channels.

use coord_core::namespace::{Namespace, NamespaceError};

/// The keys of one group. All carry the group's name as their cluster hash tag, so that one script sees all of them.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    base: String,
    name: String,
}

impl Keys {
    /// `prefix` and `group` are joined so that two groups never share a key: the group is what stands in the last pair
    /// of braces, and contains none itself.
    pub(crate) fn new(prefix: &str, group: &str) -> Result<Self, NamespaceError> {
        Namespace::new(prefix)?;
        Namespace::new(group)?;
        // The first pair of braces is the hash tag, and nothing in it is none.
        if prefix
            .split_once('{')
            .is_some_and(|(_, rest)| rest.starts_with('}'))
        {
            return Err(NamespaceError::Braces {
                name: prefix.to_owned(),
            });
        }
        if let Some(found) = group.chars().find(|c| matches!(c, '{' | '}')) {
            return Err(NamespaceError::Character {
                name: group.to_owned(),
                found,
            });
        }
        Ok(Self {
            base: format!("{prefix}:{{{group}}}"),
            name: group.to_owned(),
        })
    }

    /// The group as operators know it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The hash from whose name those of all other keys follow, in `group.lua`.
    pub(crate) fn group(&self) -> String {
        format!("{}:group", self.base)
    }

    /// What every script declares: the hash, and a key that never exists.
    ///
    /// While a cluster moves the slot key by key, a node may have only some of the group, which a script would find out
    /// halfway. A declared key that is missing makes the server refuse the script before it begins (`TRYAGAIN`, or
    /// `ASK` and then `TRYAGAIN`), on the node that gives the slot away as on the one that takes it.
    pub(crate) fn declared(&self) -> Vec<String> {
        vec![self.group(), format!("{}:-", self.base)]
    }

    /// The channel on which one member is woken.
    pub(crate) fn wake(&self, number: u32) -> String {
        format!("{}:wake:{number}", self.base)
    }

    /// The channel on which everybody is woken whose group may have been lost.
    pub(crate) fn wake_all(&self) -> String {
        format!("{}:wake:all", self.base)
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

    fn all(keys: &Keys) -> Vec<String> {
        let mut all = keys.declared();
        all.extend([keys.wake(1), keys.wake(65_535), keys.wake_all()]);
        all
    }

    proptest! {
        /// Names are refused, or their keys begin with them and lie in one hash slot.
        #[test]
        fn no_name_breaks_out_of_its_keys(
            prefix in prop_oneof![any::<String>(), "[a-c{}:*?\\[\\]\u{0}\n '\"$;ü]{0,12}"],
            group in prop_oneof![any::<String>(), "[a-c{}:*?\\[\\]\u{0}\n '\"$;ü]{0,12}"],
        ) {
            if let Ok(keys) = Keys::new(&prefix, &group) {
                let (all, start) = (all(&keys), format!("{prefix}:{{{group}}}:"));
                for key in &all {
                    prop_assert!(key.starts_with(&start));
                    prop_assert!(!key.contains(|c: char| c.is_control() || c.is_whitespace()));
                    prop_assert_eq!(hashed(key), hashed(&all[0]));
                }
            }
        }

        #[test]
        fn two_groups_share_no_key(
            one in ("[ab{}:]{1,6}", "[ab:]{1,6}"),
            other in ("[ab{}:]{1,6}", "[ab:]{1,6}"),
        ) {
            prop_assume!(one != other);
            let keys = |(prefix, group): (String, String)| Keys::new(&prefix, &group);
            if let (Ok(one), Ok(other)) = (keys(one), keys(other)) {
                let others = all(&other);
                prop_assert!(all(&one).iter().all(|key| !others.contains(key)));
            }
        }
    }

    #[test]
    fn a_group_is_called_what_its_user_called_it() {
        let keys = Keys::new("prefix", "orders").expect("valid");
        assert_eq!(keys.name(), "orders");
    }

    #[test]
    fn groups_never_share_a_key() {
        let keys = |prefix, group| Keys::new(prefix, group).map(|keys| keys.group());
        assert_eq!(
            keys("red-buckets", "orders").as_deref(),
            Ok("red-buckets:{orders}:group")
        );
        assert_ne!(keys("a", "b:c"), keys("a:b", "c"));
        assert!(
            keys("a{}b", "g").is_err(),
            "a cluster would spread its keys"
        );
        assert!(keys("a", "b}:{c").is_err());
        assert!(keys("a", "").is_err());
        let keys = Keys::new("p", "g").expect("valid");
        assert_eq!(keys.wake(7), "p:{g}:wake:7");
        assert_eq!(keys.declared(), ["p:{g}:group", "p:{g}:-"]);
    }
}
