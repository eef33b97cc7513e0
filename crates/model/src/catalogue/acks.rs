//! The models of an acknowledged history, an extension of the lease protocol.

use super::{
    Bounds, Entry, Kind,
    lease::{failovers, repaired},
};
use crate::lease::{Acks, EXCLUSIVE, Faults, Heirs, Identity, Setting};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = rule(bounds);
    entries.extend(mutants());
    if bounds == Bounds::Large {
        entries.extend(slow_mutants());
    }
    entries
}

const RESTART: Faults = Faults {
    restarts: 1,
    ..Faults::NONE
};
const RESTART_AND_FAILOVER: Faults = Faults {
    failovers: 1,
    ..RESTART
};
const FLUSH_AND_FAILOVER: Faults = Faults {
    failovers: 1,
    flushes: 1,
    ..Faults::NONE
};

/// Two holders, one slot, one replica, until the tick `end`.
fn setting(end: u8, faults: Faults, change: impl Fn(&mut Acks)) -> Setting {
    let mut acks = Acks::default();
    change(&mut acks);
    Setting {
        end,
        faults,
        identity: Identity::Term,
        rules: repaired(|rules| rules.acks = Some(acks)),
        ..Setting::default()
    }
}

/// The second of them does not wait for replicas.
fn mixed(end: u8, faults: Faults, change: impl Fn(&mut Acks)) -> Setting {
    Setting {
        plain: [false, true, false],
        ..setting(end, faults, change)
    }
}

fn rule(bounds: Bounds) -> Vec<Entry> {
    let entry = |name, setting| Entry::lease(Kind::Extension, name, None, setting);
    let same = |_: &mut Acks| {};
    let mut entries = vec![
        entry(
            "acknowledged grants, a failover",
            setting(bounds.pick(3, 5), failovers(1), same),
        ),
        entry(
            "acknowledged grants, two replicas, a failover",
            Setting {
                replicas: 2,
                ..setting(bounds.pick(3, 4), failovers(1), same)
            },
        ),
        entry(
            "acknowledged grants, a replaced master that goes on answering, less than a ttl",
            Setting {
                split: true,
                ..setting(2, failovers(1), same)
            },
        ),
        entry(
            "acknowledged and other grants, a failover",
            mixed(bounds.pick(3, 4), failovers(1), same),
        ),
    ];
    if bounds == Bounds::Large {
        entries.push(entry(
            "acknowledged grants, two failovers",
            setting(4, failovers(2), same),
        ));
        entries.push(entry(
            "acknowledged grants, a restart from disk and a failover",
            setting(3, RESTART_AND_FAILOVER, same),
        ));
        entries.push(entry(
            "acknowledged and other grants, everything forgotten, a failover",
            mixed(3, FLUSH_AND_FAILOVER, same),
        ));
    }
    entries
}

fn mutant(name: &'static str, setting: Setting) -> Entry {
    Entry::lease(Kind::Mutant, name, Some(EXCLUSIVE), setting)
}

fn mutants() -> Vec<Entry> {
    vec![
        mutant(
            "acknowledged: what looks expired is granted at once",
            setting(5, failovers(1), |acks| acks.held_slots_wait = false),
        ),
        mutant(
            "acknowledged: by one of two replicas",
            Setting {
                replicas: 2,
                ..setting(4, failovers(1), |acks| acks.all_replicas = false)
            },
        ),
        mutant(
            "acknowledged: what is asked for again of a master without replicas needs none",
            Setting {
                split: true,
                ..setting(2, failovers(1), |acks| acks.repeats_wait = false)
            },
        ),
        mutant(
            "acknowledged: servers known by run_id, a failover there and back",
            Setting {
                identity: Identity::Process,
                ..setting(4, failovers(2), |_| {})
            },
        ),
        mutant(
            "acknowledged: after a restart from disk, too",
            setting(4, RESTART, |acks| acks.heirs = Heirs::Any),
        ),
        mutant(
            "acknowledged: by a replica of a server that restarted from disk",
            setting(4, RESTART_AND_FAILOVER, |acks| acks.heirs = Heirs::Promoted),
        ),
        mutant(
            "acknowledged: others grant without a flag",
            mixed(4, failovers(1), |acks| acks.flag = false),
        ),
        mutant(
            "acknowledged: a flag that is seen flipped is trusted",
            mixed(4, failovers(1), |acks| acks.own_flip = false),
        ),
        mutant(
            "acknowledged: a past made anew by others is no flip",
            mixed(4, FLUSH_AND_FAILOVER, |acks| acks.lapses_numbered = false),
        ),
    ]
}

fn slow_mutants() -> Vec<Entry> {
    vec![
        mutant(
            "acknowledged: a flip has no number",
            Setting {
                actors: 3,
                ..mixed(2, failovers(1), |acks| acks.flip_numbered = false)
            },
        ),
        mutant(
            "acknowledged: a past in doubt stays acknowledged",
            setting(4, RESTART_AND_FAILOVER, |acks| acks.doubt_clears = false),
        ),
    ]
}
