//! From options to the server.

use std::{ops::RangeInclusive, time::Duration};

use raus::{AcquireError, Builder, MachineId, Raus};
use redbuckets::Redbuckets;

use crate::{
    cli::{DiscoveryOptions, Global, GroupOptions, LeaseOptions, UnverifiedOptions},
    failure::Failure,
};

/// The server's URL. The store behind `memory://` lives inside one process: here it would always be empty.
fn url(global: &Global) -> Result<&str, Failure> {
    let url = global.url.as_deref().filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| {
        Failure::Usage("no server: give --url redis://host:6379, or set REDIS_URL".to_owned())
    })?;
    if url.starts_with("memory:") {
        return Err(Failure::Usage(
            "memory:// lives inside one process, nobody else sees what is in it; give the URL of a server, such as \
             redis://localhost:6379"
                .to_owned(),
        ));
    }
    Ok(url)
}

/// A namespace to look at.
pub(crate) fn namespace(global: &Global, range: &RangeInclusive<u32>) -> Result<Raus, Failure> {
    Ok(Raus::new(url(global)?, range.clone())?)
}

/// A namespace whose history is to begin.
pub(crate) fn founder(
    global: &Global,
    discovery: &DiscoveryOptions,
    unverified: &UnverifiedOptions,
) -> Result<Raus, Failure> {
    let builder = Raus::builder(url(global)?, 0..=1_023);
    Ok(with_unverified(with_discovery(builder, discovery), unverified).build()?)
}

fn with_discovery(builder: Builder, options: &DiscoveryOptions) -> Builder {
    match options.discovery {
        Some(discovery) => builder.discovery(discovery),
        None => builder,
    }
}

const fn with_unverified(builder: Builder, options: &UnverifiedOptions) -> Builder {
    builder.allow_unverified_history(options.allow_unverified_history)
}

/// A namespace to lease from.
pub(crate) fn lessor(
    global: &Global,
    range: &RangeInclusive<u32>,
    options: &LeaseOptions,
) -> Result<Builder, Failure> {
    let label = options.label.clone().unwrap_or_else(host);
    let history = &options.history;
    let builder = Raus::builder(url(global)?, range.clone())
        .failover_bound(history.failover_bound)
        .acknowledge(history.acknowledge)
        .expect_history(history.expect_history);
    let builder = with_unverified(
        with_discovery(builder, &history.discovery),
        &history.unverified,
    );
    Ok(builder
        .ttl(options.ttl)
        .heartbeat(options.heartbeat)
        .allow_eviction(options.allow_eviction)
        .release_timeout(RELEASE_TIMEOUT)
        .label(label))
}

/// Leases; no time to wait is the same as none given, not a search that is over before it begins.
pub(crate) async fn acquire(
    raus: &Raus,
    options: &LeaseOptions,
) -> Result<MachineId, AcquireError> {
    match options.wait.filter(|wait| !wait.is_zero()) {
        Some(wait) => raus.acquire_within(wait).await,
        None => raus.acquire().await,
    }
}

/// A group to look at.
pub(crate) fn group(global: &Global, options: &GroupOptions) -> Result<Redbuckets, Failure> {
    Ok(Redbuckets::builder(url(global)?, &options.group)
        .key_prefix(options.prefix.as_str())
        .build()?)
}

fn host() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name = name.to_string_lossy();
    let usable = name.chars().filter(|c| !c.is_control());
    usable.take(Builder::MAX_LABEL / 4).collect()
}

/// Containers that are told to stop have ten seconds in all.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_nobody_else_sees_is_refused() {
        let url_of = |url: Option<&str>| {
            let global = Global {
                url: url.map(str::to_owned),
                json: false,
            };
            namespace(&global, &(0..=1)).map(|_| ())
        };
        assert!(matches!(url_of(None), Err(Failure::Usage(_))));
        assert!(matches!(url_of(Some("")), Err(Failure::Usage(_))));
        assert!(matches!(url_of(Some("memory://x")), Err(Failure::Usage(_))));
        assert!(matches!(url_of(Some("http://x")), Err(Failure::Usage(_))));
        assert!(url_of(Some("redis://h")).is_ok());
    }
}
