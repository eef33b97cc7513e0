//! The master that the sentinels name dies, hangs, hands over.

use std::time::Duration;

use coord_core::{
    endpoint::Endpoint,
    store::{Command, Reply, redis},
};
use coord_tests::{mixed_fleet::Plan, sentinels::Sentinels};

use super::{
    PATIENCE,
    stage::{Stage, pass},
};

fn set() -> (Sentinels, Stage) {
    let group = Sentinels::builder().start().unwrap();
    let stage = Stage::set(Plan::new(&group.url(), "ours"));
    (group, stage)
}

#[test]
fn a_killed_master_is_left_as_soon_as_there_is_another() {
    let (group, stage) = set();
    let (master, replicas) = (group.master().unwrap(), group.replicas().unwrap());
    stage.assert_heals(&replicas, || master.kill().unwrap());
    pass(Duration::from_secs(2));
    stage.end();
}

#[test]
fn a_healthy_master_is_left_as_soon_as_another_was_promoted() {
    let (group, stage) = set();
    let replicas = group.replicas().unwrap();
    stage.assert_heals(&replicas, || {
        group.failover().unwrap();
    });
    pass(Duration::from_secs(2));
    stage.end();
}

#[test]
fn a_master_that_hung_until_it_was_succeeded_gets_nothing_any_more() {
    let (group, stage) = set();
    let (master, replicas) = (group.master().unwrap(), group.replicas().unwrap());
    stage.assert_heals(&replicas, || {
        master.stop().unwrap();
        group.wait_master_changed(master, PATIENCE).unwrap();
        master.cont().unwrap();
    });
    pass(Duration::from_secs(2));
    stage.end();
}

/// Its connection to the master that was succeeded is as good as ever, and the news waits to be read.
#[test]
fn a_client_that_stood_still_meanwhile_asks_for_the_master_first() {
    let group = Sentinels::builder().start().unwrap();
    let store = redis::open(&Endpoint::parse(&group.url()).unwrap(), None).unwrap();
    // Whatever the client does it does in here, and between two calls it does nothing.
    let process = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let publish = || {
        let command = Command::Publish {
            channel: "where".to_owned(),
            payload: String::new(),
        };
        let replies = process.block_on(store.pipeline(&[command], PATIENCE));
        let [Ok(Reply::Int(heard_by))] = replies[..] else {
            panic!("{replies:?}")
        };
        heard_by
    };
    let master = group.master().unwrap();
    let mut connection = master.connection().unwrap();
    let mut listener = connection.as_pubsub();
    listener.subscribe("where").unwrap();
    assert_eq!(publish(), 1, "at the master");

    master.stop().unwrap();
    group.wait_master_changed(master, PATIENCE).unwrap();
    master.cont().unwrap();
    let role = |role: &str| master.info("replication").unwrap()["role"] == role;
    assert!(role("master"), "it is demoted later");
    assert_eq!(publish(), 0, "at its successor");
}
