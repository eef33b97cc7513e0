//! A server that has forgotten who holds what: nothing is granted that a living holder may still hold.

use std::{collections::BTreeSet, time::Duration};

use ::raus::{AcquireError, Event, Raus};
use coord_tests::server::RedisServer;
use futures_util::future::join_all;

use super::{acquire_all, client, event, ids, server};

const TTL: Duration = Duration::from_secs(3);
const HEARTBEAT: Duration = Duration::from_millis(200);
const DISCOVERY: Duration = Duration::from_millis(950);

fn listening(server: &RedisServer) -> Raus {
    client(server, 0..=63)
        .ttl(TTL)
        .heartbeat(HEARTBEAT)
        .discovery(DISCOVERY)
        .failover_bound(Duration::ZERO)
        .build()
        .expect("valid")
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_holders_and_twenty_newcomers_survive_an_empty_restart() {
    let server = server();
    let raus = listening(&server);
    let held = acquire_all(&raus, 20).await;
    let before: Vec<(u32, u64)> = held.iter().map(|id| (id.id(), id.fence())).collect();
    let mut events: Vec<_> = held.iter().map(::raus::MachineId::events).collect();
    server.wipe_and_restart().expect("restarts");

    let newcomers = join_all((0..20).map(|_| {
        let raus = listening(&server);
        async move { raus.acquire_within(Duration::from_secs(20)).await }
    }));
    let reasserted = join_all(events.iter_mut().map(|events| {
        event(events, |event| {
            matches!(event, Event::Reasserted { .. } | Event::Lost(_))
        })
    }));
    let (newcomers, reasserted) = tokio::join!(newcomers, reasserted);
    assert!(
        reasserted
            .iter()
            .all(|event| matches!(event, Event::Reasserted { .. })),
        "{reasserted:?}"
    );
    let newcomers: Vec<_> = newcomers
        .into_iter()
        .map(|outcome| outcome.expect("44 slots are free"))
        .collect();
    let after: Vec<(u32, u64)> = held.iter().map(|id| (id.id(), id.fence())).collect();
    assert_eq!(before, after, "living holders keep slot and fence");
    assert!(held.iter().all(::raus::MachineId::is_held));
    let all: BTreeSet<u32> = ids(&held).union(&ids(&newcomers)).copied().collect();
    assert_eq!(all.len(), 40, "no slot was granted twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_grants_nothing_new_but_renews() {
    let server = RedisServer::builder()
        .config_line("appendonly yes")
        .config_line("appendfsync always")
        .start()
        .expect("starts");
    let raus = listening(&server);
    let held = acquire_all(&raus, 3).await;
    let fences: Vec<u64> = held.iter().map(::raus::MachineId::fence).collect();
    server.kill().expect("kills");
    server.restart().expect("restarts");
    let error = raus
        .acquire_within(Duration::from_secs(1))
        .await
        .expect_err("another run of the server");
    assert!(
        matches!(error, AcquireError::Quarantined { .. }),
        "{error:?}"
    );
    let later = raus.acquire().await.expect("it is waited for");
    assert!(!ids(&held).contains(&later.id()));
    assert!(held.iter().all(::raus::MachineId::is_held));
    assert_eq!(
        fences,
        held.iter()
            .map(::raus::MachineId::fence)
            .collect::<Vec<_>>()
    );
}
