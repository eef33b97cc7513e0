//! What the tests need beside cargo: a Redis server, and libfaketime to step its clock.

use std::{
    env, fs,
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::Call;

/// Finds what the tests need, installs what is missing where that is possible, and says what it did.
pub(crate) fn setup() -> Result<()> {
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
        Some(path) => println!("found {}", server_version(&path)?),
        None => missing.push("redis-server"),
    }
    match find_faketime() {
        Some(path) => println!("found {}", path.display()),
        None => missing.push("faketime"),
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

/// Name, version and place of a server program; an error where the tests cannot use it.
fn server_version(path: &Path) -> Result<String> {
    let output = Command::new(path)
        .arg("--version")
        .output()
        .with_context(|| format!("starting {}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.lines().next().unwrap_or_default();
    let version = version_in(text)
        .with_context(|| format!("{} says no version: {text:?}", path.display()))?;
    ensure!(
        OLDEST_SERVER <= (version.major, version.minor),
        "{} is version {}, and 6.2 is the oldest that is supported; name another in {SERVER_VARIABLE}",
        path.display(),
        version.text
    );
    Ok(format!(
        "redis-server {} at {}",
        version.text,
        path.display()
    ))
}

#[derive(Debug, PartialEq, Eq)]
struct Version {
    major: u32,
    minor: u32,
    text: String,
}

/// The version in `Redis server v=7.0.15 sha=…`, which Valkey says alike.
fn version_in(text: &str) -> Option<Version> {
    let text = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    let mut numbers = text.split('.').map(str::parse);
    Some(Version {
        major: numbers.next()?.ok()?,
        minor: numbers.next()?.ok()?,
        text: text.to_owned(),
    })
}

fn can_install() -> bool {
    let is_debian = Path::new("/etc/debian_version").exists() && on_path("apt-get").is_some();
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    is_debian && is_root
}

fn instructions(packages: &str) -> String {
    format!(
        "the tests need {packages}. Install it and repeat the command:\n  \
         Debian, Ubuntu:  sudo apt-get install redis-server faketime\n  \
         Fedora:          sudo dnf install redis libfaketime\n  \
         Arch:            sudo pacman -S redis libfaketime\n\
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
    if has_systemd && packages.contains("redis-server") {
        // The tests start servers of their own. Where this fails, one idle server more is running.
        let call = Call::program("systemctl", "disable --now redis-server");
        if call.run().is_err() {
            println!("note: `{call}` failed; the packaged service may be running");
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
    fn versions_of_redis_and_valkey_are_read() {
        let redis = version_in("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc").unwrap();
        assert_eq!((redis.major, redis.minor, &*redis.text), (7, 0, "7.0.15"));
        let valkey = version_in("Valkey server v=8.1.8 sha=0").unwrap();
        assert_eq!((valkey.major, valkey.minor), (8, 1));
        assert_eq!(version_in("no server at all"), None);
    }

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
