//! The name that separates one pool of leases from the others on a shared server.

use std::fmt;

/// A validated namespace: 1 to 128 bytes without white space or control characters.
///
/// It becomes part of every key and channel name, so what could break out of those is refused here, once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// The longest accepted name, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Checks `name`.
    ///
    /// # Errors
    ///
    /// [`NamespaceError`] where it is empty, longer than 128 bytes, contains white space or a control character, or begins
    /// with a closing brace, which would end the hash tag of a cluster before it begins.
    pub fn new(name: impl Into<String>) -> Result<Self, NamespaceError> {
        let name = name.into();
        if name.is_empty() {
            return Err(NamespaceError::Empty);
        }
        if Self::MAX_LEN < name.len() {
            return Err(NamespaceError::TooLong { len: name.len() });
        }
        let forbidden = |c: &char| c.is_whitespace() || c.is_control();
        if let Some(found) = name.chars().find(forbidden) {
            return Err(NamespaceError::Character { name, found });
        }
        if name.starts_with('}') {
            return Err(NamespaceError::Braces { name });
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that cannot be a [`Namespace`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// Nothing was given.
    #[error("namespace is empty; give it 1 to 128 bytes")]
    Empty,
    /// Too much was given.
    #[error("namespace is {len} bytes long; the limit is 128")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// White space or a control character.
    #[error(
        "namespace {name:?} contains {found:?}; white space and control characters are not allowed"
    )]
    Character {
        /// The rejected name.
        name: String,
        /// The first forbidden character.
        found: char,
    },
    /// Braces that would make a cluster's hash tag empty, so that the keys of one name lay on many nodes.
    #[error(
        "{name:?} has braces that make a cluster's hash tag empty or end it; remove them, or put a name between them"
    )]
    Braces {
        /// The rejected name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_break_a_key_are_refused() {
        let check = |name: &str, expected: &str| {
            let error = Namespace::new(name).expect_err("must be refused");
            assert_eq!(error.to_string(), expected);
        };
        check("", "namespace is empty; give it 1 to 128 bytes");
        check(
            "two words",
            "namespace \"two words\" contains ' '; white space and control characters are not allowed",
        );
        check(
            "line\nbreak",
            "namespace \"line\\nbreak\" contains '\\n'; white space and control characters are not allowed",
        );
        check(
            &"x".repeat(129),
            "namespace is 129 bytes long; the limit is 128",
        );
        check(
            "}a",
            "\"}a\" has braces that make a cluster's hash tag empty or end it; remove them, or put a name between them",
        );
        let name = "prod:{eu}/payments-ü";
        assert_eq!(Namespace::new(name).expect("valid").as_str(), name);
    }
}
