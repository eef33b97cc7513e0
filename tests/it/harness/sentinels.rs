//! Sentinels fail over as asked, and lose writes as asked.

use std::{thread, time::Duration};

use coord_tests::{
    sentinels::Sentinels,
    server::{RedisServer, Version},
    wait,
};
use redis::Value;

fn get(server: &RedisServer, key: &str) -> Option<u64> {
    server.query(&["GET", key]).unwrap()
}

#[test]
fn in_every_version_the_sentinels_replace_a_killed_master() {
    thread::scope(|scope| {
        for version in Version::ALL {
            scope.spawn(move || replaces_a_killed_master(version));
        }
    });
}

fn replaces_a_killed_master(version: Version) {
    let group = Sentinels::builder().version(version).start().unwrap();
    assert_eq!((group.servers().len(), group.sentinels().len()), (3, 3));
    let master = group.master().unwrap();
    let replicas = group.replicas().unwrap();
    assert_eq!(replicas.len(), 2);
    master.cli(&["SET", "a", "1"]).unwrap();
    for replica in replicas {
        replica.wait_caught_up(master, LIMIT).unwrap();
    }
    master.kill().unwrap();
    let next = group.wait_master_changed(master, LIMIT).unwrap();
    assert_eq!(get(next, "a"), Some(1), "{version}");
    master.restart().unwrap();
    wait::until(LIMIT, || {
        let info = master.info("replication").ok()?;
        (info["role"] == "slave").then_some(())
    })
    .unwrap();
    group.wait_ok(LIMIT).unwrap();
    assert_eq!(get(master, "a"), Some(1), "{version}");
}

#[test]
fn a_healthy_master_is_replaced_on_request_under_passwords_everywhere() {
    let group = Sentinels::builder()
        .password("data")
        .sentinel_password("watch")
        .acl_user("app", "on >pass ~* &* +@all")
        .sentinel_acl_user("client", "on >pass allchannels +@all")
        .start()
        .unwrap();
    let ports: Vec<String> = group
        .sentinels()
        .iter()
        .map(|s| s.addr().to_string())
        .collect();
    let hosts = ports.join(",");
    assert_eq!(
        group.url(),
        format!("redis+sentinel://:data@{hosts}/{}", Sentinels::NAME)
    );
    assert_eq!(
        group.url_for("app", "pass"),
        format!("redis+sentinel://app:pass@{hosts}/{}", Sentinels::NAME)
    );
    let former = group.master().unwrap();
    let master = group.failover().unwrap();
    assert_ne!(master.port(), former.port());
    assert_eq!(group.master().unwrap().port(), master.port());

    let sentinel = &group.sentinels()[0];
    let ask = |url: String| {
        let mut connection = redis::Client::open(url)?.get_connection_with_timeout(LIMIT)?;
        let address = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(Sentinels::NAME)
            .query(&mut connection);
        address.map(|(_, port): (String, u16)| port)
    };
    assert_eq!(
        ask(sentinel.url_for("client", "pass")).unwrap(),
        master.port()
    );
    let without = format!("redis://{}", sentinel.addr());
    assert_eq!(ask(without).unwrap_err().code(), Some("NOAUTH"));
}

#[test]
fn a_failover_loses_what_no_replica_had() {
    let group = Sentinels::builder().start().unwrap();
    let former = group.master().unwrap();
    former.cli(&["SET", "kept", "1"]).unwrap();
    for replica in group.replicas().unwrap() {
        replica.wait_caught_up(former, LIMIT).unwrap();
    }
    let master = group
        .failover_without(|master| master.query(&["SET", "lost", "1"]))
        .unwrap();
    assert_ne!(master.port(), former.port());
    assert_eq!((get(master, "kept"), get(master, "lost")), (Some(1), None));
}

#[test]
fn a_master_that_demands_replicas_acknowledges_nothing_that_would_be_lost() {
    let group = Sentinels::builder()
        .replicas(1)
        .config_line("min-replicas-to-write 1")
        .config_line("min-replicas-max-lag 2")
        .start()
        .unwrap();
    let former = group.master().unwrap();
    former.cli(&["SET", "a", "1"]).unwrap();
    let refused = group.failover_without(|master| master.query(&["SET", "a", "2"]));
    let refused = refused.unwrap_err();
    assert!(format!("{refused:#}").contains("NOREPLICAS"), "{refused:#}");
    assert!(former.is_alive());
    group.wait_ok(LIMIT).unwrap();
    assert_eq!(former.cli(&["SET", "a", "3"]).unwrap(), Value::Okay);
}

#[test]
fn a_group_with_a_stopped_sentinel_still_names_its_master() {
    let group = Sentinels::builder().replicas(1).start().unwrap();
    let master = group.master().unwrap();
    group.sentinels()[0].stop().unwrap();
    assert_eq!(group.master().unwrap().port(), master.port());
    assert!(group.wait_ok(Duration::ZERO).is_err());
    group.sentinels()[0].cont().unwrap();
    group.sentinels()[1].kill().unwrap();
    group.wait_ok(LIMIT).unwrap();
    group.sentinels()[1].restart().unwrap();
    group.wait_ok(LIMIT).unwrap();
}

#[test]
fn a_master_that_is_cut_off_by_its_proxy_is_replaced_and_follows_when_it_is_back() {
    let group = Sentinels::builder().proxied().start().unwrap();
    let former = group.master().unwrap();
    let proxy = group.proxy(former);
    proxy.cut().unwrap();
    let next = group.wait_master_changed(former, LIMIT).unwrap();
    assert_ne!(next.port(), former.port());
    proxy.resume().unwrap();
    group.wait_ok(LIMIT).unwrap();
    // Asked anew: on a busy machine another failover may have followed.
    let master = group.proxy(group.master().unwrap()).port().to_string();
    for replica in group.replicas().unwrap() {
        let info = replica.info("replication").unwrap();
        assert_eq!(info.get("master_port"), Some(&master));
    }
}

const LIMIT: Duration = Duration::from_secs(60);
