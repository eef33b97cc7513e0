//! Bad input to every command: a clear message on the standard error, exit code 2, nothing changed.

use super::{run, server};

const TABLE: &[(&[&str], &str)] = &[
    (&["frobnicate"], "unrecognized subcommand"),
    (&["id"], "Usage: coordctl id"),
    (&["id", "list", "--range", "9-1"], "it is empty"),
    (&["id", "list", "--range", "a-b"], "no machine ID"),
    (
        &["id", "list", "--range", "0-4294967295"],
        "the limit is 1048576",
    ),
    (
        &["id", "list", "--url", "memory://x"],
        "memory:// lives inside one process",
    ),
    (
        &["id", "list", "--url", "http://x"],
        "unknown scheme \"http\"",
    ),
    (
        &["id", "list", "--url", "redis://h?namespace=x"],
        "unknown query key",
    ),
    (
        &["id", "list", "--url", "redis://user:secret"],
        "not shown, it may be a password",
    ),
    (
        &["id", "watch", "--json", "--interval", "1ms"],
        "out of bounds; choose between 50ms",
    ),
    (
        &["id", "watch", "--json", "--for", "soon"],
        "no length of time",
    ),
    (&["id", "revoke"], "<ID>"),
    (&["id", "revoke", "x", "--yes"], "invalid value 'x'"),
    (&["id", "revoke", "-1", "--yes"], "unexpected argument '-1'"),
    (&["id", "exec"], "<PROGRAM>"),
    (&["id", "exec", "true"], "unexpected argument 'true'"),
    (
        &["id", "exec", "--env", "A-B", "--", "true"],
        "no name of a variable",
    ),
    (
        &["id", "exec", "--on-lost", "cry", "--", "true"],
        "none of term, kill, signal:N and ignore",
    ),
    (
        &["id", "exec", "--on-lost", "signal:99", "--", "true"],
        "\"99\" is no signal",
    ),
    (
        &["id", "exec", "--grace", "16s", "--", "true"],
        "the limit is 8.5s",
    ),
    (
        &["id", "exec", "--ttl", "1s", "--", "true"],
        "shorter than three heartbeats",
    ),
    (
        &["id", "exec", "--ttl", "2h", "--", "true"],
        "out of bounds; choose between 30 ms and 1 h",
    ),
    (
        &["id", "exec", "--label", "a\nb", "--", "true"],
        "label \"a\\nb\" is not usable",
    ),
    (&["buckets", "list"], "--group"),
    (&["buckets", "list", "-g", ""], "is empty"),
    (&["buckets", "list", "-g", "a b"], "contains ' '"),
    (&["buckets", "members", "-g", "a{b"], "contains '{'"),
    (&["buckets", "watch", "-g", "a", "--prefix", ""], "is empty"),
    (&["buckets", "drain", "-g", "a"], "<INSTANCE>"),
    (
        &["buckets", "drain", "-g", "a", "x", "--undo", "--wait", "1s"],
        "cannot be used with",
    ),
    (&["mint", "-n", "0"], "0 is not in 1..=1000000"),
    (&["mint", "-n", "1000001"], "1000001 is not in 1..=1000000"),
    (&["mint", "--range", "0-1024"], "machine ID 1024"),
    (&["mint", "--layout", "41/10/13"], "64"),
    (&["mint", "--epoch", "tomorrow"], "no time since 1970"),
    (&["mint", "--unit", "2h"], "2"),
    (&["mint", "--format", "base64"], "possible values"),
    (&["decode"], "<IDS>"),
    (&["decode", "0815"], "without sign or leading zeros"),
    (&["decode", "18446744073709551616"], "18446744073709551615"),
    (&["decode", "xyz"], "has 3 characters and is no ID"),
    (&["decode", "1abcdefghij"], "--format base58"),
    (&["decode", "--format", "hex", "xyz"], "has exactly 16"),
    (&["decode", "--layout", "0/0/0", "1"], "timestamp"),
    (&["doctor", "--pings", "0"], "0 is not in 1..=10000"),
    (&["report", "--interval", "0s"], "out of bounds"),
    (&["report", "--json"], "give --output FILE"),
    (&["report", "-g", "a b"], "contains ' '"),
    (
        &["exporter", "--listen", "here"],
        "no address to listen on; write IP:PORT",
    ),
    (&["exporter", "--interval", "1ms"], "out of bounds"),
    (&["exporter", "--range", "9-1"], "it is empty"),
    (&["exporter", "-g", "a b"], "contains ' '"),
    (
        &["exporter", "--url", "memory://x"],
        "memory:// lives inside one process",
    ),
    (&["completions", "cmd.exe"], "possible values"),
    (
        &["man", "--dir", "/there/is/no/such/place"],
        "is no directory",
    ),
];

/// Whether a mistake of this argument is in the table.
pub(super) fn has(command: &str, argument: &str) -> bool {
    let short = match argument {
        "--group" => "-g",
        "--count" => "-n",
        "--output" => "-o",
        other => other,
    };
    let command: Vec<&str> = command.split(' ').collect();
    TABLE.iter().any(|(words, expected)| {
        words.starts_with(&command)
            && (words.contains(&argument) || words.contains(&short) || expected.contains(argument))
    })
}

#[test]
fn every_mistake_is_named_and_changes_nothing() {
    let server = server();
    for &(arguments, expected) in TABLE {
        let outcome = run(&server, arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(
            outcome.stderr.contains(expected),
            "{arguments:?} lacks {expected:?}: {outcome:?}"
        );
        assert!(
            !outcome.stderr.contains("secret"),
            "{arguments:?}: {outcome:?}"
        );
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    assert_eq!(server.query::<u32>(&["DBSIZE"]).expect("it answers"), 0);
}

#[test]
fn strangers_under_our_keys_are_named_and_left_alone() {
    let server = server();
    server
        .cli(&["SET", "raus:slots", "mine"])
        .expect("it answers");
    server
        .cli(&["SET", "red-buckets:{orders}:group", "mine"])
        .expect("it answers");
    let commands: [(&[&str], &str); 6] = [
        (&["id", "list"], "raus:slots"),
        (&["id", "revoke", "1", "--yes"], "raus:slots"),
        (&["mint", "--discovery", "0s"], "raus:slots"),
        (&["id", "exec", "--", "true"], "raus:slots"),
        (
            &["buckets", "list", "-g", "orders"],
            "red-buckets:{orders}:group",
        ),
        (
            &["buckets", "drain", "-g", "orders", "x"],
            "red-buckets:{orders}:group",
        ),
    ];
    for (arguments, key) in commands {
        let outcome = run(&server, arguments);
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(key), "{arguments:?}: {outcome:?}");
    }
    for key in ["raus:slots", "red-buckets:{orders}:group"] {
        assert_eq!(
            server.query::<String>(&["GET", key]).expect("it answers"),
            "mine"
        );
    }
}
