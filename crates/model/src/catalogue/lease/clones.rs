//! Holders that are copied with their memory.

use super::{holds, limit, mutant, prompt, without};
use crate::{
    catalogue::{Bounds, Entry},
    lease::{EXCLUSIVE, Faults, Setting, TOLD, TRUE_CLONES},
};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let faults = Faults {
        clones: 1,
        ..Faults::NONE
    };
    let cloned = Setting {
        actors: 3,
        chains: true,
        renewals: bounds.pick(2, 3),
        claims: &[TOLD, TRUE_CLONES],
        ..prompt(3, faults)
    };
    let rewound = Setting {
        actors: 2,
        faults: Faults {
            rewinds: 1,
            ..Faults::NONE
        },
        ..cloned.clone()
    };
    vec![
        holds(
            "a clone and what it was copied from are told",
            cloned.clone(),
        ),
        mutant(
            "no chain: clones renew one lease",
            TOLD,
            without(&cloned, |rules| rules.chain = false),
        ),
        limit(
            "a clone, before the first renewal of both",
            EXCLUSIVE,
            Setting {
                claims: &[EXCLUSIVE],
                ..cloned
            },
        ),
        holds("an older copy is not taken for a clone", rewound.clone()),
        mutant(
            "a chain without a count: an older copy is taken for a clone",
            TRUE_CLONES,
            without(&rewound, |rules| rules.chain_count = false),
        ),
    ]
}
