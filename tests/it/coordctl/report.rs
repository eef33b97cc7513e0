//! One page about what was observed.

use std::{fs, time::Duration};

use coord_tests::{server::RedisServer, wait};
use redbuckets::Redbuckets;

use super::{LIMIT, hold, server, tool};

/// Nothing is fetched from anywhere, and tags that are opened are closed.
fn check_page(page: &str) {
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for word in [
        "http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    for tag in [
        "svg", "table", "tr", "td", "th", "p", "h2", "title", "style", "body",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

/// Waits for the second look, by a command that only looking takes.
async fn has_looked(server: &RedisServer, command: &str) {
    let looked = wait::until_async(LIMIT, async || {
        let calls = server.commandstats().expect("it answers");
        calls.get(command).filter(|&&calls| 1 < calls).copied()
    });
    assert!(looked.await.is_some(), "nobody looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_one_page() {
    let server = server();
    let _held = hold(&server, 7..=7, "<b>payments</b>").await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("report.html");
    let file = path.to_str().expect("UTF-8");
    let arguments = [
        "report",
        "--for",
        "8s",
        "--interval",
        "100ms",
        "-o",
        file,
        "--json",
    ];
    let mut running = tool(&server, &arguments).spawn().expect("it starts");
    has_looked(&server, "pttl").await;
    let late = hold(&server, 8..=8, "late").await;
    let summary = super::finish(&mut running).json();
    assert!(
        1 < summary["looks"].as_u64().expect("a number"),
        "{summary}"
    );
    assert_eq!(summary["changes"], 1, "{summary}");
    assert!(summary["latency"]["p99_us"].is_number(), "{summary}");
    let page = fs::read_to_string(&path).expect("it was written");
    check_page(&page);
    assert!(
        page.contains("&lt;b&gt;payments&lt;/b&gt;") && !page.contains("<b>"),
        "{page}"
    );
    assert!(page.contains("machine ID 8 (late): free → held"), "{page}");
    late.release().await.expect("it answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_seen_enough_gets_the_page_at_once() {
    let server = server();
    let _held = hold(&server, 7..=7, "payments").await;
    let arguments = ["report", "--for", "1h", "--interval", "100ms"];
    let mut running = tool(&server, &arguments).spawn().expect("it starts");
    has_looked(&server, "pttl").await;
    running.process().interrupt().expect("it runs");
    let outcome = super::finish(&mut running);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    check_page(&outcome.stdout);
    assert!(outcome.stdout.contains("payments"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_one_page_with_its_moves() {
    let server = server();
    let join = |id: &str| {
        let group = Redbuckets::builder(&server.url(), "orders")
            .buckets(64)
            .instance_id(id);
        let group = group
            .period(Duration::from_millis(100))
            .settle(Duration::ZERO)
            .build();
        async move { group.expect("valid").join().await.expect("it joins") }
    };
    let first = join("alpha").await;
    let all = async {
        while first.owned().len() != 64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("in time");
    let arguments = [
        "report",
        "-g",
        "orders",
        "--for",
        "8s",
        "--interval",
        "100ms",
    ];
    let mut running = tool(&server, &arguments).spawn().expect("it starts");
    has_looked(&server, "hexists").await;
    let second = join("beta").await;
    let outcome = super::finish(&mut running);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    check_page(&outcome.stdout);
    assert!(outcome.stdout.contains("beta joined"), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("buckets: alpha → beta"),
        "{}",
        outcome.stdout
    );
    second.leave().await.expect("nothing is worked in");
}
