//! What the server says of itself, as far as it may be asked.

use redis::{FromRedisValue, RedisError, Value};

use super::{reply, wire::Wire};
use crate::store::{ServerInfo, StoreError};

pub(super) async fn describe(wire: &dyn Wire, address: &str) -> Result<ServerInfo, StoreError> {
    let mut info = ServerInfo {
        product: "redis".to_owned(),
        ..ServerInfo::default()
    };
    // One section a call: Redis 6.2 takes no more.
    for section in ["server", "replication", "memory"] {
        let text: Result<String, _> = ask(wire, redis::cmd("INFO").arg(section)).await;
        match text {
            Ok(text) => text.lines().for_each(|line| read_line(&mut info, line)),
            Err(error) => note(&mut info, &format!("INFO {section}"), address, error)?,
        }
    }
    let mut setting = redis::cmd("CONFIG");
    setting.arg("GET").arg("min-replicas-to-write");
    let setting: Result<Vec<String>, _> = ask(wire, &setting).await;
    match setting {
        Ok(pair) => info.min_replicas_to_write = pair.get(1).and_then(|value| value.parse().ok()),
        Err(error) => note(
            &mut info,
            "CONFIG GET min-replicas-to-write",
            address,
            error,
        )?,
    }
    Ok(info)
}

async fn ask<T: FromRedisValue>(wire: &dyn Wire, command: &redis::Cmd) -> Result<T, RedisError> {
    let mut value = wire.send(command.clone()).await?;
    // A cluster connection answers INFO for every master; one of them speaks for all.
    if let Value::Map(answers) = &mut value
        && let Some(index) = answers.iter().position(|(_, answer)| is_text(answer))
    {
        value = answers.swap_remove(index).1;
    }
    Ok(redis::from_redis_value(value)?)
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::BulkString(text) if text.starts_with(b"#"))
        || matches!(value, Value::VerbatimString { .. })
}

fn read_line(info: &mut ServerInfo, line: &str) {
    let Some((key, value)) = line.trim_end().split_once(':') else {
        return;
    };
    match key {
        "server_name" => info.product = value.to_owned(),
        // Valkey reports the Redis version it is compatible with; its own comes later and wins.
        "redis_version" if info.version.is_empty() => info.version = value.to_owned(),
        "valkey_version" => info.version = value.to_owned(),
        "run_id" => info.run_id = value.to_owned(),
        "role" => info.role = value.to_owned(),
        "connected_slaves" => info.connected_replicas = value.parse().unwrap_or_default(),
        "maxmemory_policy" => info.maxmemory_policy = value.to_owned(),
        "maxmemory" => info.maxmemory = value.parse().unwrap_or_default(),
        _ => {}
    }
}

/// A refusal is noted; anything else ends the description.
fn note(
    info: &mut ServerInfo,
    what: &str,
    address: &str,
    error: RedisError,
) -> Result<(), StoreError> {
    let error = reply::classify("describe", address, error);
    if !matches!(error, StoreError::Refused { .. }) {
        return Err(error);
    }
    info.unchecked.push(format!("{what}: {error}"));
    Ok(())
}
