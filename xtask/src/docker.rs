//! The images and compose files, built and run where no image can be pulled.

mod bases;
mod engine;
mod runs;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use self::{bases::Bases, engine::Engine};
use crate::cargo;

/// Where the programs and what they run on come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Pull the bases, as users do; otherwise they are made here.
    pub(crate) pull: bool,
    /// Pack what this machine's cargo builds; otherwise it is built in a container.
    pub(crate) prebuilt: bool,
}

/// Builds the images, runs the three compose files and what has to fail, and takes everything down.
pub(crate) fn docker(options: Options) -> Result<()> {
    let started = runs::now();
    let engine = Engine::find_or_start()?;
    let bases = if options.pull {
        Bases::public()
    } else {
        Bases::make(&engine, options)?
    };
    let binaries = if options.prebuilt {
        bases::build_here()?;
        bases::pack(&engine)?
    } else {
        Vec::new()
    };
    for (target, image) in [("coordctl", COORDCTL), ("app", APP)] {
        let mut build = engine.docker("build --file docker/Dockerfile");
        for argument in bases.build_arguments().iter().chain(&binaries) {
            build = build.arg("--build-arg").arg(argument);
        }
        let build = match (options.pull, engine.is_ours()) {
            (false, _) => build.arg("--network=none"),
            // Ours has no other way out.
            (true, true) => build.arg("--network=host"),
            (true, false) => build,
        };
        let build = build
            .arg("--target")
            .arg(target)
            .arg("--tag")
            .arg(image)
            .arg(".");
        runs::timed(&format!("image {image}"), || {
            build.run().with_context(|| format!("`{build}`"))
        })?;
    }
    runs::report_size(&engine)?;
    runs::check_all(&engine, &bases)?;
    if engine.is_ours() {
        // With the engine goes its storage, and the image with it.
        let archive = folder()?.join("coordctl.tar");
        engine
            .docker("save --output")
            .arg(&archive.display().to_string())
            .arg(COORDCTL)
            .run()?;
        println!(
            "the image is in {}: docker load --input it",
            archive.display()
        );
    }
    println!(
        "all as it should be, in {:.0} s",
        (runs::now() - started).as_secs_f64()
    );
    Ok(())
}

/// For what is worth keeping.
fn folder() -> Result<PathBuf> {
    let folder = cargo::root().join("target/docker");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder.canonicalize()?)
}

/// A file for the engine.
fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

const COORDCTL: &str = "coordctl";
const APP: &str = "raus-e2e";
