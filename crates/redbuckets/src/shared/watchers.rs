//! Who hears of a change of one bucket: those who work in it, and the tasks of `run_each`. Whoever waits for one bucket
//! is not woken for the others.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tokio::sync::Notify;

use super::{Shared, State};
use crate::event::Event;

#[derive(Debug, Default)]
pub(super) struct Watchers {
    /// Of buckets in whose grants somebody waits for the end.
    signals: HashMap<u32, Arc<Notify>>,
    /// What has changed since the tasks looked; `None` where there are none.
    feed: Option<BTreeSet<u32>>,
    /// To be raised once the lock is free.
    raised: Vec<Arc<Notify>>,
}

impl Watchers {
    pub(super) fn note(&mut self, event: &Event) {
        let (bucket, is_over) = match event {
            Event::Granted { bucket, .. }
            | Event::Revoking { bucket, .. }
            | Event::Stuck { bucket, .. }
            | Event::Kept { bucket, .. } => (*bucket, false),
            Event::Released { bucket, .. } | Event::Lost { bucket, .. } => (*bucket, true),
            _ => return,
        };
        // Whoever gets a signal before it is removed sees that the grant is over.
        let signal = match is_over {
            true => self.signals.remove(&bucket),
            false => self.signals.get(&bucket).cloned(),
        };
        self.raised.extend(signal);
        self.note_bucket(bucket);
    }

    /// Whether anybody is to hear of that.
    pub(super) fn note_bucket(&mut self, bucket: u32) -> bool {
        if let Some(feed) = &mut self.feed {
            feed.insert(bucket);
        }
        self.feed.is_some()
    }

    pub(super) fn signal(&mut self, bucket: u32) -> Arc<Notify> {
        Arc::clone(self.signals.entry(bucket).or_default())
    }

    pub(super) fn take_raised(&mut self) -> Vec<Arc<Notify>> {
        std::mem::take(&mut self.raised)
    }
}

/// What the tasks of one `run_each` hear: which buckets have changed. There is one at a time.
pub(crate) struct Feed {
    shared: Arc<Shared>,
}

impl Feed {
    /// `None` where there is one already. Begins with everything that is held.
    pub(crate) fn open(shared: &Arc<Shared>) -> Option<Self> {
        let mut state = shared.state();
        if state.watchers.feed.is_some() {
            return None;
        }
        state.watchers.feed = Some(held(&state));
        drop(state);
        Some(Self {
            shared: Arc::clone(shared),
        })
    }

    /// What has changed since the last call.
    pub(crate) fn take(&self) -> BTreeSet<u32> {
        let mut state = self.shared.state();
        let feed = state.watchers.feed.as_mut();
        feed.map(std::mem::take).unwrap_or_default()
    }

    /// Everything that is held is to be looked at anew.
    pub(crate) fn take_all(&self) -> BTreeSet<u32> {
        let mut all = self.take();
        all.extend(held(&self.shared.state()));
        all
    }

    /// Waits for a change.
    pub(crate) async fn changed(&self) {
        self.shared.tasks.notified().await;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.state().watchers.feed = None;
    }
}

fn held(state: &State) -> BTreeSet<u32> {
    let held = state.membership.held();
    held.map(|(grant, _)| grant.bucket).collect()
}
