//! A Lua script and its SHA-1 digest.

use std::{fmt, sync::OnceLock};

/// A Lua script that changes state in one step; declared as a `static`.
///
/// # Examples
///
/// ```
/// use coord_core::store::Script;
///
/// static PING: Script = Script::new("ping", &["return redis.call('PING')"]);
/// assert_eq!(PING.sha().len(), 40);
/// ```
pub struct Script {
    name: &'static str,
    parts: &'static [&'static str],
    built: OnceLock<(String, String)>,
}

impl Script {
    /// A script put together from `parts`: shared definitions first, its own text last.
    #[must_use]
    pub const fn new(name: &'static str, parts: &'static [&'static str]) -> Self {
        Self {
            name,
            parts,
            built: OnceLock::new(),
        }
    }

    /// What errors and traces call this script.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The whole text.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.built().0
    }

    /// The SHA-1 of the text, in lowercase hexadecimal, as `EVALSHA` takes it.
    #[must_use]
    pub fn sha(&self) -> &str {
        &self.built().1
    }

    fn built(&self) -> &(String, String) {
        self.built.get_or_init(|| {
            let source = self.parts.join("\n");
            let sha = sha1_smol::Sha1::from(&source).digest().to_string();
            (source, sha)
        })
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({})", self.name)
    }
}

impl PartialEq for Script {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.parts == other.parts
    }
}

impl Eq for Script {}
