//! What happened so far in a run: the timeline, and the first thing that must never happen.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use coord_core::clock::{Clock, Instant, TokioClock};

use super::{amnesty::Holding, plan::Number};

/// Clones write into the same record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    clock: TokioClock,
    /// Whether the timeline is kept; a run of which nobody will read it is quicker.
    is_kept: bool,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    timeline: Vec<Entry>,
    violation: Option<String>,
    grants: u64,
    ids: u64,
    /// Who was granted something last, and when.
    newest: Option<(Instant, Number)>,
    /// What was granted to whom, since that was last asked.
    granted: Vec<(Number, String)>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Microseconds of virtual time.
    at_us: u128,
    who: Who,
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    World,
    Server,
    Instance(Number),
    /// Something that must never happen.
    Violation,
}

impl Record {
    pub(super) fn new(clock: TokioClock, is_kept: bool) -> Self {
        Self {
            clock,
            is_kept,
            shared: Arc::default(),
        }
    }

    pub(super) fn say(&self, who: Who, what: impl FnOnce() -> String) {
        if self.is_kept {
            let entry = Entry {
                at_us: self.clock.now().since_boot().as_micros(),
                who,
                what: what(),
            };
            self.shared().timeline.push(entry);
        }
    }

    /// The first violation counts; what follows is its consequence.
    pub(super) fn fail(&self, violation: String) {
        if self.is_failed() {
            return;
        }
        self.say(Who::Violation, || violation.clone());
        self.shared().violation = Some(violation);
    }

    pub(super) fn is_failed(&self) -> bool {
        self.shared().violation.is_some()
    }

    /// `granted` is what the store says of it: the slot with its fence, or runs of buckets with their epochs.
    pub(super) fn count_grant(&self, number: Number, granted: String) {
        let now = self.clock.now();
        let mut shared = self.shared();
        shared.grants += 1;
        shared.newest = Some((now, number));
        shared.granted.push((number, granted));
    }

    pub(super) fn count_id(&self) {
        self.shared().ids += 1;
    }

    pub(super) fn newest(&self) -> Option<(Instant, Number)> {
        self.shared().newest
    }

    /// What was granted since the last call, whether or not they to whom it was have read that yet.
    pub(super) fn take_granted(&self) -> Vec<Holding> {
        let granted = std::mem::take(&mut self.shared().granted);
        let holdings = |(number, text): (Number, String)| {
            let words: Vec<&str> = text.split_whitespace().collect();
            let pairs = words.chunks_exact(2).flat_map(holdings_of);
            pairs
                .map(|(what, fence)| (number, what, fence))
                .collect::<Vec<_>>()
        };
        granted.into_iter().flat_map(holdings).collect()
    }

    pub(super) fn grants(&self) -> u64 {
        self.shared().grants
    }

    pub(super) fn ids(&self) -> u64 {
        self.shared().ids
    }

    /// The violation, and the timeline.
    pub(super) fn take(&self) -> (Option<String>, Vec<Entry>) {
        let mut shared = self.shared();
        (
            shared.violation.take(),
            std::mem::take(&mut shared.timeline),
        )
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("not poisoned")
    }
}

/// A slot or a run of buckets, each with the fence or epoch.
fn holdings_of(words: &[&str]) -> impl Iterator<Item = (u32, u64)> + use<> {
    let number = |text: &str| text.parse().expect("the store grants numbers");
    let (first, last) = words[0].split_once('-').unwrap_or((words[0], words[0]));
    let fence: u64 = words[1].trim_end_matches('!').parse().expect("a fence");
    (number(first)..=number(last)).map(move |what: u32| (what, fence))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, us) = (self.at_us / 1_000, self.at_us % 1_000);
        let (mark, who) = match self.who {
            Who::World => (' ', "-".to_owned()),
            Who::Server => (' ', "server".to_owned()),
            Who::Instance(number) => (' ', format!("#{number}")),
            Who::Violation => ('!', "VIOLATION".to_owned()),
        };
        write!(f, "{mark} {ms:>7}.{us:03} ms  {who:<9}  {}", self.what)
    }
}
