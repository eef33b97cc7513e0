//! The server forgets everything under load.

use super::*;

/// A period and a request on its way at the moment of the loss.
const TWO_HEARTBEATS: Duration = Duration::from_secs(2);

/// Everybody alive is on record again, under the old fences, before anybody new gets anything.
fn reasserted(row: &str, record: &Record, fault: u64, end: u64) {
    tell(row, record, (fault, end));
    record.check();
    let all = (fault, end);
    assert_eq!(how_many(record, Role::Holders, "reasserted", all), 20);
    assert_eq!(how_many(record, Role::Workers, "reasserted", all), 8);
    assert_none(record, "lost", all, "whoever lives keeps what it has");
    let last = record
        .events_of("reasserted", all)
        .map(|event| event.at_us)
        .max();
    let took = Duration::from_micros(last.expect("there are some") - fault);
    println!("{row}: everybody on record again after {took:?}");
    assert!(took < TWO_HEARTBEATS + SOON, "{took:?}");
    let silence = record.longest_silence((fault - SECOND_US, end), is_old);
    println!("{row}: longest time without an ID {silence:?}");
    assert!(silence < SOON, "{silence:?}");
}

#[test]
fn after_flushall_everybody_is_on_record_again_before_anybody_new_gets_anything() {
    let server = RedisServer::start().expect("starts");
    let load = Load::on(server.url());
    let mut fleet = fleet(&load);
    server.flush_all().expect("flushes");
    let flushed = now_us();
    newcomers(&mut fleet, &load, "a");
    pause(Duration::from_secs(2));
    // Once more, while the past is in doubt.
    server.flush_all().expect("flushes");
    newcomers(&mut fleet, &load, "b");
    wait_working(&fleet);
    pause(Duration::from_secs(1));
    let end = now_us();
    reasserted("FLUSHALL twice", &finish(fleet), flushed, end);
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
    reasserted("empty restart, herd of 28", &finish(fleet), back, end);
}
