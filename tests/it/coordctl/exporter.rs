//! What Prometheus gets of a server.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use coord_tests::{program::Running, server::RedisServer, wait};
use redbuckets::Redbuckets;

use super::{LIMIT, finish, hold, server, tool, tool_at};
use crate::metrics::{Exported, names};

/// A running exporter, and where it listens.
struct Exporter {
    running: Running,
    address: SocketAddr,
}

impl Exporter {
    fn start(server: &RedisServer, options: &[&str]) -> Self {
        Self::start_at(&server.url(), options)
    }

    fn start_at(url: &str, options: &[&str]) -> Self {
        let fixed = ["exporter", "--listen", "127.0.0.1:0", "--interval", "100ms"];
        let tool = tool_at(url, &[&fixed, options].concat());
        let running = tool.spawn().expect("it starts");
        let line = running
            .wait_for_line(LIMIT, |_| true)
            .unwrap_or_else(|error| panic!("{error:#}: {}", running.stderr()));
        let address = line
            .text
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.strip_suffix("/metrics"));
        let address = address.unwrap_or_else(|| panic!("{line:?}"));
        Self {
            address: address.parse().expect("an address"),
            running,
        }
    }

    /// The answer to a request, head and body.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("not zero");
        write!(stream, "{request} HTTP/1.1\r\nhost: test\r\n\r\n").expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head and a body");
        (head.to_owned(), body.to_owned())
    }

    fn page(&self) -> Exported {
        let (head, body) = self.ask("GET /metrics");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Exported::parse(&body)
    }

    /// Waits until a series has this value.
    fn wait_for(&self, series: &str, value: f64) {
        let waited = wait::until(LIMIT, || {
            let found = self.page().get(series);
            found
                .is_some_and(|found| (found - value).abs() < 1e-9)
                .then_some(())
        });
        if waited.is_none() {
            panic!("{series} is {:?}, not {value}", self.page().get(series));
        }
    }
}

