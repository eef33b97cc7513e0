//! Masters that are replaced, by a replica or by the replica of a replica, and go on answering for a while.

use super::{FAILOVER, TWO_TTLS, holds, limit, mutant, prompt, rules, slow, without};
use crate::{
    catalogue::{Bounds, Entry},
    lease::{Acknowledge, EXCLUSIVE, Faults, Identity, SOON, STEADY, Setting, TWICE},
};

const FOREVER: u8 = u8::MAX;

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = replaced(bounds);
    entries.extend(identities(bounds));
    entries.extend(acknowledged());
    entries
}

fn replaced(bounds: Bounds) -> Vec<Entry> {
    let failover = prompt(4, FAILOVER);
    let old = Setting {
        old: Some(1),
        ..prompt(bounds.pick(4, 5), FAILOVER)
    };
    let ttls = Setting {
        old: bounds.pick(None, Some(1)),
        ttls: TWO_TTLS,
        lean: true,
        ..prompt(bounds.pick(6, 7), FAILOVER)
    };
    vec![
        holds(
            "a failover that loses the last writes, requests take their time",
            slow(bounds.pick(2, 4), FAILOVER),
        ),
        holds(
            "a replica, or the replica of a replica, is promoted",
            failover.clone(),
        ),
        holds(
            "a replaced master answers for as long as the bound",
            old.clone(),
        ),
        limit(
            "a replaced master grants what its holder renewed elsewhere",
            EXCLUSIVE,
            Setting {
                old_grants: true,
                ..old.clone()
            },
        ),
        holds("two ttls, a failover", ttls.clone()),
        mutant(
            "no quarantine: servers are not told apart",
            EXCLUSIVE,
            without(&failover, |rules| rules.identity = Identity::Ignored),
        ),
        mutant(
            "a quarantine without the failover bound",
            EXCLUSIVE,
            without(&old, |rules| rules.bound = 0),
        ),
        mutant(
            "the floor of a quarantine leaves the failover bound out",
            TWICE,
            without(&old, |rules| rules.floor_bound = false),
        ),
        mutant(
            "a quarantine by the newcomer's ttl",
            EXCLUSIVE,
            without(&ttls, |rules| rules.longest = false),
        ),
    ]
}

fn identities(bounds: Bounds) -> Vec<Entry> {
    let back = prompt(
        bounds.pick(3, 4),
        Faults {
            failovers: 2,
            ..Faults::NONE
        },
    );
    let renamed = Setting {
        claims: &[STEADY],
        ..prompt(
            4,
            Faults {
                renames: 2,
                ..Faults::NONE
            },
        )
    };
    let soon = Setting {
        claims: &[SOON],
        lean: true,
        ..prompt(5, FAILOVER)
    };
    vec![
        holds("a failover there and back", back.clone()),
        mutant(
            "servers are known by their process: a failover there and back",
            EXCLUSIVE,
            without(&back, |rules| rules.identity = Identity::Process),
        ),
        holds(
            "replicas that come and go, and backups, begin no quarantine",
            renamed.clone(),
        ),
        mutant(
            "every new replication id begins a quarantine",
            STEADY,
            without(&renamed, |rules| rules.identity = Identity::Strict),
        ),
        holds("a renewal begins the quarantine", soon.clone()),
        mutant(
            "only an acquisition begins a quarantine",
            SOON,
            without(&soon, |rules| rules.watch = false),
        ),
    ]
}

/// Clients that stay with a replaced master for longer than the bound.
fn acknowledged() -> Vec<Entry> {
    let acknowledging = |acknowledge| Setting {
        old: Some(FOREVER),
        old_grants: true,
        lean: true,
        rules: rules(|rules| rules.acknowledge = acknowledge),
        ..prompt(5, FAILOVER)
    };
    vec![
        limit(
            "a replaced master answers for longer than the bound",
            EXCLUSIVE,
            acknowledging(Acknowledge::Nothing),
        ),
        holds(
            "the same, where replicas acknowledge grants and renewals",
            acknowledging(Acknowledge::Everything),
        ),
        mutant(
            "only grants are acknowledged",
            EXCLUSIVE,
            acknowledging(Acknowledge::Grants),
        ),
    ]
}
