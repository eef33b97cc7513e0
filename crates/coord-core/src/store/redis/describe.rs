//! What the server says of itself, as far as it may be asked: one round trip.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use redis::{FromRedisValue, Value};
use tokio::time::Instant;

use super::{reply, wire::Wire};
use crate::store::{ServerInfo, StoreError, Unchecked};

/// A command, and what is not known without its answer.
pub(super) struct Question {
    command: &'static [&'static str],
    tells: &'static str,
    read: fn(&mut Answers, Value),
}

/// What is asked of a server that stands alone or has replicas.
pub(super) const SERVER: &[Question] = &[
    // First, so that as little as possible lies between the server's clock and the middle of the round trip.
    ask(&["TIME"], "clock", read_time),
    // One section a call: Redis 6.2 takes no more.
    ask(
        &["INFO", "server"],
        "version and identity (a failover goes unnoticed)",
        read_info,
    ),
    ask(&["INFO", "replication"], "role and replicas", read_info),
    ask(
        &["INFO", "memory"],
        "eviction policy and memory limit",
        read_info,
    ),
    ask(&["INFO", "persistence"], "append-only file", read_info),
    // One pattern a call: Redis 6.2 takes no more.
    ask(
        &["CONFIG", "GET", "min-replicas-*"],
        "min-replicas-to-write",
        read_config,
    ),
    ask(&["CONFIG", "GET", "save"], "snapshots", read_config),
];

/// What is asked of a node of a cluster besides.
#[cfg(feature = "cluster")]
pub(super) const NODE: &[Question] = &[ask(
    &["CONFIG", "GET", "cluster-node-timeout"],
    "how long a failover takes",
    read_config,
)];

const fn ask(
    command: &'static [&'static str],
    tells: &'static str,
    read: fn(&mut Answers, Value),
) -> Question {
    Question {
        command,
        tells,
        read,
    }
}

#[derive(Default)]
struct Answers {
    info: ServerInfo,
    master_host: Option<String>,
    master_port: Option<String>,
    time: Option<Duration>,
    append_only: Option<bool>,
    snapshots: Option<bool>,
}

/// A slower answer says too little about the clock behind it.
const MAX_ROUND_TRIP: Duration = Duration::from_millis(500);

pub(super) async fn describe(
    wire: &dyn Wire,
    address: &str,
    questions: &[&[Question]],
) -> Result<ServerInfo, StoreError> {
    let questions: Vec<&Question> = questions.iter().copied().flatten().collect();
    let sent = Instant::now();
    // All at once: on a connection that many may use they travel together.
    let values = join_all(questions.iter().map(|question| {
        let mut command = redis::cmd(question.command[0]);
        command.arg(&question.command[1..]);
        wire.send(command)
    }))
    .await;
    let round_trip = sent.elapsed();
    let mut answers = Answers::default();
    for (question, value) in questions.into_iter().zip(values) {
        match value {
            Ok(value) => (question.read)(&mut answers, value),
            Err(error) => {
                let error = reply::classify("describe", address, error);
                answers.info.unchecked.push(refusal(question, error)?);
            }
        }
    }
    Ok(answers.into_info(round_trip))
}

/// A refusal is noted; anything else ends the description.
fn refusal(question: &Question, error: StoreError) -> Result<Unchecked, StoreError> {
    match error {
        StoreError::Refused { code, detail, .. } => Ok(Unchecked::new(
            question.tells,
            question.command.join(" "),
            format!("{code} {detail}"),
        )),
        error => Err(error),
    }
}

fn read_time(answers: &mut Answers, value: Value) {
    let time: Option<(u64, u64)> = FromRedisValue::from_redis_value(value).ok();
    answers.time = time.and_then(|(seconds, us)| {
        Duration::from_secs(seconds).checked_add(Duration::from_micros(us))
    });
}

fn read_info(answers: &mut Answers, value: Value) {
    let text: String = FromRedisValue::from_redis_value(value).unwrap_or_default();
    for line in text.lines() {
        if let Some((field, value)) = line.trim_end().split_once(':') {
            answers.read_field(field, value);
        }
    }
}

fn read_config(answers: &mut Answers, value: Value) {
    let settings: HashMap<String, String> =
        FromRedisValue::from_redis_value(value).unwrap_or_default();
    for (name, value) in &settings {
        answers.read_setting(name, value);
    }
}

impl Answers {
    fn read_field(&mut self, field: &str, value: &str) {
        let info = &mut self.info;
        match field {
            "server_name" => info.product = value.to_owned(),
            // Valkey reports the Redis version it is compatible with; its own comes later and wins.
            "redis_version" if info.version.is_empty() => info.version = value.to_owned(),
            "valkey_version" => info.version = value.to_owned(),
            "run_id" => info.run_id = value.to_owned(),
            "role" => info.role = value.to_owned(),
            "master_host" => self.master_host = Some(value.to_owned()),
            "master_port" => self.master_port = Some(value.to_owned()),
            "connected_slaves" => info.connected_replicas = value.parse().unwrap_or_default(),
            "maxmemory_policy" => info.maxmemory_policy = value.to_owned(),
            "maxmemory" => info.maxmemory = value.parse().unwrap_or_default(),
            "used_memory" => info.used_memory = value.parse().unwrap_or_default(),
            "aof_enabled" => self.append_only = Some(value == "1"),
            _ => {}
        }
    }

    fn read_setting(&mut self, name: &str, value: &str) {
        let info = &mut self.info;
        match name {
            "min-replicas-to-write" => info.min_replicas_to_write = value.parse().ok(),
            "min-replicas-max-lag" => {
                info.min_replicas_max_lag = value.parse().ok().map(Duration::from_secs);
            }
            "save" => self.snapshots = Some(!value.is_empty()),
            #[cfg(feature = "cluster")]
            "cluster-node-timeout" => {
                info.failover = value
                    .parse()
                    .ok()
                    .map(|ms| crate::store::Failover::Cluster {
                        node_timeout: Duration::from_millis(ms),
                    });
            }
            _ => {}
        }
    }

    fn into_info(self, round_trip: Duration) -> ServerInfo {
        let mut info = self.info;
        if info.product.is_empty() {
            info.product = "redis".to_owned();
        }
        info.master = self
            .master_host
            .zip(self.master_port)
            .map(|(host, port)| format!("{host}:{port}"));
        info.persists = match (self.append_only, self.snapshots) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        match self.time {
            Some(time) if round_trip <= MAX_ROUND_TRIP => {
                info.wall = time.checked_add(round_trip / 2)
            }
            Some(_) => info.unchecked.push(Unchecked::new(
                "clock",
                "TIME",
                format!("the answer took {round_trip:?}"),
            )),
            None => {}
        }
        info
    }
}

/// Whatever is answered to them, and however late.
#[cfg(feature = "fuzzing")]
pub(super) fn fuzz(value: &Value, round_trip: Duration) -> ServerInfo {
    let mut answers = Answers::default();
    for read in [read_time, read_info, read_config] {
        read(&mut answers, value.clone());
    }
    answers.into_info(round_trip)
}

#[cfg(test)]
mod tests;
