//! A subscription on a connection of its own.

use std::{future::poll_fn, pin::pin, time::Duration};

use futures_core::Stream;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use tokio::sync::mpsc;
#[cfg(feature = "sentinel")]
use tokio::sync::watch;

use super::{dialer::Dialer, intake::Gauge, permission, reply};
use crate::store::{StoreError, Subscription};

/// How often a quiet subscription is asked whether it still lives, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) async fn subscribe(
    dialer: &Dialer,
    address: &str,
    channel: &str,
) -> Result<Subscription, StoreError> {
    let listening = dialer.listen().await;
    let (mut connection, gauge) = listening.map_err(|error| {
        reply::connect_error("subscribe", address, Some(dialer.settings()), error)
    })?;
    connection.subscribe(channel).await.map_err(|error| {
        let error = reply::classify("subscribe", address, error);
        permission::explain_subscription(channel, gauge.explain(error))
    })?;
    let (messages, receiver) = mpsc::channel(Subscription::CAPACITY);
    tokio::spawn(forward(connection, gauge, messages));
    Ok(Subscription::new(receiver))
}

/// Passes messages on until nobody listens any more, or the server does not answer: the connection goes with this task.
async fn forward(connection: PubSub, gauge: Gauge, messages: mpsc::Sender<Vec<u8>>) {
    let (sink, stream) = connection.split();
    tokio::select! {
        () = messages.closed() => {}
        () = pass_all_on(stream, &gauge, &messages) => {}
        () = await_silence(sink) => {}
    }
}

/// Passes messages on until none come any more.
async fn pass_all_on(stream: PubSubStream, gauge: &Gauge, messages: &mpsc::Sender<Vec<u8>>) {
    let mut stream = pin!(stream);
    loop {
        let next = poll_fn(|context| {
            let polled = stream.as_mut().poll_next(context);
            if polled.is_pending() {
                gauge.read_all();
            }
            polled
        });
        // Unconstrained, so that whatever is pending is empty, and not only out of turn: the client holds as many messages as
        // come, and the gauge lets it have a few before all were read.
        let Some(message) = tokio::task::unconstrained(next).await else {
            return;
        };
        if !pass_on(messages, message.get_payload_bytes()) {
            return;
        }
    }
}

/// Waits until the server answers no more: one that was stopped, or a network that was cut, ends no connection.
async fn await_silence(mut sink: PubSubSink) {
    let mut pings = tokio::time::interval(PING_INTERVAL);
    loop {
        pings.tick().await;
        let ping = sink.ping::<redis::Value>();
        if !matches!(tokio::time::timeout(PING_TIMEOUT, ping).await, Ok(Ok(_))) {
            return;
        }
    }
}

/// Passes the beginning of a message on, which is all of ours; anybody may publish longer ones. A full buffer drops it, as a
/// hint may be. Whether anybody still listens.
fn pass_on(messages: &mpsc::Sender<Vec<u8>>, message: &[u8]) -> bool {
    let beginning = &message[..message.len().min(Subscription::MAX_MESSAGE)];
    let passed = messages.try_send(beginning.to_vec());
    !matches!(passed, Err(mpsc::error::TrySendError::Closed(_)))
}

/// `subscription`, for as long as `over` does not change.
#[cfg(feature = "sentinel")]
pub(super) fn until(mut subscription: Subscription, mut over: watch::Receiver<()>) -> Subscription {
    let (messages, receiver) = mpsc::channel(Subscription::CAPACITY);
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                biased;
                _ = over.changed() => return,
                () = messages.closed() => return,
                message = subscription.next() => message,
            };
            let Some(message) = message else { return };
            if !pass_on(&messages, &message) {
                return;
            }
        }
    });
    Subscription::new(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_dropped_and_ends_with_its_reader() {
        let (messages, mut receiver) = mpsc::channel(1);
        let long = vec![b'x'; 1 << 20];
        assert!(pass_on(&messages, &long));
        assert!(pass_on(&messages, &long), "a full buffer ends nothing");
        let kept = receiver.try_recv().expect("the first one");
        assert_eq!(kept.len(), Subscription::MAX_MESSAGE);
        assert!(receiver.try_recv().is_err(), "the second one is dropped");
        drop(receiver);
        assert!(!pass_on(&messages, b"x"));
    }
}
