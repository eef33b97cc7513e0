//! Connections that cannot wait for replicas, where others do.

use ::raus::{AcquireError, Connection, Raus};
use coord_tests::server::RedisServer;
use redbuckets::{JoinError, Redbuckets};
use redis::aio::ConnectionManager;

use super::{PATIENCE, acquire, causes, until};

async fn manager(server: &RedisServer) -> ConnectionManager {
    let client = redis::Client::open(server.url()).expect("valid");
    ConnectionManager::new(client).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_refused_where_replicas_acknowledge_grants() {
    let master = RedisServer::start().expect("starts");
    let _replica = RedisServer::builder()
        .replica_of(&master)
        .start()
        .expect("starts");
    master.wait_replicas(1, PATIENCE).expect("it is in step");
    let manager = manager(&master).await;
    let shared = || Connection::shared(manager.clone());

    let waiting = Raus::new(&format!("{}?ns=ns", master.url()), 0..=9).expect("valid");
    let first = acquire(&waiting).await.expect("free");
    let unable = Raus::with_connection(shared(), "ns", 0..=9);
    let unable = unable.build().expect("valid");
    let error = acquire(&unable)
        .await
        .expect_err("nothing would outlive a failover");
    let (AcquireError::Unconfirmable { replicas: 1 }, text) = (&error, causes(&error)) else {
        panic!("{error:?}");
    };
    assert!(text.contains("cannot wait"), "{text}");
    let second = acquire(&waiting).await.expect("nothing was taken away");
    assert!(first.fence() < second.fence());

    let waiting = Redbuckets::builder(&master.url(), "group").buckets(8);
    let waiting = waiting.build().expect("valid");
    let instance = waiting.join().await.expect("free");
    until("it has all", || instance.owned().len() == 8).await;
    let unable = Redbuckets::with_connection(shared(), "group").buckets(8);
    let error = unable.build().expect("valid").join().await;
    let error = error.expect_err("nothing would outlive a failover");
    assert!(
        matches!(error, JoinError::Unconfirmable { replicas: 1 }),
        "{error:?}"
    );
    let seen = waiting.inspector().expect("valid").read().await;
    let members = seen.expect("a group").members;
    assert_eq!(members.len(), 1, "a refused instance is no member");
    instance.leave().await.expect("confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_will_do_where_nobody_waits() {
    let master = RedisServer::start().expect("starts");
    let _replica = RedisServer::builder()
        .replica_of(&master)
        .start()
        .expect("starts");
    master.wait_replicas(1, PATIENCE).expect("it is in step");
    let manager = manager(&master).await;
    let unable = Raus::with_connection(Connection::shared(manager), "ns", 0..=9);
    let unable = unable.build().expect("valid");
    acquire(&unable).await.expect("free");
    acquire(&unable).await.expect("free");
}
