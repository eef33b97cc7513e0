//! Scripts on a table of their own: the embedded store, a clock that is a number, and calls by the scripts' contracts.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant},
    store::{Command, Reply, Store as _, embedded::Embedded},
};

use super::sources::Scripts;

/// What a panic begins with where a script failed instead of answering: no law is broken by that, the script is.
pub(super) const FAILURE: &str = "the script fails: ";

/// A store that nothing else uses, with the scripts to be examined.
pub(super) struct Bench {
    clock: Arc<ManualClock>,
    pub(super) embedded: Embedded,
    scripts: Scripts,
}

/// A clock that stands until it is set; one reading serves as both clocks.
struct ManualClock(AtomicU64);

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManualClock")
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_boot(self.wall())
    }

    fn wall(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl Bench {
    pub(super) fn new(scripts: Scripts) -> Self {
        let clock = Arc::new(ManualClock(AtomicU64::new(START_MS)));
        Self {
            embedded: Embedded::with_seed(Arc::<ManualClock>::clone(&clock), 1),
            clock,
            scripts,
        }
    }

    /// The scripts, for a bench beside this one.
    pub(super) fn scripts(&self) -> Scripts {
        self.scripts.clone()
    }

    /// The server's time, Unix ms.
    pub(super) fn now(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// Lets time pass.
    pub(super) fn advance(&self, ms: u64) {
        self.set_clock(self.now() + ms);
    }

    /// Steps the server's clock.
    pub(super) fn set_clock(&self, ms: u64) {
        self.clock.0.store(ms, Ordering::Relaxed);
    }

    /// Runs a script; its reply as texts, a list in it as one text.
    pub(super) fn call(&self, script: &str, keys: &[String], args: &[String]) -> Vec<String> {
        let reply = self.try_call(script, keys, args);
        reply.unwrap_or_else(|error| panic!("{FAILURE}{script}: {error}"))
    }

    /// [`Bench::call`] where a failure is an answer, too.
    pub(super) fn try_call(
        &self,
        script: &str,
        keys: &[String],
        args: &[String],
    ) -> Result<Vec<String>, String> {
        let command = Command::Eval {
            script: self.scripts.get(script),
            keys: keys.to_vec(),
            args: args.to_vec(),
        };
        let client = self.embedded.client();
        let commands = [command];
        let mut answer = client.pipeline(&commands, Duration::from_secs(1));
        let mut context = Context::from_waker(Waker::noop());
        // The embedded store answers when it is first polled: no fault is set.
        let Poll::Ready(mut replies) = answer.as_mut().poll(&mut context) else {
            panic!("the embedded store made a request wait");
        };
        match replies.remove(0) {
            Ok(Reply::Array(items)) => Ok(items.iter().map(text).collect()),
            Ok(other) => Err(format!("{other:?} is no list")),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    /// One command past the scripts.
    pub(super) fn send(&self, command: &[&str]) -> Reply {
        let reply = self.embedded.command(command);
        reply.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// [`Bench::send`]; nothing as an empty text.
    pub(super) fn text(&self, command: &[&str]) -> String {
        text(&self.send(command))
    }

    pub(super) fn number(&self, command: &[&str]) -> i64 {
        match self.send(command) {
            Reply::Int(number) => number,
            other => panic!("{command:?}: {other:?}"),
        }
    }

    /// The fields of the history under `key`.
    pub(super) fn history(&self, key: &str) -> Vec<String> {
        let text = self.text(&["HGET", key, "history"]);
        text.split(' ').map(str::to_owned).collect()
    }

    pub(super) fn set_history(&self, key: &str, field: usize, value: impl ToString) {
        let mut history = self.history(key);
        history[field] = value.to_string();
        self.send(&["HSET", key, "history", &history.join(" ")]);
    }

    /// Everything in the store, for comparison: values and how long they last.
    pub(super) fn everything(&self) -> Vec<String> {
        let keys = self.embedded.keys();
        let described = keys.iter().map(|key| {
            let read: &[&str] = match &*self.text(&["TYPE", key]) {
                "string" => &["GET", key],
                "hash" => &["HGETALL", key],
                "list" => &["LRANGE", key, "0", "-1"],
                "zset" => &["ZRANGE", key, "0", "-1", "WITHSCORES"],
                other => panic!("{key} is a {other}"),
            };
            let ttl = self.text(&["PTTL", key]);
            format!("{key} ({ttl}): {:?}", self.send(read))
        });
        described.collect()
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Nil => String::new(),
        Reply::Int(number) => number.to_string(),
        Reply::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        other => panic!("{other:?} is of an unknown kind"),
    }
}

/// In 2027, so that fences are as long as real ones.
const START_MS: u64 = 1_800_000_000_000;
