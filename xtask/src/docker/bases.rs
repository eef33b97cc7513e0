//! What the images are built on and run beside: pulled, or made of what this machine has.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::{Options, engine::Engine, folder, runs, write};
use crate::{cargo::Call, setup};

/// Images by their names.
#[derive(Debug)]
pub(super) struct Bases {
    build: Option<&'static str>,
    redis: Option<&'static str>,
}

impl Bases {
    /// Those that the Dockerfile and the compose files name.
    pub(super) const fn public() -> Self {
        Self {
            build: None,
            redis: None,
        }
    }

    /// Made here: Debian by debootstrap, Redis from the servers of the tests, Rust from this machine's toolchain.
    pub(super) fn make(engine: &Engine, options: Options) -> Result<Self> {
        runs::timed("Debian", || debian(engine))?;
        runs::timed("Redis", || redis(engine))?;
        if !options.prebuilt {
            runs::timed("Rust", || rust(engine))?;
        }
        Ok(Self {
            build: (!options.prebuilt).then_some(RUST),
            redis: Some(REDIS),
        })
    }

    pub(super) fn build_arguments(&self) -> Vec<String> {
        let base = self.build.map(|image| format!("BUILD_BASE={image}"));
        base.into_iter().collect()
    }

    /// For the compose files.
    pub(super) fn on(&self, call: Call) -> Call {
        match self.redis {
            Some(image) => call.env("REDIS_IMAGE", image),
            None => call,
        }
    }
}

fn debian(engine: &Engine) -> Result<()> {
    // An import has a name of its own each time, and what is built on the last one would be built anew.
    if engine.has_image(DEBIAN) {
        return Ok(());
    }
    let archive = folder()?.join("debian.tar");
    if !archive.is_file() {
        let system = env::temp_dir().join(format!("raus-debian-{}", std::process::id()));
        let made = debootstrap(&system, &archive);
        // Half a gigabyte, and all of it is in the archive.
        fs::remove_dir_all(&system)?;
        made?;
    }
    let import = engine.docker("import").arg(&archive.display().to_string());
    import.arg(DEBIAN).output().map(drop)
}

fn debootstrap(system: &Path, archive: &Path) -> Result<()> {
    let packages = "--include=ca-certificates,gcc,libc6-dev,libstdc++6,redis-tools";
    let call = Call::program("debootstrap", "--variant=minbase")
        .arg(packages)
        .arg("bookworm")
        .arg(&system.display().to_string());
    fs::create_dir_all(system)?;
    call.output().with_context(|| {
        format!("`{call}`; it comes with the package debootstrap and is run as root")
    })?;
    // Renamed into place: half an archive must not be taken for one.
    let draft = archive.with_extension("draft");
    let tar = Call::program(
        "tar",
        "--create --one-file-system --exclude=./var/cache/apt/archives/*.deb --directory",
    )
    .arg(&system.display().to_string())
    .arg("--file")
    .arg(&draft.display().to_string())
    .arg(".");
    tar.run().with_context(|| format!("`{tar}`"))?;
    fs::rename(draft, archive).with_context(|| format!("writing {}", archive.display()))
}

fn redis(engine: &Engine) -> Result<()> {
    let server = setup::newest_redis()?;
    let context = server.parent().context("a program lies in a folder")?;
    let text = format!(
        "FROM {DEBIAN}\nCOPY redis-server /usr/local/bin/redis-server\nCMD [\"redis-server\"]\n"
    );
    build(engine, REDIS, &text, context)
}

/// The toolchain first, then the crates: what changes less often comes first.
fn rust(engine: &Engine) -> Result<()> {
    Call::cargo("fetch --locked").run()?;
    let sysroot = Call::program("rustc", "--print=sysroot").output()?;
    let toolchain = format!("FROM {DEBIAN}\nCOPY bin /usr/local/bin\nCOPY lib /usr/local/lib\n");
    build(engine, RUST, &toolchain, Path::new(sysroot.trim()))?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cargo"))
    });
    let registry = home
        .context("neither CARGO_HOME nor HOME is set")?
        .join("registry");
    let crates = format!(
        "FROM {RUST}\nENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true\n\
         COPY index $CARGO_HOME/registry/index\nCOPY cache $CARGO_HOME/registry/cache\n"
    );
    build(engine, RUST, &crates, &registry)
}

/// The programs as the Dockerfile builds them, by this machine's cargo.
pub(super) fn build_here() -> Result<()> {
    for what in [
        "--package coordctl",
        "--package coord-tests --bin e2e --bin fleet",
    ] {
        let line = format!(
            "build --locked --profile image --target {} --target-dir target/docker {what}",
            host()?
        );
        let call = Call::cargo(&line).env("RUSTFLAGS", "-C target-feature=+crt-static");
        runs::timed("programs", || {
            call.run().with_context(|| format!("`{call}`"))
        })?;
    }
    Ok(())
}

/// Packs them where the Dockerfile looks for them; says so to it.
pub(super) fn pack(engine: &Engine) -> Result<Vec<String>> {
    let out = folder()?.join("out");
    fs::create_dir_all(&out)?;
    let built = folder()?.join(host()?).join("image");
    let certificates = PathBuf::from("/etc/ssl/certs/ca-certificates.crt");
    let programs = ["coordctl", "e2e", "fleet"].map(|name| built.join(name));
    for file in programs.iter().chain([&certificates]) {
        let name = file.file_name().context("a file has a name")?;
        fs::copy(file, out.join(name)).with_context(|| format!("packing {}", file.display()))?;
    }
    build(engine, PACKED, "FROM scratch\nCOPY . /out/\n", &out)?;
    let stages = ["BINARIES", "APP_BINARIES"];
    Ok(stages.map(|stage| format!("{stage}={PACKED}")).to_vec())
}

/// Builds from a Dockerfile that is too small for a file of its own.
fn build(engine: &Engine, image: &str, text: &str, context: &Path) -> Result<()> {
    let file = folder()?.join("Dockerfile");
    write(&file, text)?;
    let call = engine
        .docker("build --quiet --network=none --file")
        .arg(&file.display().to_string())
        .arg("--tag")
        .arg(image)
        .arg(&context.display().to_string());
    call.output().map(drop).with_context(|| format!("`{call}`"))
}

/// The target of this machine.
fn host() -> Result<String> {
    let version = Call::program("rustc", "-vV").output()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?;
    ensure!(
        host.contains("linux"),
        "images are built on Linux, this is {host}"
    );
    Ok(host.to_owned())
}

const DEBIAN: &str = "raus-debian:local";
const REDIS: &str = "raus-redis:local";
const RUST: &str = "raus-rust:local";
const PACKED: &str = "raus-packed:local";
