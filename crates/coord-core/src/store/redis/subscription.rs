//! A subscription on a connection of its own.

use std::{future::poll_fn, pin::pin, time::Duration};

use futures_core::Stream;
use redis::{AsyncConnectionConfig, PushInfo, PushKind, aio::PubSub};
use tokio::sync::mpsc;
#[cfg(feature = "sentinel")]
use tokio::sync::watch;

use super::{permission, reply};
use crate::store::{StoreError, Subscription};

/// How often a quiet subscription is asked whether it still lives, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Subscribes through `client`. `config` is for connections that need one (a certificate's name that is not the
/// host's): the client takes it for RESP3 alone, where messages are pushed between the replies.
pub(super) async fn subscribe(
    client: &redis::Client,
    config: Option<AsyncConnectionConfig>,
    address: &str,
    channel: &str,
) -> Result<Subscription, StoreError> {
    match config {
        None => subscribe_alone(client, address, channel).await,
        Some(config) => subscribe_pushed(client, config, address, channel).await,
    }
}

async fn subscribe_alone(
    client: &redis::Client,
    address: &str,
    channel: &str,
) -> Result<Subscription, StoreError> {
    let mut connection = client
        .get_async_pubsub()
        .await
        .map_err(|error| reply::connect_error("subscribe", address, Some(sent(client)), error))?;
    connection
        .subscribe(channel)
        .await
        .map_err(|error| refused(address, channel, error))?;
    let (messages, receiver) = mpsc::channel(Subscription::CAPACITY);
    tokio::spawn(forward(connection, messages));
    Ok(Subscription::new(receiver))
}

/// Passes messages on until nobody listens any more, or the server does not answer: the connection goes with this task.
async fn forward(connection: PubSub, messages: mpsc::Sender<Vec<u8>>) {
    let (mut sink, stream) = connection.split();
    let mut stream = pin!(stream);
    let mut pings = tokio::time::interval(PING_INTERVAL);
    loop {
        let message = tokio::select! {
            biased;
            message = poll_fn(|context| stream.as_mut().poll_next(context)) => message,
            () = messages.closed() => return,
            // A server that was stopped, or a network that was cut, ends no connection.
            _ = pings.tick() => {
                match tokio::time::timeout(PING_TIMEOUT, sink.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => continue,
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        };
        let Some(message) = message else { return };
        if !pass_on(&messages, message.get_payload_bytes()) {
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

async fn subscribe_pushed(
    client: &redis::Client,
    config: AsyncConnectionConfig,
    address: &str,
    channel: &str,
) -> Result<Subscription, StoreError> {
    let (messages, receiver) = mpsc::channel(Subscription::CAPACITY);
    let sender = messages.clone();
    let config = config.set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Message
            && let Some(redis::Value::BulkString(payload)) = push.data.into_iter().nth(1)
        {
            pass_on(&sender, &payload);
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let info = client.get_connection_info().clone();
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(redis::ProtocolVersion::RESP3);
    let mut connection = redis::Client::open(info.set_redis_settings(settings))
        .map_err(|error| reply::connect_error("subscribe", address, Some(sent(client)), error))?
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .map_err(|error| reply::connect_error("subscribe", address, Some(sent(client)), error))?;
    connection
        .subscribe(channel)
        .await
        .map_err(|error| refused(address, channel, error))?;
    tokio::spawn(async move {
        // The sender inside the connection lives as long as this task keeps it.
        let mut pings = tokio::time::interval(PING_INTERVAL);
        loop {
            tokio::select! {
                () = messages.closed() => return,
                _ = pings.tick() => {
                    let ping = redis::cmd("PING");
                    let answer = ping.query_async::<redis::Value>(&mut connection);
                    if !matches!(tokio::time::timeout(PING_TIMEOUT, answer).await, Ok(Ok(_))) {
                        return;
                    }
                }
            }
        }
    });
    Ok(Subscription::new(receiver))
}

fn sent(client: &redis::Client) -> &redis::RedisConnectionInfo {
    client.get_connection_info().redis_settings()
}

fn refused(address: &str, channel: &str, error: redis::RedisError) -> StoreError {
    let error = reply::classify("subscribe", address, error);
    permission::explain_subscription(channel, error)
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
