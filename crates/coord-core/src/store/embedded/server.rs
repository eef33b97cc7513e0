//! The identity of the engine's "server" and what `INFO` tells of it.

use std::{fmt::Write as _, time::Duration};

/// What a restart renews.
#[derive(Debug)]
pub(super) struct Server {
    run_id: String,
    replication_id: String,
    /// That of the server this one was a replica of.
    former_replication_id: Option<String>,
    /// When the process started, server time.
    started: Duration,
    /// How many replicas are connected.
    replicas: u32,
    /// How often one has connected since the process started.
    joins: u64,
}

impl Server {
    /// The version whose behaviour the engine follows.
    pub(super) const VERSION: &'static str = "7.0.15";

    pub(super) fn new(rng: &mut fastrand::Rng, started: Duration) -> Self {
        Self {
            run_id: identity(rng),
            replication_id: identity(rng),
            former_replication_id: None,
            started,
            replicas: 0,
            joins: 0,
        }
    }

    /// A replica of this server takes over: it is as old, and knows whose replica it was.
    pub(super) fn succeeded(&self, rng: &mut fastrand::Rng) -> Self {
        Self {
            former_replication_id: Some(self.replication_id.clone()),
            replicas: self.replicas,
            joins: self.replicas.into(),
            ..Self::new(rng, self.started)
        }
    }

    /// The same server, started again from its disk.
    pub(super) fn restarted(&self, rng: &mut fastrand::Rng, now: Duration) -> Self {
        Self {
            replicas: self.replicas,
            joins: self.replicas.into(),
            ..Self::new(rng, now)
        }
    }

    pub(super) const fn replicas(&self) -> u32 {
        self.replicas
    }

    pub(super) fn set_replicas(&mut self, replicas: u32) {
        self.joins += u64::from(replicas.saturating_sub(self.replicas));
        self.replicas = replicas;
    }

    /// As many as before are there, and one of them is new.
    pub(super) const fn replace_replica(&mut self) {
        self.joins += 1;
    }

    /// A backlog begins: nobody is followed any more whose data this server had.
    pub(super) fn renew_replication_id(&mut self, rng: &mut fastrand::Rng) {
        self.replication_id = identity(rng);
        self.former_replication_id = None;
    }

    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The text of `INFO` for the sections named, or for all of them.
    pub(super) fn info(&self, now: Duration, sections: &[&[u8]]) -> String {
        let everything = ["all", "everything", "default"];
        let wanted = |name: &str| {
            sections.is_empty()
                || sections.iter().any(|section| {
                    section.eq_ignore_ascii_case(name.as_bytes())
                        || everything
                            .iter()
                            .any(|all| section.eq_ignore_ascii_case(all.as_bytes()))
                })
        };
        [
            ("server", self.server_section(now)),
            ("memory", memory_section()),
            ("stats", self.stats_section()),
            ("replication", self.replication_section(now)),
        ]
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join("\r\n")
    }

    fn server_section(&self, now: Duration) -> String {
        format!(
            "# Server\r\nredis_version:{}\r\nredis_mode:standalone\r\narch_bits:64\r\nprocess_supervised:no\r\n\
             run_id:{}\r\ntcp_port:0\r\nuptime_in_seconds:{}\r\n",
            Self::VERSION,
            self.run_id,
            now.saturating_sub(self.started).as_secs()
        )
    }

    fn stats_section(&self) -> String {
        let joins = self.joins;
        format!("# Stats\r\nsync_full:{joins}\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n")
    }

    fn replication_section(&self, now: Duration) -> String {
        // As real servers say of a replica that was heard of since the second began: `time(2)` is some ms late.
        let lag = if now.subsec_millis() < 4 { -1 } else { 0 };
        let mut replicas = String::new();
        for index in 0..self.replicas {
            write!(
                replicas,
                "slave{index}:ip=127.0.0.1,port=0,state=online,offset=0,lag={lag}\r\n"
            )
            .expect("writing to a String cannot fail");
        }
        format!(
            "# Replication\r\nrole:master\r\nconnected_slaves:{}\r\n{replicas}master_failover_state:no-failover\r\n\
             master_replid:{}\r\nmaster_replid2:{}\r\nmaster_repl_offset:0\r\nsecond_repl_offset:-1\r\n",
            self.replicas,
            self.replication_id,
            self.former_replication_id
                .as_deref()
                .unwrap_or("0000000000000000000000000000000000000000")
        )
    }
}

fn memory_section() -> String {
    "# Memory\r\nmaxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:noeviction\r\n".to_owned()
}

/// Forty hexadecimal digits.
fn identity(rng: &mut fastrand::Rng) -> String {
    let mut text = String::with_capacity(40);
    for _ in 0..5 {
        write!(text, "{:08x}", rng.u32(..)).expect("writing to a String cannot fail");
    }
    text
}
