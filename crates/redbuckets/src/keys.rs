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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_never_share_a_key() {
        let keys = |prefix, group| Keys::new(prefix, group).map(|keys| keys.group());
        assert_eq!(
            keys("red-buckets", "orders").as_deref(),
            Ok("red-buckets:{orders}:group")
        );
        assert_ne!(keys("a", "b:c"), keys("a:b", "c"));
        assert!(keys("a", "b}:{c").is_err());
        assert!(keys("a", "").is_err());
        let keys = Keys::new("p", "g").expect("valid");
        assert_eq!(keys.wake(7), "p:{g}:wake:7");
        assert_eq!(keys.declared(), ["p:{g}:group", "p:{g}:-"]);
    }
}
