//! One look after another.

use coord_core::clock::{Clock, SystemClock};
use raus::inspect::SlotState;

use super::{page, series};
use crate::{
    buckets::group::{self, Group},
    cli::{ExporterOptions, Global, GroupOptions},
    connect,
    doctor::{self, Sample},
    failure::Failure,
    id::list::{self, Namespace},
    output,
};

pub(super) struct Observer {
    /// Asked for round trips in any case.
    ids: list::Reader,
    observes_ids: bool,
    groups: Vec<Watched>,
    per_member: bool,
    namespace: Option<Namespace>,
    last_seen_ms: Option<u64>,
    /// What was wrong since the last look that was answered, each said once.
    troubles: Vec<String>,
}

struct Watched {
    name: String,
    reader: group::Reader,
    last: Option<Group>,
}

/// What one look saw.
pub(super) struct Seen {
    pub(super) sample: Sample,
    pub(super) namespace: Option<Namespace>,
    /// Each group; `None` for one that does not exist.
    pub(super) groups: Vec<(String, Option<Group>)>,
}

impl Observer {
    pub(super) fn new(global: &Global, options: &ExporterOptions) -> Result<Self, Failure> {
        let watched = |name: &String| {
            let options = GroupOptions {
                group: name.clone(),
                prefix: options.prefix.clone(),
            };
            Ok(Watched {
                name: name.clone(),
                reader: group::Reader::new(global, &options)?,
                last: None,
            })
        };
        let range = options.range.clone().unwrap_or(0..=1_023);
        let raus = connect::namespace(global, &range)?;
        let groups: Result<_, Failure> = options.group.iter().map(watched).collect();
        Ok(Self {
            ids: list::Reader::of(&raus)?,
            observes_ids: options.group.is_empty() || options.range.is_some(),
            groups: groups?,
            per_member: options.per_member,
            namespace: None,
            last_seen_ms: None,
            troubles: Vec::new(),
        })
    }

    /// Looks, counts what changed, and says what there is now.
    pub(super) async fn look(&mut self) -> String {
        let seen = self.see().await;
        self.say(seen.as_ref().err());
        series::note_look(seen.is_ok());
        if let Ok(seen) = &seen {
            self.last_seen_ms = Some(SystemClock.wall_ms());
            self.compare(seen);
        }
        page::render(seen.as_ref().ok(), self.last_seen_ms, self.per_member)
    }

    async fn see(&self) -> Result<Seen, Failure> {
        let sample = doctor::ping(self.ids.inspector()).await?;
        let namespace = match self.observes_ids {
            true => Some(self.ids.read().await?),
            false => None,
        };
        let mut groups = Vec::new();
        for watched in &self.groups {
            let group = match watched.reader.read().await {
                Ok(group) => Some(group),
                Err(Failure::Unavailable(_)) => None,
                Err(failure) => return Err(failure),
            };
            groups.push((watched.name.clone(), group));
        }
        Ok(Seen {
            sample,
            namespace,
            groups,
        })
    }

    /// What changed since the last look that was answered.
    fn compare(&mut self, seen: &Seen) {
        if let Some(namespace) = &seen.namespace {
            let grants = match &self.namespace {
                Some(before) => grants(before, namespace),
                None => 0,
            };
            series::note_grants(&namespace.name, grants);
            self.namespace = Some(namespace.clone());
        }
        for (watched, (name, group)) in self.groups.iter_mut().zip(&seen.groups) {
            // One that changed while it was read fits neither what was before nor what comes after.
            let Some(group) = group.as_ref().filter(|group| !group.read.is_torn) else {
                continue;
            };
            let (moves, changes) = match &watched.last {
                Some(before) if before.read.buckets == group.read.buckets => {
                    let moved = before.moved(group).into_values().map(u64::from).sum();
                    let versions = (before.read.version, group.read.version);
                    (moved, versions.1.saturating_sub(versions.0))
                }
                _ => (0, 0),
            };
            series::note_moves(name, moves, changes);
            watched.last = Some(group.clone());
        }
    }

    /// What is wrong is said once until all is well again: at first a connection breaks, then none can be made.
    fn say(&mut self, failure: Option<&Failure>) {
        let Some(failure) = failure else {
            if !self.troubles.is_empty() {
                output::complain("coord_up is 1: the server answers again");
            }
            return self.troubles.clear();
        };
        let trouble = failure.message().unwrap_or("failed");
        let is_new = self.troubles.iter().all(|said| said != trouble);
        if is_new && self.troubles.len() < TROUBLES {
            output::complain(&format!("coord_up is 0: {trouble}"));
            self.troubles.push(trouble.to_owned());
        }
    }
}

/// How many different things are said before all is well again.
const TROUBLES: usize = 8;

/// How many machine IDs were granted anew.
fn grants(before: &Namespace, after: &Namespace) -> u64 {
    let fence = |id: u32| {
        let slot = before.read.slots.iter().find(|slot| slot.id == id);
        slot.map_or(0, |slot| slot.fence)
    };
    let held = after.read.slots.iter();
    let held = held.filter(|slot| slot.state() == SlotState::Held);
    held.filter(|slot| fence(slot.id) < slot.fence).count() as u64
}
