//! The master that the sentinels name dies, hangs, hands over.

use std::time::Duration;

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
