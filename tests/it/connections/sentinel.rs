//! A master that sentinels name, by the pool of the client library.

use std::time::Duration;

use ::raus::{AcquireError, Connection, Raus};
use coord_tests::sentinels::Sentinels;
use deadpool_redis::sentinel::{Manager, Pool, SentinelServerType};
use redbuckets::Redbuckets;

use super::{PATIENCE, acquire, live_as_instances, live_as_machine, until};

fn pool(group: &Sentinels) -> Pool {
    let urls: Vec<String> = group.sentinels().iter().map(|it| it.url()).collect();
    let name = Sentinels::NAME.to_owned();
    let manager = Manager::new(urls, name, None, SentinelServerType::Master).expect("valid");
    Pool::builder(manager).build().expect("valid")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_follows_the_master() {
    let group = Sentinels::builder().start().expect("starts");
    let pool = pool(&group);
    let connection = || Connection::from(pool.clone());
    live_as_machine(Raus::with_connection(connection(), "ns", 0..=1)).await;
    live_as_instances([(); 2].map(|()| Redbuckets::with_connection(connection(), "group"))).await;

    let raus = Raus::with_connection(connection(), "ns", 0..=1)
        .ttl(3 * PATIENCE)
        .heartbeat(Duration::from_millis(200))
        .acknowledge(1)
        .build()
        .expect("valid");
    let before = acquire(&raus).await.expect("a replica acknowledges it");
    group.failover().expect("they agree");
    let changed = before.deadline();
    until("it is renewed at the new master", || {
        changed < before.deadline()
    })
    .await;
    let after = raus.acquire_within(PATIENCE).await;
    assert!(
        matches!(after, Err(AcquireError::Quarantined { .. })),
        "the new master may lack what the old one granted: {after:?}"
    );
    assert!(before.is_held());
}
