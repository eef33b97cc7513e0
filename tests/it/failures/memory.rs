//! The server's memory is full.

use super::*;

fn limit_memory(server: &RedisServer, bytes: u64) {
    server
        .cli(&["CONFIG", "SET", "maxmemory", &bytes.to_string()])
        .expect("is set");
}

fn used_memory(server: &RedisServer) -> u64 {
    let info = server.info("memory").expect("answers");
    info["used_memory"].parse().expect("a number")
}

/// For longer than any ttl every command that needs memory is refused. A renewal prolongs the lock first, which needs
/// none, and what a script does after its first write is not refused.
#[test]
fn full_memory_stops_work_in_buckets_with_an_event_and_gives_nothing_to_a_second() {
    let row = "maxmemory, noeviction, for 15 s";
    let server = RedisServer::builder()
        .config_line("maxmemory-policy noeviction")
        .start()
        .expect("starts");
    let load = Load::on(server.url());
    let mut fleet = fleet(&load);
    limit_memory(&server, used_memory(&server) / 2);
    let full = now_us();
    newcomers(&mut fleet, &load, "");
    pause(Duration::from_secs(15));
    limit_memory(&server, 0);
    let free = now_us();
    wait_working(&fleet);
    pause(Duration::from_secs(1));
    let end = now_us();
    let record = finish(fleet);

    tell(row, &record, (full, end));
    record.check();
    let during = (full, free);
    for kind in ["lost", "stalled", "horizonstuck"] {
        let told = how_many(&record, Role::Holders, kind, (full, end));
        assert_eq!(told, 0, "{kind}: machine IDs are kept and minted under");
    }
    let mut refused = record.events_of("acquire_failed", during).peekable();
    assert!(refused.peek().is_some(), "newcomers are told");
    assert!(refused.all(|event| event.detail.contains("OOM")), "and why");
    let granted = record.events_of("acquired", during).next();
    assert_eq!(granted, None, "nobody new gets anything");
    let recovered = record.recovered_after(free, is_old);
    println!("{row}: everybody renewed {recovered:?} after there was memory again");
    assert!(recovered < SOON, "{recovered:?}");
    let told = how_many(&record, Role::Workers, "beatfailed", during);
    assert_eq!(told, 8, "every worker is told");
    let told = how_many(&record, Role::Workers, "lost", during);
    assert_eq!(told, 8, "work ends at the deadline");
}

/// Every lock is evicted again and again while newcomers arrive; each time holders live and hold.
#[test]
fn evicted_locks_free_no_slot_and_are_put_back_with_an_event() {
    let row = "maxmemory, volatile-lru: locks evicted 5 times";
    let server = RedisServer::builder()
        .config_line("maxmemory-policy volatile-lru")
        .start()
        .expect("starts");
    let mut load = Load::on(server.url());
    // Newcomers that want what is evicted: few other slots are free.
    load.holders.highest = 29;
    let mut fleet = fleet(&load);
    let began = now_us();
    let mut evicted = 0;
    for round in 0..5 {
        limit_memory(&server, used_memory(&server) / 2);
        // Memory is freed when a command comes, and holders send them all the time.
        pause(Duration::from_millis(100));
        limit_memory(&server, 0);
        if round == 1 || round == 3 {
            newcomers(&mut fleet, &load, &round.to_string());
        }
        pause(Duration::from_millis(2_500));
        let stats = server.info("stats").expect("answers");
        evicted = stats["evicted_keys"].parse().expect("a number");
    }
    wait_working(&fleet);
    let end = now_us();
    let record = finish(fleet);

    tell(row, &record, (began, end));
    println!("{row}: {evicted} keys evicted");
    record.check();
    assert!(20 <= evicted, "{evicted} keys were evicted");
    let told = how_many(&record, Role::Holders, "reasserted", (began, end));
    assert_eq!(told, 20, "every holder is told that its lock was gone");
    assert_none(&record, "lost", (began, end), "an evicted lock is no loss");
}
