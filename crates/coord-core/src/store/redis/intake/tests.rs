use std::{future::poll_fn, io, time::Duration};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

/// What costs one value and `bytes`, with its line ends.
const fn cost(values: u64, bytes: usize) -> u64 {
    values * Frames::VALUE + bytes as u64
}

fn follow(bytes: &[u8], limit: u64) -> Result<Vec<Frame>, Refusal> {
    let (mut frames, mut bytes, mut found) = (Frames::new(limit), bytes, Vec::new());
    while let Some(frame) = frames.next(&mut bytes)? {
        found.push(frame);
    }
    Ok(found)
}

#[track_caller]
fn check(text: &str, expected: &[u64]) {
    let found = follow(text.as_bytes(), LIMIT).expect("RESP");
    let costs: Vec<u64> = found.iter().map(|frame| frame.cost).collect();
    assert_eq!(costs, expected, "{text:?}");
}

#[test]
fn messages_end_where_they_say() {
    check(
        "+OK\r\n:7\r\n-ERR no\r\n",
        &[cost(1, 4), cost(1, 3), cost(1, 8)],
    );
    check(
        "$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n",
        &[cost(1, 4), cost(1, 4), cost(1, 3), cost(1, 3)],
    );
    check("$5\r\na\r\nbc\r\n", &[cost(1, 8)]);
    check(
        "*2\r\n*1\r\n:1\r\n$1\r\nx\r\n+later\r\n",
        &[cost(4, 13), cost(1, 7)],
    );
    check(
        "%1\r\n+a\r\n,1.5\r\n~1\r\n#t\r\n",
        &[cost(3, 11), cost(2, 6)],
    );
    check("|1\r\n+a\r\n:1\r\n:2\r\n_\r\n", &[cost(4, 12), cost(1, 2)]);
    check(
        "=5\r\ntxt:a\r\n!1\r\nE\r\n(12\r\n>0\r\n",
        &[cost(1, 8), cost(1, 4), cost(1, 4), cost(1, 3)],
    );
    check("+a\rb\r\r\n* 1 \r\n:1\r\n", &[cost(1, 6), cost(2, 8)]);
    check("*1\r\n", &[]);
    check("$2\r\nab", &[]);
}

#[test]
fn what_is_no_message_is_refused() {
    for text in [
        "HTTP/1.1 400 Bad Request\r\n",
        "\r\n",
        "$x\r\n",
        "$9223372036854775808\r\n",
        "$00000000000000000000000000000001\r\nx\r\n",
        "!-1\r\n",
        "%-1\r\n",
        "%9223372036854775807\r\n:1\r\n|9223372036854775808\r\n",
        "$1\r\nxy\r\n",
        "$1\r\nx\ry",
    ] {
        let refusal = follow(text.as_bytes(), u64::MAX).expect_err(text);
        assert!(
            matches!(refusal, Refusal::NotResp | Refusal::TooLarge { .. }),
            "{text:?}: {refusal:?}"
        );
    }
}

#[test]
fn what_is_announced_beyond_the_limit_is_not_waited_for() {
    let limit = cost(3, 20);
    let fits = |text: &str| follow(text.as_bytes(), limit).is_ok();
    assert!(fits("$500\r\n") && !fits("$600\r\n"), "a string");
    assert!(fits("*2\r\n") && !fits("*3\r\n"), "an array");
    assert!(fits("%1\r\n") && !fits("%2\r\n"), "a map");
    assert!(
        !fits("*9223372036854775807\r\n"),
        "more than there are numbers"
    );
    // Each is small: what counts is the message that they are in.
    assert!(!fits("*2\r\n:1\r\n*2\r\n") && fits("*2\r\n:1\r\n*0\r\n:1\r\n:1\r\n"));
}

#[test]
fn nesting_and_lines_have_their_limits() {
    let deep = |levels: usize| follow("*1\r\n".repeat(levels).as_bytes(), LIMIT);
    assert_eq!(deep(Frames::MAX_DEPTH), Ok(vec![]));
    assert_eq!(deep(Frames::MAX_DEPTH + 1), Err(Refusal::TooDeep));
    let most = Frames::MAX_LINE as usize;
    let line = |len: usize| follow(&[b"+".as_slice(), &vec![b'x'; len]].concat(), LIMIT);
    assert_eq!(line(most), Ok(vec![]));
    assert_eq!(line(most + 1), Err(Refusal::TooLong));
}

