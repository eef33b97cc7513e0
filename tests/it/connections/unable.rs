//! Connections that cannot wait for replicas: only `acknowledge` needs one that can.

use ::raus::{Connection, Raus};
use coord_tests::server::RedisServer;
use redis::aio::ConnectionManager;

use super::{PATIENCE, acquire};

#[tokio::test(flavor = "multi_thread")]
async fn they_grant_beside_replicas() {
    let master = RedisServer::start().expect("starts");
    let _replica = RedisServer::builder()
        .replica_of(&master)
        .start()
        .expect("starts");
    master.wait_replicas(1, PATIENCE).expect("it is in step");
    let client = redis::Client::open(master.url()).expect("valid");
    let manager = ConnectionManager::new(client).await.expect("connects");
    let unable = Raus::with_connection(Connection::shared(manager), "ns", 0..=9);
    let unable = unable.build().expect("valid");
    acquire(&unable).await.expect("free");
    acquire(&unable).await.expect("free");
}
