//! The file that says whether a program has its machine ID, as the probes of an orchestrator ask for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use coord_tests::{program::Running, server::RedisServer, wait};
use tempfile::TempDir;

use super::{LIMIT, Outcome, exec, finish, run, tool_at};

/// A directory for the file.
fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("lease");
    (dir, file)
}

fn hold(server: &RedisServer, file: &Path, options: &[&str]) -> Running {
    let file = file.to_str().expect("UTF-8");
    let options = [&["--status-file", file], options].concat();
    let script = "trap 'exit 0' TERM; echo on; while :; do sleep 0.02; done";
    exec(server, &options, script)
}

/// A probe: it knows the file alone.
fn probe(file: &Path) -> Outcome {
    let file = file.to_str().expect("UTF-8");
    let tool = tool_at("", &["id", "status", file, "--json"]);
    finish(&mut tool.spawn().expect("it starts"))
}

#[track_caller]
fn wait_for_code(file: &Path, code: i32) -> Outcome {
    let reached = wait::until(LIMIT, || {
        let outcome = probe(file);
        (outcome.code == Some(code)).then_some(outcome)
    });
    reached.unwrap_or_else(|| panic!("not {code} but {:?}", probe(file)))
}

#[test]
fn it_is_there_while_the_machine_id_is_held_and_moves_on_with_the_renewals() {
    let server = RedisServer::start().expect("it starts");
    let (_dir, file) = place();
    assert_eq!(probe(&file).code, Some(4));
    let mut running = hold(&server, &file, &["--range", "7", "--heartbeat", "50ms"]);
    let first = wait_for_code(&file, 0).json();
    assert_eq!(
        (&first["id"], &first["namespace"]),
        (&7.into(), &"raus".into())
    );
    assert!(
        first["left_ms"].as_u64().expect("a number") <= 60_000,
        "{first}"
    );
    let until = |status: &serde_json::Value| status["held_until_boot_ms"].as_u64();
    let moved = wait::until(LIMIT, || {
        (until(&first) < until(&probe(&file).json())).then_some(())
    });
    assert!(moved.is_some(), "{first}");
    running.process().terminate().expect("it runs");
    assert_eq!(finish(&mut running).code, Some(0));
    assert_eq!(probe(&file).code, Some(4));
}

#[test]
fn a_supervisor_that_is_stuck_past_the_deadline_is_found_out() {
    let server = RedisServer::start().expect("it starts");
    let (_dir, file) = place();
    let running = hold(&server, &file, &["--ttl", "2s", "--heartbeat", "100ms"]);
    wait_for_code(&file, 0);
    running.process().stop().expect("it runs");
    let outcome = wait_for_code(&file, 5);
    assert!(outcome.stderr.contains("has been over"), "{outcome:?}");
}

#[test]
fn a_revoked_machine_id_is_not_reported_although_its_program_goes_on() {
    let server = RedisServer::start().expect("it starts");
    let (_dir, file) = place();
    let options = [
        "--range",
        "3",
        "--heartbeat",
        "100ms",
        "--on-lost",
        "ignore",
    ];
    let mut running = hold(&server, &file, &options);
    wait_for_code(&file, 0);
    assert_eq!(run(&server, &["id", "revoke", "3", "--yes"]).code, Some(0));
    wait_for_code(&file, 4);
    assert!(running.process().ended().is_none(), "{}", running.stderr());
    // Whoever looks after itself outlives coordctl, too, and would be left running.
    running.process().terminate().expect("it runs");
    assert_eq!(finish(&mut running).code, Some(0));
}

#[test]
fn what_an_earlier_process_left_counts_for_nothing() {
    let server = RedisServer::start().expect("it starts");
    let (_dir, file) = place();
    let holder = hold(&server, &file, &["--range", "3"]);
    wait_for_code(&file, 0);
    let left_behind = fs::read(&file).expect("it is there");
    let (_other_dir, other) = place();
    fs::write(&other, left_behind).expect("it is written");
    // The range is full, so this one waits and holds nothing.
    let waiting = hold(&server, &other, &["--range", "3", "--wait", "60s"]);
    wait_for_code(&other, 4);
    assert!(waiting.process().ended().is_none(), "{}", waiting.stderr());
    assert!(holder.process().ended().is_none(), "{}", holder.stderr());
}

#[test]
fn what_is_no_status_file_is_said_to_be_none() {
    let (_dir, file) = place();
    fs::write(&file, "{}").expect("it is written");
    let outcome = probe(&file);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("was not written by"), "{outcome:?}");

    let server = RedisServer::start().expect("it starts");
    let nowhere = PathBuf::from("/nowhere/lease");
    let outcome = finish(&mut hold(&server, &nowhere, &[]));
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("/nowhere/lease"), "{outcome:?}");
    assert!(
        outcome.stdout.is_empty(),
        "nothing was started: {outcome:?}"
    );
}
