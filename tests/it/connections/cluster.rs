//! A cluster by the client library's own connections.

use std::time::Duration;

use ::raus::{Connection, Raus};
use coord_tests::cluster::Cluster;
use redbuckets::Redbuckets;
use redis::cluster_async::ClusterConnection;

use super::{PATIENCE, acquire, causes, live_as_instances, live_as_machine, until};

fn nodes(cluster: &Cluster) -> Vec<String> {
    cluster.nodes().iter().map(|node| node.url()).collect()
}

fn pool(cluster: &Cluster) -> deadpool_redis::cluster::Pool {
    let manager = deadpool_redis::cluster::Manager::new(nodes(cluster), false).expect("valid");
    deadpool_redis::cluster::Pool::builder(manager)
        .build()
        .expect("valid")
}

async fn connection(cluster: &Cluster) -> ClusterConnection {
    let client = redis::cluster::ClusterClient::new(nodes(cluster)).expect("valid");
    client.get_async_connection().await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_lies_in_one_hash_slot_by_a_pool_and_by_a_connection() {
    let cluster = Cluster::builder().start().expect("starts");
    let pool = pool(&cluster);
    let shared = connection(&cluster).await;
    let kinds: [(&str, Connection); 2] = [
        ("by-pool", pool.clone().into()),
        ("by-connection", shared.clone().into()),
    ];
    for (name, connection) in kinds {
        assert!(connection.is_in_cluster() && !connection.can_confirm());
        live_as_machine(Raus::with_connection(connection.clone(), name, 0..=1)).await;
        let groups = [(); 2].map(|()| Redbuckets::with_connection(connection.clone(), name));
        live_as_instances(groups).await;
        let slot = Cluster::slot_of(&format!("{{{name}}}:slots"));
        let master = cluster.master_of(slot).expect("somebody serves it");
        let keys: Vec<String> = master
            .query(&["KEYS", &format!("{{{name}}}:*")])
            .expect("asks");
        assert!(keys.contains(&format!("{{{name}}}:slots")), "{keys:?}");
        // Each key's own master answers.
        let store = connection.open().expect("valid");
        for key in ["a", "b", "c"] {
            let info = store.describe(key, PATIENCE).await.expect("it answers");
            let master = cluster.master_of(Cluster::slot_of(key));
            let expected = master.expect("somebody serves it").info("server");
            assert_eq!(info.run_id, expected.expect("asks")["run_id"]);
            assert!(
                info.wall.is_some() && info.role == "master" && !info.maxmemory_policy.is_empty(),
                "{info:?}"
            );
        }
    }

    // A connection that does not say where it leads is told what is missing.
    let unmarked = Raus::with_connection(Connection::shared(shared), "unmarked", 0..=9);
    let error = acquire(&unmarked.build().expect("valid")).await;
    let text = causes(&error.expect_err("its keys lie anywhere"));
    assert!(text.contains("add Connection::in_cluster()"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_finds_the_new_master_after_a_crash() {
    let cluster = Cluster::builder()
        .replicas_per_master(1)
        .node_timeout(Duration::from_secs(1))
        .start()
        .expect("starts");
    let raus = Raus::with_connection(pool(&cluster), "ns", 0..=9)
        .ttl(3 * PATIENCE)
        .heartbeat(Duration::from_millis(200))
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let machine_id = acquire(&raus).await.expect("free");
    let slot = Cluster::slot_of("{ns}:slots");
    let master = cluster.master_of(slot).expect("somebody serves it");
    let before = machine_id.deadline();
    master.kill().expect("it was alive");
    cluster
        .wait_master_changed(slot, master, PATIENCE)
        .expect("a replica takes over");
    let changed = machine_id.deadline();
    assert!(before <= changed);
    until("it is renewed at the new master", || {
        changed < machine_id.deadline()
    })
    .await;
    assert!(machine_id.is_held());
}
