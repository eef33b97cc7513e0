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
}

impl Wire for AtKey {
    fn send(&self, command: Cmd) -> BoxFuture<'static, Result<Value, RedisError>> {
        let mut call = redis::cmd("EVAL");
        call.arg(Self::CALL).arg(1).arg(&self.key);
        for argument in command.args_iter() {
            if let redis::Arg::Simple(argument) = argument {
                call.arg(argument);
            }
        }
        self.wire.send(call)
    }
}
