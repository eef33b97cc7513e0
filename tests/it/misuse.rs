//! The example programs and the project's own commands, given what cannot be: a clear message on the standard error, exit code
//! 2, nothing changed. A server that is not there: what to start. coordctl has tests of its own.

use coord_tests::{program::Program, server::RedisServer};

use crate::coordctl::{Outcome, finish};

/// An example, its arguments, and what it says. `{redis}` is a server that is there.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    ("lease", &["--frobnicate"], "unexpected argument"),
    ("lease", &["--redis", "http://x"], "unknown scheme \"http\""),
    (
        "lease",
        &["--redis", "redis://user:secret"],
        "not shown, it may be a password",
    ),
    (
        "lease",
        &["--redis", "{redis}", "--range", "9-1"],
        "range 9..=1 is empty",
    ),
    (
        "lease",
        &["--redis", "{redis}", "--range", "many"],
        "LOWEST-HIGHEST",
    ),
    (
        "lease",
        &["--redis", "{redis}", "--ttl-ms", "1"],
        "out of bounds; choose between 30 ms and 1 h",
    ),
    (
        "lease",
        &["--redis", "{redis}", "--heartbeat-ms", "1"],
        "choose 10 ms or more",
    ),
    (
        "lease",
        &["--redis", "{redis}", "--discovery-ms", "4000000"],
        "discovery of 4000s",
    ),
    (
        "lease",
        &["--redis", "{redis}", "--label", "a\nb"],
        "is not usable",
    ),
    ("mint", &["extra"], "unexpected argument"),
    ("mint", &["--redis", "nonsense"], "has no scheme"),
    (
        "mint",
        &["--redis", "{redis}", "--range", "0-1024"],
        "machine ID 1024 does not fit",
    ),
    (
        "mint",
        &["--redis", "{redis}", "--count", "x"],
        "invalid value 'x'",
    ),
    (
        "mint",
        &["--redis", "{redis}", "--rate", "0"],
        "0 is not in 1..",
    ),
    (
        "mint",
        &["--redis", "{redis}", "--ttl-ms", "0"],
        "out of bounds",
    ),
    ("worker", &["--redis", "memory:/x"], "connection URL"),
    (
        "worker",
        &["--redis", "{redis}", "--buckets", "0"],
        "choose between 1 and 1048576",
    ),
    (
        "worker",
        &["--redis", "{redis}", "--group", "a b"],
        "contains ' '",
    ),
    ("worker", &["--redis", "{redis}", "--id", "a b"], "instance"),
    (
        "worker",
        &["--redis", "{redis}", "--weight", "0"],
        "choose between 1 and 1000",
    ),
    (
        "worker",
        &["--redis", "{redis}", "--ttl-ms", "1"],
        "out of bounds",
    ),
    (
        "worker",
        &["--redis", "{redis}", "--period-ms", "0"],
        "10 ms or more",
    ),
    (
        "worker",
        &["--redis", "{redis}", "--settle-ms", "60000"],
        "settle of 60s",
    ),
    (
        "worker",
        &["--redis", "{redis}", "--assignment", "random"],
        "possible values",
    ),
    ("ownership", &["--redis", "http://x"], "unknown scheme"),
    (
        "ownership",
        &["--redis", "{redis}", "--buckets", "0"],
        "choose between 1 and 1048576",
    ),
    ("load", &[], "--redis <REDIS>"),
    ("load", &["--redis", "http://x"], "unknown scheme"),
    (
        "load",
        &["--redis", "{redis}", "--buckets", "0"],
        "choose between 1 and 1048576",
    ),
    (
        "load",
        &["--redis", "{redis}", "--instances", "0"],
        "0 is not in 1..",
    ),
    (
        "load",
        &["--redis", "{redis}", "--chunk", "0"],
        "choose between 1 and 1024",
    ),
    ("demo", &["--redis", "http://x"], "unknown scheme"),
    ("demo", &["extra"], "unexpected argument"),
];

const TASKS: &[(&[&str], &str)] = &[
    (&["frobnicate"], "no such command: frobnicate"),
    (&["setup", "now"], "unknown argument: now"),
    (&["demo", "--redis"], "--redis needs a URL"),
    (&["test", "--fast"], "unknown argument: --fast"),
    (&["ci", "--fast"], "unknown argument: --fast"),
    (&["bench"], "which benchmark?"),
    (&["sim", "--seeds", "0"], "at least 1"),
    (&["sim", "--replay", "x"], "needs a number"),
    (&["book", "open"], "unknown argument: open"),
];

#[test]
fn every_mistake_of_an_example_is_named_and_changes_nothing() {
    let server = RedisServer::start().expect("it starts");
    let url = server.url();
    for &(example, arguments, expected) in EXAMPLES {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|argument| {
                if *argument == "{redis}" {
                    &*url
                } else {
                    argument
                }
            })
            .collect();
        let outcome = run(Program::example(example), &arguments);
        check(&outcome, &format!("{example} {arguments:?}"), expected);
    }
    assert_eq!(server.query::<u32>(&["DBSIZE"]).expect("it answers"), 0);
}

#[test]
fn every_mistake_of_a_task_is_named_with_its_usage() {
    for &(arguments, expected) in TASKS {
        let outcome = run(Program::xtask(), arguments);
        check(&outcome, &format!("xtask {arguments:?}"), expected);
        assert!(outcome.stderr.contains("Usage: cargo xtask"), "{outcome:?}");
    }
}

#[test]
fn an_example_without_its_server_says_what_to_start() {
    for example in ["lease", "mint", "worker", "ownership", "load", "demo"] {
        let outcome = run(
            Program::example(example),
            &["--redis", "redis://127.0.0.1:1"],
        );
        assert_eq!(outcome.code, Some(1), "{example}: {outcome:?}");
        for part in [
            "no connection to redis://127.0.0.1:1/0",
            "Start one (redis-server)",
        ] {
            assert!(outcome.stderr.contains(part), "{example}: {outcome:?}");
        }
    }
}

fn run(program: anyhow::Result<Program>, arguments: &[&str]) -> Outcome {
    let program = program.expect("it builds").args(arguments);
    finish(&mut program.spawn().expect("it starts"))
}

#[track_caller]
fn check(outcome: &Outcome, what: &str, expected: &str) {
    assert_eq!(outcome.code, Some(2), "{what}: {outcome:?}");
    assert!(
        outcome.stderr.contains(expected),
        "{what} lacks {expected:?}: {outcome:?}"
    );
    assert!(!outcome.stderr.contains("secret"), "{what}: {outcome:?}");
    assert_eq!(outcome.stdout, "", "{what}");
}
