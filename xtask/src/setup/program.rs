//! A server program and what it says it is.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// A server program that runs and says its version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) version: String,
    release: (u32, u32),
}

impl Program {
    /// Asks the program at `path`.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let output = Command::new(path)
            .arg("--version")
            .output()
            .with_context(|| format!("starting {}", path.display()))?;
        ensure!(
            output.status.success(),
            "{} --version ended with {}: {}",
            path.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let text = text.lines().next().unwrap_or_default();
        let (version, release) = version_in(text)
            .with_context(|| format!("{} says no version: {text:?}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            version,
            release,
        })
    }

    /// The first two numbers of its version.
    pub(super) const fn release(&self) -> (u32, u32) {
        self.release
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let Self { path, version, .. } = self;
        write!(f, "{name} {version} at {}", path.display())
    }
}

/// The version in `Redis server v=7.0.15 sha=…`, which Valkey says alike, and its first two numbers.
fn version_in(text: &str) -> Option<(String, (u32, u32))> {
    let text = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    let mut numbers = text.split('.').map(str::parse);
    let release = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((text.to_owned(), release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_redis_and_valkey_are_read() {
        let redis = version_in("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc");
        assert_eq!(redis, Some(("7.0.15".to_owned(), (7, 0))));
        let (_, valkey) = version_in("Valkey server v=8.1.8 sha=0").unwrap();
        assert_eq!(valkey, (8, 1));
        assert_eq!(version_in("no server at all"), None);
    }

    #[test]
    fn a_program_that_is_no_server_is_refused() {
        let error = Program::at(Path::new("/bin/false")).unwrap_err();
        assert!(error.to_string().contains("/bin/false"), "{error}");
    }
}