#[test]
fn confirmations_are_told_from_messages() {
    let is = |text: &str| {
        let found = follow(text.as_bytes(), LIMIT).expect("RESP");
        found
            .iter()
            .map(|it| it.is_confirmation)
            .collect::<Vec<_>>()
    };
    assert_eq!(is("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"), [true]);
    assert_eq!(
        is(">3\r\n+punsubscribe\r\n$1\r\nc\r\n:1\r\n+OK\r\n"),
        [true, false]
    );
    assert_eq!(
        is("*3\r\n$7\r\nmessage\r\n$9\r\nsubscribe\r\n$9\r\nsubscribe\r\n"),
        [false]
    );
    assert_eq!(is("*2\r\n*1\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n"), [false]);
    assert_eq!(
        is("+subscribe\r\n$9\r\nsubscribe\r\n~1\r\n$9\r\nsubscribe\r\n"),
        [false; 3]
    );
}

#[test]
fn refusals_say_limit_and_remedy() {
    for (refusal, limit) in [
        (Refusal::TooLarge { limit: LIMIT }, "more than 16 MiB"),
        (Refusal::TooLong, "more than 64 KiB"),
        (Refusal::TooDeep, "more than 32 deep"),
    ] {
        let text = refusal.to_string();
        assert!(
            text.contains(limit) && text.contains("see whether"),
            "{text}"
        );
    }
}

/// A value as RESP, and how many values it consists of.
fn value() -> impl Strategy<Value = (Vec<u8>, u64)> {
    let leaf = prop_oneof![
        "[a-z\r]{0,9}".prop_map(|text| format!("+{text}\r\n").into_bytes()),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
            [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
        }),
    ];
    let leaf = leaf.prop_map(|bytes| (bytes, 1));
    leaf.prop_recursive(4, 40, 5, |inner| {
        let many = proptest::collection::vec(inner, 0..5);
        (proptest::sample::select(vec!['*', '~', '%']), many).prop_map(|(marker, mut inner)| {
            if marker == '%' && inner.len() % 2 == 1 {
                inner.pop();
            }
            let len = inner.len() / if marker == '%' { 2 } else { 1 };
            let values = 1 + inner.iter().map(|(_, values)| values).sum::<u64>();
            let parts = inner.into_iter().flat_map(|(bytes, _)| bytes);
            let bytes = format!("{marker}{len}\r\n").into_bytes();
            (bytes.into_iter().chain(parts).collect(), values)
        })
    })
}

proptest! {
    #[test]
    fn messages_are_told_apart_however_they_come_in(
        messages in proptest::collection::vec(value(), 1..6),
        step in 1_usize..50,
    ) {
        let bytes: Vec<u8> = messages.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let mut frames = Frames::new(LIMIT);
        let mut found = Vec::new();
        for mut part in bytes.chunks(step) {
            while let Some(frame) = frames.next(&mut part).expect("RESP") {
                found.push(frame.cost);
            }
        }
        prop_assert_eq!(found.len(), messages.len());
        for (found, (bytes, values)) in found.into_iter().zip(&messages) {
            let least = values * Frames::VALUE;
            prop_assert!((least..least + bytes.len() as u64).contains(&found), "{found} for {bytes:?}");
        }
    }
}

fn pipe(gauge: &Gauge) -> (Intake<DuplexStream>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(64 << 20);
    (
        Intake::new(ours, gauge.clone(), "redis://h".to_owned()),
        theirs,
    )
}

/// Sends `message` so many times, and reads until there is nothing more.
async fn read(
    intake: &mut Intake<DuplexStream>,
    server: &mut DuplexStream,
    message: &[u8],
    times: usize,
) -> io::Result<usize> {
    server
        .write_all(&message.repeat(times))
        .await
        .expect("there is room");
    let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
    loop {
        let read = tokio::time::timeout(Duration::from_millis(1), intake.read(&mut buffer)).await;
        match read {
            Ok(Ok(count)) => all += count,
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => return Ok(all),
        }
    }
}

fn large() -> Vec<u8> {
    [b"$1048576\r\n".as_slice(), &[b'x'; 1 << 20], b"\r\n"].concat()
}

