//! The models of masters that go on after one of their replicas was promoted.

use super::{Bounds, Entry, Kind};
use crate::replicas::{By, FREE, Faults, ONCE, Rules, Setting};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = protocol(bounds);
    entries.extend(clients(bounds));
    entries.push(limit());
    entries.extend(mutants());
    entries.extend(acknowledged_by_others());
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

/// At first one of the replicas is away.
fn apart(end: u8, faults: Faults) -> Setting {
    Setting {
        apart: true,
        ..as_it_is(end, faults)
    }
}

/// Besides, one process is restarted, from its own disk.
fn restarted() -> Setting {
    let faults = Faults {
        restarts: 1,
        ..faults(1, 0, 1)
    };
    apart(4, faults)
}

fn holds(name: &'static str, setting: Setting) -> Entry {
    Entry::replicas(Kind::Protocol, name, None, setting)
}

/// Departures may be noticed late.
fn late(setting: Setting) -> Setting {
    Setting {
        late: true,
        ..setting
    }
}

fn protocol(bounds: Bounds) -> Vec<Entry> {
    let cut = || as_it_is(4, faults(1, 1, 1));
    vec![
        holds(
            "a replica is promoted, and its master goes on",
            as_it_is(6, bounds.pick(faults(1, 0, 1), faults(1, 0, 3))),
        ),
        holds(
            "a replica has just come",
            apart(
                bounds.pick(5, 6),
                bounds.pick(faults(1, 0, 2), faults(1, 1, 2)),
            ),
        ),
        holds(
            "a replica is cut off, one is promoted",
            bounds.pick(cut(), as_it_is(6, faults(1, 1, 2))),
        ),
        holds(
            "departures are noticed late",
            late(bounds.pick(cut(), as_it_is(5, faults(1, 1, 2)))),
        ),
        holds(
            "two promotions, noticed late",
            late(as_it_is(
                bounds.pick(4, 5),
                bounds.pick(faults(2, 0, 1), faults(2, 1, 2)),
            )),
        ),
        holds("a process restarts", restarted()),
    ]
}

/// Other clients, and more of them.
fn clients(bounds: Bounds) -> Vec<Entry> {
    let just_come = || apart(bounds.pick(4, 5), faults(1, 0, bounds.pick(1, 2)));
    let cut = || as_it_is(4, faults(1, 1, 1));
    vec![
        holds(
            "questions of redbuckets, noticed late",
            Setting {
                beats: true,
                ..late(cut())
            },
        ),
        holds(
            "clients that do not wait for replicas, noticed late",
            Setting {
                mixed: true,
                ..late(cut())
            },
        ),
        holds(
            "grants given back, clients that do not wait for replicas, noticed late",
            Setting {
                mixed: true,
                releases: true,
                ..late(as_it_is(4, faults(1, 0, 1)))
            },
        ),
        holds(
            "clients that do not wait for replicas, a replica has just come",
            Setting {
                mixed: true,
                ..just_come()
            },
        ),
        holds(
            "grants are given back",
            Setting {
                grants: bounds.pick(2, 3),
                releases: true,
                ..just_come()
            },
        ),
        holds(
            "two slots",
            Setting {
                slots: 2,
                ..apart(4, faults(1, 0, 1))
            },
        ),
        holds(
            "two must acknowledge, and one is promoted a while after it was missed",
            Setting {
                missed: true,
                least: 2,
                ..cut()
            },
        ),
    ]
}

fn limit() -> Entry {
    Entry::replicas(
        Kind::Limit,
        "a replica that is promoted a while after it was missed",
        Some(ONCE),
        Setting {
            missed: true,
            ..as_it_is(5, faults(1, 1, 1))
        },
    )
}

fn mutant(name: &'static str, setting: Setting, change: impl Fn(&mut Rules)) -> Entry {
    refutes(ONCE, name, setting, change)
}

fn refutes(
    property: &'static str,
    name: &'static str,
    mut setting: Setting,
    change: impl Fn(&mut Rules),
) -> Entry {
    change(&mut setting.rules);
    Entry::replicas(Kind::Mutant, name, Some(property), setting)
}

fn mutants() -> Vec<Entry> {
    vec![
        mutant(
            "a master does not miss a replica",
            as_it_is(5, faults(1, 0, 1)),
            |rules| rules.missing = false,
        ),
        mutant(
            "only how many there are counts: cut off and back",
            as_it_is(5, faults(1, 1, 1)),
            |rules| rules.arrivals = false,
        ),
        mutant(
            "another one in its place ends the wait",
            apart(5, faults(1, 0, 1)),
            |rules| rules.no_substitute = false,
        ),
        mutant(
            "a further loss does not begin the wait anew",
            as_it_is(5, faults(1, 1, 0)),
            |rules| rules.anew = false,
        ),
        refutes(
            FREE,
            "a look is not put on record",
            as_it_is(5, faults(1, 0, 2)),
            |rules| rules.recorded = false,
        ),
        mutant(
            "what is asked for again is granted without comparing the server",
            restarted(),
            |rules| rules.compared = false,
        ),
        mutant(
            "a process that is younger than the last look is vouched for",
            restarted(),
            |rules| rules.older = false,
        ),
    ]
}

/// Who acknowledges a grant matters.
fn acknowledged_by_others() -> Vec<Entry> {
    vec![
        mutant(
            "one acknowledgement of two",
            as_it_is(5, faults(1, 0, 1)),
            |rules| (rules.by, rules.all) = (By::Number, false),
        ),
        mutant(
            "WAIT's number alone: a replica that has just come acknowledges in place of the promoted one",
            apart(5, faults(1, 0, 2)),
            |rules| rules.by = By::Number,
        ),
        mutant(
            "a lease counts from when it was asked for once more",
            Setting {
                late: true,
                ..as_it_is(4, faults(1, 1, 1))
            },
            |rules| rules.from_first = false,
        ),
        mutant(
            "nobody came or went, but somebody came into step",
            apart(5, faults(1, 0, 2)),
            |rules| rules.by = By::Unmissed,
        ),
    ]
}

/// Servers that were masters before in the same process.
fn there_and_back(bounds: Bounds) -> Vec<Entry> {
    let mut entries = vec![mutant(
        "only how many there are counts: two failovers",
        as_it_is(5, faults(2, 0, 1)),
        |rules| rules.arrivals = false,
    )];
    if bounds == Bounds::Large {
        entries.push(mutant(
            "after a failover only who is there counts",
            as_it_is(5, faults(2, 0, 2)),
            |rules| rules.zeroed = false,
        ));
    }
    entries
}
