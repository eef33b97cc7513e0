//! What happens to a lease, told to any number of readers.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// The sending side, which keeps the first reader's place: it gets everything since the log was made.
///
/// Memory follows what is unread: none before the first event, and an event goes when every reader has it.
#[derive(Debug)]
pub struct EventLog<E> {
    log: Arc<Log<E>>,
}

/// The reading side of an [`EventLog`].
#[derive(Debug)]
pub struct EventReader<E> {
    log: Arc<Log<E>>,
    reader: u64,
}

/// A reader fell behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// How many events it missed.
    pub count: u64,
}

#[derive(Debug)]
struct Log<E> {
    unread: Mutex<Unread<E>>,
    news: Notify,
}

#[derive(Debug)]
struct Unread<E> {
    events: VecDeque<E>,
    capacity: usize,
    /// How many events are gone from the front.
    gone: u64,
    /// How many events each reader has read or missed.
    places: BTreeMap<u64, u64>,
    next_reader: u64,
    first_is_taken: bool,
    closed: bool,
}

impl<E: Clone> EventLog<E> {
    /// A log in which a slow reader may fall behind by `capacity` events; at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let unread = Unread {
            events: VecDeque::new(),
            capacity: capacity.max(1),
            gone: 0,
            places: BTreeMap::from([(0, 0)]),
            next_reader: 1,
            first_is_taken: false,
            closed: false,
        };
        Self {
            log: Arc::new(Log {
                unread: Mutex::new(unread),
                news: Notify::new(),
            }),
        }
    }

    /// Tells every reader; nothing after [`close`](Self::close).
    pub fn push(&self, event: E) {
        let mut unread = self.log.unread();
        if unread.closed || unread.places.is_empty() {
            return;
        }
        let lost = (unread.events.len() == unread.capacity)
            .then(|| unread.events.pop_front())
            .flatten();
        unread.gone += u64::from(lost.is_some());
        unread.events.push_back(event);
        drop(unread);
        self.log.news.notify_waiters();
    }

    /// A reader: the first one from the beginning, others from now on.
    #[must_use]
    pub fn subscribe(&self) -> EventReader<E> {
        let mut unread = self.log.unread();
        let reader = if unread.first_is_taken {
            let reader = unread.next_reader;
            unread.next_reader += 1;
            let place = unread.end();
            unread.places.insert(reader, place);
            reader
        } else {
            unread.first_is_taken = true;
            0
        };
        drop(unread);
        EventReader {
            log: Arc::clone(&self.log),
            reader,
        }
    }
}

impl<E> EventLog<E> {
    /// Readers come to their end once they have read what there is.
    pub fn close(&self) {
        self.log.unread().closed = true;
        self.log.news.notify_waiters();
    }
}

impl<E> Drop for EventLog<E> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<E: Clone> EventReader<E> {
    /// The next event, or how many were missed; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Safe: an event is either returned or kept.
    pub async fn next(&mut self) -> Option<Result<E, Missed>> {
        loop {
            // Hears of whatever comes from here on, so nothing can come between the look and the wait.
            let news = self.log.news.notified();
            {
                let mut unread = self.log.unread();
                if let Some(next) = unread.read(self.reader) {
                    return Some(next);
                }
                if unread.closed {
                    return None;
                }
            }
            news.await;
        }
    }
}

impl<E> Drop for EventReader<E> {
    fn drop(&mut self) {
        let mut unread = self.log.unread();
        unread.places.remove(&self.reader);
        unread.forget_read();
    }
}

impl<E> Log<E> {
    /// Every change is complete before anything can panic, so a poisoned lock is still good.
    fn unread(&self) -> MutexGuard<'_, Unread<E>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E> Unread<E> {
    /// The place after the last event.
    fn end(&self) -> u64 {
        self.gone + self.events.len() as u64
    }

    /// Drops what every reader has.
    fn forget_read(&mut self) {
        let read = self.places.values().min().copied();
        let read = read.unwrap_or_else(|| self.end());
        while self.gone < read && self.events.pop_front().is_some() {
            self.gone += 1;
        }
        if self.events.is_empty() {
            self.events.shrink_to(64);
        }
    }
}

impl<E: Clone> Unread<E> {
    fn read(&mut self, reader: u64) -> Option<Result<E, Missed>> {
        let place = self.places.get_mut(&reader)?;
        let missed = self.gone.saturating_sub(*place);
        if 0 < missed {
            *place = self.gone;
            return Some(Err(Missed { count: missed }));
        }
        let at = usize::try_from(*place - self.gone).ok()?;
        let event = self.events.get(at)?.clone();
        *place += 1;
        if at == 0 {
            self.forget_read();
        }
        Some(Ok(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room<E>(log: &EventLog<E>) -> usize {
        log.log.unread().events.capacity()
    }

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
        assert_eq!(reader.next().await, Some(Ok(4)));
        drop(log);
        assert_eq!(reader.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_waits_hears_of_the_next_event_and_of_the_end() {
        let log = EventLog::new(2);
        let mut reader = log.subscribe();
        let waiting = tokio::spawn(async move { (reader.next().await, reader.next().await) });
        tokio::task::yield_now().await;
        log.push(1);
        tokio::task::yield_now().await;
        log.close();
        assert_eq!(waiting.await.expect("ends"), (Some(Ok(1)), None));
    }

    #[tokio::test]
    async fn a_log_takes_room_only_for_what_is_unread() {
        let log = EventLog::new(65_536);
        assert_eq!(room(&log), 0);
        let (mut first, mut second) = (log.subscribe(), log.subscribe());
        (0..65_536).for_each(|event| log.push(event));
        for _ in 0..65_536 {
            first.next().await;
        }
        assert_eq!(
            log.log.unread().events.len(),
            65_536,
            "one has read nothing"
        );
        assert_eq!(second.next().await, Some(Ok(0)));
        drop(second);
        assert!(room(&log) <= 64, "{}", room(&log));
        drop(first);
        (0..65_536).for_each(|event| log.push(event));
        assert!(room(&log) <= 64, "nobody reads");
    }
}
