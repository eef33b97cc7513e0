//! The server forgets everything under load.

use super::*;

/// Everybody alive is on record again, under the old fences, before anybody new gets anything; after each fault.
fn reasserted(row: &str, record: &Record, faults: &[u64], end: u64) {
    let span = (faults[0], end);
    tell(row, record, span);
    record.check();
    assert_none(record, "lost", span, "whoever lives keeps what it has");
    for (index, &fault) in faults.iter().enumerate() {
        let span = (fault, faults.get(index + 1).copied().unwrap_or(end));
        assert_eq!(how_many(record, Role::Holders, "reasserted", span), 20);
        assert_eq!(how_many(record, Role::Workers, "reasserted", span), 8);
        let last = record.events_of("reasserted", span).last();
        let took = Duration::from_micros(last.map_or(0, |event| event.at_us) - fault);
        println!("{row}: everybody on record again after {took:?}");
        // Two heartbeats, but for the machine's other work.
        assert!(took < SOON, "{took:?}");
    }
    let silence = record.longest_silence((span.0 - SECOND_US, end), is_old);
    println!("{row}: longest time without an ID {silence:?}");
    assert!(silence < SOON, "{silence:?}");
}

#[test]
fn after_flushall_everybody_is_on_record_again_before_anybody_new_gets_anything() {
    let server = RedisServer::start().expect("starts");
    let load = Load::on(server.url());
    let mut fleet = fleet(&load);
    server.flush_all().expect("flushes");
    let first = now_us();
    newcomers(&mut fleet, &load, "a");
    pause(Duration::from_secs(4));
    // Once more, while the past is in doubt.
    server.flush_all().expect("flushes");
    let second = now_us();
    newcomers(&mut fleet, &load, "b");
    wait_working(&fleet);
    pause(Duration::from_secs(1));
    let end = now_us();
    reasserted("FLUSHALL twice", &finish(fleet), &[first, second], end);
}

#[test]
fn an_empty_restart_under_a_herd_of_newcomers_makes_no_second_owner() {
    let server = RedisServer::start().expect("starts");
    let load = Load::on(server.url());
    let mut fleet = fleet(&load);
    server.wipe_and_restart().expect("restarts");
    let back = now_us();
    for name in ["a", "b", "c", "d"] {
        newcomers(&mut fleet, &load, name);
    }
    wait_working(&fleet);
    pause(Duration::from_secs(1));
    let end = now_us();
    reasserted("empty restart, herd of 28", &finish(fleet), &[back], end);
}
