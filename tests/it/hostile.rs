//! A stranger who may write into the same Redis: what is not ours leads to clear errors and events, and once it is gone
//! everything goes on. What holds on every server is in the conformance suite; what the fuzzers look for is in
//! `crates/fuzz-targets`.

mod endless;
mod floods;
mod groups;
mod huge;
mod names;
mod secrets;

use std::{ops::RangeInclusive, time::Duration};

use coord_tests::server::RedisServer;
use raus::{Placement, Raus};
use redbuckets::Redbuckets;

const TTL: Duration = Duration::from_secs(3);
const PERIOD: Duration = Duration::from_millis(200);

fn server() -> RedisServer {
    RedisServer::start().expect("redis-server starts")
}

fn here() -> Placement {
    Placement::Runtime(tokio::runtime::Handle::current())
}

fn raus(server: &RedisServer, namespace: &str, range: RangeInclusive<u32>) -> Raus {
    raus_for(TTL, server, namespace, range)
}

fn raus_for(
    ttl: Duration,
    server: &RedisServer,
    namespace: &str,
    range: RangeInclusive<u32>,
) -> Raus {
    Raus::builder(&format!("{}?ns={namespace}", server.url()), range)
        .ttl(ttl)
        .heartbeat(PERIOD)
        .discovery(Duration::ZERO)
        .placement(here())
        .build()
        .expect("valid")
}

fn group(server: &RedisServer, prefix: &str, buckets: u32) -> redbuckets::Builder {
    Redbuckets::builder(&server.url(), "group")
        .key_prefix(prefix)
        .buckets(buckets)
        .ttl(TTL)
        .period(PERIOD)
        .settle(PERIOD)
        .placement(here())
}

/// Sends one command past the clients, from a thread where it may block.
async fn send(server: &RedisServer, command: &[&str]) {
    // Without the harness's timeouts: what is huge takes its time.
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_connection().expect("connects");
    let command = redis::cmd(command[0]).arg(&command[1..]).to_owned();
    let sent = tokio::task::spawn_blocking(move || command.query::<redis::Value>(&mut connection));
    sent.await.expect("no panic").expect("the server takes it");
}
