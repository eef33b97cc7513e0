//! Who finds a server again, after what.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ::raus::{Connection, Raus};
use coord_tests::{
    proxy::{Direction, Proxy},
    server::RedisServer,
};

use super::{PATIENCE, acquire, causes, until};

fn client(url: &str) -> redis::Client {
    redis::Client::open(url).expect("valid")
}

/// What is made anew here, whatever happens to it.
fn renewable(url: &str) -> [(&'static str, Connection); 3] {
    let manager = deadpool_redis::Manager::new(url).expect("valid");
    let pool = deadpool_redis::Pool::builder(manager)
        .build()
        .expect("valid");
    let maker = client(url);
    let factory = Connection::factory(move || {
        let client = maker.clone();
        async move { client.get_multiplexed_async_connection().await }
    });
    [
        ("client", client(url).into()),
        ("pool", pool.into()),
        ("factory", factory),
    ]
}

fn raus(name: &str, connection: Connection) -> Raus {
    Raus::with_connection(connection, name, 0..=9)
        .ttl(TTL)
        .heartbeat(Duration::from_millis(200))
        .discovery(Duration::ZERO)
        .build()
        .expect("valid")
}

const TTL: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_here_outlives_half_open_connections() {
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("starts");
    let mut held = Vec::new();
    for (kind, connection) in renewable(&proxy.url()) {
        let machine_id = acquire(&raus(kind, connection)).await.expect("free");
        held.push((kind, machine_id));
    }
    proxy.half_open(Direction::Both).expect("the proxy runs");
    // Longer than a lease lives without a renewal.
    tokio::time::sleep(TTL + TTL / 2).await;
    for (kind, machine_id) in held {
        assert!(machine_id.is_held(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_here_outlives_a_server_that_stands_still() {
    let server = RedisServer::start().expect("starts");
    let mut held = Vec::new();
    for (kind, connection) in renewable(&server.url()) {
        let machine_id = acquire(&raus(kind, connection)).await.expect("free");
        held.push((kind, machine_id));
    }
    server.stop().expect("stops");
    tokio::time::sleep(TTL / 2).await;
    server.cont().expect("goes on");
    tokio::time::sleep(TTL).await;
    for (kind, machine_id) in held {
        assert!(machine_id.is_held(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_replaced_fails_in_time_and_for_good() {
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("starts");
    let connection = client(&proxy.url())
        .get_multiplexed_async_connection()
        .await
        .expect("connects");
    let raus = raus("ns", connection.into());
    let machine_id = acquire(&raus).await.expect("free");
    proxy.disconnect().expect("the proxy runs");
    until("the lease is lost", || !machine_id.is_held()).await;
    let error = acquire(&raus).await.expect_err("the socket is gone");
    let text = causes(&error);
    assert!(
        text.contains("connection to the server of the given connection broke"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_is_asked_again_when_its_server_became_a_replica() {
    let (old, new) = (
        RedisServer::start().expect("starts"),
        RedisServer::start().expect("starts"),
    );
    let master = Arc::new(Mutex::new(old.url()));
    let named = Arc::clone(&master);
    let connection = Connection::factory(move || {
        let url = named.lock().expect("not poisoned").clone();
        async move { client(&url).get_multiplexed_async_connection().await }
    });
    let raus = raus("ns", connection);
    let first = acquire(&raus).await.expect("free");
    *master.lock().expect("not poisoned") = new.url();
    let port = new.port().to_string();
    old.cli(&["REPLICAOF", "127.0.0.1", &port])
        .expect("it becomes a replica");
    let second = raus.acquire_within(PATIENCE).await;
    let second = second.expect("the new master serves");
    assert!(second.is_held());
    let keys: Vec<String> = new.query(&["KEYS", "ns:id:*"]).expect("asks");
    assert!(keys.contains(&format!("ns:id:{}", second.id())), "{keys:?}");
    drop(first);
}
