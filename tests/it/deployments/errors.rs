//! What nobody can serve fails clearly, and what hangs holds nobody up.

use std::{fmt::Write, time::Duration};

use coord_tests::{cluster::Cluster, mixed_fleet, sentinels::Sentinels, server::RedisServer};
use raus::Raus;

/// What `acquire` says at `url`, with all causes, and how long it took.
fn refusal(url: &str) -> (String, Duration) {
    let began_us = mixed_fleet::now_us();
    let error = runtime().block_on(async {
        let raus = Raus::new(url, 0..=9).unwrap();
        raus.acquire().await.unwrap_err()
    });
    let took = Duration::from_micros(mixed_fleet::now_us() - began_us);
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    println!("{took:?}: {text}");
    (text, took)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

/// How long a whole acquisition takes, connections included.
fn acquisition(url: &str) -> Duration {
    let began_us = mixed_fleet::now_us();
    runtime().block_on(async {
        let raus = Raus::builder(url, 0..=9).discovery(Duration::ZERO);
        let machine_id = raus.build().unwrap().acquire().await.unwrap();
        machine_id.release().await.unwrap();
    });
    Duration::from_micros(mixed_fleet::now_us() - began_us)
}

#[test]
fn a_sentinel_that_hangs_holds_nobody_up() {
    let group = Sentinels::builder().replicas(1).start().unwrap();
    let alive = acquisition(&format!("{}?ns=alive", group.url()));
    group.sentinels()[0].stop().unwrap();
    let hung = acquisition(&format!("{}?ns=hung", group.url()));
    println!("all alive: {alive:?}, the first one hung: {hung:?}");
    assert!(hung < alive + Duration::from_secs(1), "{hung:?}");
    group.sentinels()[0].cont().unwrap();
}

#[test]
fn sentinels_that_cannot_help_say_so() {
    let group = Sentinels::builder().replicas(1).start().unwrap();
    let url = group.url();
    let wrong = url.replace(Sentinels::NAME, "nobody");
    let (text, took) = refusal(&wrong);
    assert!(
        text.contains("watches no master named \"nobody\""),
        "{text}"
    );
    assert!(took < AT_ONCE, "{took:?}");

    let server = group.master().unwrap();
    let (text, took) = refusal(&format!("redis+sentinel://{}/m", server.addr()));
    assert!(text.contains("is no sentinel"), "{text}");
    assert!(took < AT_ONCE, "{took:?}");

    for sentinel in group.sentinels() {
        sentinel.kill().unwrap();
    }
    let (text, took) = refusal(&url);
    assert!(
        text.contains("no sentinel answers; start 127.0.0.1:"),
        "{text}"
    );
    for sentinel in group.sentinels() {
        assert!(text.contains(&sentinel.addr().to_string()), "{text}");
    }
    assert!(took < SOON, "{took:?}");
}

#[test]
fn clusters_that_cannot_help_say_so() {
    let server = RedisServer::start().unwrap();
    let (text, took) = refusal(&format!("rediscluster://{}", server.addr()));
    assert!(text.contains("stands alone; use redis://"), "{text}");
    assert!(took < AT_ONCE, "{took:?}");

    let cluster = Cluster::builder().replicas_per_master(0).start().unwrap();
    for node in cluster.nodes() {
        node.kill().unwrap();
    }
    let (text, took) = refusal(&cluster.url());
    assert!(text.contains("no node answers; start 127.0.0.1:"), "{text}");
    for node in cluster.nodes() {
        assert!(text.contains(&node.addr().to_string()), "{text}");
    }
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_seed_that_hangs_holds_nobody_up() {
    let cluster = Cluster::builder()
        .config_line("cluster-require-full-coverage no")
        .start()
        .unwrap();
    let alive = acquisition(&format!("{}?ns=alive", cluster.url()));
    let slot = Cluster::slot_of("hung");
    let home = cluster.master_of(slot).unwrap().port();
    let nodes = cluster.nodes();
    let seed = nodes.iter().find(|node| node.port() != home).unwrap();
    seed.stop().unwrap();
    let hung = acquisition(&format!("{}?ns=hung", cluster.url()));
    println!("all alive: {alive:?}, a seed hung: {hung:?}");
    assert!(hung < alive + Duration::from_secs(1), "{hung:?}");
    seed.cont().unwrap();
}

/// Nothing is tried twice where trying again cannot help.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A store that fails is given 2 s.
const SOON: Duration = Duration::from_secs(6);
