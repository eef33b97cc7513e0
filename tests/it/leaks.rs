//! Leasing and giving back, joining and leaving, thousands of times in one process, leave nothing behind: no memory,
//! tasks, threads or open files in the process, no connections or keys on the server.
//!
//! Each test measures a process of its own (`src/bin/cycles.rs`), as other tests run beside it.

use std::{thread, time::Duration};

use coord_tests::{
    program::Program,
    server::{RedisServer, Version},
    wait,
};
use serde_json::Value;

#[test]
fn leases_leave_nothing_behind() {
    check("lease", 10_000);
}

#[test]
fn leases_by_connections_of_their_own_leave_nothing_behind() {
    check("lease-anew", 1_000);
}

#[test]
fn memberships_leave_nothing_behind() {
    check("membership", 1_000);
}

#[test]
fn memberships_by_connections_of_their_own_leave_nothing_behind() {
    check("membership-anew", 200);
}

/// The check is as good as what it finds: handles that are forgotten instead of given back.
#[test]
fn what_is_forgotten_is_noticed() {
    // (what is repeated, how often it is forgotten, what has to be complained about)
    let cases = [
        ("lease", 10, ["tasks", "heap"].as_slice()),
        ("lease-anew", 3, &["threads", "files", "heap"]),
        ("membership", 3, &["tasks", "heap"]),
        ("membership-anew", 3, &["threads", "files", "heap"]),
    ];
    // Side by side: each waits in vain for what was forgotten to end.
    thread::scope(|scope| {
        for (what, forgets, expected) in cases {
            scope.spawn(move || {
                let complaints = complaints(&server(), what, 50, forgets);
                for part in expected {
                    let is_there = complaints.iter().any(|text| text.starts_with(part));
                    assert!(is_there, "{what}: nothing about {part} in {complaints:?}");
                }
            });
        }
    });
}

#[track_caller]
fn check(what: &str, cycles: u32) {
    let server = server();
    let mut complaints = complaints(&server, what, cycles, 0);
    // The harness's own connection is the one that is left.
    let gone = wait::until(PATIENCE, || (clients(&server) <= 1).then_some(()));
    if gone.is_none() {
        complaints.push(format!("clients: {}", clients(&server)));
    }
    let keys: Vec<String> = server.query(&["KEYS", "*"]).expect("the server answers");
    complaints.extend(keys.into_iter().filter(|key| !stays(key)));
    assert!(
        complaints.is_empty(),
        "{what}, {cycles} cycles: {complaints:?}"
    );
}

/// What the process uses more after the last cycle than after the first tenth.
fn complaints(server: &RedisServer, what: &str, cycles: u32, forgets: u32) -> Vec<String> {
    let arguments = [
        server.url(),
        what.to_owned(),
        cycles.to_string(),
        forgets.to_string(),
    ];
    let mut running = Program::at(env!("CARGO_BIN_EXE_cycles"))
        .args(arguments)
        .spawn()
        .expect("starts");
    let status = running.wait(LIMIT).expect("ends in time");
    assert!(status.success(), "{what}: {}", running.stderr());
    let [before, after] =
        ["before", "after"].map(|event| running.wait_for_event(PATIENCE, event).expect("measured"));
    println!("{what}, {cycles} cycles: {before} -> {after}");
    let number = |usage: &Value, part: &str| usage[part].as_u64().expect("a number");
    let bounds = [
        ("tasks", 0),
        ("threads", 0),
        ("files", 0),
        ("heap", HEAP),
        ("rss", RSS),
    ];
    let grown = bounds.into_iter().filter_map(|(part, bound)| {
        let (before, after) = (number(&before, part), number(&after, part));
        (before + bound < after).then(|| format!("{part}: {before} -> {after}"))
    });
    grown.collect()
}

fn server() -> RedisServer {
    let server = RedisServer::builder().version(Version::Redis8_2).start();
    server.expect("a server")
}

fn clients(server: &RedisServer) -> u64 {
    let info = server.info("clients").expect("the server answers");
    info["connected_clients"].parse().expect("a number")
}

/// What a namespace and a group keep for ever.
fn stays(key: &str) -> bool {
    [":slots", ":group", ":retired", ":table:0"]
        .iter()
        .any(|end| key.ends_with(end))
}

/// Bytes: a collection may be larger at one moment than at another. What grows by the cycle is noticed from one byte in each
/// of 9,000 on, or 23 in each of 180.
const HEAP: u64 = 4 * 1_024;
/// The allocator takes memory from the system in steps of 132 KiB and gives little of it back.
const RSS: u64 = 1_024 * 1_024;
/// Seconds are enough on a machine that is free. On one with thirty programs for each processor, every request waits for its
/// turn there and back, 10,000 times.
const LIMIT: Duration = Duration::from_secs(900);
const PATIENCE: Duration = Duration::from_secs(10);
