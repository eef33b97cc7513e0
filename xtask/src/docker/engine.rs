//! A Docker engine: the one that runs, or one of our own for as long as this lasts.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::Call;

#[derive(Debug)]
pub(super) struct Engine {
    docker: &'static str,
    /// The plugin of `docker`, or else the program that came before it.
    has_plugin: bool,
    private: Option<Private>,
}

impl Engine {
    pub(super) fn find_or_start() -> Result<Self> {
        let docker = client()?;
        let has_plugin = succeeds(docker, "compose version");
        ensure!(
            has_plugin || succeeds("docker-compose", "version"),
            "there is neither the compose plugin of docker nor docker-compose.\n{INSTALL}"
        );
        let private = if succeeds(docker, "info") {
            println!("found a running Docker engine");
            None
        } else {
            Some(Private::start(docker)?)
        };
        Ok(Self {
            docker,
            has_plugin,
            private,
        })
    }

    pub(super) const fn is_ours(&self) -> bool {
        self.private.is_some()
    }

    /// A call of docker on this engine.
    pub(super) fn docker(&self, line: &str) -> Call {
        self.on_engine(Call::program(self.docker, line))
    }

    pub(super) fn has_image(&self, image: &str) -> bool {
        let listed = self.docker("image ls --quiet").arg(image).output();
        listed.is_ok_and(|ids| !ids.trim().is_empty())
    }

    /// A call of compose for the file of this deployment.
    pub(super) fn compose(&self, deployment: &str, line: &str) -> Call {
        let file = format!("--file docker/{deployment}/compose.yaml {line}");
        let call = if self.has_plugin {
            Call::program(self.docker, &format!("compose {file}"))
        } else {
            Call::program("docker-compose", &file)
        };
        self.on_engine(call)
    }

    fn on_engine(&self, call: Call) -> Call {
        let call = call.env("DOCKER_BUILDKIT", 1);
        match &self.private {
            Some(private) => call.env("DOCKER_HOST", private.host()),
            None => call,
        }
    }
}

/// A client that has BuildKit: within itself up to 22, as the plugin buildx from 23 on.
fn client() -> Result<&'static str> {
    // The second is Debian's, where another one comes first on the PATH.
    for docker in ["docker", "/usr/bin/docker"] {
        let version = Call::program(docker, "--version").output();
        let major = version.ok().and_then(|text| major(&text));
        if major.is_some_and(|major| major < 23) || succeeds(docker, "buildx version") {
            return Ok(docker);
        }
    }
    bail!("there is no docker that has BuildKit.\n{INSTALL}")
}

/// The first number in `Docker version 20.10.24+dfsg1, build 297e128`.
fn major(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    version.split('.').next()?.parse().ok()
}

fn succeeds(program: &str, line: &str) -> bool {
    let mut command = Command::new(program);
    command
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// An engine of our own, with everything that it has in one directory. It changes no rule of the machine's network: containers
/// reach each other, and nothing beyond.
#[derive(Debug)]
struct Private {
    daemon: Child,
    directory: PathBuf,
}

impl Private {
    fn start(docker: &str) -> Result<Self> {
        // The path of a socket has a hundred bytes, so a directory deep in the workspace will not do.
        let directory = env::temp_dir().join(format!("raus-docker-{}", std::process::id()));
        fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let log = directory.join("log");
        let log_file = fs::File::create(&log)?;
        let path = |name: &str| directory.join(name);
        let daemon = Command::new("dockerd")
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("socket").display()))
            .args("--bridge=none --iptables=false --ip-forward=false --ip-masq=false".split(' '))
            .stdin(Stdio::null())
            .stdout(log_file.try_clone()?)
            .stderr(log_file)
            .spawn();
        let daemon = match daemon {
            Ok(daemon) => daemon,
            Err(error) => {
                fs::remove_dir_all(&directory)?;
                bail!("no Docker engine runs, and dockerd cannot be started: {error}.\n{INSTALL}");
            }
        };
        let mut private = Self { daemon, directory };
        private.wait_ready(docker, &log)?;
        println!("started a Docker engine in {}", private.directory.display());
        Ok(private)
    }

    fn wait_ready(&mut self, docker: &str, log: &Path) -> Result<()> {
        for _ in 0..300 {
            if succeeds(docker, &format!("--host {} info", self.host())) {
                return Ok(());
            }
            if let Some(status) = self.daemon.try_wait()? {
                let text = fs::read_to_string(log).unwrap_or_default();
                let end: Vec<&str> = text.lines().rev().take(3).collect();
                bail!("dockerd ended with {status}; it has to be run as root: {end:?}\n{INSTALL}");
            }
            thread::sleep(Duration::from_millis(200));
        }
        bail!(
            "dockerd does not answer after a minute; see {}",
            log.display()
        )
    }

    fn host(&self) -> String {
        format!("unix://{}", self.directory.join("socket").display())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let pid = self.daemon.id().to_string();
        // Politely: what it has mounted is unmounted by nobody else.
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let has_ended = (0..300).any(|_| {
            thread::sleep(Duration::from_millis(200));
            self.daemon.try_wait().is_ok_and(|status| status.is_some())
        });
        if !has_ended {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            let directory = self.directory.display();
            eprintln!("note: remove {directory} by hand: {error}");
        }
    }
}

const INSTALL: &str = "Install what is missing and repeat the command:\n  \
    Debian, Ubuntu:  sudo apt-get install docker.io docker-compose debootstrap iptables\n\
    Any engine with BuildKit and compose will do; where none is running, one is started, for which this has to be run as root.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_version_is_read() {
        assert_eq!(
            major("Docker version 20.10.24+dfsg1, build 297e128"),
            Some(20)
        );
        assert_eq!(major("Docker version 28.2.2, build e6534b4"), Some(28));
        assert_eq!(major("podman version 5"), Some(5));
        assert_eq!(major("no such thing"), None);
    }
}
