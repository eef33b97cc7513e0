//! Says an advice once for each process and server.

use std::{
    collections::HashSet,
    sync::{Mutex, OnceLock, PoisonError},
};

use super::{Advice, TARGET};
use crate::store::ServerInfo;

/// What was said: of which run of which server, and what.
type Said = (String, String, String);

/// How much is remembered. A process that has said more than this may repeat itself.
const REMEMBERED: usize = 4_096;

pub(super) fn say(info: &ServerInfo, advice: &[Advice]) {
    for advice in advice.iter().filter(|advice| is_new(info, advice)) {
        let (server, kind) = (info.address.as_str(), advice.kind());
        let (value, remedy) = (advice.value(), advice.remedy());
        if advice.is_warning() {
            tracing::warn!(target: TARGET, server, advice = kind, value, remedy, "{advice}");
        } else {
            tracing::info!(target: TARGET, server, advice = kind, value, remedy, "{advice}");
        }
    }
}

fn is_new(info: &ServerInfo, advice: &Advice) -> bool {
    static SAID: OnceLock<Mutex<HashSet<Said>>> = OnceLock::new();
    let said = SAID.get_or_init(Mutex::default);
    // One insertion is always complete, so a poisoned lock is still good.
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    if REMEMBERED <= said.len() {
        said.clear();
    }
    said.insert((info.address.clone(), info.run_id.clone(), topic(advice)))
}

/// What tells two pieces of advice apart: not what was measured, which differs each time.
fn topic(advice: &Advice) -> String {
    let subject = match advice {
        Advice::ShortTtl { ttl, .. } => format!("{ttl:?}"),
        Advice::Unchecked(unchecked) => unchecked.command.clone(),
        _ => String::new(),
    };
    format!("{} {subject}", advice.kind())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Failover, Unchecked};

    fn run(run_id: &str) -> ServerInfo {
        ServerInfo {
            address: "events:1".into(),
            run_id: run_id.into(),
            ..ServerInfo::default()
        }
    }

    #[test]
    fn each_run_of_a_server_is_told_once_of_each_thing() {
        let skew = |ms| Advice::ClockSkew {
            skew: Duration::from_millis(ms),
            ahead: true,
        };
        assert!(is_new(&run("a"), &Advice::NoPersistence));
        assert!(!is_new(&run("a"), &Advice::NoPersistence));
        assert!(is_new(&run("b"), &Advice::NoPersistence));
        assert!(is_new(&run("a"), &skew(2_000)));
        assert!(!is_new(&run("a"), &skew(2_001)));
    }

    #[test]
    fn another_ttl_and_another_refused_command_are_other_things() {
        let short = |ttl| Advice::ShortTtl {
            ttl: Duration::from_secs(ttl),
            needed: Duration::from_secs(9),
            failover: Failover::Cluster {
                node_timeout: Duration::from_secs(1),
            },
        };
        assert!(is_new(&run("c"), &short(1)));
        assert!(is_new(&run("c"), &short(2)));
        assert!(!is_new(&run("c"), &short(1)));
        let refused = |command: &str| Advice::Unchecked(Unchecked::new("it", command, "NOPERM"));
        assert!(is_new(&run("c"), &refused("INFO memory")));
        assert!(is_new(&run("c"), &refused("INFO server")));
    }
}
