//! Machine IDs on real servers.

mod acquisition;
mod attacked;
mod bad_input;
mod forgetting;
mod go_peer;
mod keeping;
mod late_release;
mod refused;
mod replicas;
mod twins;

use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

use ::raus::{Builder, Event, Events, MachineId, Placement, Raus};
use coord_tests::server::RedisServer;
use futures_util::future::join_all;

/// A client as a process of its own would be: its own connections and heartbeats, on this test's runtime.
fn client(server: &RedisServer, range: RangeInclusive<u32>) -> Builder {
    client_at(&server.url(), range)
}

fn client_at(url: &str, range: RangeInclusive<u32>) -> Builder {
    Raus::builder(url, range)
        .discovery(Duration::ZERO)
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
}

fn server() -> RedisServer {
    RedisServer::start().expect("redis-server starts")
}

/// Acquires `count` machine IDs at once with `raus`.
async fn acquire_all(raus: &Raus, count: usize) -> Vec<MachineId> {
    join_all((0..count).map(|_| raus.acquire()))
        .await
        .into_iter()
        .map(|outcome| outcome.expect("a slot is free"))
        .collect()
}

fn ids(machine_ids: &[MachineId]) -> BTreeSet<u32> {
    machine_ids.iter().map(MachineId::id).collect()
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
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen within 20 s");
}
