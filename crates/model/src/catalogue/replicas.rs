//! The models of masters that go on after one of their replicas was promoted.

use super::{Bounds, Entry, Kind};
use crate::replicas::{By, FREE, Faults, ONCE, Rules, Setting};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = protocol(bounds);
    entries.extend(limits(bounds));
    entries.extend(repairs(bounds));
    if bounds == Bounds::Large {
        entries.extend(more_repairs());
    }
    entries.extend(mutants());
    entries.extend(restarts(bounds));
    entries.push(at_least(bounds));
    entries.extend(there_and_back(bounds));
    entries
}

const fn faults(promotions: u8, cuts: u8, moves: u8) -> Faults {
    Faults {
        promotions,
        cuts,
        moves,
        restarts: 0,
    }
}

/// One slot, two grants, two replicas in step, until the tick `end`; the rules as the scripts have them.
fn as_it_is(end: u8, faults: Faults) -> Setting {
    Setting {
        end,
        faults,
        ..Setting::default()
    }
}

/// With what the limit needs.
fn repaired(end: u8, faults: Faults, change: impl Fn(&mut Rules)) -> Setting {
    let mut setting = as_it_is(end, faults);
    setting.rules.by = By::Same;
    change(&mut setting.rules);
    setting
}

/// At first one of the replicas is away.
fn apart(setting: Setting) -> Setting {
    Setting {
        apart: true,
        ..setting
    }
}

fn same(_: &mut Rules) {}

/// A process is restarted from its own disk; who asks for what it has is answered by the server that knows it, or by any.
fn restarted(bounds: Bounds, change: impl Fn(&mut Rules)) -> Setting {
    let faults = Faults {
        restarts: 1,
        ..bounds.pick(faults(1, 0, 1), faults(1, 0, 2))
    };
    apart(repaired(bounds.pick(4, 5), faults, change))
}

/// One server follows the master at first; another one comes after the restart.
fn restarts(bounds: Bounds) -> Vec<Entry> {
    let name = "the master restarts, and answers whoever asks for what it has";
    let older = |rules: &mut Rules| (rules.compared, rules.older) = (true, false);
    vec![
        Entry::replicas(
            Kind::Limit,
            name,
            Some(ONCE),
            restarted(Bounds::Small, same),
        ),
        repair(
            "the same, only the server that wrote the record answers",
            restarted(bounds, |rules| rules.compared = true),
        ),
        mutant(
            "a process that is younger than the last look is vouched for",
            restarted(Bounds::Small, older),
        ),
    ]
}

fn at_least(bounds: Bounds) -> Entry {
    repair(
        "a replica that is promoted a while after it was missed, where two must acknowledge",
        Setting {
            missed: true,
            least: 2,
            ..repaired(bounds.pick(4, 5), faults(1, 1, bounds.pick(1, 2)), same)
        },
    )
}

fn protocol(bounds: Bounds) -> Vec<Entry> {
    let entry = |name, setting| Entry::replicas(Kind::Protocol, name, None, setting);
    vec![
        entry(
            "a replica is promoted, and its master goes on",
            as_it_is(6, bounds.pick(faults(1, 0, 1), faults(1, 0, 2))),
        ),
        entry(
            "noticed late, grants given back, clients that do not wait for replicas",
            Setting {
                grants: bounds.pick(2, 3),
                late: true,
                mixed: true,
                releases: true,
                ..as_it_is(bounds.pick(4, 5), faults(1, 0, 1))
            },
        ),
        entry(
            "two promotions",
            as_it_is(bounds.pick(4, 6), faults(2, 0, 2)),
        ),
    ]
}

fn limits(bounds: Bounds) -> Vec<Entry> {
    let entry = |name, setting| Entry::replicas(Kind::Limit, name, Some(ONCE), setting);
    let mut entries = vec![entry(
        "a replica that has just come acknowledges in place of the promoted one",
        apart(repaired(5, faults(1, 0, 2), |rules| rules.by = By::Number)),
    )];
    if bounds == Bounds::Large {
        entries.push(entry(
            "a replica that is promoted a while after it was missed",
            Setting {
                missed: true,
                ..repaired(5, faults(1, 1, 1), same)
            },
        ));
    }
    entries
}

fn repair(name: &'static str, setting: Setting) -> Entry {
    Entry::replicas(Kind::Repair, name, None, setting)
}

fn repairs(bounds: Bounds) -> Vec<Entry> {
    vec![
        repair(
            "acknowledged by the same: a replica has just come",
            apart(repaired(bounds.pick(5, 6), faults(1, 0, 2), same)),
        ),
        repair(
            "acknowledged by the same: a replica is cut off, one is promoted",
            repaired(5, bounds.pick(faults(1, 1, 1), faults(1, 1, 2)), same),
        ),
        repair(
            "acknowledged by the same: two promotions",
            repaired(
                bounds.pick(4, 5),
                bounds.pick(faults(2, 0, 2), faults(2, 0, 3)),
                same,
            ),
        ),
    ]
}

fn more_repairs() -> Vec<Entry> {
    let just_come = || apart(repaired(5, faults(1, 0, 2), same));
    vec![
        repair(
            "acknowledged by the same: departures are noticed late",
            Setting {
                late: true,
                ..repaired(5, faults(1, 1, 2), same)
            },
        ),
        repair(
            "acknowledged by the same: clients that do not wait for replicas",
            Setting {
                mixed: true,
                ..just_come()
            },
        ),
        repair(
            "acknowledged by the same: grants are given back",
            Setting {
                grants: 3,
                releases: true,
                ..just_come()
            },
        ),
        repair(
            "acknowledged by the same: two slots",
            Setting {
                slots: 2,
                ..just_come()
            },
        ),
    ]
}

fn mutant(name: &'static str, setting: Setting) -> Entry {
    Entry::replicas(Kind::Mutant, name, Some(ONCE), setting)
}

fn mutants() -> Vec<Entry> {
    let by_one = |rules: &mut Rules| (rules.by, rules.all) = (By::Number, false);
    vec![
        mutant(
            "a master does not miss a replica",
            repaired(5, faults(1, 0, 1), |rules| rules.missing = false),
        ),
        mutant(
            "only how many there are counts: cut off and back",
            repaired(5, faults(1, 1, 1), |rules| rules.arrivals = false),
        ),
        mutant(
            "another one in its place ends the wait",
            apart(repaired(5, faults(1, 0, 1), |rules| {
                rules.no_substitute = false;
            })),
        ),
        mutant(
            "a further loss does not begin the wait anew",
            repaired(5, faults(1, 1, 0), |rules| rules.anew = false),
        ),
        mutant(
            "one acknowledgement of two",
            repaired(5, faults(1, 0, 1), by_one),
        ),
        mutant(
            "nobody came or went, but somebody came into step",
            apart(repaired(5, faults(1, 0, 2), |rules| {
                rules.by = By::Unmissed;
            })),
        ),
        Entry::replicas(
            Kind::Mutant,
            "a look is not put on record",
            Some(FREE),
            repaired(5, faults(1, 0, 2), |rules| rules.recorded = false),
        ),
    ]
}

/// Servers that were masters before in the same process.
fn there_and_back(bounds: Bounds) -> Vec<Entry> {
    let mut entries = vec![mutant(
        "only how many there are counts: two failovers",
        repaired(5, faults(2, 0, 1), |rules| rules.arrivals = false),
    )];
    if bounds == Bounds::Large {
        entries.push(mutant(
            "after a failover only who is there counts",
            repaired(5, faults(2, 0, 2), |rules| rules.zeroed = false),
        ));
    }
    entries
}
