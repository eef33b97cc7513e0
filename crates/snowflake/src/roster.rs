//! Which machine IDs the generators of one pool mint under, so that no two of them ever mint the same.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// The machine IDs of one pool.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    entries: Mutex<HashMap<u32, Entry>>,
}

/// A generator's part in the pools that it belongs to.
#[derive(Debug, Default)]
pub(crate) struct Memberships(Mutex<Vec<Membership>>);

#[derive(Debug)]
struct Membership {
    /// The pool keeps its generators, not the other way round.
    roster: Weak<Roster>,
    member: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    member: usize,
    /// Whether the member's grant is its present one, so that its horizon may still rise.
    is_live: bool,
    /// The first unit that the member may not have used under this machine ID.
    horizon: u64,
}

impl Memberships {
    /// Enters the generator into another pool; with its present machine ID, if it has one, and the horizon of that.
    /// `false` if another member of the pool has it.
    pub(crate) fn join(
        &self,
        roster: &Arc<Roster>,
        member: usize,
        present: Option<(u32, u64)>,
    ) -> bool {
        let mut memberships = self.lock();
        memberships.retain(|it| it.roster.strong_count() != 0);
        let is_admitted = present.is_none_or(|(machine_id, horizon)| {
            // From when on it minted is not known any more.
            roster.admit(member, machine_id, 0, horizon)
        });
        if is_admitted {
            memberships.push(Membership {
                roster: Arc::downgrade(roster),
                member,
            });
        }
        is_admitted
    }

    /// The grant before is over; `false` if under the next, with units from `floor` up to `horizon`, IDs of another member
    /// could be repeated.
    pub(crate) fn admit(&self, machine_id: u32, floor: u64, horizon: u64) -> bool {
        let all = self.rosters(|roster, member| roster.admit(member, machine_id, floor, horizon));
        if !all {
            self.leave();
        }
        all
    }

    /// To be called before the new horizon is used.
    pub(crate) fn extend(&self, machine_id: u32, horizon: u64) {
        self.rosters(|roster, member| {
            roster.extend(member, machine_id, horizon);
            true
        });
    }

    /// The present grant is over.
    pub(crate) fn leave(&self) {
        self.rosters(|roster, member| {
            roster.leave(member);
            true
        });
    }

    /// Whether all rosters say so; all are asked.
    fn rosters(&self, ask: impl Fn(&Roster, usize) -> bool) -> bool {
        self.lock().iter().fold(true, |all, it| {
            let said = it
                .roster
                .upgrade()
                .is_none_or(|roster| ask(&roster, it.member));
            all && said
        })
    }

    /// One change is always complete, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Vec<Membership>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Roster {
    fn admit(&self, member: usize, machine_id: u32, floor: u64, horizon: u64) -> bool {
        self.leave(member);
        let mut entries = self.lock();
        let before = entries.get(&machine_id).copied();
        let is_another = before.filter(|it| it.member != member);
        if is_another.is_some_and(|it| it.is_live || floor < it.horizon) {
            return false;
        }
        let entry = Entry {
            member,
            is_live: true,
            horizon: before.map_or(horizon, |it| it.horizon.max(horizon)),
        };
        entries.insert(machine_id, entry);
        true
    }

    fn extend(&self, member: usize, machine_id: u32, horizon: u64) {
        let mut entries = self.lock();
        if let Some(entry) = entries
            .get_mut(&machine_id)
            .filter(|it| it.member == member)
        {
            entry.horizon = entry.horizon.max(horizon);
        }
    }

    fn leave(&self, member: usize) {
        for entry in self.lock().values_mut().filter(|it| it.member == member) {
            entry.is_live = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
