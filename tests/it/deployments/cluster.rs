//! The master of our hash slot dies, hangs, hands over.

use std::time::Duration;

use coord_tests::{
    cluster::{Cluster, Failover},
    mixed_fleet::Plan,
    server::RedisServer,
};

use super::{
    PATIENCE,
    stage::{Stage, names_on_two_masters, pass},
};

/// A cluster with our fleet on one master and a smaller one on another.
struct Row {
    cluster: Cluster,
    ours: Stage,
    others: Stage,
    slot: u16,
}

impl Row {
    fn set() -> Self {
        let cluster = Cluster::builder()
            // Otherwise the healthy masters refuse everything while one is down, whatever a client does.
            .config_line("cluster-require-full-coverage no")
            .start()
            .unwrap();
        let [our_name, other_name] = names_on_two_masters(&cluster);
        let other_plan = Plan {
            processes: 1,
            holders: 3,
            workers: 2,
            buckets: 64,
            ..Plan::new(&cluster.url(), &other_name)
        };
        let others = Stage::set(other_plan);
        let ours = Stage::set(Plan::new(&cluster.url(), &our_name));
        let slot = Cluster::slot_of(&our_name);
        Self {
            cluster,
            ours,
            others,
            slot,
        }
    }

    fn master(&self) -> &RedisServer {
        self.cluster.master_of(self.slot).unwrap()
    }

    fn replica(&self) -> &RedisServer {
        self.cluster.replica_of(self.slot).unwrap()
    }

    fn end(self) {
        self.ours.end();
        self.others.end().assert_undisturbed();
    }
}

#[test]
fn a_killed_master_is_followed_by_its_replica_and_nothing_is_lost() {
    let row = Row::set();
    let (master, replica) = (row.master(), row.replica());
    row.ours.assert_heals(&[replica], || master.kill().unwrap());
    pass(Duration::from_secs(2));
    row.end();
}

#[test]
fn a_hung_master_is_followed_by_its_replica_and_may_come_back() {
    let row = Row::set();
    let (master, replica) = (row.master(), row.replica());
    row.ours.assert_heals(&[replica], || master.stop().unwrap());
    master.cont().unwrap();
    row.cluster.wait_ok(PATIENCE).unwrap();
    pass(Duration::from_secs(2));
    row.end();
}

#[test]
fn a_graceful_failover_disturbs_nobody_for_long() {
    let row = Row::set();
    let replica = row.replica();
    row.ours.assert_heals(&[replica], || {
        row.cluster.failover(replica, Failover::Agreed).unwrap();
    });
    pass(Duration::from_secs(2));
    row.end();
}
