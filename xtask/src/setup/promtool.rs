//! Prometheus' own judge of the alert rules. Not every machine can have it, so it is no must; that it is missing is said.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::{on_path, servers};

/// Finds it or takes it out of Debian's package, of which nothing else is installed: no service, no dependencies.
pub(super) fn provide() {
    if let Some(found) = on_path("promtool") {
        println!("found promtool at {}", found.display());
        return;
    }
    let folder = servers::folder().join("prometheus");
    let place = folder.join("promtool");
    if place.is_file() {
        println!("found promtool at {}", place.display());
        return;
    }
    match fetch(&folder, &place) {
        Ok(()) => println!("made promtool at {}", place.display()),
        Err(error) => println!(
            "note: PROMTOOL IS NOT AVAILABLE ({error:#}): the tests check the names in the alert rules, and do not load the \
             rules. Install Prometheus (Debian, Ubuntu: prometheus; Fedora: golang-github-prometheus), or put promtool into {}",
            folder.display()
        ),
    }
}

fn fetch(folder: &Path, place: &Path) -> Result<()> {
    ensure!(
        on_path("apt-get").is_some() && on_path("dpkg-deb").is_some(),
        "this is no Debian"
    );
    let download = folder.join("download");
    let fetched = unpack(&download, place);
    // What is left over would only waste space.
    let _ = fs::remove_dir_all(&download);
    fetched
}

fn unpack(download: &Path, place: &Path) -> Result<()> {
    fs::create_dir_all(download).with_context(|| format!("creating {}", download.display()))?;
    println!("fetching promtool out of Debian's package prometheus");
    // Where the list of packages is missing or old, only the administrator can renew it; then this fails.
    run(download, "apt-get", &["download", "--quiet", "prometheus"])?;
    let files = fs::read_dir(download)?.flatten().map(|entry| entry.path());
    let package: PathBuf = files
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .context("apt-get left no package")?;
    let package = package.to_str().context("a path that is no text")?;
    run(download, "dpkg-deb", &["--extract", package, "content"])?;
    // Renamed into place: a program must never be found half written.
    fs::rename(download.join("content/usr/bin/promtool"), place)
        .with_context(|| format!("writing {}", place.display()))
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()
        .with_context(|| format!("starting {program}"))?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_named() {
        let here = Path::new(".");
        let error = run(here, "false", &[]).unwrap_err();
        assert!(error.to_string().contains("false"), "{error}");
        let error = run(here, "no-such-program", &[]).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
