//! A wall clock that can be stepped under a running program, through libfaketime.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// The wall clock of the programs started under it, at an offset that may change while they run.
///
/// Clones are the same clock. The monotonic clocks are left alone, as they are when a machine's clock is stepped.
#[derive(Debug, Clone)]
pub struct FakeClock {
    library: PathBuf,
    dir: Arc<TempDir>,
}

impl FakeClock {
    /// A clock without an offset yet.
    ///
    /// # Errors
    ///
    /// When libfaketime is not installed, or the file that carries the offset cannot be written.
    pub fn new() -> Result<Self> {
        let clock = Self {
            library: find_library()?,
            dir: Arc::new(tempfile::tempdir().context("creating a directory for a fake clock")?),
        };
        clock.set_offset_ms(0)?;
        Ok(clock)
    }

    /// Steps the clock to `offset_ms` milliseconds from the true time; at once, for everything that runs under it.
    ///
    /// # Errors
    ///
    /// When the file that carries the offset cannot be written.
    pub fn set_offset_ms(&self, offset_ms: i64) -> Result<()> {
        let sign = if offset_ms < 0 { '-' } else { '+' };
        let (s, ms) = (
            offset_ms.unsigned_abs() / 1_000,
            offset_ms.unsigned_abs() % 1_000,
        );
        self.write(&format!("{sign}{s}.{ms:03}"))
    }

    fn write(&self, offset: &str) -> Result<()> {
        // Renamed into place: a program must never read half an offset.
        let draft = self.dir.path().join("draft");
        fs::write(&draft, format!("{offset}\n"))
            .and_then(|()| fs::rename(&draft, self.offset_file()))
            .with_context(|| format!("writing the offset of a fake clock ({offset})"))
    }

    /// Makes the clock run too fast by so many millionths, in programs that are started from now on; each begins at the
    /// true time.
    ///
    /// # Errors
    ///
    /// When the file that carries the offset cannot be written.
    pub fn run_faster(&self, by: u32) -> Result<()> {
        self.write(&format!(
            "+0.000 x{}.{:06}",
            1 + by / 1_000_000,
            by % 1_000_000
        ))
    }

    /// Makes `command` run under this clock.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        // libfaketime deadlocks with jemalloc, which reads the clock before libfaketime is ready. With the C library
        // named as well, right behind it, its malloc wins over jemalloc's and Debian's redis-server runs.
        let mut preload = OsString::from(&self.library);
        preload.push(" libc.so.6");
        command
            .env("LD_PRELOAD", preload)
            .env_remove("FAKETIME")
            .env("FAKETIME_TIMESTAMP_FILE", self.offset_file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    }

    fn offset_file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }
}

fn find_library() -> Result<PathBuf> {
    let per_architecture = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let library = per_architecture
        .map(|entry| entry.path())
        .chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from))
        .map(|dir| dir.join("faketime/libfaketime.so.1"))
        .find(|path| Path::is_file(path));
    match library {
        Some(path) => Ok(path),
        None => bail!("libfaketime is not installed; run `cargo xtask setup`"),
    }
}
