//! A server that sends and sends: hundreds of megabytes leave the client's memory as it was, and where the client has to give
//! up, it says why.
//!
//! Each client is a process of its own (`src/bin/swamped.rs`), so that its memory can be measured.

mod sender;

use std::time::Duration;

use coord_tests::{program::Program, tls::Ca};

use self::sender::{Flood, Sender};

const MB: u64 = 1 << 20;
/// A client that holds the most that it may: 16 MiB, once as received, with room to grow, and once as read. A process takes
/// about 12 MiB before that.
const MEMORY: u64 = 112 * MB;
/// How long a client may take in all, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long connections are watched that do not end.
const WATCHED: Duration = Duration::from_secs(5);

/// Each of them costs more than its bytes.
fn strings() -> Flood {
    Flood::new("*60000\r\n", format!("$1000\r\n{}\r\n", "x".repeat(1_000)))
}

/// What a client says in the end that does `what`, and how many messages it has got.
#[track_caller]
fn run(url: &str, roots: &str, what: &str) -> (String, u64) {
    let ms = WATCHED.as_millis().to_string();
    let mut client = Program::at(env!("CARGO_BIN_EXE_swamped"))
        .args([url, roots, what, &ms])
        .spawn()
        .expect("starts");
    let status = client.wait(PATIENCE).expect("it ends in time");
    assert!(status.success(), "{url} {what}: {}", client.stderr());
    let end = client.wait_for_event(PATIENCE, "end").expect("a line");
    let number = |field: &str| end[field].as_u64().expect("a number");
    let memory = number("peak_rss");
    println!("{url} {what}: {end}");
    assert!(memory < MEMORY, "{url} {what} took {memory} bytes");
    let outcome = end["outcome"].as_str().map(str::to_owned);
    (outcome.expect("a text"), number("messages"))
}

#[track_caller]
fn refused(url: &str, roots: &str, what: &str, why: &str) {
    let (outcome, _) = run(url, roots, what);
    assert!(outcome.contains(why), "{url} {what}: {outcome}");
    assert!(outcome.contains("see whether"), "{url} {what}: {outcome}");
}

const TOO_LARGE: &str = "the server sends more than 16 MiB at once";

#[test]
fn a_reply_without_an_end_is_given_up_at_a_limit_that_is_named() {
    for (flood, why) in [
        (strings(), TOO_LARGE),
        (Flood::new("", "*1\r\n"), "more than 32 deep"),
        (Flood::new("*60000\r\n", "*1\r\n:1\r\n"), TOO_LARGE),
        (
            Flood::new("+", "x".repeat(1 << 20)),
            "a line of more than 64 KiB",
        ),
        (Flood::new("$536870912\r\n", "x".repeat(1 << 20)), TOO_LARGE),
        (Flood::new("%", "1 "), "a line of more than 64 KiB"),
        (
            Flood::new("", "HTTP/1.1 400\r\n"),
            "neither RESP2 nor RESP3",
        ),
    ] {
        let server = Sender::tcp(flood);
        refused(&server.url(), "-", "ask", why);
    }
}

#[test]
fn every_kind_of_connection_and_every_operation_has_the_limit() {
    let ca = Ca::new().expect("is made");
    let roots = ca.certificate().display().to_string();
    let clear = Sender::tcp(strings());
    let (unix, tls) = (Sender::unix(strings()), Sender::tls(strings(), &ca));
    for what in ["ask", "ask-many", "confirm", "describe", "listen"] {
        // A subscription has no answer that could say why it ended; the log does.
        let why = if what == "listen" {
            "the end of the subscription"
        } else {
            TOO_LARGE
        };
        for (url, roots) in [
            (clear.url(), "-"),
            (clear.url() + "?protocol=resp3", "-"),
            (unix.url(), "-"),
            (tls.url(), &roots),
        ] {
            let (outcome, _) = run(&url, roots, what);
            assert!(outcome.contains(why), "{url} {what}: {outcome}");
        }
    }
}

#[test]
fn nodes_of_a_cluster_and_sentinels_have_the_limit() {
    // At once, as they have little time to answer.
    let server = Sender::tcp(Flood::new("", "*1\r\n"));
    let address = format!("127.0.0.1:{}", server.port());
    for url in [
        format!("rediscluster://{address}"),
        format!("redis+sentinel://{address}/main"),
    ] {
        for what in ["ask", "listen"] {
            refused(&url, "-", what, "more than 32 deep");
        }
    }
}

#[test]
fn many_large_replies_to_one_pipeline_are_too_many() {
    let reply = format!("$4000000\r\n{}\r\n", "x".repeat(4_000_000));
    let server = Sender::tcp(Flood::new("", reply));
    refused(&server.url(), "-", "ask-many", TOO_LARGE);
}

#[test]
fn a_connection_that_nobody_uses_takes_no_memory_whatever_comes() {
    let large = format!("$15000000\r\n{}\r\n", "x".repeat(15_000_000));
    for (flood, least) in [
        (Flood::new("", large), 300 * MB),
        (Flood::new("", ":1\r\n".repeat(10_000)), MB),
        (
            Flood::new(
                ":1\r\n",
                ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n".repeat(1_000),
            ),
            MB,
        ),
    ] {
        let server = Sender::tcp(flood);
        let (outcome, _) = run(&server.url(), "-", "idle");
        assert_eq!(outcome, "ok");
        assert!(
            least < server.sent(),
            "only {} bytes were sent",
            server.sent()
        );
    }
}

/// What a channel brings, with answers to whoever asks whether the server lives.
fn messages(payload: usize, times: usize) -> Flood {
    let message = format!(
        "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n${payload}\r\n{}\r\n",
        "x".repeat(payload)
    );
    Flood::new("", message.repeat(times) + "*2\r\n$4\r\npong\r\n$0\r\n\r\n")
}

#[test]
fn a_channel_without_an_end_takes_no_memory_and_goes_on() {
    for (flood, least) in [(messages(1, 1_000), MB), (messages(1 << 20, 1), 300 * MB)] {
        let server = Sender::tcp(flood);
        let (outcome, messages) = run(&server.url(), "-", "listen");
        assert_eq!(outcome, "ok", "after {messages} messages");
        assert!(100 < messages, "{messages} messages");
        assert!(
            least < server.sent(),
            "only {} bytes were sent",
            server.sent()
        );
    }
}

#[test]
fn a_list_of_subscriptions_that_nobody_asked_for_does_not_grow_for_ever() {
    let confirmations = (0..10_000).map(|channel| {
        let channel = format!("{channel:0>1000}");
        format!("*3\r\n$9\r\nsubscribe\r\n$1000\r\n{channel}\r\n:1\r\n")
    });
    let server = Sender::tcp(Flood::new("", confirmations.collect::<String>()));
    let (outcome, _) = run(&server.url(), "-", "listen");
    assert!(outcome.contains("the end of the subscription"), "{outcome}");
}
