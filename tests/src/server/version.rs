//! The server versions that users run.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// A server version that `cargo xtask setup` provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Version {
    /// Redis 6.2.14.
    Redis6_2,
    /// Redis 7.0.15; the only one of these builds that speaks TLS.
    Redis7_0,
    /// Redis 8.2.3.
    Redis8_2,
    /// Valkey 8.1.8.
    Valkey8_1,
    /// Valkey 9.1.2.
    Valkey9_1,
}

impl Version {
    /// Every version, the oldest Redis first.
    pub const ALL: [Self; 5] = [
        Self::Redis6_2,
        Self::Redis7_0,
        Self::Redis8_2,
        Self::Valkey8_1,
        Self::Valkey9_1,
    ];

    /// Product and version, such as `redis-6.2.14`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis6_2 => "redis-6.2.14",
            Self::Redis7_0 => "redis-7.0.15",
            Self::Redis8_2 => "redis-8.2.3",
            Self::Valkey8_1 => "valkey-8.1.8",
            Self::Valkey9_1 => "valkey-9.1.2",
        }
    }

    /// Whether it is Valkey, which reports a Redis version beside its own.
    #[must_use]
    pub const fn is_valkey(self) -> bool {
        matches!(self, Self::Valkey8_1 | Self::Valkey9_1)
    }

    /// Its program: in the folder that `COORD_SERVERS_DIR` names, else in `servers` under cargo's target folder.
    ///
    /// # Errors
    ///
    /// When it is not there; the message says what to do.
    pub fn find(self) -> Result<PathBuf> {
        self.find_in(&folder())
    }

    fn find_in(self, folder: &Path) -> Result<PathBuf> {
        let program = if self.is_valkey() {
            "valkey-server"
        } else {
            "redis-server"
        };
        let path = folder.join(self.name()).join(program);
        if path.is_file() {
            return Ok(path);
        }
        bail!(
            "no {self} at {}; run `cargo xtask setup`, or name the folder it made in COORD_SERVERS_DIR",
            path.display()
        )
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where `cargo xtask setup` puts servers.
pub(crate) fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.parent().unwrap_or(package);
    let named = |variable| std::env::var_os(variable).map(|folder| root.join(folder));
    named("COORD_SERVERS_DIR").unwrap_or_else(|| {
        let target = named("CARGO_TARGET_DIR").unwrap_or_else(|| root.join("target"));
        target.join("servers")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_version_is_an_error_that_names_it_and_says_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        for version in Version::ALL {
            let message = version.find_in(empty.path()).unwrap_err().to_string();
            assert!(message.contains(version.name()), "{message}");
            assert!(message.contains("cargo xtask setup"), "{message}");
        }
    }
}
