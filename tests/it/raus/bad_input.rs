//! Bad input gives a clear error that names the value and the limit, and changes nothing.

use std::time::Duration;

use ::raus::{AcquireError, ConfigError, Raus};
use coord_tests::server::RedisServer;

use super::{client, client_at, server};

/// An error with all its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[track_caller]
fn refused(outcome: Result<Raus, ConfigError>, expected: &str) {
    let error = outcome.expect_err("must be refused");
    assert!(
        causes(&error).contains(expected),
        "{:?} lacks {expected:?}",
        causes(&error)
    );
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
fn configurations_that_cannot_work() {
    let new = |uri: &str| Raus::new(uri, 0..=9);
    let build = |change: fn(::raus::Builder) -> ::raus::Builder| {
        change(Raus::builder("memory://", 0..=9)).build()
    };
    refused(Raus::new("memory://", 9..=1), "range 9..=1 is empty");
    refused(
        Raus::new("memory://", 0..=1 << 20),
        "range 0..=1048576 holds 1048577 slots; the limit is 1048576",
    );
    refused(new("http://h"), "unknown scheme \"http\"");
    refused(
        new("redis://h:99999"),
        "port 99999 is not a number from 1 to 65535",
    );
    refused(new("rediscluster://h/3"), "database \"3\" in a cluster URL");
    refused(
        new("redis://h?namespace=x"),
        "unknown query key \"namespace\"",
    );
    refused(new("redis://h?ns="), "namespace is empty");
    refused(new("redis://h?ns=a%20b"), "namespace \"a b\" contains ' '");
    refused(new("redis://h?ns=a%07b"), "namespace \"a\\u{7}b\" contains");
    refused(
        build(|b| b.ttl(Duration::from_millis(2_999))),
        "ttl of 2.999s is shorter than three heartbeats of 1s",
    );
    refused(
        build(|b| b.ttl(Duration::from_secs(3_601))),
        "ttl of 3601s is out of bounds",
    );
    refused(
        build(|b| b.max_candidates(0)),
        "max_candidates of 0 is out of bounds",
    );
    refused(
        build(|b| b.max_candidates(1_025)),
        "max_candidates of 1025 is out of bounds",
    );
    refused(
        build(|b| b.discovery(Duration::from_secs(3_601))),
        "discovery of 3601s is out of bounds",
    );
    refused(
        build(|b| b.max_clock_skew(Duration::ZERO)),
        "max_clock_skew of 0ns is out of bounds",
    );
    refused(
        build(|b| b.label("two\nlines")),
        "label \"two\\nlines\" is not usable",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_outgrows_the_layout() {
    let raus = Raus::builder("memory://layout", 0..=1024)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let error = snowflake::Generator::from_raus(machine_id)
        .await
        .expect_err("must be refused");
    assert!(
        causes(&error).contains("machine ID 1024 does not fit the layout, whose largest is 1023"),
        "{}",
        causes(&error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_without_showing_it() {
    let server = RedisServer::builder()
        .password("open-sesame")
        .start()
        .expect("starts");
    for url in [
        format!("redis://:wrong-secret@127.0.0.1:{}", server.port()),
        format!("redis://127.0.0.1:{}", server.port()),
    ] {
        let raus = client_at(&url, 0..=9).build().expect("valid");
        let error = raus.acquire().await.expect_err("must be refused");
        let text = format!("{} {error:?} {raus:?}", causes(&error));
        assert!(text.contains("rejected the credentials"), "{text}");
        assert!(
            !text.contains("wrong-secret") && !text.contains("open-sesame"),
            "{text}"
        );
    }
    let keys: Vec<String> = server.query(&["KEYS", "*"]).expect("keys");
    assert!(keys.is_empty(), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_an_error_not_a_hang() {
    let closed_port = {
        let server = server();
        server.port()
    };
    let raus = client_at(&format!("redis://127.0.0.1:{closed_port}"), 0..=9)
        .build()
        .expect("valid");
    let outcome = tokio::time::timeout(Duration::from_secs(10), raus.acquire()).await;
    let error = outcome
        .expect("an error within the connect deadline")
        .expect_err("nobody listens");
    assert!(matches!(error, AcquireError::Store(_)), "{error:?}");
    assert!(causes(&error).contains(&format!(
        "no connection to redis://127.0.0.1:{closed_port}/0"
    )));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_an_error_not_a_hang() {
    // The kernel accepts the connection; nobody ever reads from it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("is bound").port();
    let raus = client_at(&format!("redis://127.0.0.1:{port}"), 0..=9)
        .build()
        .expect("valid");
    let outcome = tokio::time::timeout(Duration::from_secs(15), raus.acquire()).await;
    let error = outcome
        .expect("an error within the connect deadline")
        .expect_err("nobody answers");
    assert!(matches!(error, AcquireError::Store(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_refused_by_name() {
    let master = server();
    let replica = RedisServer::builder()
        .replica_of(&master)
        .start()
        .expect("starts");
    let raus = client(&replica, 0..=9).build().expect("valid");
    let error = raus.acquire().await.expect_err("must be refused");
    assert!(causes(&error).contains("READONLY"), "{}", causes(&error));
}
