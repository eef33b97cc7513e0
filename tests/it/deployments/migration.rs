//! Our hash slot moves to another master and back, key by key, under load.

use std::{thread, time::Duration};

use coord_tests::{
    cluster::{Cluster, Pace},
    mixed_fleet::Plan,
};

use super::{
    FLEET, PATIENCE,
    stage::{Stage, names_on_two_masters, pass},
};

#[test]
fn a_slot_that_moves_there_and_back_under_load_costs_nobody_anything() {
    let cluster = Cluster::builder().start().unwrap();
    let [name, other_name] = names_on_two_masters(&cluster);
    let plan = Plan::new(&cluster.url(), &name);
    let stage = Stage::set(plan.clone());
    let slot = Cluster::slot_of(&name);
    let home = cluster.master_of(slot).unwrap();
    let away = cluster.master_of(Cluster::slot_of(&other_name)).unwrap();
    let pace = Pace {
        keys: 1,
        rest: Duration::from_millis(60),
    };
    let newcomers = Plan {
        processes: 1,
        holders: 4,
        workers: 1,
        ..plan
    };
    let moved = thread::scope(|scope| {
        let moving = scope.spawn(|| {
            let there = cluster.migrate_slot(slot, away, pace).unwrap();
            pass(Duration::from_secs(1));
            there + cluster.migrate_slot(slot, home, pace).unwrap()
        });
        let mut waves = Vec::new();
        for wave in 0.. {
            if moving.is_finished() {
                break;
            }
            let fleet = newcomers.start(FLEET, &format!("new{wave}-")).unwrap();
            fleet.wait_served(PATIENCE).unwrap();
            waves.push(fleet.finish(PATIENCE).unwrap());
        }
        println!("{} waves of newcomers", waves.len());
        for wave in waves {
            wave.assert_promises().unwrap();
        }
        moving.join().unwrap()
    });
    println!("{moved} keys moved");
    assert!(2 * 21 <= moved, "only {moved} keys were moved");
    pass(Duration::from_secs(1));
    stage.end();
}
