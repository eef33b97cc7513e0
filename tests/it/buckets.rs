//! Buckets on real servers.

mod bad_input;
mod behaviour;
mod clocks;
mod crash_loops;
mod forgetting;
mod progress;
mod replicas;
mod restarts;
mod scale;
mod tasks;
mod twins;

use std::{collections::BTreeMap, time::Duration};

use coord_core::history;
use coord_tests::server::RedisServer;
use redbuckets::{Builder, Event, Events, Instance, Placement, Redbuckets};

const TTL: Duration = Duration::from_secs(3);
const PERIOD: Duration = Duration::from_millis(200);
const SETTLE: Duration = Duration::from_millis(200);

/// An instance as a process of its own would be: its own connections and heartbeats, on this test's runtime.
fn instance_of(server: &RedisServer, buckets: u32) -> Builder {
    Redbuckets::builder(&server.url(), "group")
        .buckets(buckets)
        .ttl(TTL)
        .period(PERIOD)
        .settle(SETTLE)
        .discovery(history::shortest_discovery(PERIOD))
        .failover_bound(Duration::ZERO)
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
}

async fn join(server: &RedisServer, buckets: u32) -> Instance {
    let group = instance_of(server, buckets).build().expect("valid");
    group.join().await.expect("joins")
}

fn server() -> RedisServer {
    RedisServer::start().expect("redis-server starts")
}

/// The first event that `wanted` accepts, within 20 s.
pub(crate) async fn event(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(event) = events.next().await {
            if wanted(&event) {
                return Some(event);
            }
        }
        None
    });
    found
        .await
        .expect("the event comes in time")
        .expect("the event comes before the last one")
}

/// Waits until `condition` holds, within 20 s.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen within 20 s");
}

/// Who owns which bucket under which epoch; fails where a bucket has two owners.
pub(crate) fn owners(instances: &[Instance]) -> BTreeMap<u32, (usize, u64)> {
    let mut owners = BTreeMap::new();
    for (index, instance) in instances.iter().enumerate() {
        let owned = instance.owned();
        for bucket in owned.ids() {
            let epoch = owned.epoch(bucket).expect("it is owned");
            let Some((other, before)) = owners.insert(bucket, (index, epoch)) else {
                continue;
            };
            // It may have been handed over since the other was asked.
            let still = instances[other].owned().epoch(bucket) == Some(before);
            assert!(!still, "bucket {bucket} has two owners: {other}, {index}");
        }
    }
    owners
}

pub(crate) fn is_balanced(instances: &[Instance], buckets: u32) -> bool {
    // Looked at once: they change meanwhile.
    let counts = instances.iter().map(|instance| instance.owned().len());
    let counts: Vec<usize> = counts.collect();
    let (most, fewest) = (counts.iter().max(), counts.iter().min());
    most.unwrap_or(&0) - fewest.unwrap_or(&0) <= 1
        && counts.iter().sum::<usize>() == buckets as usize
}
