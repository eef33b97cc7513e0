//! Every argument of every command, given wrong: nothing is left out, because the commands and their arguments are read from
//! the tool's own help.

use std::collections::BTreeSet;

use super::{Outcome, bad_input, run, run_at, server};

/// Every command that does something, with arguments that are right, and how it ends without a server where it needs none.
const COMMANDS: &[(&str, &[&str], Option<i32>)] = &[
    ("id exec", &["--discovery", "0s", "--", "true"], None),
    ("id list", &[], None),
    ("id watch", &["--json", "--for", "50ms"], None),
    ("id status", &["/there/is/no/such/lease"], Some(4)),
    ("id revoke", &["1", "--yes"], None),
    ("id init", &["--discovery", "0s"], None),
    ("id repair", &[], None),
    ("id layout", &[], None),
    ("id export", &[], None),
    // The standard input is empty.
    ("id import", &["-"], Some(2)),
    ("buckets list", &["-g", "orders"], None),
    ("buckets members", &["-g", "orders"], None),
    ("buckets watch", &["-g", "orders", "--json"], None),
    ("buckets drain", &["-g", "orders", "alpha"], None),
    ("buckets evict", &["-g", "orders", "alpha"], None),
    ("mint", &["--discovery", "0s"], None),
    ("decode", &["1"], Some(0)),
    ("doctor", &[], None),
    ("report", &["--for", "50ms"], None),
    (
        "exporter",
        &["-g", "orders", "--listen", "127.0.0.1:0"],
        None,
    ),
    ("completions", &["bash"], Some(0)),
    ("man", &[], Some(0)),
];

/// Values that cannot be right for an argument, and what is said about them. Those that `bad_input` has are not here.
const VALUES: &[(&str, &str, &str, &str)] = &[
    ("id exec", "--range", "5-1", "it is empty"),
    ("id exec", "--heartbeat", "1ms", "choose 10 ms or more"),
    (
        "id exec",
        "--discovery",
        "2h",
        "discovery of 7200s is out of bounds",
    ),
    ("id exec", "--failover-bound", "15", "no length of time"),
    ("id exec", "--acknowledge", "-1", "unexpected argument '-1'"),
    ("id exec", "--wait", "soon", "no length of time"),
    (
        "id exec",
        "--status-file",
        "/there/is/no/such/place/lease",
        "No such file",
    ),
    ("id list", "--range", "1-2-3", "no machine ID"),
    ("id watch", "--range", "-", "no machine ID"),
    ("id revoke", "--fence", "x", "invalid value 'x'"),
    ("id revoke", "<ID>", "4294967296", "4294967296 is not in"),
    ("id init", "--discovery", "2s", "too short to hear holders"),
    ("id layout", "--set", "41/10", "none of twitter"),
    ("id layout", "--epoch", "17", "--set <LAYOUT>"),
    ("id layout", "--unit", "1s", "--set <LAYOUT>"),
    (
        "id import",
        "<FILE>",
        "/there/is/no/such/export",
        "No such file",
    ),
    ("buckets list", "--prefix", "a b", "contains ' '"),
    ("buckets members", "--prefix", "", "is empty"),
    ("buckets watch", "--group", "a b", "contains ' '"),
    ("buckets watch", "--interval", "2h", "out of bounds"),
    ("buckets watch", "--for", "10", "no length of time"),
    ("buckets drain", "--group", "a}b", "contains '}'"),
    ("buckets drain", "--prefix", "", "is empty"),
    ("buckets drain", "--wait", "10", "no length of time"),
    ("buckets evict", "--group", "a}b", "contains '}'"),
    ("buckets evict", "--prefix", "", "is empty"),
    ("mint", "--count", "many", "invalid value 'many'"),
    ("mint", "--layout", "twatter", "none of twitter"),
    (
        "mint",
        "--layout",
        "16/0/0",
        "timestamps of 16 bits ended at",
    ),
    (
        "mint",
        "--epoch",
        "2099-01-01T00:00:00Z",
        "later than the clock's",
    ),
    ("mint", "--unit", "1us", "whole number of milliseconds"),
    ("mint", "--ttl", "1ms", "out of bounds"),
    ("mint", "--heartbeat", "1h", "shorter than three heartbeats"),
    ("mint", "--discovery", "1s", "too short to hear holders"),
    ("mint", "--failover-bound", "2h", "failover_bound of 7200s"),
    ("mint", "--acknowledge", "101", "101 is not in 0..=100"),
    ("mint", "--wait", "", "no length of time"),
    ("mint", "--label", "a\u{7}b", "is not usable"),
    (
        "decode",
        "--epoch",
        "1960-01-01T00:00:00Z",
        "no time since 1970",
    ),
    ("decode", "--unit", "0s", "whole number of milliseconds"),
    ("decode", "--layout", "41/10", "none of twitter"),
    ("decode", "--format", "base64", "possible values"),
    ("decode", "<IDS>", "", "has 0 characters"),
    ("report", "--prefix", "x", "--group <GROUP>"),
    ("report", "--range", "9-1", "it is empty"),
    ("report", "--for", "soon", "no length of time"),
    (
        "report",
        "--output",
        "/there/is/no/such/place/page.html",
        "No such file",
    ),
    ("exporter", "--prefix", "a b", "contains ' '"),
    ("completions", "<SHELL>", "", "possible values"),
];

