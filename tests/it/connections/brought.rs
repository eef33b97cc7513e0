//! Connections that the program has already.

use std::time::Duration;

use ::raus::{ConfigError, Connection, Raus, StoreError};
use coord_tests::server::RedisServer;
use redbuckets::Redbuckets;
use redis::aio::{ConnectionManager, MultiplexedConnection};

use super::{PATIENCE, acquire, causes, live_as_instances, live_as_machine};

fn server() -> RedisServer {
    RedisServer::start().expect("starts")
}

fn client(server: &RedisServer) -> redis::Client {
    redis::Client::open(server.url()).expect("valid")
}

/// As users make it: no timeouts.
fn pool(url: &str, size: usize) -> deadpool_redis::Pool {
    let manager = deadpool_redis::Manager::new(url).expect("valid");
    let pool = deadpool_redis::Pool::builder(manager).max_size(size);
    pool.build().expect("valid")
}

async fn multiplexed(server: &RedisServer) -> MultiplexedConnection {
    let client = client(server);
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("connects")
}

/// Machine IDs and buckets by the same kind of connection.
async fn live(connection: impl Fn() -> Connection) {
    live_as_machine(Raus::with_connection(connection(), "ns", 0..=1)).await;
    live_as_instances([(); 2].map(|()| Redbuckets::with_connection(connection(), "group"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_all_it_takes() {
    let server = server();
    live(|| client(&server).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_asked_how_to_connect() {
    let server = server();
    live(|| pool(&server.url(), 4).into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multiplexed_connection_will_do() {
    let server = server();
    let connection = multiplexed(&server).await;
    live(|| connection.clone().into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_manager_will_do() {
    let server = server();
    let manager = ConnectionManager::new(client(&server)).await;
    let manager = manager.expect("connects");
    live(|| Connection::shared(manager.clone())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_will_do() {
    let server = server();
    let client = client(&server);
    live(|| {
        let client = client.clone();
        Connection::factory(move || {
            let client = client.clone();
            async move { client.get_multiplexed_async_connection().await }
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_pool_costs_no_lease() {
    let server = server();
    let pool = pool(&server.url(), 1);
    let _taken = pool.get().await.expect("connects");
    live_as_machine(Raus::with_connection(pool.clone(), "ns", 0..=1)).await;
    assert_eq!(
        pool.status().size,
        1,
        "nothing was added to the user's pool"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_timeouts_does_not_hang_us() {
    // The kernel accepts the connection; nobody ever reads from it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("redis://{}", listener.local_addr().expect("is bound"));
    let raus = Raus::with_connection(pool(&url, 4), "ns", 0..=1)
        .build()
        .expect("valid");
    let error = acquire(&raus).await.expect_err("nobody answers");
    let text = causes(&error);
    assert!(
        text.contains("no connection to the server of the given pool"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_that_fails_or_panics_is_an_error() {
    let refused = Connection::factory(|| async {
        let reason = (redis::ErrorKind::Io, "the vault is sealed");
        Err::<MultiplexedConnection, _>(redis::RedisError::from(reason))
    });
    let luck = Err::<MultiplexedConnection, _>("no such luck");
    let luckless = std::sync::Arc::new(luck);
    let panicking = Connection::factory(move || {
        let luck = luckless.as_ref().as_ref().expect("a connection").clone();
        async move { Ok(luck) }
    });
    for (connection, reason) in [
        (refused, "the vault is sealed"),
        (panicking, "no such luck"),
    ] {
        let raus = Raus::with_connection(connection, "ns", 0..=1)
            .build()
            .expect("valid");
        let error = acquire(&raus).await.expect_err("there is no connection");
        let text = causes(&error);
        assert!(
            text.contains("the server of the given factory") && text.contains(reason),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_acknowledge_what_is_granted_by_connections_of_their_own() {
    let master = server();
    let _replica = RedisServer::builder()
        .replica_of(&master)
        .start()
        .expect("starts");
    master.wait_replicas(1, PATIENCE).expect("it is in step");
    let by = |connection: Connection| {
        Raus::with_connection(connection, "ns", 0..=9)
            .discovery(Duration::ZERO)
            .acknowledge(1)
            .build()
    };
    for connection in [client(&master).into(), pool(&master.url(), 2).into()] {
        let raus = by(connection).expect("valid");
        let machine_id = acquire(&raus).await.expect("it is acknowledged");
        machine_id.release().await.expect("confirmed");
    }
    let waits = master.commandstats().expect("stats");
    assert!(2 <= waits["wait"], "{waits:?}");

    let shared = multiplexed(&master).await;
    let error = by(shared.clone().into()).expect_err("others use it too");
    assert!(
        matches!(error, ConfigError::Unconfirmable { replicas: 1 }),
        "{error}"
    );
    let error = Redbuckets::with_connection(shared.clone(), "group")
        .acknowledge(2)
        .build()
        .expect_err("others use it too");
    assert!(error.to_string().contains("acknowledge(2)"), "{error}");
    // If nothing is demanded it grants without them.
    let raus = Raus::with_connection(shared, "other", 0..=9)
        .discovery(Duration::ZERO)
        .build();
    acquire(&raus.expect("valid")).await.expect("free");
}

#[test]
fn a_blocked_runtime_loses_no_lease_where_connections_are_made_here() {
    let server = server();
    let kinds: [(&str, Connection); 2] = [
        ("client", client(&server).into()),
        ("pool", pool(&server.url(), 2).into()),
    ];
    for (kind, connection) in kinds {
        assert!(held_after_a_block(&server, connection), "{kind}");
    }
    // Driven by the runtime that is blocked, and documented as such.
    let runtime = runtime();
    let shared = runtime.block_on(multiplexed(&server));
    let raus = short(shared.into());
    let machine_id = runtime.block_on(acquire(&raus)).expect("free");
    std::thread::sleep(3 * TTL);
    assert!(!machine_id.is_held());
}

fn held_after_a_block(server: &RedisServer, connection: Connection) -> bool {
    server.flush_all().expect("flushes");
    let runtime = runtime();
    let raus = short(connection);
    let machine_id = runtime.block_on(acquire(&raus)).expect("free");
    // Nothing runs on the user's runtime now.
    std::thread::sleep(3 * TTL);
    machine_id.is_held()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("starts")
}

fn short(connection: Connection) -> Raus {
    Raus::with_connection(connection, "ns", 0..=9)
        .ttl(TTL)
        .heartbeat(TTL / 10)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid")
}

const TTL: Duration = Duration::from_millis(1_500);

#[test]
fn what_contradicts_a_connection_is_refused_and_no_password_shown() {
    let client = || redis::Client::open("redis://user:s3cret@localhost:1/2").expect("valid");
    let connection = Connection::from(client()).subscriptions(client());
    assert!(!format!("{connection:?}").contains("s3cret"));
    let builder = Raus::with_connection(connection, "ns", 0..=9);
    assert!(!format!("{builder:?}").contains("s3cret"));
    let error = builder.build().expect_err("a client subscribes by itself");
    assert!(
        causes(&error).contains("remove Connection::subscriptions"),
        "{}",
        causes(&error)
    );
    let error = Redbuckets::with_connection(client(), "group")
        .tls(redbuckets::Tls::new())
        .build()
        .expect_err("nothing is left to encrypt");
    assert!(causes(&error).contains("TLS options"), "{}", causes(&error));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_store_cannot_do_is_said_with_the_way_out() {
    let server = server();
    let connection = Connection::from(multiplexed(&server).await);
    let store = connection.open().expect("valid");
    let error = store
        .subscribe("channel", PATIENCE)
        .await
        .expect_err("not by this");
    assert!(matches!(error, StoreError::Unsupported { .. }), "{error:?}");
    assert!(!error.is_transient());
    assert!(
        error.to_string().contains("Connection::subscriptions"),
        "{error}"
    );
    assert!(!store.can_confirm());
    let info = store
        .describe("any", PATIENCE)
        .await
        .expect("it may be asked");
    assert_eq!(info.role, "master");
    assert_eq!(info.min_replicas_to_write, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_is_refused_by_whatever_leads_there() {
    let server = RedisServer::builder()
        .config_line("maxmemory 100mb")
        .config_line("maxmemory-policy allkeys-lru")
        .start()
        .expect("starts");
    for connection in [
        client(&server).into(),
        pool(&server.url(), 2).into(),
        multiplexed(&server).await.into(),
    ] {
        let connection: Connection = connection;
        let raus = Raus::with_connection(connection, "ns", 0..=9).build();
        let error = acquire(&raus.expect("valid")).await;
        let text = causes(&error.expect_err("leases could be evicted"));
        assert!(text.contains("allkeys-lru"), "{text}");
    }
}
