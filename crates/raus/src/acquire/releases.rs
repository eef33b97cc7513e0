//! What is told of slots that were given back: heard once for everybody who waits by one `Raus`.

use std::sync::Arc;

use coord_core::{heartbeat::Heartbeat, store::Store};
use tokio::sync::{Mutex, broadcast};

/// Where those who wait find each other; they share one subscription.
#[derive(Debug, Clone, Default)]
pub(crate) struct Releases(Arc<Mutex<Option<broadcast::WeakSender<u32>>>>);

/// The news for one of them.
#[derive(Debug)]
pub(super) struct Listener(broadcast::Receiver<u32>);

impl Releases {
    /// `None` if the server lets nobody listen.
    ///
    /// # Cancel safety
    ///
    /// Safe: whoever comes next begins anew.
    pub(super) async fn listen(&self, store: &dyn Store, channel: &str) -> Option<Listener> {
        let mut shared = self.0.lock().await;
        if let Some(sender) = shared.as_ref().and_then(broadcast::WeakSender::upgrade) {
            return Some(Listener(sender.subscribe()));
        }
        let subscribed = store.subscribe(channel, Heartbeat::RESPONSE_TIMEOUT).await;
        let mut messages = match subscribed {
            Ok(messages) => messages,
            Err(error) => {
                tracing::debug!(%error, "nobody tells of releases; asking from time to time");
                return None;
            }
        };
        let (sender, receiver) = broadcast::channel(CAPACITY);
        *shared = Some(sender.downgrade());
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    message = messages.next() => message,
                    // Nobody waits any more.
                    () = sender.closed() => return,
                };
                let Some(message) = message else { return };
                // Whatever else somebody publishes there is no slot.
                let text = std::str::from_utf8(&message).ok();
                if let Some(slot) = text.and_then(|text| text.parse().ok()) {
                    let _ = sender.send(slot);
                }
            }
        });
        Some(Listener(receiver))
    }
}

impl Listener {
    /// The next slot; `None` when nothing more is told.
    ///
    /// # Cancel safety
    ///
    /// Safe: a slot is either returned or kept.
    pub(super) async fn next(&mut self) -> Option<u32> {
        loop {
            match self.0.recv().await {
                Ok(slot) => return Some(slot),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn silent() -> (broadcast::Sender<u32>, Self) {
        let (sender, receiver) = broadcast::channel(1);
        (sender, Self(receiver))
    }
}

/// Of releases that one who waits has not looked at yet; it asks anyway after the first of them.
const CAPACITY: usize = 64;
