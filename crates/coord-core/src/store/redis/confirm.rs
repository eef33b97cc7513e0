//! Writes that replicas acknowledge.

use std::time::Duration;

use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use super::{exchange, permission, reply, wire::Wire};
use crate::store::{Command, Confirmed, StoreError};

/// How many connections to one server may wait for replicas at a time: renewals on one of them wait neither for grants
/// nor for those who want more replicas than there are.
pub(super) const CONNECTIONS: usize = 3;

/// One of these alone: the first that is free, which is the same one as long as nobody else waits.
pub(super) async fn turn<T>(places: &[Mutex<T>; CONNECTIONS]) -> MutexGuard<'_, T> {
    for place in places {
        if let Ok(turn) = place.try_lock() {
            return turn;
        }
    }
    places[0].lock().await
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) confirmed: Confirmed,
    /// Whether the connection may be used again: nothing is under way on it, and it leads to the right server.
    pub(super) is_reusable: bool,
}

/// Runs `writes` in one write and then waits until `replicas` have acknowledged them and all that the server executed
/// before. Nothing else may use `wire`; after an error it must not be used again.
///
/// WAIT is sent when the writes are answered, which costs a round trip more than sending it along. In return there is
/// one WAIT even if scripts had to be repeated with their text, and the answers are known however late WAIT's is.
pub(super) async fn confirm(
    wire: &dyn Wire,
    address: &str,
    writes: &[&Command],
    replicas: u32,
    within: Duration,
) -> Result<Outcome, StoreError> {
    let operation = exchange::operation(writes);
    let deadline = Instant::now() + within;
    let replies = tokio::time::timeout_at(deadline, run(wire, address, writes))
        .await
        .unwrap_or_else(|_| {
            Err(StoreError::Timeout {
                operation,
                address: address.to_owned(),
                within,
            })
        })?;
    if replies.iter().all(Result::is_err) {
        return Ok(Outcome {
            is_reusable: !replies.iter().any(reply::condemns_connection),
            confirmed: (replies, 0),
        });
    }
    let waited =
        tokio::time::timeout_at(deadline, wait(wire, operation, address, replicas, deadline));
    let found = match waited.await {
        Ok(Ok(found)) => Some(found),
        // As if none had acknowledged them: what the server says of the leases counts all the same.
        Err(_elapsed) => None,
        Ok(Err(error)) if error.is_transient() => None,
        Ok(Err(error)) => return Err(error),
    };
    Ok(Outcome {
        is_reusable: found.is_some() && !replies.iter().any(reply::condemns_connection),
        confirmed: (replies, found.unwrap_or(0)),
    })
}

/// Runs scripts by their digests, and those that the server does not know by their texts.
async fn run(
    wire: &dyn Wire,
    address: &str,
    writes: &[&Command],
) -> Result<Vec<exchange::Outcome>, StoreError> {
    if writes.is_empty() {
        return Ok(Vec::new());
    }
    let mut replies = send(wire, address, writes, false).await?;
    let unknown: Vec<usize> = (0..replies.len())
        .filter(|&index| reply::is_unknown_script(&replies[index]))
        .collect();
    if unknown.is_empty() {
        return Ok(replies);
    }
    let again: Vec<&Command> = unknown.iter().map(|&index| writes[index]).collect();
    let answers = send(wire, address, &again, true).await?;
    for (index, answer) in unknown.into_iter().zip(answers) {
        replies[index] = answer;
    }
    Ok(replies)
}

async fn send(
    wire: &dyn Wire,
    address: &str,
    writes: &[&Command],
    with_source: bool,
) -> Result<Vec<exchange::Outcome>, StoreError> {
    let mut by_source = exchange::sources(with_source);
    let commands = writes
        .iter()
        .map(|write| exchange::packed(write, &mut by_source));
    let values = wire
        .send_all(commands.collect())
        .await
        .map_err(|error| reply::classify(exchange::operation(writes), address, error))?;
    let replies = writes.iter().zip(values).map(|(write, value)| {
        reply::convert(write.name(), address, value)
            .map_err(|error| permission::explain(write, error))
    });
    Ok(replies.collect())
}

/// How many replicas have what this connection wrote, and everything before that.
async fn wait(
    wire: &dyn Wire,
    operation: &'static str,
    address: &str,
    replicas: u32,
    deadline: Instant,
) -> Result<u32, StoreError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let patience = left.mul_f64(PATIENCE).as_millis();
    // WAIT takes 0 for "forever".
    let patience = u64::try_from(patience).unwrap_or(u64::MAX).max(1);
    let command = redis::cmd("WAIT").arg(replicas).arg(patience).to_owned();
    let answer = wire
        .send(command)
        .await
        .map_err(|error| reply::classify(operation, address, error))
        .and_then(|value| reply::convert(operation, address, value))
        .map_err(permission::explain_acknowledge)?;
    let found = answer.as_u64().and_then(|found| u32::try_from(found).ok());
    found.ok_or_else(|| StoreError::unexpected(operation, &answer))
}

/// The part of the time that the server is told: it looks ten times a second whether a WAIT is over, and its answer has
/// to be in time.
const PATIENCE: f64 = 0.7;

#[cfg(test)]
mod tests {
    use std::future::pending;

    use redis::{Cmd, RedisError, Value};

    use super::*;
    use crate::store::{BoxFuture, Reply};

    /// Answers every write with 1, and a WAIT as it is told: `None` for never.
    struct Server(Option<Result<Value, &'static str>>);

    impl Wire for Server {
        fn send(&self, _wait: Cmd) -> BoxFuture<'static, Result<Value, RedisError>> {
            let answer = self.0.clone();
            Box::pin(async move {
                match answer {
                    None => pending().await,
                    Some(Ok(value)) => Ok(value),
                    Some(Err(line)) => redis::parse_redis_value(line.as_bytes())?.extract_error(),
                }
            })
        }

        fn send_all(
            &self,
            commands: Vec<Cmd>,
        ) -> BoxFuture<'static, Result<Vec<Value>, RedisError>> {
            Box::pin(async move { Ok(vec![Value::Int(1); commands.len()]) })
        }
    }

    async fn confirmed(server: Server) -> Result<Outcome, StoreError> {
        let write = Command::Publish {
            channel: "c".to_owned(),
            payload: String::new(),
        };
        let within = Duration::from_millis(100);
        confirm(&server, "redis://h:6379/0", &[&write, &write], 1, within).await
    }

    /// A lease that is lost is known to be, however late the replicas are.
    #[tokio::test(start_paused = true)]
    async fn what_the_server_answered_counts_even_if_wait_never_ends() {
        for server in [
            Server(None),
            Server(Some(Err(
                "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n",
            ))),
        ] {
            let outcome = confirmed(server).await.expect("answered");
            let (replies, found) = outcome.confirmed;
            assert!(replies.iter().all(|it| matches!(it, Ok(Reply::Int(1)))));
            assert_eq!((replies.len(), found), (2, 0));
            assert!(!outcome.is_reusable, "its WAIT may still block it");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answered_is_used_again() {
        let outcome = confirmed(Server(Some(Ok(Value::Int(2))))).await;
        let outcome = outcome.expect("answered");
        assert_eq!((outcome.confirmed.1, outcome.is_reusable), (2, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_refused_is_an_error_that_stays() {
        let refused = Server(Some(Err("-ERR unknown command 'WAIT'\r\n")));
        let Err(error) = confirmed(refused).await else {
            panic!("it cannot wait");
        };
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains("acknowledge(n)"), "{error}");
    }
}
