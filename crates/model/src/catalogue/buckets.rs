//! The models of the bucket protocol.

use super::{Bounds, Entry, Kind};
use crate::buckets::{EPOCHS, EXCLUSIVE, Faults, Rules, Setting};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = protocol(bounds);
    if bounds == Bounds::Large {
        entries.extend(more());
    }
    entries.extend(mutants(bounds));
    entries
}

const LOSS: Faults = Faults {
    losses: 1,
    ..Faults::NONE
};
const GHOST: Faults = Faults {
    ghosts: 1,
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

/// Two members, two buckets, three ticks.
fn setting(requests: u8, faults: Faults) -> Setting {
    Setting {
        requests,
        faults,
        end: 4,
        ..Setting::default()
    }
}

fn protocol_entry(name: &'static str, setting: Setting) -> Entry {
    Entry::buckets(Kind::Protocol, name, None, setting)
}

fn protocol(bounds: Bounds) -> Vec<Entry> {
    let requests = bounds.pick(3, 4);
    vec![
        protocol_entry("join, beat, drain, expiry", setting(requests, Faults::NONE)),
        protocol_entry(
            "requests or answers lost",
            Setting {
                end: bounds.pick(3, 4),
                ..setting(requests, LOSS)
            },
        ),
        protocol_entry(
            "everything forgotten",
            Setting {
                end: bounds.pick(3, 4),
                ..setting(3, FLUSH)
            },
        ),
        protocol_entry(
            "a failover that loses the last writes",
            Setting {
                buckets: bounds.pick(1, 2),
                end: bounds.pick(3, 4),
                ..setting(bounds.pick(2, 3), FAILOVER)
            },
        ),
        protocol_entry(
            "one instance id, twice",
            Setting {
                twins: true,
                ..setting(requests, bounds.pick(Faults::NONE, GHOST))
            },
        ),
    ]
}

fn more() -> Vec<Entry> {
    vec![
        protocol_entry("requests executed late", setting(3, GHOST)),
        protocol_entry(
            "leaving",
            Setting {
                leaving: true,
                ..setting(3, Faults::NONE)
            },
        ),
        protocol_entry(
            "three instances, three buckets",
            Setting {
                actors: 3,
                buckets: 3,
                end: 3,
                ..setting(2, Faults::NONE)
            },
        ),
        protocol_entry(
            "claims in parts, everything forgotten",
            Setting {
                chunk: 1,
                end: 3,
                ..setting(4, FLUSH)
            },
        ),
    ]
}

fn mutants(bounds: Bounds) -> Vec<Entry> {
    let entry =
        |name, property, setting| Entry::buckets(Kind::Mutant, name, Some(property), setting);
    let without = |faults, change: fn(&mut Rules)| {
        let mut mutated = setting(4, faults);
        change(&mut mutated.rules);
        mutated
    };
    let mut entries = vec![
        entry(
            "no quarantine after a failover",
            EXCLUSIVE,
            without(FAILOVER, |rules| rules.quarantine = false),
        ),
        entry(
            "a member is reaped while its lease runs",
            EXCLUSIVE,
            without(Faults::NONE, |rules| rules.lease_check = false),
        ),
        entry(
            "a deadline from the answer",
            EXCLUSIVE,
            without(Faults::NONE, |rules| rules.deadline_from_send = false),
        ),
        entry(
            "released while work goes on",
            EXCLUSIVE,
            without(Faults::NONE, |rules| rules.drain = false),
        ),
        entry(
            "epochs do not rise",
            EPOCHS,
            without(Faults::NONE, |rules| rules.epochs_rise = false),
        ),
        entry(
            "an incarnation that was replaced is not fenced",
            EXCLUSIVE,
            Setting {
                twins: true,
                ..without(GHOST, |rules| rules.fencing = false)
            },
        ),
    ];
    if bounds == Bounds::Large {
        entries.push(entry(
            "a release is not verified",
            EXCLUSIVE,
            without(GHOST, |rules| rules.release_check = false),
        ));
    }
    entries
}
