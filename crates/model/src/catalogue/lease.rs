//! The models of the lease protocol.

use super::{Bounds, Entry, Kind};
use crate::lease::{Clocks, EXCLUSIVE, Faults, Identity, Rules, Setting, TWICE};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = protocol(bounds);
    entries.extend(mutants());
    entries.extend(forgotten());
    entries.extend(failed_over(bounds));
    entries
}

const FLUSH: Faults = Faults {
    flushes: 1,
    ..Faults::NONE
};
const GHOST: Faults = Faults {
    ghosts: 1,
    ..Faults::NONE
};
const EVICTION: Faults = Faults {
    evictions: 1,
    ..Faults::NONE
};

pub(super) const fn failovers(failovers: u8) -> Faults {
    Faults {
        failovers,
        ..Faults::NONE
    }
}

pub(super) fn rules(change: impl Fn(&mut Rules)) -> Rules {
    let mut rules = Rules::default();
    change(&mut rules);
    rules
}

/// With what the limits need.
pub(super) fn repaired(change: impl Fn(&mut Rules)) -> Rules {
    rules(|rules| {
        (rules.horizon_capped, rules.first_floor) = (true, true);
        change(rules);
    })
}

/// Two holders, one slot, until the tick `end`.
fn setting(end: u8, faults: Faults, rules: Rules) -> Setting {
    Setting {
        end,
        faults,
        rules,
        ..Setting::default()
    }
}

fn limit(name: &'static str, property: &'static str, setting: Setting) -> Entry {
    Entry::lease(Kind::Limit, name, Some(property), setting)
}

fn repair(name: &'static str, setting: Setting) -> Entry {
    Entry::lease(Kind::Repair, name, None, setting)
}

fn protocol(bounds: Bounds) -> Vec<Entry> {
    let entry = |name, setting| Entry::lease(Kind::Protocol, name, None, setting);
    let real = |end, faults| setting(end, faults, Rules::default());
    vec![
        entry(
            "requests and answers late, lost, repeated",
            real(bounds.pick(3, 5), GHOST),
        ),
        entry(
            "two slots",
            Setting {
                slots: 2,
                ..real(bounds.pick(3, 4), Faults::NONE)
            },
        ),
        entry(
            "three holders",
            Setting {
                actors: 3,
                ..real(bounds.pick(3, 4), Faults::NONE)
            },
        ),
        entry(
            "a failover that loses the last writes",
            real(bounds.pick(3, 5), failovers(1)),
        ),
        entry("a lock that is evicted", real(bounds.pick(4, 5), EVICTION)),
        entry(
            "first use, by two at once",
            Setting {
                fresh: true,
                ..real(4, bounds.pick(Faults::NONE, GHOST))
            },
        ),
        entry(
            "timestamps, where no deadline is kept",
            Setting {
                claims: &[TWICE],
                rules: rules(|rules| rules.local_deadline = false),
                ..real(bounds.pick(4, 5), Faults::NONE)
            },
        ),
    ]
}

fn mutants() -> Vec<Entry> {
    let entry = |name, property, setting| Entry::lease(Kind::Mutant, name, Some(property), setting);
    let without = |faults, change: fn(&mut Rules)| setting(5, faults, rules(change));
    vec![
        entry(
            "no horizon: the next holder begins at its own clock",
            TWICE,
            without(Faults::NONE, |rules| rules.horizon = false),
        ),
        entry(
            "no owner check: a renewal overwrites (and no deadline is kept)",
            TWICE,
            Setting {
                claims: &[TWICE],
                ..without(Faults::NONE, |rules| {
                    (rules.owner_check, rules.local_deadline) = (false, false);
                })
            },
        ),
        entry(
            "no quarantine after a failover",
            EXCLUSIVE,
            without(failovers(1), |rules| rules.quarantine = false),
        ),
        entry(
            "a deadline from the answer",
            EXCLUSIVE,
            without(Faults::NONE, |rules| rules.deadline_from_send = false),
        ),
        entry(
            "a deadline without a margin",
            EXCLUSIVE,
            without(Faults::NONE, |rules| rules.margin = false),
        ),
        entry(
            "no local deadline",
            EXCLUSIVE,
            without(Faults::NONE, |rules| rules.local_deadline = false),
        ),
        entry(
            "a claim of first use without a token",
            EXCLUSIVE,
            Setting {
                fresh: true,
                ..setting(5, FLUSH, repaired(|rules| rules.token = false))
            },
        ),
        entry(
            "a free lock is a free slot",
            EXCLUSIVE,
            without(EVICTION, |rules| rules.till_on_record = false),
        ),
    ]
}

/// A store that has forgotten everything.
fn forgotten() -> Vec<Entry> {
    let forgetful = |rules| Setting {
        fresh: true,
        ..setting(4, FLUSH, rules)
    };
    vec![
        limit(
            "everything forgotten, everybody gone, clocks apart",
            TWICE,
            forgetful(Rules::default()),
        ),
        repair(
            "the same, first use above all clocks",
            forgetful(repaired(|_| {})),
        ),
        limit(
            "everything forgotten, a holder cut off for the discovery",
            EXCLUSIVE,
            Setting {
                cut_off: true,
                ..forgetful(repaired(|_| {}))
            },
        ),
    ]
}

/// A failover, and something else.
fn failed_over(bounds: Bounds) -> Vec<Entry> {
    let there_and_back = |identity| Setting {
        identity,
        ..setting(bounds.pick(3, 4), failovers(2), Rules::default())
    };
    let stepped = |rules| Setting {
        clocks: Clocks::Stepped,
        ..setting(bounds.pick(3, 4), failovers(1), rules)
    };
    let released_ahead = |rules| Setting {
        actors: 3,
        ..setting(3, failovers(1), rules)
    };
    let mut entries = vec![
        limit(
            "a failover there and back, servers known by run_id",
            EXCLUSIVE,
            there_and_back(Identity::Process),
        ),
        repair(
            "the same, servers known by their term",
            there_and_back(Identity::Term),
        ),
        limit(
            "a clock set far ahead, then a failover",
            TWICE,
            stepped(Rules::default()),
        ),
        repair(
            "the same, horizons capped by the server's clock",
            stepped(repaired(|_| {})),
        ),
        limit(
            "a replaced master that goes on answering",
            EXCLUSIVE,
            Setting {
                split: true,
                ..setting(5, failovers(1), Rules::default())
            },
        ),
    ];
    if bounds == Bounds::Large {
        entries.push(limit(
            "a slot released ahead and granted again, then a failover",
            TWICE,
            released_ahead(Rules::default()),
        ));
        entries.push(repair(
            "the same, horizons capped",
            released_ahead(repaired(|_| {})),
        ));
    }
    entries
}
