//! A write that replicas acknowledge.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    reply,
    wire::{self, Wire},
};
use crate::store::{Command, Reply, StoreError};

/// Runs `write` and then waits until `replicas` have acknowledged it and all that the server executed before. Nothing
/// else may use `wire`; after an error it must not be used again.
pub(super) async fn confirm(
    wire: &dyn Wire,
    address: &str,
    write: &Command,
    replicas: u32,
    within: Duration,
) -> Result<(Reply, u32), StoreError> {
    let operation = write.name();
    let deadline = Instant::now() + within;
    let timed_out = |_| StoreError::Timeout {
        operation,
        address: address.to_owned(),
        within,
    };
    let work = wire::run(wire, address, write);
    let answer = tokio::time::timeout_at(deadline, work)
        .await
        .map_err(timed_out)??;
    // The server gives up a little before the connection would have to be dropped.
    let left = deadline
        .saturating_duration_since(Instant::now())
        .mul_f64(0.8);
    let patience = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
    let command = redis::cmd("WAIT").arg(replicas).arg(patience).to_owned();
    let acknowledged = tokio::time::timeout_at(deadline, wire.send(command))
        .await
        .map_err(timed_out)?
        .and_then(|value| Ok(redis::from_redis_value::<u32>(value)?))
        .map_err(|error| reply::classify(operation, address, error))?;
    Ok((answer, acknowledged))
}