/// Whatever these say is right.
const ANYTHING: &[(&str, &str)] = &[
    ("id exec", "<PROGRAM>"),
    // Where no file is, no lease is held.
    ("id status", "<FILE>"),
    // An id that no instance has is not there, which is not bad input: `buckets.rs`.
    ("buckets drain", "<INSTANCE>"),
    ("buckets evict", "<INSTANCE>"),
];

#[test]
fn every_argument_has_a_mistake_that_is_named_and_changes_nothing() {
    let server = server();
    for &(command, argument, value, expected) in VALUES {
        let right = arguments_of(command);
        let mut words: Vec<&str> = command.split(' ').collect();
        if argument.starts_with('<') {
            words.push(value);
            words.extend(
                right
                    .iter()
                    .filter(|word| word.starts_with("--") && **word != "--"),
            );
        } else {
            words.extend([argument, value]);
            // A value that is given twice would be the mistake that is found.
            let group = ["-g", "orders"];
            let own = right
                .iter()
                .filter(|word| argument != "--group" || !group.contains(word));
            words.extend(without(own.copied(), argument));
        }
        check(&run(&server, &words), &words, expected);
    }
    assert_eq!(server.query::<u32>(&["DBSIZE"]).expect("it answers"), 0);
}

#[test]
fn no_argument_is_left_out() {
    for &(command, ..) in COMMANDS {
        let arguments = documented(command);
        assert!(arguments.contains("--url"), "{command}: {arguments:?}");
        for argument in arguments {
            let is_tried = VALUES.iter().any(|(c, a, ..)| (*c, *a) == (command, &argument))
                || ANYTHING.contains(&(command, argument.as_str()))
                || bad_input::has(command, &argument)
                // Every command has it: see below.
                || argument == "--url";
            assert!(is_tried, "coordctl {command}: {argument} has no bad input");
        }
    }
}

#[test]
fn no_command_is_left_out() {
    let listed: BTreeSet<String> = COMMANDS
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    let mut there = BTreeSet::new();
    for name in subcommands("") {
        let under = subcommands(&name);
        if under.is_empty() {
            there.insert(name);
        } else {
            there.extend(under.iter().map(|under| format!("{name} {under}")));
        }
    }
    assert_eq!(listed, there);
}

#[test]
fn what_no_command_knows_is_refused_by_each() {
    let server = server();
    for &(command, right, _) in COMMANDS {
        let words = words(command, &["--frobnicate"], right);
        check(
            &run(&server, &words),
            &words,
            "unexpected argument '--frobnicate'",
        );
        for option in documented(command) {
            if let Some(option) = Some(&*option).filter(|option| option.starts_with("--")) {
                let words: Vec<&str> = command.split(' ').chain([option]).collect();
                check(&run(&server, &words), &words, "a value is required for");
            }
        }
    }
    assert_eq!(server.query::<u32>(&["DBSIZE"]).expect("it answers"), 0);
}

