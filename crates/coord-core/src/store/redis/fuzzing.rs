//! Doors to the parsers of what servers say, for the fuzz targets.

use std::time::Duration;

use redis::Value;

pub use super::intake::fuzzing::frames;
use super::{describe, reply};
use crate::store::{Reply, ServerInfo, StoreError};

/// What a server's `bytes` mean, read by the client's own parser; ends at the first that it refuses.
pub fn replies(bytes: &[u8]) -> Vec<Result<Reply, StoreError>> {
    values(bytes)
        .map(|value| reply::convert("fuzz", "server", value))
        .collect()
}

/// What nodes of a cluster and sentinels may answer with `bytes`.
pub fn deployment(bytes: &[u8]) {
    #[cfg(feature = "cluster")]
    super::cluster::fuzz(&String::from_utf8_lossy(bytes));
    for value in values(bytes) {
        #[cfg(feature = "cluster")]
        if let Ok(text) = redis::from_redis_value::<String>(value.clone()) {
            super::cluster::fuzz(&text);
        }
        #[cfg(feature = "sentinel")]
        super::sentinel::fuzz(&value);
        let _ = value;
    }
}

/// What a server says of itself with `bytes`.
pub fn describe(bytes: &[u8]) -> Vec<ServerInfo> {
    let bulk = Value::BulkString(bytes.to_vec());
    let found = std::iter::once(bulk).chain(values(bytes));
    found
        .map(|value| describe::fuzz(&value, Duration::from_millis(3)))
        .collect()
}

fn values(mut bytes: &[u8]) -> impl Iterator<Item = Value> {
    let mut parser = redis::Parser::new();
    std::iter::from_fn(move || parser.parse_value(&mut bytes).ok())
}
