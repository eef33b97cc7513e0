//! Talking to a server.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use redis::{FromRedisValue, Value};

use super::RedisServer;
use crate::wait;

impl RedisServer {
    /// A connection as the `default` user that gives up after 5 s of connecting or of waiting for a reply.
    ///
    /// # Errors
    ///
    /// When the server does not answer in that time.
    pub fn connection(&self) -> Result<redis::Connection> {
        let client = redis::Client::open(self.url())?;
        let connection = client.get_connection_with_timeout(CONNECT_LIMIT)?;
        connection.set_read_timeout(Some(REPLY_LIMIT))?;
        connection.set_write_timeout(Some(REPLY_LIMIT))?;
        Ok(connection)
    }

    /// Sends one command over a connection of its own and returns the reply.
    ///
    /// # Errors
    ///
    /// When the server refuses the command or does not answer.
    pub fn cli(&self, command: &[&str]) -> Result<Value> {
        self.query(command)
    }

    /// [`RedisServer::cli`] with the reply converted.
    ///
    /// # Errors
    ///
    /// When the server refuses the command or does not answer, or the reply does not convert.
    pub fn query<T: FromRedisValue>(&self, command: &[&str]) -> Result<T> {
        let (name, arguments) = command.split_first().context("an empty command")?;
        redis::cmd(name)
            .arg(arguments)
            .query(&mut self.connection()?)
            .with_context(|| format!("`{}` on port {}", shown(command), self.port()))
    }

    /// One section of `INFO` as a map.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`].
    pub fn info(&self, section: &str) -> Result<BTreeMap<String, String>> {
        let text: String = self.query(&["INFO", section])?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(fields
            .map(|(field, value)| (field.to_owned(), value.to_owned()))
            .collect())
    }

    /// Waits until this replica of `master` has everything that was written there before this call.
    ///
    /// # Errors
    ///
    /// When it has not within `within`, or `master` does not answer.
    pub fn wait_caught_up(&self, master: &Self, within: Duration) -> Result<()> {
        let written = master.info("replication")?;
        let written = written
            .get("master_repl_offset")
            .context("a master without an offset")?;
        let written: u64 = written.parse()?;
        let caught_up = wait::until(within, || {
            let info = self.info("replication").ok()?;
            let received: u64 = info.get("slave_repl_offset")?.parse().ok()?;
            (info.get("master_link_status")? == "up" && written <= received).then_some(())
        });
        caught_up.with_context(|| {
            let (own, other) = (self.port(), master.port());
            format!(
                "the replica on port {own} lags behind its master on port {other} after {within:?}"
            )
        })
    }

    /// Waits until this master counts `count` replicas as in step, which it does a moment after they do themselves.
    ///
    /// # Errors
    ///
    /// When it has fewer after `within`, or does not answer.
    pub fn wait_replicas(&self, count: usize, within: Duration) -> Result<()> {
        let counted = wait::until(within, || {
            let info = self.info("replication").ok()?;
            let replicas = info.iter().filter(|(field, value)| {
                field.starts_with("slave") && value.contains("state=online")
            });
            (count <= replicas.count()).then_some(())
        });
        let port = self.port();
        counted.with_context(|| {
            format!("the master on port {port} has fewer than {count} replicas after {within:?}")
        })
    }

    /// How often each command was called since the server started or [`RedisServer::reset_stats`], in lower case.
    ///
    /// Calls that scripts make count too. Every call of this harness adds what a connection takes: `info`,
    /// `client|setinfo` and, with a password, `auth`.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`], or when the reply is not as expected.
    pub fn commandstats(&self) -> Result<BTreeMap<String, u64>> {
        let calls = |(field, value): (String, String)| {
            let calls = value
                .split(',')
                .find_map(|part| part.strip_prefix("calls="));
            let calls = calls.with_context(|| format!("no calls in {field}:{value}"))?;
            let command = field.strip_prefix("cmdstat_").unwrap_or(&field);
            Ok((command.to_lowercase(), calls.parse()?))
        };
        self.info("commandstats")?.into_iter().map(calls).collect()
    }

    /// Sets [`RedisServer::commandstats`] back to nothing.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`].
    pub fn reset_stats(&self) -> Result<()> {
        self.query(&["CONFIG", "RESETSTAT"])
    }

    /// Deletes every key.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::cli`].
    pub fn flush_all(&self) -> Result<()> {
        self.query(&["FLUSHALL"])
    }
}

/// The command without the password that follows an `AUTH` in it.
fn shown(command: &[&str]) -> String {
    let mut words = Vec::from(command);
    for place in 1..words.len() {
        if words[place - 1].eq_ignore_ascii_case("auth") {
            words[place] = "***";
        }
    }
    words.join(" ")
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const REPLY_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_does_not_show_the_password_of_a_command() {
        let command = [
            "MIGRATE",
            "127.0.0.1",
            "1",
            "",
            "0",
            "5",
            "AUTH",
            "hunter2",
            "KEYS",
            "a",
        ];
        assert_eq!(shown(&command), "MIGRATE 127.0.0.1 1  0 5 AUTH *** KEYS a");
        assert_eq!(shown(&["AUTH", "hunter2"]), "AUTH ***");
    }
}
