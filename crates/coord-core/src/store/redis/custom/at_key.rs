//! Commands without a key, sent to the node of a cluster that serves one.

use std::sync::Arc;

use redis::{Cmd, RedisError, Value};

use super::Wire;
use crate::store::BoxFuture;

/// Sends every command to the node that serves `key`, within a script that declares it: a cluster connection would ask
/// any node or all of them. What scripts must not call (CONFIG) is refused.
pub(super) struct AtKey {
    wire: Arc<dyn Wire>,
    key: String,
}

impl AtKey {
    const CALL: &str = "return redis.call(unpack(ARGV))";

    pub(super) fn new(wire: Arc<dyn Wire>, key: &str) -> Self {
        Self {
            wire,
            key: key.to_owned(),
        }
    }

    fn call(&self, command: &Cmd) -> Cmd {
        let mut call = redis::cmd("EVAL");
        call.arg(Self::CALL).arg(1).arg(&self.key);
        for argument in command.args_iter() {
            if let redis::Arg::Simple(argument) = argument {
                call.arg(argument);
            }
        }
        call
    }
}

impl Wire for AtKey {
    fn send(&self, command: Cmd) -> BoxFuture<'static, Result<Value, RedisError>> {
        self.wire.send(self.call(&command))
    }

    fn send_all(&self, commands: Vec<Cmd>) -> BoxFuture<'static, Result<Vec<Value>, RedisError>> {
        let calls = commands.iter().map(|command| self.call(command));
        self.wire.send_all(calls.collect())
    }
}
