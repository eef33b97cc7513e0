//! The command line tool as users run it: real processes, real servers.

mod bad_input;
mod buckets;
mod doctor;
mod exec;
mod exporter;
mod ids;
mod lost;
mod namespaces;
mod offline;
mod processes;
mod report;
mod revoke;
mod status;
mod sweep;

use std::{fs, time::Duration};

use ::raus::{MachineId, Raus};
use coord_tests::{
    program::{Program, Running},
    server::RedisServer,
};
use serde_json::Value;

/// For everything that is waited for; nothing takes nearly as long.
const LIMIT: Duration = Duration::from_secs(60);

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn server() -> RedisServer {
    RedisServer::start().expect("redis-server starts")
}

/// The tool on this server, as the environment of a container would name it.
fn tool(server: &RedisServer, arguments: &[&str]) -> Program {
    tool_at(&server.url(), arguments)
}

fn tool_at(url: &str, arguments: &[&str]) -> Program {
    Program::coordctl()
        .expect("it builds")
        .args(arguments)
        .env("REDIS_URL", url)
}

pub(crate) fn finish(running: &mut Running) -> Outcome {
    let status = running.wait(LIMIT).expect("it ends");
    Outcome {
        code: status.code(),
        stdout: fs::read_to_string(running.stdout_path()).expect("it is text"),
        stderr: running.stderr(),
    }
}

fn run(server: &RedisServer, arguments: &[&str]) -> Outcome {
    run_at(&server.url(), arguments)
}

fn run_at(url: &str, arguments: &[&str]) -> Outcome {
    let tool = tool_at(url, arguments);
    finish(&mut tool.spawn().expect("it starts"))
}

/// Holds a machine ID of this range under a label.
async fn hold(
    server: &RedisServer,
    range: std::ops::RangeInclusive<u32>,
    label: &str,
) -> MachineId {
    let raus = Raus::builder(&server.url(), range)
        .discovery(Duration::ZERO)
        .label(label)
        .build()
        .expect("valid");
    raus.acquire().await.expect("one is free")
}

/// `id exec` with a short lease; `script` is for `sh`.
fn exec(server: &RedisServer, options: &[&str], script: &str) -> Running {
    let mut arguments = vec!["id", "exec", "--discovery", "0s"];
    arguments.extend(options);
    arguments.extend(["--", "sh", "-c", script]);
    tool(server, &arguments).spawn().expect("it starts")
}
