//! One object-safe view of every connection that the client library has, and of those that users write.

use redis::{Cmd, RedisError, Value, aio::ConnectionLike};

use super::{
    exchange::{Outcome, packed},
    permission, reply,
};
use crate::store::{BoxFuture, Command};

/// A connection that many may use at once, one command at a time: in a cluster each finds its own way by its keys.
pub(super) trait Wire: Send + Sync {
    fn send(&self, command: Cmd) -> BoxFuture<'static, Result<Value, RedisError>>;

    /// Sends all of them in one write. What the server says against one of them is among the values.
    fn send_all(&self, commands: Vec<Cmd>) -> BoxFuture<'static, Result<Vec<Value>, RedisError>>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Wire for C {
    fn send(&self, command: Cmd) -> BoxFuture<'static, Result<Value, RedisError>> {
        let mut connection = self.clone();
        Box::pin(async move {
            connection
                .req_packed_command(&command)
                .await?
                .extract_error()
        })
    }

    fn send_all(&self, commands: Vec<Cmd>) -> BoxFuture<'static, Result<Vec<Value>, RedisError>> {
        let mut connection = self.clone();
        Box::pin(async move {
            let count = commands.len();
            let mut pipeline = redis::Pipeline::with_capacity(count);
            for command in commands {
                pipeline.add_command(command);
            }
            connection.req_packed_commands(&pipeline, 0, count).await
        })
    }
}

/// Runs one command: a script by its digest, and where the server does not know it, by its text.
pub(super) async fn run(wire: &dyn Wire, address: &str, command: &Command) -> Outcome {
    let by_digest = send(wire, address, command, false).await;
    if reply::is_unknown_script(&by_digest) {
        return send(wire, address, command, true).await;
    }
    by_digest
}

async fn send(wire: &dyn Wire, address: &str, command: &Command, with_source: bool) -> Outcome {
    let operation = command.name();
    let outcome = match wire.send(packed(command, |_| with_source)).await {
        Ok(value) => reply::convert(operation, address, value),
        Err(error) => Err(reply::classify(operation, address, error)),
    };
    outcome.map_err(|error| permission::explain(command, error))
}