async fn member(server: &RedisServer, id: &str) -> redbuckets::Instance {
    Redbuckets::builder(&server.url(), "orders")
        .buckets(10)
        .instance_id(id)
        .period(Duration::from_millis(100))
        .settle(Duration::from_millis(100))
        .build()
        .expect("valid")
        .join()
        .await
        .expect("it joins")
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_ids_and_buckets_are_seen_from_outside() {
    let server = server();
    let held = [
        hold(&server, 0..=9, "a").await,
        hold(&server, 0..=9, "b").await,
    ];
    let first = member(&server, "alpha").await;
    let options = ["--range", "0-9", "--group", "orders", "--per-member"];
    let exporter = Exporter::start(&server, &options);
    exporter.wait_for("coord_up", 1.0);
    exporter.wait_for(r#"raus_slots{namespace="raus",state="held"}"#, 2.0);
    exporter.wait_for(r#"raus_slots{namespace="raus",state="free"}"#, 8.0);
    exporter.wait_for(r#"raus_history{namespace="raus",state="known"}"#, 1.0);
    exporter.wait_for(r#"redbuckets_buckets{group="orders",state="owned"}"#, 10.0);
    exporter.wait_for(
        r#"redbuckets_member_owned{group="orders",member="alpha"}"#,
        10.0,
    );

    let [one, _two] = held;
    one.release().await.expect("it answers");
    exporter.wait_for(r#"raus_slots{namespace="raus",state="held"}"#, 1.0);
    let _third = hold(&server, 0..=9, "c").await;
    exporter.wait_for(r#"raus_grants_seen_total{namespace="raus"}"#, 1.0);

    let moves = r#"redbuckets_moves_seen_total{group="orders"}"#;
    let granted = exporter.page().get(moves).expect("it begins at zero");
    let second = member(&server, "beta").await;
    exporter.wait_for(
        r#"redbuckets_member_owned{group="orders",member="beta"}"#,
        5.0,
    );
    exporter.wait_for(moves, granted + 5.0);
    exporter.wait_for(r#"redbuckets_members{group="orders",state="member"}"#, 2.0);
    exporter.wait_for(r#"redbuckets_share_deviation_max{group="orders"}"#, 0.0);

    let page = exporter.page();
    let kinds: BTreeSet<(String, String)> = page
        .names
        .iter()
        .map(|(name, kind)| (name.clone(), kind.clone()))
        .collect();
    let outside = names::documented("From outside").into_iter();
    let outside: BTreeSet<(String, String)> = outside.map(|(name, row)| (name, row.kind)).collect();
    let of_store = names::documented("The store");
    let own: BTreeSet<_> = kinds
        .into_iter()
        .filter(|(name, _)| !of_store.contains_key(name))
        .collect();
    assert_eq!(own, outside);
    let left = page.get(r#"raus_lease_left_min_seconds{namespace="raus"}"#);
    assert!(
        left.is_some_and(|left| (1.0..=60.0).contains(&left)),
        "{left:?}"
    );

    second.leave().await.expect("it answers");
    exporter.wait_for(r#"redbuckets_members{group="orders",state="member"}"#, 1.0);
    let series = r#"redbuckets_member_owned{group="orders",member="beta"}"#;
    let gone = wait::until(LIMIT, || {
        let shown = exporter.page().get(series);
        shown.is_none().then_some(())
    });
    assert!(gone.is_some(), "what is gone is still shown");
    drop(first);
}

#[test]
fn a_server_that_goes_away_is_said_and_its_return_too() {
    let server = server();
    let mut exporter = Exporter::start(&server, &[]);
    exporter.wait_for("coord_up", 1.0);
    server.kill().expect("it dies");
    exporter.wait_for("coord_up", 0.0);
    // At first a connection breaks; that none can be made is found out with the next look.
    let told = wait::until(LIMIT, || {
        let said = exporter.running.stderr();
        said.contains("Start one").then_some(())
    });
    assert!(told.is_some(), "{}", exporter.running.stderr());
    let page = exporter.page();
    assert_eq!(
        page.get(r#"raus_slots{namespace="raus",state="free"}"#),
        None
    );
    assert!(
        page.get(r#"coord_looks_total{outcome="failed"}"#)
            .is_some_and(|failed| 1.0 <= failed)
    );
    let (head, body) = exporter.ask("GET /healthz");
    assert!(head.starts_with("HTTP/1.1 200") && body == "ok\n", "{head}");
    server.restart().expect("it restarts");
    exporter.wait_for("coord_up", 1.0);
    exporter
        .running
        .process()
        .terminate()
        .expect("is signalled");
    let outcome = finish(&mut exporter.running);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let said = |what: &str| outcome.stderr.matches(what).count();
    assert!((1..=8).contains(&said("coord_up is 0")), "{outcome:?}");
    assert_eq!(said("coord_up is 1"), 1, "{outcome:?}");
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for_without_showing_its_password() {
    let exporter = Exporter::start_at("redis://user:s3cr3t@127.0.0.1:1", &[]);
    exporter.wait_for("coord_up", 0.0);
    let said = exporter.running.stderr();
    assert!(
        said.contains("is a server running there? Start one"),
        "{said}"
    );
    let (_, page) = exporter.ask("GET /metrics");
    assert!(
        !said.contains("s3cr3t") && !page.contains("s3cr3t"),
        "{said}{page}"
    );
}

#[test]
fn only_what_there_is_can_be_asked_for() {
    let server = server();
    let exporter = Exporter::start(&server, &[]);
    let status = |request: &str| {
        let (head, _) = exporter.ask(request);
        head.split(' ').nth(1).map(str::to_owned)
    };
    assert_eq!(status("GET /").as_deref(), Some("404"));
    assert_eq!(status("POST /metrics").as_deref(), Some("405"));
    assert_eq!(status("HEAD /metrics").as_deref(), Some("200"));
    // Who connects and says nothing holds up nobody.
    let _silent: Vec<TcpStream> = (0..8)
        .map(|_| TcpStream::connect(exporter.address).expect("it listens"))
        .collect();
    assert_eq!(status("GET /metrics").as_deref(), Some("200"));
}

#[test]
fn an_address_that_is_taken_is_named() {
    let server = server();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let tool = tool(&server, &["exporter", "--listen", &address]);
    let outcome = finish(&mut tool.spawn().expect("it starts"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains(&address) && outcome.stderr.contains("--listen"),
        "{outcome:?}"
    );
}
