//! Stores that forget: everything, or what came after an older copy.

use super::{
    FLUSH, TWO_TTLS, holds, limit, mutant, prompt, repair, rules, slow, two_slots, without,
};
use crate::{
    catalogue::{Bounds, Entry},
    lease::{EXCLUSIVE, Faults, GRANTED, Newcomers, Record, SHORT, Setting, TWICE},
};

const REWIND: Faults = Faults {
    rewinds: 1,
    ..Faults::NONE
};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = flushed();
    entries.extend(two_ttls(bounds));
    entries.extend(rewound(bounds));
    entries
}

fn flushed() -> Vec<Entry> {
    let forgetful = Setting {
        record: Record::Absent,
        ..prompt(3, FLUSH)
    };
    let slow = Setting {
        record: Record::Absent,
        ..slow(4, FLUSH)
    };
    vec![
        limit(
            "everything forgotten, everybody gone, clocks apart",
            TWICE,
            forgetful.clone(),
        ),
        repair(
            "the same, first use above all clocks",
            without(&forgetful, |rules| rules.first_floor = true),
        ),
        limit(
            "everything forgotten, a holder cut off for the discovery",
            EXCLUSIVE,
            Setting {
                cut_off: true,
                ..without(&forgetful, |rules| rules.first_floor = true)
            },
        ),
        mutant(
            "a claim of silence without a token",
            EXCLUSIVE,
            without(&slow, |rules| {
                (rules.token, rules.first_floor) = (false, true)
            }),
        ),
    ]
}

/// A holder with a long ttl is cut off; one with a short ttl lives, and a newcomer has a short one.
fn two_ttls(bounds: Bounds) -> Vec<Entry> {
    let base = |faults| two_slots(TWO_TTLS, prompt(bounds.pick(5, 6), faults));
    let forgotten = Setting {
        rules: rules(|rules| rules.first_floor = true),
        ..base(FLUSH)
    };
    let expecting = Setting {
        expects: true,
        ttls: [super::LONG, super::LONG, SHORT],
        ..base(FLUSH)
    };
    let ending = Setting {
        record: Record::Ending,
        slots: 1,
        ticks: 4,
        ..base(super::FAILOVER)
    };
    vec![
        holds("two ttls, everything forgotten", forgotten.clone()),
        mutant(
            "the longest ttl does not travel with renewals",
            EXCLUSIVE,
            without(&forgotten, |rules| rules.known = false),
        ),
        holds(
            "two ttls, everything forgotten, an absent record means loss",
            expecting.clone(),
        ),
        mutant(
            "a quarantine does not grow when a longer ttl is heard of",
            EXCLUSIVE,
            without(&expecting, |rules| rules.grows = false),
        ),
        holds(
            "two ttls, a failover just before a window ends",
            ending.clone(),
        ),
        mutant(
            "a window ends during a quarantine",
            EXCLUSIVE,
            without(&ending, |rules| rules.windows_stay = false),
        ),
        limit(
            "a longer ttl than any before, lost before another holder was told",
            EXCLUSIVE,
            Setting {
                record: Record::Short,
                ..base(super::FAILOVER)
            },
        ),
    ]
}

fn rewound(bounds: Bounds) -> Vec<Entry> {
    let rewound = Setting {
        chains: true,
        renewals: 2,
        // Ticks repeat where the server's microseconds do not.
        claims: &[TWICE, EXCLUSIVE, GRANTED],
        ..prompt(bounds.pick(4, 5), REWIND)
    };
    let three = Setting {
        actors: 3,
        lean: true,
        renewals: 1,
        ..rewound.clone()
    };
    let two = Setting {
        renewals: 1,
        ..two_slots([SHORT; 3], rewound.clone())
    };
    let early = |newcomers| Setting {
        newcomers,
        claims: &[EXCLUSIVE, GRANTED],
        ..rewound.clone()
    };
    let quiet = early(Newcomers::IfQuiet);
    vec![
        holds("an older copy, which a holder notices", rewound.clone()),
        holds("an older copy, two slots", two.clone()),
        holds("an older copy, three holders in turn", three.clone()),
        mutant(
            "no chain: an older copy is taken for the last one",
            EXCLUSIVE,
            without(&two, |rules| rules.chain = false),
        ),
        mutant(
            "another's lock beside an older fence shows nothing",
            TWICE,
            without(&three, |rules| rules.foreign = false),
        ),
        mutant(
            "a forgotten grant is not put back over a released one",
            TWICE,
            without(&three, |rules| rules.puts_back = false),
        ),
        holds(
            "an older copy, in which nobody was seen for long",
            quiet.clone(),
        ),
        limit(
            "a copy younger than a ttl, before a holder notices",
            EXCLUSIVE,
            early(Newcomers::AtOnce),
        ),
        mutant(
            "nobody listens where nobody was seen for long",
            EXCLUSIVE,
            without(&quiet, |rules| rules.quiet = false),
        ),
    ]
}
