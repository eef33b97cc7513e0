//! How often something is said, and what it costs.

use std::time::Duration;

use coord_tests::{server::RedisServer, wait};
use raus::Raus;

use super::{
    events::{catch, kinds, said},
    machine_ids, started,
};

#[tokio::test(flavor = "multi_thread")]
async fn once_for_a_process_and_a_server_and_again_for_its_next_run() {
    catch();
    let server = started(RedisServer::builder());
    let mut held = Vec::new();
    for namespace in ["a", "b"] {
        let url = format!("{}?ns={namespace}", server.url());
        let alone = machine_ids(&url).build().expect("valid");
        held.push(alone.acquire().await.expect("free"));
        let shared = Raus::builder(&url, 0..=9).discovery(Duration::ZERO);
        let shared = shared.build().expect("valid");
        held.push(shared.acquire().await.expect("free"));
    }
    let told = said(&server, "no-persistence");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].level, tracing::Level::INFO);
    assert_eq!(kinds(&server).len(), 1);
    server.restart().expect("restarts");
    let again = wait::until_async(Duration::from_secs(20), async || {
        (said(&server, "no-persistence").len() == 2).then_some(())
    });
    again.await.expect("the next run is another server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_no_other_server() {
    catch();
    let server = started(RedisServer::builder());
    let raus = machine_ids(&server.url())
        .heartbeat(Duration::from_millis(100))
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    assert_eq!(looks(&server), 1);
    server
        .cli(&["CLIENT", "KILL", "TYPE", "normal"])
        .expect("kills");
    let looked = wait::until_async(Duration::from_secs(20), async || {
        (2 <= looks(&server)).then_some(())
    });
    looked.await.expect("it might have been another server");
    assert!(machine_id.is_held());
    assert_eq!(kinds(&server), ["no-persistence"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn later_acquisitions_ask_the_server_nothing_more() {
    let server = started(RedisServer::builder());
    let raus = machine_ids(&server.url()).build().expect("valid");
    let mut held = vec![raus.acquire().await.expect("free")];
    assert_eq!(looks(&server), 1);
    for _ in 0..5 {
        held.push(raus.acquire().await.expect("free"));
    }
    assert_eq!(looks(&server), 1);
}

/// How often the server was looked at. Nothing else asks for settings, and a look asks for two.
fn looks(server: &RedisServer) -> u64 {
    let stats = server.commandstats().expect("stats");
    // One name since Redis 7, another before.
    let count = |name| stats.get(name).copied().unwrap_or(0);
    (count("config|get") + count("config")) / 2
}
