//! What changed between two looks.

use std::{collections::BTreeMap, time::Duration};

use raus::inspect::{SlotRecord, SlotState};

use crate::{
    buckets::group::{self, Group},
    id::list::Namespace,
};

/// What was seen at one look.
#[derive(Debug, Clone)]
pub(super) enum Snapshot {
    Namespace(Namespace),
    Group(Group),
}

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// Since the observation began.
    pub(super) at: Duration,
    pub(super) what: String,
    /// How many buckets or machine IDs it is about.
    pub(super) weight: u32,
}

impl Change {
    /// The server did not answer.
    pub(super) fn trouble(at: Duration, message: &str) -> Self {
        Self {
            at,
            what: format!("no answer: {message}"),
            weight: 0,
        }
    }
}

pub(super) fn between(at: Duration, before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    match (before, after) {
        (Snapshot::Namespace(before), Snapshot::Namespace(after)) => slots(at, before, after),
        (Snapshot::Group(before), Snapshot::Group(after)) => buckets(at, before, after),
        _ => Vec::new(),
    }
}

fn slots(at: Duration, before: &Namespace, after: &Namespace) -> Vec<Change> {
    let by_id = |namespace: &Namespace| -> BTreeMap<u32, SlotRecord> {
        let slots = namespace.read.slots.iter();
        slots.map(|slot| (slot.id, slot.clone())).collect()
    };
    let (before, after) = (by_id(before), by_id(after));
    let ids = before.keys().chain(after.keys()).copied();
    let ids: std::collections::BTreeSet<u32> = ids.collect();
    let changed = ids.into_iter().filter_map(|id| {
        let (was, is) = (before.get(&id), after.get(&id));
        let state = |slot: Option<&SlotRecord>| slot.map_or(SlotState::Free, SlotRecord::state);
        let fence = |slot: Option<&SlotRecord>| slot.map_or(0, |slot| slot.fence);
        let who = is.filter(|slot| !slot.label.is_empty());
        let who = who.map_or_else(String::new, |slot| format!(" ({})", slot.label));
        let what = match (state(was), state(is)) {
            (from, to) if from != to => {
                format!("machine ID {id}{who}: {} → {}", from.as_str(), to.as_str())
            }
            (_, SlotState::Free) => return None,
            _ if fence(was) < fence(is) => format!("machine ID {id}{who}: granted anew"),
            _ => return None,
        };
        Some(Change {
            at,
            what,
            weight: 1,
        })
    });
    changed.collect()
}

fn buckets(at: Duration, before: &Group, after: &Group) -> Vec<Change> {
    let mut changes = members(at, before, after);
    let moved = before.moved(after);
    let name = |group: &Group, owner: Option<u32>| match owner {
        None => "nobody".to_owned(),
        Some(number) => {
            let member = group
                .read
                .members
                .iter()
                .find(|member| member.number == number);
            member.map_or_else(|| format!("member {number}"), |member| member.id.clone())
        }
    };
    changes.extend(moved.into_iter().map(|((from, to), count)| Change {
        at,
        what: format!(
            "{count} buckets: {} → {}",
            name(before, from),
            name(after, to)
        ),
        weight: count,
    }));
    changes
}

fn members(at: Duration, before: &Group, after: &Group) -> Vec<Change> {
    let by_id = |group: &Group| -> BTreeMap<String, &'static str> {
        let members = group.read.members.iter();
        members
            .map(|member| (member.id.clone(), group::state(member).0))
            .collect()
    };
    let (before, after) = (by_id(before), by_id(after));
    let gone = before.keys().filter(|&id| !after.contains_key(id));
    let gone = gone.map(|id| format!("{id} is no member any more"));
    let changed = after.iter().filter_map(|(id, state)| match before.get(id) {
        None => Some(format!("{id} joined")),
        Some(was) if was != state => Some(format!("{id}: {was} → {state}")),
        Some(_) => None,
    });
    gone.chain(changed)
        .map(|what| Change {
            at,
            what,
            weight: 0,
        })
        .collect()
}
