//! A namespace is declared, mended, changed and moved.

use std::time::Duration;

use ::raus::{
    Raus,
    inspect::{History, ImportError},
};
use coord_tests::{cluster::Cluster, server::RedisServer};

use super::{Outcome, hold, run, run_at, server};

fn words<'a>(outcome: &'a Outcome, expected: &[&str]) -> &'a Outcome {
    for part in expected {
        let is_said = outcome.stdout.contains(part) || outcome.stderr.contains(part);
        assert!(is_said, "{part:?} is missing: {outcome:?}");
    }
    outcome
}

/// Puts the record of a slot there whose holder is gone.
fn leave(server: &RedisServer, slot: u32, horizon_ms: u64) {
    let record = format!("7 {horizon_ms} 5 0 - gone");
    let done = server.cli(&["HSET", "raus:slots", &slot.to_string(), &record]);
    done.expect("it answers");
}

fn now_ms(server: &RedisServer) -> u64 {
    let time: Vec<u64> = server.query(&["TIME"]).expect("it answers");
    time[0] * 1_000
}

#[test]
fn a_declared_namespace_is_known_at_once() {
    let server = server();
    let lost = run(&server, &["mint", "--expect-history", "--wait", "1s"]);
    assert_eq!(lost.code, Some(4), "{lost:?}");
    let listed = run(&server, &["id", "list"]);
    words(&listed, &["quarantine: nothing new is granted for 1m"]);
    server.cli(&["FLUSHALL"]).expect("it answers");

    let first = run(&server, &["id", "init", "--discovery", "0s", "--json"]).json();
    assert_eq!(
        (&first["new"], &first["history"]["state"]),
        (&true.into(), &"known".into())
    );
    let again = run(&server, &["id", "init"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    words(&again, &["has a history already; nothing was changed"]);
    let minted = run(&server, &["mint", "--expect-history"]);
    assert_eq!(minted.code, Some(0), "{minted:?}");

    server
        .cli(&["HDEL", "raus:slots", "history"])
        .expect("it answers");
    let lost = run(&server, &["id", "init"]);
    assert_eq!(lost.code, Some(1), "{lost:?}");
    words(&lost, &["is not new", "nothing new is granted for 1m15s"]);
}

#[test]
fn what_lies_too_far_ahead_is_shown_and_reset_only_when_told_to() {
    let server = server();
    run(&server, &["id", "init", "--discovery", "0s", "--json"]).json();
    let clean = run(&server, &["id", "repair"]);
    words(&clean, &["nothing to repair"]);
    let ahead = now_ms(&server) + 2 * 3_600_000;
    for slot in 0..3 {
        leave(&server, slot, ahead);
    }
    server
        .cli(&["SET", "raus:id:2", "somebody"])
        .expect("it answers");
    let refused = run(&server, &["mint", "--range", "0-1"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    words(&refused, &["coordctl id repair"]);
    let doctor = run(&server, &["doctor", "--pings", "1"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    words(&doctor, &["3 horizons", "coordctl id repair"]);

    let shown = run(&server, &["id", "repair"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    words(
        &shown,
        &[
            "to be reset",
            "held: stop its holder",
            "may be minted a second time",
            "do it with --yes",
        ],
    );
    let horizons = |outcome: &Outcome| -> Vec<u64> {
        let json = outcome.json();
        let slots = json["slots"].as_array().expect("a list").clone();
        slots
            .iter()
            .map(|slot| slot["horizon_ms"].as_u64().expect("a number"))
            .collect()
    };
    let listed = run(&server, &["id", "list", "--all", "--json"]);
    assert_eq!(horizons(&listed), [ahead; 3]);

    let done = run(&server, &["id", "repair", "--yes", "--json"]).json();
    let outcomes: Vec<&str> = done["slots"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|slot| slot["outcome"].as_str())
        .collect();
    assert_eq!(
        (&done["done"], outcomes),
        (&true.into(), vec!["reset", "reset", "held"])
    );
    let limit = done["limit_ms"].as_u64().expect("a number");
    assert_eq!(done["may_repeat_ms"], serde_json::json!([limit, ahead]));
    let listed = run(&server, &["id", "list", "--all", "--json"]);
    assert_eq!(horizons(&listed), [limit, limit, ahead]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_shown_and_changed_only_while_nobody_holds_a_machine_id() {
    let server = server();
    words(&run(&server, &["id", "layout"]), &["no layout on record"]);
    let minted = run(&server, &["mint", "--discovery", "0s"]);
    assert_eq!(minted.code, Some(0), "{minted:?}");
    words(
        &run(&server, &["id", "list"]),
        &["; layout 41/10/12 of 1 ms since"],
    );
    let held = hold(&server, 0..=9, "orders").await;
    let change = [
        "id",
        "layout",
        "--set",
        "41/8/14",
        "--epoch",
        "2025-01-01T00:00:00Z",
        "--yes",
    ];
    let unsure = run(&server, &change[..change.len() - 1]);
    assert_eq!(unsure.code, Some(2), "{unsure:?}");
    let refused = run(&server, &change);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    words(&refused, &["are held", "nothing was changed"]);
    held.release().await.expect("it answers");
    let done = run(&server, &change);
    assert_eq!(done.code, Some(0), "{done:?}");
    words(
        &done,
        &[
            "warning",
            "may be minted a second time",
            "41/8/14 of 1 ms since 1735689600000 from now on",
        ],
    );
    let other = run(&server, &["mint"]);
    assert_eq!(other.code, Some(2), "{other:?}");
    let same = [
        "mint",
        "--layout",
        "41/8/14",
        "--epoch",
        "2025-01-01T00:00:00Z",
    ];
    assert_eq!(run(&server, &same).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_moved_into_a_cluster() {
    let server = server();
    let held = hold(&server, 0..=9, "orders").await;
    leave(&server, 5_000, now_ms(&server));
    let exported = run(&server, &["id", "export"]);
    words(&exported, &["warning: 1 machine ID still held"]);
    let slots = exported.json()["slots"].as_array().expect("a list").len();
    assert_eq!(slots, 2);
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("raus.json");
    std::fs::write(&file, &exported.stdout).expect("it is written");
    let file = file.to_str().expect("UTF-8");

    let cluster = Cluster::builder().start().expect("it starts");
    let url = cluster.url();
    let imported = run_at(&url, &["id", "import", file, "--json"]).json();
    assert_eq!(
        (&imported["slots"], &imported["namespace"]),
        (&2.into(), &"{raus}".into())
    );
    assert_eq!(imported["quarantine_ms"], 75_000);
    let listed = run_at(
        &url,
        &["id", "list", "--all", "--range", "0-5000", "--json"],
    )
    .json();
    assert_eq!(listed["history"]["state"], "quarantine", "{listed}");
    let (from, to) = (&exported.json()["slots"], &listed["slots"]);
    for at in 0..2 {
        for field in ["id", "horizon_ms", "label"] {
            assert_eq!(to[at][field], from[at][field], "{field}: {listed}");
        }
        assert_eq!(to[at]["state"], "free");
    }
    assert_eq!(to[0]["fence"], held.fence().to_string());
    let again = run_at(&url, &["id", "import", file]);
    assert_eq!(again.code, Some(0), "the same one: {again:?}");
    drop(held);
}

#[test]
fn an_import_is_refused_where_it_would_mix_things_up_or_is_none() {
    let server = server();
    run(&server, &["id", "init", "--discovery", "0s", "--json"]).json();
    leave(&server, 1, 9);
    let exported = run(&server, &["id", "export"]);
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("raus.json");
    let path = file.to_str().expect("UTF-8");
    std::fs::write(&file, &exported.stdout).expect("it is written");
    leave(&server, 2, 9);
    let refused = run(&server, &["id", "import", path]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    words(&refused, &["slots [2]", "choose an empty namespace"]);
    for text in [
        "{}",
        "",
        "nonsense",
        &exported.stdout.replace("\"version\": 1", "\"version\": 2"),
    ] {
        std::fs::write(&file, text).expect("it is written");
        let refused = run(&server, &["id", "import", path]);
        assert_eq!(refused.code, Some(2), "{text:?}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_thousands_are_moved_in_parts() {
    let (from, to) = (server(), server());
    run(&from, &["id", "init", "--discovery", "0s", "--json"]).json();
    for slot in 0..3_000 {
        leave(&from, slot, 9_000 + u64::from(slot));
    }
    let inspector = |server: &RedisServer| {
        let raus = Raus::new(&server.url(), 0..=2_999).expect("valid");
        raus.inspector().expect("a thread")
    };
    let export = inspector(&from).export().await.expect("it answers");
    assert_eq!(export.slots.len(), 3_000);
    let imported = inspector(&to).import(&export).await.expect("it is empty");
    assert_eq!(
        (imported.slots, imported.quarantine),
        (3_000, Duration::from_secs(75))
    );
    let read = inspector(&to).read().await.expect("it answers");
    assert!(
        matches!(
            read.history,
            History::Quarantine {
                has_begun: true,
                ..
            }
        ),
        "{read:?}"
    );
    for (slot, from) in read.slots.iter().zip(&export.slots) {
        assert_eq!(
            (slot.id, slot.fence, slot.horizon_ms),
            (from.id, 7, from.horizon_ms)
        );
    }
    leave(&to, 3_000, 9);
    let refused = inspector(&to).import(&export).await;
    assert!(
        matches!(refused, Err(ImportError::Occupied { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_server_that_does_not_say_who_it_is_is_used_only_when_told_to() {
    let server = RedisServer::builder()
        .acl_user("app", "on >secret ~* &* +@all -info")
        .start()
        .expect("it starts");
    let url = server.url_for("app", "secret");
    let refused = run_at(&url, &["id", "init", "--discovery", "0s"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    words(&refused, &["INFO is forbidden"]);
    let refused = run_at(&url, &["mint", "--discovery", "0s"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let doctor = run_at(&url, &["doctor", "--pings", "1"]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    words(&doctor, &["--allow-unverified-history"]);
    let allowed = ["mint", "--discovery", "0s", "--allow-unverified-history"];
    let minted = run_at(&url, &allowed);
    assert_eq!(minted.code, Some(0), "{minted:?}");
}
