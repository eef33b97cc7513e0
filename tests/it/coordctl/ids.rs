//! Who holds what, and IDs minted and taken apart.

use serde_json::Value;

use super::{LIMIT, hold, run, run_at, server, tool};

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_listed_with_everything_on_record() {
    let server = server();
    let held = hold(&server, 7..=7, "payments-7f9c").await;
    let json = run(&server, &["id", "list", "--json"]).json();
    assert_eq!(json["namespace"], "raus");
    assert_eq!(json["range"], serde_json::json!([0, 1023]));
    assert_eq!(json["history"]["state"], "known");
    assert_eq!((&json["held"], &json["recorded"]), (&1.into(), &1.into()));
    let slot = &json["slots"][0];
    assert_eq!((&slot["id"], &slot["state"]), (&7.into(), &"held".into()));
    assert_eq!(slot["label"], "payments-7f9c");
    assert_eq!(slot["fence"], held.fence().to_string());
    let lock: String = server.query(&["GET", "raus:id:7"]).expect("it answers");
    assert_eq!(slot["holder"], lock);
    let now = json["server_ms"].as_u64().expect("a number");
    let number = |field: &str| slot[field].as_u64().expect("a number");
    assert!((1..=60_000).contains(&number("ttl_left_ms")), "{slot}");
    assert!((1..=60_000).contains(&number("lease_left_ms")), "{slot}");
    assert!(
        now < number("horizon_ms") && number("floor_ms") < now,
        "{slot}"
    );

    let table = run(&server, &["id", "list"]);
    assert!(
        table
            .stdout
            .starts_with("namespace raus, machine IDs 0-1023: 1 of 1024 held; history known\n")
    );
    assert!(table.stdout.contains("payments-7f9c"), "{table:?}");
    assert!(
        !table.stdout.contains('\u{1b}'),
        "no colours in a file: {table:?}"
    );
    held.release().await.expect("it answers");
    let json = run(&server, &["id", "list", "--json"]).json();
    assert_eq!(json["slots"], Value::Array(Vec::new()));
    let json = run(&server, &["id", "list", "--json", "--all"]).json();
    assert_eq!(
        (&json["slots"][0]["state"], &json["held"]),
        (&"free".into(), &0.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_state_of_a_slot_has_its_word() {
    let server = server();
    let _held = [
        hold(&server, 1..=1, "a").await,
        hold(&server, 2..=2, "b").await,
    ];
    let outside = hold(&server, 5_000..=5_000, "far").await;
    server.cli(&["DEL", "raus:id:2"]).expect("it answers");
    server
        .cli(&["SET", "raus:id:3", "a-go-process", "PX", "60000"])
        .expect("it answers");
    server
        .cli(&["SET", "raus:id:4", "\u{1b}[2Jfor ever"])
        .expect("it answers");
    server
        .cli(&["RPUSH", "raus:id:5", "no lock at all"])
        .expect("it answers");
    // The second holder may have put its lock back by now.
    let json = run(&server, &["id", "list", "--json"]).json();
    let states = json["slots"].as_array().expect("a list");
    let state = |index: usize| states[index]["state"].as_str().expect("a word");
    assert_eq!(state(0), "held");
    assert!(["unlocked", "held"].contains(&state(1)), "{json}");
    assert_eq!([state(2), state(3), state(4)], ["unrecorded"; 3]);
    assert_eq!(states[3]["ttl_left_ms"], Value::Null);
    assert_eq!(states[4]["holder"], "(a list)");
    let table = run(&server, &["id", "list"]);
    assert!(
        table.stdout.contains("1 more on record outside of 0-1023"),
        "{table:?}"
    );
    assert!(!table.stdout.contains('\u{1b}'), "{table:?}");
    let json = run(&server, &["id", "list", "--json", "--range", "4000-5999"]).json();
    assert_eq!(json["slots"][0]["label"], "far");
    drop(outside);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_told() {
    let server = coord_tests::server::RedisServer::builder()
        .persistent()
        .start()
        .expect("it starts");
    let history = || run(&server, &["id", "list", "--json"]).json()["history"].clone();
    assert_eq!(history()["state"], "absent");
    assert_eq!(
        server.query::<u32>(&["DBSIZE"]).expect("it answers"),
        0,
        "looking leaves no trace"
    );
    let held = hold(&server, 1..=1, "a").await;
    assert_eq!(history()["state"], "known");
    held.release().await.expect("it answers");
    server.restart().expect("it starts");
    let history = history();
    assert_eq!(
        (&history["state"], &history["left_ms"]),
        (&"quarantine".into(), &75_000.into())
    );
    assert_eq!(history["begun"], false);
    let doubted = run(&server, &["mint", "--wait", "1s"]);
    assert_eq!(doubted.code, Some(4), "{doubted:?}");
    let history = run(&server, &["id", "list", "--json"]).json()["history"].clone();
    assert_eq!(history["begun"], true, "by the first who asked");
    let doctor = run(&server, &["doctor"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(
        doctor.stdout.contains("may have forgotten who holds what"),
        "{doctor:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_prints_what_changes() {
    let server = server();
    let arguments = [
        "id",
        "watch",
        "--json",
        "--interval",
        "50ms",
        "--for",
        "40s",
    ];
    let mut watch = tool(&server, &arguments).spawn().expect("it starts");
    let held = |count: u64| {
        watch
            .wait_for_line(LIMIT, |line| {
                let json: Value = serde_json::from_str(line).expect("JSON");
                json["held"] == count
            })
            .expect("it is seen")
    };
    held(0);
    let machine_id = hold(&server, 1..=1, "a").await;
    held(1);
    machine_id.release().await.expect("it answers");
    watch.kill().expect("it runs");

    let short = [
        "id",
        "watch",
        "--json",
        "--interval",
        "50ms",
        "--for",
        "300ms",
    ];
    let outcome = run(&server, &short);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(1 < outcome.stdout.lines().count(), "{outcome:?}");
    let blind = run(&server, &["id", "watch"]);
    assert_eq!(blind.code, Some(2), "{blind:?}");
    assert!(blind.stderr.contains("--json"), "{blind:?}");
}

#[test]
fn ids_are_minted_and_taken_apart_in_every_encoding_and_layout() {
    let server = server();
    for (at, &layout) in [
        "twitter",
        "discord",
        "instagram",
        "sonyflake",
        "javascript",
        "43/8/12",
        "42/s10/m11",
    ]
    .iter()
    .enumerate()
    {
        // A namespace has one layout.
        let url = format!("{}?ns=layout-{at}", server.url());
        for format in ["decimal", "hex", "base32", "base58", "base62"] {
            let mint = [
                "mint", "-n", "3", "--range", "6", "--layout", layout, "--format", format,
            ];
            let minted = run_at(&url, &[&mint[..], &["--discovery", "0s"]].concat());
            assert_eq!(minted.code, Some(0), "{minted:?}");
            let ids: Vec<&str> = minted.stdout.lines().collect();
            assert_eq!(ids.len(), 3, "{minted:?}");
            let decode = ["decode", "--json", "--layout", layout, "--format", format];
            let decoded = run(&server, &[&decode[..], &ids].concat()).json();
            for (text, id) in ids.iter().zip(decoded.as_array().expect("a list")) {
                assert_eq!(id[if format == "decimal" { "id" } else { format }], *text);
                assert_eq!(id["machine_id"], 6, "{layout} {id}");
            }
        }
    }
}

#[test]
fn a_minting_is_described_as_json_and_leaves_nothing_held() {
    let server = server();
    let minted = run(
        &server,
        &[
            "mint",
            "-n",
            "2",
            "--json",
            "--discovery",
            "0s",
            "--range",
            "9",
        ],
    )
    .json();
    assert_eq!(
        (&minted["machine_id"], &minted["format"]),
        (&9.into(), &"decimal".into())
    );
    assert!(minted["fence"].is_string());
    assert_eq!(minted["ids"].as_array().map(Vec::len), Some(2));
    assert_eq!(run(&server, &["id", "list", "--json"]).json()["held"], 0);
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command_quietly() {
    let server = server();
    let path = tool(&server, &[]).path().display().to_string();
    let script = format!(
        "'{path}' mint -n 200000 --discovery 0s --url '{}' | head -n 1",
        server.url()
    );
    let shell = coord_tests::program::Program::at("/bin/sh").args(["-c", &script]);
    let outcome = super::finish(&mut shell.spawn().expect("it starts"));
    assert_eq!(
        (outcome.stdout.lines().count(), outcome.stderr.as_str()),
        (1, "")
    );
}

#[test]
fn a_server_that_is_not_there_is_said_to_be_missing() {
    let server = server();
    let url = server.url();
    server.kill().expect("it runs");
    let commands: [&[&str]; 9] = [
        &["id", "list"],
        &["id", "watch", "--json"],
        &["id", "revoke", "1", "--yes"],
        &["id", "exec", "--", "true"],
        &["buckets", "list", "-g", "g"],
        &["buckets", "drain", "-g", "g", "x"],
        &["mint"],
        &["doctor"],
        &["report"],
    ];
    for command in commands {
        let outcome = run_at(&url, command);
        assert_eq!(outcome.code, Some(3), "{command:?}: {outcome:?}");
        let helps = outcome.stderr.contains("redis-server") && outcome.stderr.contains("--url");
        assert!(helps, "{command:?}: {outcome:?}");
        assert_eq!(outcome.stdout, "", "{command:?}");
    }
}

#[test]
fn a_password_that_is_wrong_is_not_shown() {
    let server = coord_tests::server::RedisServer::builder()
        .password("right")
        .start()
        .expect("it starts");
    let url = format!("redis://:s3cr3t-wrong@127.0.0.1:{}", server.port());
    for command in [&["id", "list"][..], &["doctor"], &["mint"]] {
        let outcome = run_at(&url, command);
        assert_eq!(outcome.code, Some(3), "{outcome:?}");
        assert!(
            outcome.stderr.contains("rejected the credentials"),
            "{outcome:?}"
        );
        assert!(!format!("{outcome:?}").contains("s3cr3t"), "{outcome:?}");
    }
    assert_eq!(run(&server, &["id", "list"]).code, Some(0));
}
