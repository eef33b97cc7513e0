//! Prometheus' own judge of alert rules.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::server::folder;

/// `promtool` on the `PATH`, or where `cargo xtask setup` puts it; `None` where this machine cannot have it.
#[must_use]
pub fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([folder().join("prometheus")]);
    folders
        .map(|folder| folder.join("promtool"))
        .find(|program| program.is_file())
}

/// Runs it in the workspace's folder `folder`.
///
/// # Errors
///
/// What it says where it is not satisfied.
pub fn run(promtool: &Path, folder: &str, arguments: &[&str]) -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(promtool)
        .args(arguments)
        .current_dir(root.join(folder))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", promtool.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        output.status.success(),
        "promtool {arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(())
}
