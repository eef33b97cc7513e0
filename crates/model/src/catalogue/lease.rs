//! The models of the lease protocol.

mod clones;
mod failovers;
mod horizons;
mod losses;

use super::{Bounds, Entry, Kind};
use crate::lease::{EXCLUSIVE, Faults, GRANTED, Record, Rules, SHORT, Setting, TWICE};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = protocol(bounds);
    entries.extend(mutants());
    entries.extend(horizons::entries(bounds));
    entries.extend(failovers::entries(bounds));
    entries.extend(losses::entries(bounds));
    entries.extend(clones::entries(bounds));
    entries
}

/// A ttl so long that a quarantine by the shorter one ends before it.
const LONG: u8 = 5;

const GHOST: Faults = Faults {
    ghosts: 1,
    ..Faults::NONE
};
const EVICTION: Faults = Faults {
    evictions: 1,
    ..Faults::NONE
};
const FAILOVER: Faults = Faults {
    failovers: 1,
    ..Faults::NONE
};
const FLUSH: Faults = Faults {
    flushes: 1,
    ..Faults::NONE
};

fn rules(change: impl Fn(&mut Rules)) -> Rules {
    let mut rules = Rules::default();
    change(&mut rules);
    rules
}

/// The same with one rule less.
fn without(setting: &Setting, change: impl Fn(&mut Rules)) -> Setting {
    let mut mutated = setting.clone();
    change(&mut mutated.rules);
    mutated
}

fn holds(name: &'static str, setting: Setting) -> Entry {
    Entry::lease(Kind::Protocol, name, None, setting)
}

fn mutant(name: &'static str, property: &'static str, setting: Setting) -> Entry {
    Entry::lease(Kind::Mutant, name, Some(property), setting)
}

fn limit(name: &'static str, property: &'static str, setting: Setting) -> Entry {
    Entry::lease(Kind::Limit, name, Some(property), setting)
}

fn repair(name: &'static str, setting: Setting) -> Entry {
    Entry::lease(Kind::Repair, name, None, setting)
}

/// Two holders, one slot, requests that take their time.
fn slow(ticks: u8, faults: Faults) -> Setting {
    Setting {
        ticks,
        faults,
        ..Setting::default()
    }
}

/// The same, with requests that take none.
fn prompt(ticks: u8, faults: Faults) -> Setting {
    Setting {
        prompt: true,
        ..slow(ticks, faults)
    }
}

/// Three holders and two slots, and fewer ways.
fn two_slots(ttls: [u8; 3], setting: Setting) -> Setting {
    Setting {
        actors: 3,
        slots: 2,
        ttls,
        lean: true,
        claims: &[EXCLUSIVE, GRANTED],
        ..setting
    }
}

const TWO_TTLS: [u8; 3] = [LONG, SHORT, SHORT];

fn protocol(bounds: Bounds) -> Vec<Entry> {
    vec![
        holds(
            "requests and answers late, lost, repeated",
            Setting {
                closes: true,
                ..slow(2, GHOST)
            },
        ),
        holds(
            "two slots",
            Setting {
                slots: 2,
                ..slow(bounds.pick(2, 3), Faults::NONE)
            },
        ),
        holds(
            "three holders",
            Setting {
                actors: 3,
                ..slow(bounds.pick(2, 3), Faults::NONE)
            },
        ),
        holds("a lock that is evicted", slow(3, EVICTION)),
        holds(
            "first use, by two at once",
            Setting {
                record: Record::Absent,
                ..slow(3, bounds.pick(Faults::NONE, GHOST))
            },
        ),
        holds(
            "timestamps, where no deadline is kept",
            Setting {
                claims: &[TWICE],
                rules: rules(|rules| rules.local_deadline = false),
                ..slow(bounds.pick(3, 4), Faults::NONE)
            },
        ),
    ]
}

fn mutants() -> Vec<Entry> {
    let calm = slow(4, Faults::NONE);
    vec![
        mutant(
            "no horizon: the next holder begins at its own clock",
            TWICE,
            without(&calm, |rules| rules.horizon = false),
        ),
        mutant(
            "no owner check: a renewal overwrites (and no deadline is kept)",
            TWICE,
            Setting {
                claims: &[TWICE],
                ..without(&calm, |rules| {
                    (rules.owner_check, rules.local_deadline) = (false, false);
                })
            },
        ),
        mutant(
            "a deadline from the answer",
            EXCLUSIVE,
            without(&calm, |rules| rules.deadline_from_send = false),
        ),
        mutant(
            "a deadline without a margin",
            EXCLUSIVE,
            without(&calm, |rules| rules.margin = false),
        ),
        mutant(
            "no local deadline",
            EXCLUSIVE,
            without(&calm, |rules| rules.local_deadline = false),
        ),
        mutant(
            "a free lock is a free slot",
            EXCLUSIVE,
            without(&slow(4, EVICTION), |rules| rules.till_on_record = false),
        ),
    ]
}
