//! A server is examined.

use coord_tests::server::RedisServer;

use super::{run, run_at, server};

#[test]
fn a_healthy_server_needs_nothing() {
    let outcome = run(&server(), &["doctor", "--pings", "20"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("20 round trips"), "{outcome:?}");
    assert!(
        outcome.stdout.ends_with("nothing to change\n"),
        "{outcome:?}"
    );
}

#[test]
fn what_is_found_has_its_place_in_json() {
    let json = run(&server(), &["doctor", "--json"]).json();
    assert_eq!(json["server"]["product"], "redis");
    assert_eq!(json["server"]["role"], "master");
    assert_eq!(json["latency"]["round_trips"], 100);
    let us = |field: &str| json["latency"][field].as_u64().expect("a number");
    assert!(
        us("min_us") <= us("p50_us")
            && us("p50_us") <= us("p99_us")
            && us("p99_us") <= us("max_us")
    );
    assert!(json["clock_skew_ms"].as_i64().expect("a number").abs() < 10_000);
    assert_eq!(json["namespace"]["history"]["state"], "absent");
    assert_eq!(json["advice"], serde_json::json!([]));
    let note = json["notes"][0].as_str().expect("a text");
    assert!(note.starts_with("persistence is off"), "{note}");
}

#[test]
fn dangers_are_named_with_what_to_do() {
    let server = RedisServer::builder()
        .config_line("maxmemory 50mb")
        .config_line("maxmemory-policy allkeys-lru")
        .start()
        .expect("it starts");
    let outcome = run(&server, &["doctor"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stdout.contains("set maxmemory-policy noeviction"),
        "{outcome:?}"
    );
    let replica = RedisServer::builder()
        .replica_of(&server)
        .start()
        .expect("it starts");
    let outcome = run(&replica, &["doctor"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stdout.contains("connect to its master"),
        "{outcome:?}"
    );
    let outcome = run(&server, &["doctor"]);
    assert!(
        outcome.stdout.contains("min-replicas-to-write"),
        "{outcome:?}"
    );
}

#[test]
fn what_may_not_be_asked_is_said_and_is_no_advice() {
    let server = RedisServer::builder()
        .acl_user("app", "on >secret ~* &* +@all -config")
        .start()
        .expect("it starts");
    let outcome = run_at(&server.url_for("app", "secret"), &["doctor"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome
            .stdout
            .contains("unchecked  min-replicas-to-write (CONFIG GET min-replicas-*: NOPERM"),
        "{outcome:?}"
    );
}

#[test]
fn what_is_forbidden_is_a_failure() {
    let server = RedisServer::builder()
        .acl_user("app", "on >secret ~other:* &* +@all")
        .start()
        .expect("it starts");
    let outcome = run_at(&server.url_for("app", "secret"), &["doctor"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("NOPERM"), "{outcome:?}");
}
