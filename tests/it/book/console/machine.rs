//! The machine that a reader sits at: a shell in an empty folder, the project's programs on the path, a server.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::Stdio,
    time::Duration,
};

use coord_tests::{
    port::Port,
    process::Process,
    program::Program,
    server::{RedisServer, find_redis_server},
    wait,
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::book::root;

/// What a command left.
pub(super) struct Output {
    pub(super) code: i32,
    pub(super) text: String,
}

pub(super) struct Machine {
    home: TempDir,
    server: Server,
}

/// The server that a chapter talks to.
enum Server {
    /// The reader starts it here.
    Readers(Port),
    Ours(RedisServer),
}

impl Machine {
    /// What the reader does by himself is not done for him.
    pub(super) fn new(starts_server: bool, installs_tool: bool) -> Self {
        let server = if starts_server {
            Server::Readers(Port::claim().expect("a port is free"))
        } else {
            Server::Ours(RedisServer::start().expect("it starts"))
        };
        let home = tempfile::tempdir().expect("a directory");
        let machine = Self { home, server };
        machine.install(installs_tool);
        machine
    }

    /// The port that stands where the chapters say 6379.
    fn port(&self) -> u16 {
        match &self.server {
            Server::Readers(port) => port.number(),
            Server::Ours(server) => server.port(),
        }
    }

    /// Runs a script, and says what each command left that came to its end within `limit`.
    pub(super) fn type_in(&self, script: &str, limit: Duration) -> Vec<Output> {
        let home = self.home.path();
        let folder = home.join("work");
        fs::create_dir(&folder).expect("a directory");
        let file = home.join("script");
        fs::write(&file, self.at_port(script)).expect("it is written");
        let transcript = home.join("transcript");
        let output = fs::File::create(&transcript).expect("a file");
        let path = std::env::var("PATH").expect("there is a path");
        let mut command = Process::command("sh");
        command
            .arg(&file)
            .current_dir(&folder)
            .env("PATH", format!("{}:{path}", home.join("bin").display()))
            .env("HOME", &folder)
            .env_remove("REDIS_URL")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(output)
            .process_group(0);
        let shell = Process::new("sh", Process::spawn(command).expect("sh starts"));
        let ended = wait::until(limit, || shell.ended());
        // Whatever still runs in the background is the reader's no more.
        end(shell.pid());
        let text = fs::read(&transcript).expect("it is there");
        let text = String::from_utf8_lossy(&text)
            .replace(&format!(":{}", self.port()), &format!(":{PORT}"));
        let outputs = outputs(&text);
        assert!(
            ended.is_some() || !outputs.is_empty(),
            "the shell did not end within {limit:?}:\n{text}"
        );
        outputs
    }

    fn at_port(&self, script: &str) -> String {
        script.replace(PORT, &self.port().to_string())
    }

    /// Puts the programs that chapters name into a folder that comes first on the path.
    fn install(&self, installs_tool: bool) {
        let bin = self.home.path().join("bin");
        fs::create_dir(&bin).expect("a directory");
        let server = find_redis_server().expect("a server program");
        let cli = server.with_file_name("redis-cli");
        assert!(
            cli.is_file(),
            "no redis-cli beside {}; install it (Debian: redis-tools)",
            server.display()
        );
        let coordctl = Program::coordctl().expect("it builds");
        let port = self.port();
        write_program(
            &bin.join("redis-server"),
            &format!("exec {} --port {port} \"$@\"", server.display()),
        );
        write_program(
            &bin.join("redis-cli"),
            &format!("exec {} -p {port} \"$@\"", cli.display()),
        );
        write_program(&bin.join("cargo"), &cargo(&bin, coordctl.path()));
        // A guide's "wait a second" is for a machine that has nothing else to do, which those that test seldom are.
        write_program(
            &bin.join("sleep"),
            "exec /bin/sleep \"$(awk \"BEGIN { print 3 * $1 }\")\"",
        );
        if !installs_tool {
            symlink(coordctl.path(), bin.join("coordctl")).expect("it is made");
        }
    }
}

/// Stands for cargo, whose commands the guides type where the programs lie ready: the same programs run, from this build.
fn cargo(bin: &Path, coordctl: &Path) -> String {
    let examples = coordctl.with_file_name("examples");
    format!(
        r#"root={root} examples={examples} bin={bin}
fail() {{ echo "tests/it/book: no idea what cargo $* does" >&2; exit 1; }}
case "$1 $2" in
"install --locked")
    [ "$3 $4" = "--path crates/coordctl" ] && [ -f "$root/$4/Cargo.toml" ] || fail "$@"
    exec ln -s {coordctl} "$bin/coordctl" ;;
"xtask demo")
    "$examples/demo" && exec "$examples/ownership" ;;
"build --quiet")
    [ "$3 $5" = "-p --example" ] && [ -f "$root/crates/$4/examples/$6.rs" ] && [ $# = 6 ] || fail "$@" ;;
"run --quiet")
    [ "$3 $5" = "-p --example" ] && [ -f "$root/crates/$4/examples/$6.rs" ] && [ "$7" = "--" ] || fail "$@"
    program="$examples/$6"
    shift 7
    exec "$program" "$@" ;;
*) fail "$@" ;;
esac"#,
        root = root().display(),
        examples = examples.display(),
        bin = bin.display(),
        coordctl = coordctl.display(),
    )
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("it is written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it may run");
}

fn end(group: u32) {
    let group = Pid::from_raw(i32::try_from(group).expect("numbers of processes are small"));
    // Nobody may be left in it.
    if killpg(group, Signal::SIGTERM).is_ok() {
        let gone = wait::until(Duration::from_secs(10), || {
            killpg(group, None).is_err().then_some(())
        });
        if gone.is_none() {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

fn outputs(transcript: &str) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut text = String::new();
    for line in transcript.split_inclusive('\n') {
        let code = line.trim_end().strip_prefix(MARK).map(str::trim);
        match code.and_then(|code| code.parse().ok()) {
            Some(code) => {
                // The mark begins with a line end of its own.
                let own = text.strip_suffix('\n').unwrap_or(&text).to_owned();
                text.clear();
                outputs.push(Output { code, text: own });
            }
            None => text.push_str(line),
        }
    }
    outputs
}

/// No program prints this.
pub(super) const MARK: &str = "@@ end of a command @@";

pub(super) const WAIT_FOR_SERVER: &str =
    "for i in $(seq 100); do redis-cli ping >/dev/null 2>&1 && break; sleep 0.1; done\n";

/// What chapters call the server's port.
const PORT: &str = "6379";
