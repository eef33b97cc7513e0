//! How far holders mint: clocks, borrowing, closing and releasing.

use super::{FAILOVER, GHOST, holds, limit, mutant, prompt, without};
use crate::{
    catalogue::{Bounds, Entry},
    lease::{Clocks, Faults, Setting, TWICE},
};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let released = Setting {
        closes: true,
        ..prompt(bounds.pick(3, 4), Faults::NONE)
    };
    let late = Setting {
        closes: true,
        chains: true,
        renewals: 2,
        ..prompt(2, GHOST)
    };
    let borrowing = Setting {
        clocks: Clocks::Borrowing,
        old: Some(1),
        ..prompt(4, FAILOVER)
    };
    vec![
        holds(
            "closed and released in any order, ranges handed out",
            released.clone(),
        ),
        holds("the same, with messages that come late", late),
        mutant(
            "a release without an explicit value lowers the horizon",
            TWICE,
            without(&released, |rules| rules.explicit = false),
        ),
        mutant(
            "a second close reports that nothing was minted",
            TWICE,
            without(&released, |rules| rules.close_remembers = false),
        ),
        mutant(
            "a close reports what was minted, not what was handed out",
            TWICE,
            without(&released, |rules| rules.close_counts_ranges = false),
        ),
        holds("borrowed timestamps, then a failover", borrowing.clone()),
        mutant(
            "what was borrowed counts in full",
            TWICE,
            without(&borrowing, |rules| rules.cap_last = false),
        ),
        limit(
            "a clock set far ahead, then a failover",
            TWICE,
            Setting {
                clocks: Clocks::Stepped,
                ..prompt(4, FAILOVER)
            },
        ),
    ]
}