#[tokio::test(start_paused = true)]
async fn replies_count_together_while_somebody_waits_for_them() {
    let gauge = Gauge::default();
    let (mut intake, mut server) = pipe(&gauge);
    // Nobody waits: the client passes over them.
    read(&mut intake, &mut server, &large(), 40)
        .await
        .expect("no limit");
    let under_way = gauge.begin();
    read(&mut intake, &mut server, &large(), 14)
        .await
        .expect("fits");
    drop(gauge.begin());
    let error = read(&mut intake, &mut server, &large(), 4).await;
    let text = error.expect_err("too much").to_string();
    assert!(text.contains("more than 16 MiB"), "{text}");
    // And so it stays.
    drop(under_way);
    let error = read(&mut intake, &mut server, b"+OK\r\n", 1).await;
    assert!(error.is_err(), "{error:?}");

    let broken = StoreError::Broken {
        operation: "renew",
        address: "redis://h".to_owned(),
        source: Arc::from(Box::from("closed")),
    };
    let text = std::error::Error::source(&gauge.explain(broken))
        .expect("a cause")
        .to_string();
    assert!(text.contains("more than 16 MiB"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_somebody_is_not_silent() {
    let gauge = Gauge::default();
    let (mut intake, mut server) = pipe(&gauge);
    let other = gauge.begin();
    read(&mut intake, &mut server, b"+OK\r\n", 1)
        .await
        .expect("fits");
    let under_way = gauge.begin();
    assert!(!other.heard_nothing());
    assert!(under_way.heard_nothing(), "what came before says nothing");
    read(&mut intake, &mut server, b"+OK\r\n", 1)
        .await
        .expect("fits");
    assert!(!under_way.heard_nothing());
}

#[tokio::test(start_paused = true)]
async fn large_replies_one_after_the_other_and_many_small_ones_are_no_flood() {
    let gauge = Gauge::default();
    let (mut intake, mut server) = pipe(&gauge);
    for _ in 0..40 {
        let _under_way = gauge.begin();
        read(&mut intake, &mut server, &large(), 8)
            .await
            .expect("fits");
    }
    let _under_way = gauge.begin();
    let heartbeat = [b"$30000\r\n".as_slice(), &[b'x'; 30_000], b"\r\n"].concat();
    read(&mut intake, &mut server, &heartbeat, 2_000)
        .await
        .expect("fits");
}

#[tokio::test(start_paused = true)]
async fn nothing_more_is_taken_before_messages_are_read() {
    let gauge = Gauge::listening();
    let (mut intake, mut server) = pipe(&gauge);
    let message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n";
    for _ in 0..10 {
        let few = read(&mut intake, &mut server, message, 1).await;
        assert_eq!(few.expect("goes on"), message.len(), "a few may wait");
    }
    let sent = 100_000 * message.len();
    let first = read(&mut intake, &mut server, message, 100_000)
        .await
        .expect("waits");
    assert!(first < sent / 10, "{first} of {sent} bytes were taken");
    let mut all = first;
    let mut rounds = 0;
    while all < sent {
        gauge.read_all();
        let more = read(&mut intake, &mut server, b"", 0)
            .await
            .expect("goes on");
        assert!(more <= 2 * GULP, "{more} bytes at once");
        all += more;
        rounds += 1;
        assert!(rounds < 10_000, "{all} of {sent} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_room_is_woken() {
    let gauge = Gauge::listening();
    let (mut intake, mut server) = pipe(&gauge);
    read(&mut intake, &mut server, b"*1\r\n$7\r\nmessage\r\n", 10_000)
        .await
        .expect("waits");
    let reading = tokio::spawn(async move {
        let mut buffer = [0; 100];
        intake.read(&mut buffer).await.expect("goes on")
    });
    tokio::task::yield_now().await;
    assert!(!reading.is_finished());
    gauge.read_all();
    assert_eq!(reading.await.expect("no panic"), 100);
}

#[tokio::test(start_paused = true)]
async fn confirmations_that_never_end_do() {
    let gauge = Gauge::listening();
    let (mut intake, mut server) = pipe(&gauge);
    let confirmation = b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    let mut rounds = 0;
    let error = loop {
        gauge.read_all();
        if let Err(error) = read(&mut intake, &mut server, confirmation, 200).await {
            break error;
        }
        rounds += 1;
        assert!(rounds < 1_000, "no end");
    };
    assert!(error.to_string().contains("more than 16 MiB"), "{error}");
    // What is written goes its way all the same.
    intake.write_all(b"x").await.expect("written");
    poll_fn(|context| Pin::new(&mut intake).poll_flush(context))
        .await
        .expect("flushed");
}
