//! What happens to a lease, told to any number of readers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

/// The sending side, which keeps the first reader's place: it gets everything since the log was made.
#[derive(Debug)]
pub struct EventLog<E> {
    sender: Mutex<Option<broadcast::Sender<E>>>,
    first: Mutex<Option<broadcast::Receiver<E>>>,
}

impl<E: Clone> EventLog<E> {
    /// A log in which a slow reader may fall behind by `capacity` events; at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let (sender, first) = broadcast::channel(capacity.max(1));
        Self {
            sender: Mutex::new(Some(sender)),
            first: Mutex::new(Some(first)),
        }
    }

    /// Tells every reader; nothing after [`close`](Self::close).
    pub fn push(&self, event: E) {
        if let Some(sender) = &*lock(&self.sender) {
            let _ = sender.send(event);
        }
    }

    /// Readers come to their end once they have read what there is.
    pub fn close(&self) {
        lock(&self.sender).take();
    }

    /// A reader: the first one from the beginning, others from now on.
    #[must_use]
    pub fn subscribe(&self) -> EventReader<E> {
        let first = lock(&self.first).take();
        let receiver = first.unwrap_or_else(|| match &*lock(&self.sender) {
            Some(sender) => sender.subscribe(),
            None => broadcast::channel(1).1,
        });
        EventReader { receiver }
    }
}

/// The reading side of an [`EventLog`].
#[derive(Debug)]
pub struct EventReader<E> {
    receiver: broadcast::Receiver<E>,
}

impl<E: Clone> EventReader<E> {
    /// The next event, or how many were missed; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Safe: an event is either returned or kept.
    pub async fn next(&mut self) -> Option<Result<E, Missed>> {
        match self.receiver.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(Err(Missed { count })),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// A reader fell behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// How many events it missed.
    pub count: u64,
}

/// What is guarded is replaced as a whole, so a panic elsewhere leaves it valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reader_gets_everything_and_others_what_comes() {
        let log = EventLog::new(8);
        log.push(1);
        let mut first = log.subscribe();
        let mut second = log.subscribe();
        log.push(2);
        log.close();
        log.push(3);
        assert_eq!(first.next().await, Some(Ok(1)));
        assert_eq!(first.next().await, Some(Ok(2)));
        assert_eq!(first.next().await, None);
        assert_eq!(second.next().await, Some(Ok(2)));
        assert_eq!(log.subscribe().next().await, None);
    }

    #[tokio::test]
    async fn a_slow_reader_learns_how_much_it_missed() {
        let log = EventLog::new(2);
        (0..5).for_each(|event| log.push(event));
        let mut reader = log.subscribe();
        assert_eq!(reader.next().await, Some(Err(Missed { count: 3 })));
        assert_eq!(reader.next().await, Some(Ok(3)));
    }
}
