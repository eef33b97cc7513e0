//! Members, messages, servers and faults around the group.

use super::{
    member::Member,
    scripts::{Beat, Claim, Join},
    setting::{Faults, Setting},
    store::{BUCKETS, Group, Incarnation},
};

/// Three, and one that comes when the faults have ended.
pub(crate) const ACTORS: usize = 4;
pub(crate) const NEWCOMER: usize = 3;

/// Everything there is at one moment. Times are ticks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: u8,
    /// The identity of the master.
    pub(crate) run: u8,
    pub(crate) group: Option<Group>,
    /// What the replica has.
    pub(crate) copy: Option<Group>,
    pub(crate) actors: [Member; ACTORS],
    /// What is under way to the master, sorted.
    pub(crate) net: Vec<Message>,
    pub(crate) numbers: u8,
    pub(crate) left: Faults,
    /// Since the store forgot its past, these members did not claim what they hold.
    pub(crate) unheard: [bool; ACTORS],
    /// The highest epoch under which somebody worked in a bucket.
    pub(crate) epochs: [u16; BUCKETS],
    /// Somebody began to work in a bucket under an epoch not above an earlier one's.
    pub(crate) fell: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Message {
    pub(crate) actor: usize,
    /// Its sender still waits for the answer.
    pub(crate) awaited: bool,
    pub(crate) request: Request,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Request {
    Join(Join),
    Beat(Beat),
    Claim(Claim),
    Leave(u8, Incarnation),
}

impl World {
    pub(crate) fn new(setting: &Setting) -> Self {
        let mut actors: [Member; ACTORS] = Default::default();
        for (id, actor) in (0..).zip(&mut actors) {
            actor.id = id;
        }
        if setting.twins {
            actors[setting.actors - 1].id = 0;
        }
        Self {
            now: 1,
            run: 1,
            group: None,
            copy: None,
            actors,
            net: Vec::new(),
            numbers: 0,
            left: setting.faults,
            unheard: [false; ACTORS],
            epochs: [0; BUCKETS],
            fell: false,
        }
    }

    /// Who may work in a bucket now.
    pub(crate) fn workers(&self, bucket: usize, setting: &Setting) -> Vec<usize> {
        let works = |actor: &usize| {
            let member = &self.actors[*actor];
            member.works_on(self.now, bucket, &setting.rules).is_some()
        };
        (0..ACTORS).filter(works).collect()
    }

    /// Work begins under new grants.
    pub(crate) fn note_epochs(&mut self, actor: usize, before: &Member) {
        for bucket in 0..BUCKETS {
            let epoch = |member: &Member| member.holdings[bucket].map(|held| held.epoch);
            let (old, new) = (epoch(before), epoch(&self.actors[actor]));
            if let Some(new) = new
                && old != Some(new)
            {
                self.fell |= new <= self.epochs[bucket];
                self.epochs[bucket] = self.epochs[bucket].max(new);
            }
        }
    }
}
