//! Clusters form, fail over and reshard as asked.

use std::{collections::BTreeSet, net::TcpStream, thread, time::Duration};

use coord_tests::{
    cluster::{Cluster, Failover, Pace},
    server::{RedisServer, Version},
    wait,
};
use redis::Value;

#[test]
fn every_version_forms_a_cluster_that_survives_its_masters_death() {
    thread::scope(|scope| {
        for version in Version::ALL {
            scope.spawn(move || survives_its_masters_death(version));
        }
    });
}

fn survives_its_masters_death(version: Version) {
    let cluster = Cluster::builder().version(version).start().unwrap();
    assert_eq!(cluster.nodes().len(), 6);
    assert_eq!(cluster.url().split(',').count(), 6);
    for key in ["a", "{tag}:b", "x{tag}y", "{}c", "{d"] {
        let asked: u16 = cluster.nodes()[0]
            .query(&["CLUSTER", "KEYSLOT", key])
            .unwrap();
        assert_eq!(Cluster::slot_of(key), asked, "{key}");
    }
    let slot = Cluster::slot_of("a");
    let master = cluster.master_of(slot).unwrap();
    let replica = cluster.replica_of(slot).unwrap();
    master.cli(&["SET", "a", "1"]).unwrap();
    replica.wait_caught_up(master, LIMIT).unwrap();
    master.kill().unwrap();
    let next = cluster.wait_master_changed(slot, master, LIMIT).unwrap();
    assert_eq!(next.port(), replica.port(), "{version}");
    cluster.wait_ok(LIMIT).unwrap();
    assert_eq!(next.query::<u64>(&["GET", "a"]).unwrap(), 1, "{version}");
    master.restart().unwrap();
    wait::until(LIMIT, || {
        let replica = cluster.replica_of(slot).ok()?;
        (replica.port() == master.port()).then_some(())
    })
    .unwrap();
    cluster.wait_ok(LIMIT).unwrap();
}

#[test]
fn a_slot_moves_key_by_key_while_its_source_serves_what_it_still_has() {
    let versions = [Version::Redis7_0, Version::Valkey9_1];
    thread::scope(|scope| {
        for version in versions {
            scope.spawn(move || moves_key_by_key(version));
        }
    });
}

fn moves_key_by_key(version: Version) {
    let cluster = Cluster::builder()
        .version(version)
        .replicas_per_master(0)
        .password("pw")
        .start()
        .unwrap();
    let slot = Cluster::slot_of("tag");
    let from = cluster.master_of(slot).unwrap();
    let is_other = |node: &&RedisServer| node.port() != from.port();
    let to = cluster.nodes().iter().find(is_other).unwrap();
    let keys: Vec<String> = (0..200).map(|number| format!("{{tag}}:{number}")).collect();
    for key in &keys {
        from.cli(&["SET", key, "1"]).unwrap();
    }
    let pace = Pace {
        keys: 10,
        rest: Duration::from_millis(20),
    };
    let mut codes = BTreeSet::new();
    let moved = thread::scope(|scope| {
        let moving = scope.spawn(|| cluster.migrate_slot(slot, to, pace).unwrap());
        while !moving.is_finished() {
            for key in &keys {
                codes.insert(code(from.cli(&["GET", key])));
            }
        }
        moving.join().unwrap()
    });
    assert_eq!(moved, keys.len(), "{version}");
    assert!(
        codes.contains("found") && codes.contains("ASK"),
        "{codes:?}"
    );
    assert_eq!(code(from.cli(&["GET", &keys[0]])), "MOVED");
    assert_eq!(code(to.cli(&["GET", &keys[0]])), "found");
    assert_eq!(cluster.master_of(slot).unwrap().port(), to.port());
    cluster.wait_ok(LIMIT).unwrap();
    let error = cluster.migrate_slot(slot, to, Pace::default()).unwrap_err();
    assert!(error.to_string().contains("already"), "{error}");
}

/// How a server answered: with a value, or with an error of this code.
fn code(answer: anyhow::Result<Value>) -> String {
    match answer {
        Ok(Value::Nil) => "missing".to_owned(),
        Ok(_) => "found".to_owned(),
        Err(error) => {
            let error = error.downcast_ref::<redis::RedisError>();
            error
                .and_then(|error| error.code())
                .unwrap_or("?")
                .to_owned()
        }
    }
}

#[test]
fn a_replica_takes_over_with_and_without_its_master() {
    let cluster = Cluster::builder().password("pw").start().unwrap();
    assert!(cluster.url().starts_with("rediscluster://:pw@127.0.0.1:"));
    // Of three masters; each is voted about once.
    let slots = [0, 8_000, 16_383];
    let ways = [Failover::Agreed, Failover::Force, Failover::Takeover];
    for (slot, how) in slots.into_iter().zip(ways) {
        let former = cluster.master_of(slot).unwrap();
        let replica = cluster.replica_of(slot).unwrap();
        cluster.failover(replica, how).unwrap();
        let master = cluster.wait_master_changed(slot, former, LIMIT).unwrap();
        assert_eq!(master.port(), replica.port(), "{how:?}");
        cluster.wait_ok(LIMIT).unwrap();
    }
    let slot = slots[0];
    let master = cluster.master_of(slot).unwrap();
    assert!(cluster.failover(master, Failover::Force).is_err());
}

#[test]
fn a_stopped_node_is_no_well_cluster() {
    let cluster = Cluster::builder().replicas_per_master(0).start().unwrap();
    let node = &cluster.nodes()[0];
    node.stop().unwrap();
    assert!(cluster.wait_ok(Duration::ZERO).is_err());
    assert!(cluster.master_of(0).is_err());
    assert!(cluster.master_of(16_383).is_ok());
    node.cont().unwrap();
    cluster.wait_ok(LIMIT).unwrap();
}

#[test]
fn every_version_announces_the_proxies_in_front_of_its_nodes() {
    thread::scope(|scope| {
        for version in Version::ALL {
            scope.spawn(move || announces_proxies(version));
        }
    });
}

fn announces_proxies(version: Version) {
    let cluster = Cluster::builder()
        .version(version)
        .proxied()
        .start()
        .unwrap();
    let slot = Cluster::slot_of("a");
    let master = cluster.master_of(slot).unwrap();
    let replica = cluster.replica_of(slot).unwrap();
    let proxy = cluster.proxy(master);
    assert!(cluster.url().contains(&proxy.port().to_string()));
    let moved = cluster.proxy(replica);
    let client = redis::Client::open(moved.url()).unwrap();
    let mut connection = client.get_connection_with_timeout(LIMIT).unwrap();
    let moved = redis::cmd("GET").arg("a").query::<Value>(&mut connection);
    let address = format!("127.0.0.1:{}", proxy.port());
    let moved = moved.unwrap_err();
    assert_eq!(
        moved.redirect_node(),
        Some((address.as_str(), slot)),
        "{version}"
    );

    proxy.cut().unwrap();
    assert!(TcpStream::connect(proxy.addr()).is_err());
    assert!(replica.wait_caught_up(master, Duration::ZERO).is_err());
    proxy.resume().unwrap();
    cluster.wait_ok(LIMIT).unwrap();
    master.restart().unwrap();
    cluster.wait_ok(LIMIT).unwrap();
}

const LIMIT: Duration = Duration::from_secs(60);