#[test]
fn a_server_that_cannot_be_is_refused_by_each_command_that_needs_one() {
    let cases = [
        ("memory://x", "memory:// lives inside one process"),
        ("http://x", "unknown scheme \"http\""),
        ("localhost:6379", "connection URL"),
        ("redis://h:99999", "is not a number from 1 to 65535"),
        ("", "give --url redis://host:6379, or set REDIS_URL"),
    ];
    for &(command, right, without_server) in COMMANDS {
        for (url, expected) in cases {
            let words = words(command, &[], right);
            let outcome = run_at(url, &words);
            if without_server.is_some() {
                assert_eq!(outcome.code, without_server, "{words:?}: {outcome:?}");
            } else {
                check(&outcome, &words, expected);
            }
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_said_with_what_to_start() {
    for &(command, right, without_server) in COMMANDS {
        // The exporter says so too, and goes on looking: `exporter.rs`.
        if without_server.is_some() || command == "exporter" {
            continue;
        }
        let words = words(command, &[], right);
        let outcome = run_at("redis://127.0.0.1:1", &words);
        assert_eq!(outcome.code, Some(3), "{words:?}: {outcome:?}");
        for part in [
            "no connection to redis://127.0.0.1:1/0",
            "Start one (redis-server",
        ] {
            assert!(outcome.stderr.contains(part), "{words:?}: {outcome:?}");
        }
        assert_eq!(outcome.stdout, "", "{words:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_refused_before_anything_is_observed() {
    let folder = tempfile::tempdir().expect("a directory");
    let old = folder.path().join("old.html");
    std::fs::write(&old, "the last report").expect("it is written");
    let new = folder.path().join("new.html");
    for path in [&old, &new] {
        let path = path.to_str().expect("UTF-8");
        let outcome = run_at("redis://127.0.0.1:1", &["report", "-o", path]);
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
    }
    let text = std::fs::read_to_string(&old).expect("it is there");
    assert_eq!(text, "the last report", "kept until there is another");
    assert!(!new.exists(), "nothing is left behind");
}

#[track_caller]
fn check(outcome: &Outcome, words: &[&str], expected: &str) {
    assert_eq!(outcome.code, Some(2), "{words:?}: {outcome:?}");
    assert!(
        outcome.stderr.contains(expected),
        "{words:?} lacks {expected:?}: {outcome:?}"
    );
    assert_eq!(outcome.stdout, "", "{words:?}");
}

fn words<'a>(command: &'a str, more: &[&'a str], right: &[&'a str]) -> Vec<&'a str> {
    let more = more.iter().chain(right).copied();
    command.split(' ').chain(more).collect()
}

fn arguments_of(command: &str) -> &'static [&'static str] {
    let found = COMMANDS.iter().find(|(name, ..)| *name == command);
    found.unwrap_or_else(|| panic!("{command} is no command")).1
}

/// The arguments without an option and its value.
fn without<'a>(words: impl Iterator<Item = &'a str>, option: &str) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut skips = false;
    for word in words {
        if word == option {
            skips = true;
        } else if !std::mem::take(&mut skips) {
            kept.push(word);
        }
    }
    kept
}

fn help(command: &str) -> String {
    let words: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).collect();
    let outcome = run_at("redis://127.0.0.1:1", &[&words[..], &["--help"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    outcome.stdout
}

/// The commands under a command, as its help lists them.
fn subcommands(command: &str) -> Vec<String> {
    let text = help(command);
    let lines = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The arguments that take a value, as the command's help lists them: `--range`, `<ID>`.
fn documented(command: &str) -> BTreeSet<String> {
    let text = help(command);
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let takes_value = line.contains('<');
        let words = line.split([' ', ',', '.']);
        let option = words.clone().find(|word| word.starts_with("--"));
        if line.starts_with('-') && takes_value {
            found.extend(option.map(str::to_owned));
        } else if let Some(name) = line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            found.insert(format!("<{}>", name.0));
        }
    }
    found
}
