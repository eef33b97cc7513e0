//! The workspace's programs, built once per test run.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};

/// Builds the workspace's examples, its command line tool and its tasks once, and says where they are: the tools' directory, of which
/// the examples' is one.
pub(crate) fn built() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built
        .as_deref()
        .map_err(|error| anyhow!("building the programs: {error}"))
}

fn build() -> Result<PathBuf> {
    // A test program lies in <target>/<profile>/deps, or <target>/<triple>/<profile>/deps.
    let program = env::current_exe().context("finding the test program")?;
    let profile_dir = program.ancestors().nth(2).context("an unusual target")?;
    let profile = match profile_dir.file_name().and_then(OsStr::to_str) {
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("no profile in {}", program.display()),
    };
    // The selection of `cargo xtask test`: the same features, hence nothing to build again after it.
    let selection = [
        "--workspace",
        "--all-features",
        "--examples",
        "--bin=coordctl",
        "--bin=xtask",
    ];
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        // What cargo tells this test of its package. A build script that looks at it (ring's) would run again, and all that
        // depends on it be built anew, here and after this once more.
        let name_text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|of_package| name_text.starts_with(of_package))
        {
            command.env_remove(&name);
        }
    }
    let output = command
        .arg("build")
        .args(selection)
        .args(["--profile", profile, "--target-dir"])
        .arg(profile_dir.parent().context("an unusual target")?)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}:\n{messages}", output.status);
    }
    Ok(profile_dir.to_owned())
}
