//! What operators are told about their servers, and which servers are refused.

mod deployment;
mod events;
mod eviction;
mod failover;
mod report;
mod said;

use std::time::Duration;

use coord_tests::server::{RedisServer, ServerBuilder};
use raus::{Placement, Raus};
use redbuckets::Redbuckets;

fn started(builder: ServerBuilder) -> RedisServer {
    builder.start().expect("redis-server starts")
}

fn evicting(policy: &str) -> ServerBuilder {
    RedisServer::builder()
        .config_line("maxmemory 100mb")
        .config_line(format!("maxmemory-policy {policy}"))
}

fn machine_ids(url: &str) -> raus::Builder {
    Raus::builder(url, 0..=9)
        .discovery(Duration::ZERO)
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
}

fn buckets(url: &str) -> redbuckets::Builder {
    Redbuckets::builder(url, "group")
        .buckets(4)
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
}
