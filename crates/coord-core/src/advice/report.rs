//! What `describe()` returns.

use std::{fmt, io, sync::Arc, time::Duration};

use super::{Advice, Terms, advise};
use crate::store::{ServerInfo, StoreError, Unchecked};

/// What a server says of itself, and what to change about it. Its `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What the server says: the master that serves these keys, in a cluster or behind sentinels.
    pub server: ServerInfo,
    /// The local wall clock when it said so, since the Unix epoch; [`ServerInfo::wall`] is the server's.
    pub wall: Duration,
    /// What to change, and what could not be checked.
    pub advice: Vec<Advice>,
}

impl Report {
    pub(super) fn new(server: ServerInfo, wall: Duration, terms: &Terms) -> Self {
        Self {
            advice: advise(&server, wall, terms),
            server,
            wall,
        }
    }

    /// What endangers leases.
    pub fn warnings(&self) -> impl Iterator<Item = &Advice> {
        self.advice.iter().filter(|advice| advice.is_warning())
    }

    /// What could not be checked, with the server's reasons.
    #[must_use]
    pub fn unchecked(&self) -> &[Unchecked] {
        &self.server.unchecked
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.server;
        let known = |text: &str| match text {
            "" => "unknown".to_owned(),
            text => text.to_owned(),
        };
        writeln!(f, "server      {}", known(&info.address))?;
        writeln!(f, "version     {} {}", info.product, known(&info.version))?;
        writeln!(f, "run_id      {}", known(&info.run_id))?;
        let role = known(&info.role);
        writeln!(
            f,
            "role        {role}, {} replicas",
            info.connected_replicas
        )?;
        write!(f, "memory      {}", known(&info.maxmemory_policy))?;
        match info.maxmemory {
            0 => writeln!(f, ", no limit known")?,
            limit => writeln!(f, ", {} of {limit} bytes used", info.used_memory)?,
        }
        if let Some(failover) = info.failover {
            let (setting, begins) = (failover.setting(), failover.begins_after());
            let ends = failover.ends_after();
            writeln!(f, "failover    {setting} {begins:?}, takes up to {ends:?}")?;
        }
        if let Some(server) = info.wall {
            let skew = self.wall.abs_diff(server).as_secs_f64();
            writeln!(f, "clock       {skew:.3} s from the local one")?;
        }
        if self.advice.is_empty() {
            return f.write_str("advice      none");
        }
        let lines = self.advice.iter().map(|advice| {
            let level = if advice.is_warning() { "warn" } else { "info" };
            format!("{level} {}: {advice}", advice.kind())
        });
        let lines: Vec<String> = lines.collect();
        write!(f, "advice      {}", lines.join("\n            "))
    }
}

/// The server could not be described.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// The store failed, or did not answer in time.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// The heartbeat could not be started, or its runtime was shut down.
    #[error("the heartbeat cannot run")]
    Heartbeat(#[source] Arc<io::Error>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::Timing;

    #[test]
    fn a_report_is_readable() {
        let timing = Timing::new(Duration::from_secs(60), Duration::from_secs(1)).expect("valid");
        let unchecked = || Unchecked::new("snapshots", "CONFIG GET save", "NOPERM no permissions");
        let server = ServerInfo {
            address: "10.0.0.1:6379".into(),
            product: "valkey".into(),
            version: "8.1.8".into(),
            role: "master".into(),
            maxmemory_policy: "allkeys-lru".into(),
            maxmemory: 100,
            used_memory: 7,
            wall: Some(Duration::from_secs(5)),
            persists: Some(false),
            unchecked: vec![unchecked()],
            ..ServerInfo::default()
        };
        let report = Report::new(server, Duration::from_secs(5), &Terms::new(timing));
        assert_eq!(report.warnings().count(), 1);
        assert_eq!(report.unchecked(), [unchecked()]);
        assert_eq!(
            report.to_string(),
            "\
server      10.0.0.1:6379
version     valkey 8.1.8
run_id      unknown
role        master, 0 replicas
memory      allkeys-lru, 7 of 100 bytes used
clock       0.000 s from the local one
advice      warn evicts-all-keys: maxmemory-policy allkeys-lru may evict what is known of leases; set maxmemory-policy \
             noeviction, or give leases a server of their own
            info no-persistence: persistence is off: a restart forgets all leases; set appendonly yes: only living holders \
             put back what a restart forgets
            info unchecked: not known: snapshots (CONFIG GET save: NOPERM no permissions); allow +info, +time and \
             +config|get to this user, or check it by hand"
        );
    }
}
