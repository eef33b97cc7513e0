//! The models of the bucket protocol.

use super::{Bounds, Entry, Kind};
use crate::buckets::{EPOCHS, EXCLUSIVE, Faults, Rules, Setting};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = protocol(bounds);
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

fn protocol(bounds: Bounds) -> Vec<Entry> {
    let is_large = bounds == Bounds::Large;
    let entry = |name, setting| Entry::buckets(Kind::Protocol, name, None, setting);
    let size = |faults| Setting {
        requests: if is_large { 4 } else { 3 },
        end: 4,
        faults,
        ..Setting::default()
    };
    let mut entries = vec![
        entry("join, beat, drain, expiry", size(Faults::NONE)),
        entry(
            "requests or answers lost",
            Setting {
                end: if is_large { 4 } else { 3 },
                ..size(LOSS)
            },
        ),
        entry("everything forgotten", size(FLUSH)),
        entry(
            "a failover that loses the last writes",
            Setting {
                requests: 3,
                end: if is_large { 4 } else { 3 },
                ..size(FAILOVER)
            },
        ),
        entry(
            "one instance id, twice",
            Setting {
                twins: true,
                ..size(Faults::NONE)
            },
        ),
    ];
    if is_large {
        entries.push(entry("requests executed late", size(GHOST)));
        entries.push(entry(
            "leaving",
            Setting {
                leaving: true,
                ..size(Faults::NONE)
            },
        ));
        entries.push(entry(
            "three instances, three buckets",
            Setting {
                actors: 3,
                buckets: 3,
                requests: 3,
                end: 3,
                ..size(Faults::NONE)
            },
        ));
        entries.push(entry(
            "claims in parts, everything forgotten",
            Setting {
                chunk: 1,
                ..size(FLUSH)
            },
        ));
    }
    entries
}

fn mutants(bounds: Bounds) -> Vec<Entry> {
    let entry =
        |name, property, setting| Entry::buckets(Kind::Mutant, name, Some(property), setting);
    let without = |rules, faults| Setting {
        rules,
        faults,
        requests: 4,
        end: 4,
        ..Setting::default()
    };
    let rules = Rules::default;
    let mut entries = vec![
        entry(
            "no quarantine after a failover",
            EXCLUSIVE,
            without(
                Rules {
                    quarantine: false,
                    ..rules()
                },
                FAILOVER,
            ),
        ),
        entry(
            "a member is reaped while its lease runs",
            EXCLUSIVE,
            without(
                Rules {
                    lease_check: false,
                    ..rules()
                },
                Faults::NONE,
            ),
        ),
        entry(
            "a deadline from the answer",
            EXCLUSIVE,
            without(
                Rules {
                    deadline_from_send: false,
                    ..rules()
                },
                Faults::NONE,
            ),
        ),
        entry(
            "released while work goes on",
            EXCLUSIVE,
            without(
                Rules {
                    drain: false,
                    ..rules()
                },
                Faults::NONE,
            ),
        ),
        entry(
            "epochs do not rise",
            EPOCHS,
            without(
                Rules {
                    epochs_rise: false,
                    ..rules()
                },
                Faults::NONE,
            ),
        ),
        entry(
            "an incarnation that was replaced is not fenced",
            EXCLUSIVE,
            Setting {
                twins: true,
                ..without(
                    Rules {
                        fencing: false,
                        ..rules()
                    },
                    GHOST,
                )
            },
        ),
    ];
    if bounds == Bounds::Large {
        entries.push(entry(
            "a release is not verified",
            EXCLUSIVE,
            Setting {
                twins: false,
                ..without(
                    Rules {
                        release_check: false,
                        ..rules()
                    },
                    GHOST,
                )
            },
        ));
    }
    entries
}
