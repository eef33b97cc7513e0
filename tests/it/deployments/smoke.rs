//! Everything works through every kind of URL.

use coord_tests::{
    cluster::Cluster,
    mixed_fleet::{Fleet, Log, Plan},
    sentinels::Sentinels,
    server::Version,
    wait,
};
use redis::Value;

use super::{FLEET, PATIENCE, stage::names_on_two_masters};

/// What `fleet` did until everybody had what they wanted, somebody had minted and somebody had been in a bucket.
fn worked(fleet: Fleet) -> Log {
    fleet.wait_steady(PATIENCE).unwrap();
    let has_worked = || {
        let log = fleet.log().unwrap();
        let (ids, visits) = (log.ids().unwrap(), log.visits().unwrap());
        (!ids.is_empty() && !visits.is_empty()).then_some(())
    };
    wait::until(PATIENCE, has_worked).unwrap();
    fleet.finish(PATIENCE).unwrap()
}

/// Two processes that lease, mint, share and visit at `url`, and then give everything back.
fn works(url: &str, name: &str) {
    let plan = Plan {
        processes: 2,
        ..Plan::new(url, name)
    };
    let fleet = plan.start(FLEET, name).unwrap();
    let log = worked(fleet);
    let (minted, visits) = log.assert_promises().unwrap();
    assert!(0 < minted && 0 < visits, "{minted} IDs, {visits} visits");
    assert!(log.holding().is_empty(), "released: {:?}", log.holding());
}

#[test]
fn a_cluster_serves_both_and_its_namespaces_spread() {
    std::thread::scope(|scope| {
        for version in [Version::Redis7_0, Version::Valkey9_1] {
            scope.spawn(move || {
                let cluster = Cluster::builder().version(version).start().unwrap();
                for node in cluster.nodes() {
                    node.reset_stats().unwrap();
                }
                let names = names_on_two_masters(&cluster);
                for name in &names {
                    works(&cluster.url(), name);
                }
                let homes = names.map(|name| cluster.master_of(Cluster::slot_of(&name)).unwrap());
                for (place, node) in cluster.nodes().iter().enumerate() {
                    let stats = node.commandstats().unwrap();
                    let scripts = stats.get("evalsha").copied().unwrap_or(0);
                    let is_home = homes.iter().any(|home| home.port() == node.port());
                    // A replica runs no script of a client's, and is not even asked to.
                    assert_eq!(is_home, 0 < scripts, "{version}, node {place}: {stats:?}");
                }
            });
        }
    });
}

#[test]
fn a_master_named_by_sentinels_serves_both_under_credentials_everywhere() {
    let group = Sentinels::builder()
        .password("data")
        .sentinel_password("watch")
        .sentinel_acl_user(
            "client",
            "on >pass allchannels -@all +auth +hello +ping +subscribe +sentinel|master \
             +sentinel|get-master-addr-by-name",
        )
        .start()
        .unwrap();
    let url = format!(
        "{}?sentinel_user=client&sentinel_password=pass",
        group.url()
    );
    let plan = Plan {
        raus: format!("{url}&ns=smoke"),
        processes: 2,
        ..Plan::new(&url, "smoke")
    };
    let fleet = plan.start(FLEET, "smoke").unwrap();
    let log = worked(fleet);
    let (minted, visits) = log.assert_promises().unwrap();
    assert!(0 < minted && 0 < visits, "{minted} IDs, {visits} visits");
    let keys: Value = group
        .master()
        .unwrap()
        .cli(&["EXISTS", "smoke:slots"])
        .unwrap();
    assert_eq!(keys, Value::Int(1));
}
