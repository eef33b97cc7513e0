//! What is not promised, and therefore not counted: what is granted while nobody can know that the store has forgotten
//! something.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use coord_core::clock::Instant;

use super::plan::Number;

/// Who has it; a slot and its fence, or a bucket and its epoch.
pub(super) type Holding = (Number, u32, u64);

/// Grants that do not count as violations.
#[derive(Debug, Default)]
pub(super) struct Amnesty {
    running: Option<Running>,
    /// What was granted during one.
    forgiven: HashSet<Holding>,
    /// Instances whose ttl was longer than any that the store knew when it lost something, and when that was: the quarantine
    /// does not outlast what they were granted, until they are heard again.
    beyond: BTreeMap<Number, Instant>,
}

#[derive(Debug)]
struct Running {
    since: Instant,
    until: Instant,
    /// What was granted before it.
    known: HashSet<Holding>,
    /// Any of these ends it: the store has forgotten what they were told, and hears it from them.
    losers: Vec<Number>,
    /// Those who may have lost something.
    everybody: Vec<Number>,
    is_noticed: bool,
}

impl Amnesty {
    /// A master that was replaced may grant again what its holder renews elsewhere; or an older copy of the data cannot be
    /// told from the last one before one of `losers` is heard.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        until: Instant,
        known: HashSet<Holding>,
        losers: Vec<Number>,
        everybody: Vec<Number>,
    ) {
        self.running = Some(Running {
            since: now,
            until,
            known,
            is_noticed: false,
            losers,
            everybody,
        });
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// `heard` says when the last request of an instance was sent that was acknowledged, and could tell the store that it
    /// holds what it did before. Returns those of whom the store will never learn what it has forgotten, once there are any.
    pub(super) fn look(
        &mut self,
        now: Instant,
        heard: impl Fn(Number, &HashSet<Holding>) -> Option<Instant>,
    ) -> Vec<Number> {
        let Some(running) = &mut self.running else {
            return Vec::new();
        };
        let (since, known) = (running.since, &running.known);
        let is_heard = |&number: &Number| heard(number, known).is_some_and(|heard| since < heard);
        if !running.is_noticed && running.losers.iter().any(is_heard) {
            running.is_noticed = true;
            // What was granted before may be answered now.
            running.until = running.until.min(now + Self::LONGEST_ANSWER);
        }
        if now < running.until {
            return Vec::new();
        }
        let ended = self.running.take().expect("it runs");
        if ended.is_noticed {
            Vec::new()
        } else {
            ended.everybody
        }
    }

    /// These do not count either.
    pub(super) fn forgive(&mut self, holdings: impl IntoIterator<Item = Holding>) {
        self.forgiven.extend(holdings);
    }

    /// What was granted lately: in an amnesty, where one runs, even if they hear of it after its end.
    pub(super) fn note(&mut self, granted: Vec<Holding>) {
        if let Some(running) = &self.running {
            let is_new = |holding: &Holding| !running.known.contains(holding);
            self.forgiven.extend(granted.into_iter().filter(is_new));
        }
    }

    /// Whether this was granted in an amnesty. To be asked of everything that is held, after every turn.
    pub(super) fn forgives(&mut self, holding: Holding) -> bool {
        if let Some(running) = &self.running
            && !running.known.contains(&holding)
        {
            self.forgiven.insert(holding);
        }
        self.forgiven.contains(&holding)
    }

    /// The store lost something at this time, and with it how long the leases of this instance are.
    pub(super) fn put_beyond(&mut self, number: Number, lost_at: Instant) {
        self.beyond.insert(number, lost_at);
    }

    pub(super) fn is_beyond(&self, number: Number, heard: Option<Instant>) -> bool {
        let lost_at = self.beyond.get(&number);
        lost_at.is_some_and(|lost_at| heard.is_none_or(|heard| heard <= *lost_at))
    }

    /// A request is given up after half a second.
    const LONGEST_ANSWER: Duration = Duration::from_millis(700);
}
