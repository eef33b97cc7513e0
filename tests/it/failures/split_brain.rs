//! A master is cut off together with its clients, for ten ttls; the other side promotes a replica and grants. No server
//! has `min-replicas-to-write`.

use coord_tests::proxy::{Direction, Proxy};

use super::*;

const TTL: Duration = Duration::from_secs(3);
const CUT: Duration = Duration::from_secs(30);

/// What both sides did, from the cut on. Ten holders of the old side have all slots, and four workers all buckets; five
/// newcomers on the other side want five of those slots, and two workers all of those buckets.
fn split(row: &str, acknowledge: u32) -> (Record, u64) {
    let master = RedisServer::start().expect("starts");
    let link = Proxy::in_front_of(&master).expect("a proxy");
    let heir = RedisServer::builder().replica_through(&master, &link);
    let heir = heir.start().expect("starts");
    // So that the other side has a replica as well.
    let second = RedisServer::builder().replica_of(&heir).start();
    let _second = second.expect("starts");
    let mut load = Load::on(master.url());
    (load.holder_processes, load.worker_processes) = (2, 2);
    for job in [&mut load.holders, &mut load.workers] {
        job.ttl_ms = TTL.as_millis().try_into().expect("short");
        job.heartbeat_ms = 300;
        job.discovery_ms = 1_500;
        job.acknowledge = acknowledge;
    }
    (load.holders.highest, load.workers.buckets) = (9, 64);
    let mut fleet = fleet(&load);
    link.hold(Direction::Both).expect("holds");
    let cut = now_us();
    heir.promote().expect("promotes");
    load.urls = vec![heir.url()];
    newcomers(&mut fleet, &load, "");
    pause(CUT);
    let end = now_us();
    let record = finish(fleet);
    tell(row, &record, (cut, end));
    (record, cut)
}

#[test]
fn with_acknowledgements_a_master_that_is_cut_off_with_its_clients_prolongs_nothing() {
    let (record, cut) = split("a split of ten ttls, acknowledge(1)", 1);
    record.check();
    let span = (cut, u64::MAX);
    for (role, count) in [(Role::Holders, 10), (Role::Workers, 4)] {
        let lost = how_many(&record, role, "lost", span);
        assert_eq!(lost, count, "whoever is cut off is told: {role:?}");
    }
    for kind in ["acquired", "granted"] {
        let there = record
            .events_of(kind, span)
            .filter(|event| !is_old(&event.who))
            .count();
        assert!(5 <= there, "the other side has {kind} {there}");
    }
}

#[test]
fn without_them_both_sides_hold_and_grant_as_is_documented() {
    let (record, _) = split("a split of ten ttls", 0);
    let (slots, buckets) = (record.longest_slot_overlap(), record.bucket_violations());
    println!(
        "a split of ten ttls: two held one slot for {slots:?}, {} times two worked in one bucket",
        buckets.len()
    );
    assert!(TTL < slots && !buckets.is_empty());
}
