use super::*;
use crate::store::{BoxFuture, Command, Confirmed, Reply, ServerInfo, Subscription};

#[test]
fn scripts_are_told_in_their_own_words() {
    assert_eq!(Mode::Ask.as_arg(), "ask");
    assert_eq!(Mode::Voice.as_arg(), "voice");
    let token = "run@5".to_owned();
    assert_eq!(Mode::First { token }.as_arg(), "first:run@5");
    let seconds = Duration::from_secs;
    let mut policy = Policy::new(Terms::new(seconds(60), seconds(15), seconds(10)));
    let known = Terms::new(seconds(90), seconds(20), seconds(5));
    assert_eq!(policy.as_arg(known), "60000 15000 10000 90000 20000 5000 -");
    (policy.expect_history, policy.allow_unverified) = (true, true);
    assert_eq!(
        policy.as_arg(Terms::default()),
        "60000 15000 10000 0 0 0 eu"
    );
}

#[test]
fn terms_are_read_as_they_are_written() {
    let terms = Terms::new(
        Duration::from_secs(60),
        Duration::ZERO,
        Duration::from_millis(7),
    );
    assert_eq!(Terms::parse(&terms.to_string()), Some(terms));
    assert_eq!(terms.quarantine(), Duration::from_secs(60));
    for garbage in [
        "",
        "1 2",
        "1 2 3 4",
        "1 2 x",
        "-1 2 3",
        "1 2 3600001",
        "1  2 3",
    ] {
        assert_eq!(Terms::parse(garbage), None, "{garbage:?}");
    }
    let longest = Terms::new(Duration::MAX, Duration::MAX, Duration::MAX);
    assert_eq!(Terms::parse(&longest.to_string()), Some(longest));
}

/// A living holder is heard at least once in the shortest discovery.
#[test]
fn discovery_follows_the_heartbeat() {
    let seconds = Duration::from_secs;
    assert_eq!(default_discovery(seconds(1)), seconds(3));
    assert_eq!(
        default_discovery(seconds(20)),
        Duration::from_millis(40_500)
    );
    assert_eq!(shortest_discovery(seconds(1)), Duration::from_millis(2_500));
}

/// A store that nobody can listen to.
#[derive(Debug)]
struct Mute(StoreError);

impl Store for Mute {
    fn pipeline<'a>(
        &'a self,
        _commands: &'a [Command],
        _within: Duration,
    ) -> BoxFuture<'a, Vec<Result<Reply, StoreError>>> {
        unreachable!("nobody asks")
    }

    fn confirm<'a>(
        &'a self,
        _writes: &'a [Command],
        _replicas: u32,
        _within: Duration,
    ) -> BoxFuture<'a, Result<Confirmed, StoreError>> {
        unreachable!("nobody asks")
    }

    fn subscribe<'a>(
        &'a self,
        _channel: &'a str,
        _within: Duration,
    ) -> BoxFuture<'a, Result<Subscription, StoreError>> {
        Box::pin(async { Err(self.0.clone()) })
    }

    fn describe<'a>(
        &'a self,
        _key: &'a str,
        _within: Duration,
    ) -> BoxFuture<'a, Result<ServerInfo, StoreError>> {
        unreachable!("nobody asks")
    }
}

const DISCOVERY: Duration = Duration::from_secs(3);

async fn heard(error: StoreError) -> Result<Heard, StoreError> {
    listen(&Mute(error), "channel", DISCOVERY, DISCOVERY).await
}

/// Silence that was not heard is none; what may pass is tried again.
#[tokio::test(start_paused = true)]
async fn who_cannot_listen_has_heard_no_silence() {
    let began = tokio::time::Instant::now();
    let forbidden = StoreError::unexpected("subscribe", &Reply::Nil);
    assert!(!forbidden.is_transient());
    let deaf = heard(forbidden).await.expect("that will not pass");
    assert!(matches!(deaf, Heard::Deaf(_)));
    assert_eq!(deaf.mode("token".to_owned()), Mode::Voice);
    let passing = StoreError::Timeout {
        operation: "subscribe",
        address: "somewhere".to_owned(),
        within: DISCOVERY,
    };
    assert!(passing.is_transient());
    assert!(heard(passing).await.is_err());
    assert!(began.elapsed().is_zero());
    let unable = StoreError::Unsupported {
        operation: "subscribe",
        address: "somewhere".to_owned(),
        remedy: "another connection".to_owned(),
    };
    let unheard = heard(unable).await.expect("the time passes instead");
    assert!(matches!(unheard, Heard::Unheard(_)));
    assert_eq!(began.elapsed(), DISCOVERY);
}
