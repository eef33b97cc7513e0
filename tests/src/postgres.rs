//! A PostgreSQL server of a test's own, for programs that write under a fencing token.

use std::{
    env, fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use crate::{port::Port, process::Process, wait};

/// A running server, stopped when this is dropped.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    account: Option<User>,
    dir: TempDir,
    port: Port,
    _process: Process,
}

impl Postgres {
    /// Makes an empty database and starts a server for it on a free port of loopback. It refuses to run as root, so
    /// then it runs as the user `postgres` that its package makes.
    ///
    /// # Errors
    ///
    /// When there is no PostgreSQL, or it does not start within 60 s; the message has its log.
    pub fn start() -> Result<Self> {
        let bin = find_bin()?;
        let account = account()?;
        let dir = tempfile::tempdir().context("creating a directory for PostgreSQL")?;
        let data = dir.path().join(DATA);
        if let Some(account) = &account {
            chown(
                dir.path(),
                Some(account.uid.as_raw()),
                Some(account.gid.as_raw()),
            )?;
        }
        let mut initdb = command(&bin.join("initdb"), account.as_ref());
        initdb
            .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
            .arg(&data);
        let made = initdb.output().context("running initdb")?;
        let complaints = String::from_utf8_lossy(&made.stderr);
        ensure!(made.status.success(), "initdb: {complaints}");
        let port = Port::claim()?;
        let process = serve(&bin, account.as_ref(), &data, &port)?;
        let server = Self {
            bin,
            account,
            dir,
            port,
            _process: process,
        };
        server.wait_ready(Duration::from_secs(60))?;
        Ok(server)
    }

    /// Where the database `postgres` is.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/postgres",
            self.port.number()
        )
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join(DATA).join(LOG)).unwrap_or_default()
    }

    fn wait_ready(&self, within: Duration) -> Result<()> {
        let ready = wait::until(within, || {
            let mut ask = Command::new(self.bin.join("pg_isready"));
            let asked = ask
                .args(["-q", "-h", "127.0.0.1", "-p"])
                .arg(self.port.number().to_string())
                .status();
            asked.is_ok_and(|status| status.success()).then_some(())
        });
        ready.with_context(|| format!("PostgreSQL is not ready after {within:?}: {}", self.log()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Asked to, it takes its children and its shared memory with it; the handle kills what is left.
        let mut stop = command(&self.bin.join("pg_ctl"), self.account.as_ref());
        let stop = stop
            .args(["stop", "--mode=immediate", "--silent", "--timeout=10", "-D"])
            .arg(self.dir.path().join(DATA));
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn serve(bin: &Path, account: Option<&User>, data: &Path, port: &Port) -> Result<Process> {
    let mut server = command(&bin.join("postgres"), account);
    let settings = [
        format!("port={}", port.number()),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "logging_collector=off".to_owned(),
    ];
    server.arg("-D").arg(data);
    for setting in settings {
        server.arg("-c").arg(setting);
    }
    let log = fs::File::create(data.join(LOG)).context("creating PostgreSQL's log")?;
    server
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let child = Process::spawn(server).context("starting PostgreSQL")?;
    Ok(Process::new(
        format!("PostgreSQL on port {}", port.number()),
        child,
    ))
}

/// A call that ends with this process, as `account` where one is given.
fn command(program: &Path, account: Option<&User>) -> Command {
    let Some(account) = account else {
        return Process::command(program);
    };
    let mut command = Process::command("setpriv");
    command
        .arg(format!("--reuid={}", account.uid))
        .arg(format!("--regid={}", account.gid))
        .args(["--clear-groups", "--pdeathsig", "KILL"])
        .arg(program)
        .current_dir("/");
    command
}

/// Nobody in particular, except for root.
fn account() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres")?;
    let user = user.context("PostgreSQL does not run as root, and there is no user postgres")?;
    Ok(Some(user))
}

/// Debian keeps the programs of each version in a folder of its own.
fn find_bin() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let on_path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    env::split_paths(&on_path)
        .chain(folders.into_iter().rev())
        .find(|folder| {
            ["initdb", "postgres", "pg_ctl", "pg_isready"]
                .iter()
                .all(|name| folder.join(name).is_file())
        })
        .context("no PostgreSQL server found; run `cargo xtask setup`")
}

const DATA: &str = "data";
const LOG: &str = "server.log";
