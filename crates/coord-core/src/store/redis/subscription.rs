//! A subscription on a connection of its own.

use std::{future::poll_fn, pin::pin};

use futures_core::Stream;
use tokio::sync::mpsc;

use super::reply;
use crate::store::{StoreError, Subscription};

pub(super) async fn subscribe(
    client: &redis::Client,
    address: &str,
    channel: &str,
) -> Result<Subscription, StoreError> {
    let failed = |error| reply::classify("subscribe", address, error);
    let mut connection = client.get_async_pubsub().await.map_err(|error| {
        if error.code().is_some() {
            return failed(error);
        }
        StoreError::Connect {
            operation: "subscribe",
            address: address.to_owned(),
            source: reply::source(error),
        }
    })?;
    connection.subscribe(channel).await.map_err(failed)?;
    let (messages, receiver) = mpsc::channel(Subscription::CAPACITY);
    tokio::spawn(async move {
        let mut stream = pin!(connection.into_on_message());
        loop {
            let message = tokio::select! {
                biased;
                message = poll_fn(|context| stream.as_mut().poll_next(context)) => message,
                // Nobody listens any more: the connection goes with this task.
                () = messages.closed() => return,
            };
            let Some(message) = message else { return };
            // A full buffer drops the message, as a hint may be; a closed one ends the loop above.
            let _ = messages.try_send(message.get_payload_bytes().to_vec());
        }
    });
    Ok(Subscription::new(receiver))
}
