//! Server and processes at one moment.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use coord_tests::server::RedisServer;

use crate::raw::{self, Members, Sample};

/// Looks at the server and at the processes with these numbers.
pub(crate) fn sample(server: &RedisServer, pids: impl Iterator<Item = u32>) -> Result<Sample> {
    let mut members = Members::default();
    // One that has ended meanwhile is left out.
    for process in pids.filter_map(look) {
        members.count += 1;
        members.rss.add(process.rss);
        members.threads.add(process.threads);
        members.files.add(process.files);
    }
    Ok(Sample {
        at_ms: raw::now_ms(),
        server: numbers(server)?,
        members,
        load: load()?,
    })
}

fn numbers(server: &RedisServer) -> Result<BTreeMap<String, f64>> {
    let info = server.info("everything")?;
    let number = |name: &str| {
        let value = info
            .get(name)
            .with_context(|| format!("INFO has no {name}"))?;
        value
            .parse::<f64>()
            .with_context(|| format!("{name}:{value}"))
    };
    let mut numbers = BTreeMap::new();
    for name in OF_INFO {
        numbers.insert(name.to_owned(), number(name)?);
    }
    let keys: u32 = server.query(&["DBSIZE"])?;
    numbers.insert("keys".to_owned(), keys.into());
    Ok(numbers)
}

/// What one process uses.
struct Look {
    /// Bytes.
    rss: u64,
    threads: u64,
    files: u64,
}

fn look(pid: u32) -> Option<Look> {
    let folder = PathBuf::from("/proc").join(pid.to_string());
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Look {
        rss: field("VmRSS:")? * 1_024,
        threads: field("Threads:")?,
        files: fs::read_dir(folder.join("fd"))
            .ok()?
            .count()
            .try_into()
            .ok()?,
    })
}

fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text
        .split_whitespace()
        .next()
        .context("an empty load average")?;
    Ok(first.parse()?)
}

const OF_INFO: [&str; 14] = [
    "used_cpu_sys",
    "used_cpu_user",
    "used_memory",
    "used_memory_rss",
    "used_memory_dataset",
    "used_memory_overhead",
    "used_memory_scripts",
    "mem_clients_normal",
    "connected_clients",
    "total_connections_received",
    "total_commands_processed",
    "evicted_keys",
    "rejected_connections",
    "number_of_cached_scripts",
];
