use super::*;
use crate::store::{BoxFuture, Command, Reply, ServerInfo, Subscription};

#[test]
fn scripts_are_told_in_their_own_words() {
    assert_eq!(Mode::Ask.as_arg(), "ask");
    assert_eq!(Mode::Voice.as_arg(), "voice");
    let token = "run@5".to_owned();
    assert_eq!(Mode::First { token }.as_arg(), "first:run@5");
    for (acknowledge, able) in [
        (Acknowledge::All, "all"),
        (Acknowledge::AtLeast(3), "3"),
        (Acknowledge::Never, "never"),
    ] {
        assert_eq!(acknowledge.as_arg(true), able);
        assert_eq!(acknowledge.as_arg(false), "unable");
    }
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
        _write: &'a Command,
        _replicas: u32,
        _within: Duration,
    ) -> BoxFuture<'a, Result<(Reply, u32), StoreError>> {
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
