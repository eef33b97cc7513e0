//! Who listens to which channel.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::{super::Subscription, faults::Faults};

/// The subscribers of every channel.
#[derive(Debug, Default)]
pub(super) struct Channels {
    subscribers: HashMap<Vec<u8>, Vec<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    messages: mpsc::Sender<Vec<u8>>,
    faults: Faults,
}

impl Channels {
    pub(super) fn subscribe(&mut self, channel: &str, faults: Faults) -> Subscription {
        let (sender, receiver) = mpsc::channel(Subscription::CAPACITY);
        let subscribers = self.subscribers.entry(channel.into()).or_default();
        subscribers.retain(|subscriber| !subscriber.messages.is_closed());
        subscribers.push(Subscriber {
            messages: sender,
            faults,
        });
        Subscription::new(receiver)
    }

    /// Sends a message to all subscribers of a channel; how many there are, reachable or not.
    pub(super) fn publish(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let Some(subscribers) = self.subscribers.get_mut(channel) else {
            return 0;
        };
        subscribers.retain(|subscriber| !subscriber.messages.is_closed());
        let count = subscribers.len();
        for subscriber in subscribers.iter() {
            subscriber.send(message);
        }
        if count == 0 {
            self.subscribers.remove(channel);
        }
        count
    }

    /// Ends all subscriptions, as a server that stops does.
    pub(super) fn end_all(&mut self) {
        self.subscribers.clear();
    }
}

impl Subscriber {
    fn send(&self, message: &[u8]) {
        if self.faults.replies_are_cut() {
            return;
        }
        let delay = self.faults.reply_delay();
        if delay.is_zero() {
            // A full buffer drops the message, as a hint may be.
            let _ = self.messages.try_send(message.to_vec());
            return;
        }
        let (messages, message) = (self.messages.clone(), message.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = messages.try_send(message);
        });
    }
}
