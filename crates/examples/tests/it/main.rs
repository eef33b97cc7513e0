//! The programs on real servers, as a user starts them.

mod own_pool;
mod service;
mod workers;

use std::time::Duration;

use coord_tests::{program::Program, server::RedisServer};

/// What is in time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn redis() -> RedisServer {
    RedisServer::start().expect("starts")
}

/// One of this package's programs, that uses `redis`.
fn program(path: &str, redis: &RedisServer) -> Program {
    Program::at(path).env("REDIS_URL", redis.url())
}
