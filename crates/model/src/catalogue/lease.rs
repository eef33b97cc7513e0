//! The models of the lease protocol.

use super::{Bounds, Entry, Kind};
use crate::lease::{Acks, Clocks, EXCLUSIVE, Faults, Heirs, Identity, Rules, Setting, TWICE};

pub(super) fn entries(bounds: Bounds) -> Vec<Entry> {
    let mut entries = protocol(bounds);
    entries.extend(mutants());
    entries.extend(limits(bounds));
    entries.extend(acknowledged(bounds));
    entries.extend(acknowledged_mutants(bounds));
    entries
}

fn setting(end: u8) -> Setting {
    Setting {
        end,
        ..Setting::default()
    }
}

const fn failovers(failovers: u8) -> Faults {
    Faults {
        failovers,
        ..Faults::NONE
    }
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
const RESTART: Faults = Faults {
    restarts: 1,
    ..Faults::NONE
};

/// What the limits need, all at once.
fn repaired() -> Rules {
    Rules {
        horizon_capped: true,
        first_floor: true,
        ..Rules::default()
    }
}

fn protocol(bounds: Bounds) -> Vec<Entry> {
    let is_large = bounds == Bounds::Large;
    let pick = |small, large| if is_large { large } else { small };
    let entry = |name, setting| Entry::lease(Kind::Protocol, name, None, setting);
    vec![
        entry(
            "requests and answers late, lost, repeated",
            Setting {
                faults: GHOST,
                ..setting(pick(3, 5))
            },
        ),
        entry(
            "two slots",
            Setting {
                slots: 2,
                ..setting(pick(3, 4))
            },
        ),
        entry(
            "three holders",
            Setting {
                actors: 3,
                ..setting(pick(3, 4))
            },
        ),
        entry(
            "a failover that loses the last writes",
            Setting {
                faults: failovers(1),
                ..setting(pick(3, 5))
            },
        ),
        entry(
            "a lock that is evicted",
            Setting {
                faults: EVICTION,
                ..setting(pick(4, 5))
            },
        ),
        entry(
            "first use, by two at once",
            Setting {
                fresh: true,
                faults: if is_large { GHOST } else { Faults::NONE },
                ..setting(4)
            },
        ),
        entry(
            "timestamps, where no deadline is kept",
            Setting {
                claims: &[TWICE],
                rules: Rules {
                    local_deadline: false,
                    ..Rules::default()
                },
                ..setting(pick(4, 5))
            },
        ),
    ]
}

fn mutants() -> Vec<Entry> {
    let entry = |name, property, setting| Entry::lease(Kind::Mutant, name, Some(property), setting);
    let rules = Rules::default;
    let without = |rules| Setting {
        rules,
        ..Setting::default()
    };
    vec![
        entry(
            "no horizon: the next holder begins at its own clock",
            TWICE,
            without(Rules {
                horizon: false,
                ..rules()
            }),
        ),
        entry(
            "no owner check: a renewal overwrites (timestamps, no deadline kept)",
            TWICE,
            Setting {
                claims: &[TWICE],
                ..without(Rules {
                    owner_check: false,
                    local_deadline: false,
                    ..rules()
                })
            },
        ),
        entry(
            "no quarantine after a failover",
            EXCLUSIVE,
            Setting {
                faults: failovers(1),
                ..without(Rules {
                    quarantine: false,
                    ..rules()
                })
            },
        ),
        entry(
            "a deadline from the answer",
            EXCLUSIVE,
            without(Rules {
                deadline_from_send: false,
                ..rules()
            }),
        ),
        entry(
            "a deadline without a margin",
            EXCLUSIVE,
            without(Rules {
                margin: false,
                ..rules()
            }),
        ),
        entry(
            "no local deadline",
            EXCLUSIVE,
            without(Rules {
                local_deadline: false,
                ..rules()
            }),
        ),
        entry(
            "a claim of first use without a token",
            EXCLUSIVE,
            Setting {
                fresh: true,
                faults: FLUSH,
                ..without(Rules {
                    token: false,
                    ..repaired()
                })
            },
        ),
        entry(
            "a free lock is a free slot",
            EXCLUSIVE,
            Setting {
                faults: EVICTION,
                ..without(Rules {
                    till_on_record: false,
                    ..rules()
                })
            },
        ),
    ]
}

fn limits(bounds: Bounds) -> Vec<Entry> {
    let is_large = bounds == Bounds::Large;
    let pick = |small, large| if is_large { large } else { small };
    let limit = |name, property, setting| Entry::lease(Kind::Limit, name, Some(property), setting);
    let repair = |name, setting| Entry::lease(Kind::Repair, name, None, setting);
    let forgetful = |rules| Setting {
        fresh: true,
        faults: FLUSH,
        rules,
        ..setting(4)
    };
    let there_and_back = |identity| Setting {
        identity,
        faults: failovers(2),
        ..setting(pick(3, 5))
    };
    let stepped = |rules| Setting {
        clocks: Clocks::Stepped,
        faults: failovers(1),
        rules,
        ..setting(pick(3, 5))
    };
    let released_ahead = |rules| Setting {
        actors: 3,
        faults: failovers(1),
        rules,
        ..setting(3)
    };
    let mut entries = vec![
        limit(
            "everything forgotten, everybody gone, clocks apart",
            TWICE,
            forgetful(Rules::default()),
        ),
        repair(
            "the same, first use above all clocks",
            forgetful(repaired()),
        ),
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
            stepped(repaired()),
        ),
    ];
    if is_large {
        entries.push(limit(
            "a slot released ahead and granted again, then a failover",
            TWICE,
            released_ahead(Rules::default()),
        ));
        entries.push(repair(
            "the same, horizons capped",
            released_ahead(repaired()),
        ));
    }
    entries.push(limit(
        "a replaced master that goes on answering",
        EXCLUSIVE,
        Setting {
            split: true,
            faults: failovers(1),
            ..Setting::default()
        },
    ));
    entries.push(limit(
        "everything forgotten, a holder cut off for the discovery",
        EXCLUSIVE,
        Setting {
            cut_off: true,
            ..forgetful(repaired())
        },
    ));
    entries
}

fn acked(acks: Acks, faults: Faults, end: u8) -> Setting {
    Setting {
        identity: Identity::Term,
        faults,
        rules: Rules {
            acks: Some(acks),
            ..repaired()
        },
        ..setting(end)
    }
}

const RESTART_AND_FAILOVER: Faults = Faults {
    failovers: 1,
    ..RESTART
};
const FLUSH_AND_FAILOVER: Faults = Faults {
    failovers: 1,
    ..FLUSH
};

fn acknowledged(bounds: Bounds) -> Vec<Entry> {
    let is_large = bounds == Bounds::Large;
    let pick = |small, large| if is_large { large } else { small };
    let entry = |name, setting| Entry::lease(Kind::Planned, name, None, setting);
    let acks = Acks::default;
    let mixed = |faults, end| Setting {
        plain: [false, true, true],
        ..acked(acks(), faults, end)
    };
    let mut entries = vec![
        entry(
            "acknowledged grants, a failover",
            acked(acks(), failovers(1), pick(3, 5)),
        ),
        entry(
            "acknowledged grants, two replicas, a failover",
            Setting {
                replicas: 2,
                ..acked(acks(), failovers(1), pick(3, 4))
            },
        ),
        entry(
            "acknowledged and other grants, a failover",
            mixed(failovers(1), pick(3, 4)),
        ),
    ];
    if is_large {
        entries.push(entry(
            "acknowledged grants, two failovers",
            acked(acks(), failovers(2), 4),
        ));
        entries.push(entry(
            "acknowledged grants, a restart from disk and a failover",
            acked(acks(), RESTART_AND_FAILOVER, 3),
        ));
        entries.push(entry(
            "acknowledged and other grants, everything forgotten, a failover",
            mixed(FLUSH_AND_FAILOVER, 3),
        ));
    }
    entries
}

fn acknowledged_mutants(bounds: Bounds) -> Vec<Entry> {
    let entry = |name, property, setting| Entry::lease(Kind::Mutant, name, Some(property), setting);
    let acks = Acks::default;
    let mixed = |acks, faults| Setting {
        plain: [false, true, true],
        ..acked(acks, faults, 4)
    };
    let held_slots_wait = false;
    let mut entries = vec![
        entry(
            "acknowledged: what looks expired is granted at once",
            EXCLUSIVE,
            acked(
                Acks {
                    held_slots_wait,
                    ..acks()
                },
                failovers(1),
                5,
            ),
        ),
        entry(
            "acknowledged: by one of two replicas",
            EXCLUSIVE,
            Setting {
                replicas: 2,
                ..acked(
                    Acks {
                        all_replicas: false,
                        ..acks()
                    },
                    failovers(1),
                    4,
                )
            },
        ),
        entry(
            "acknowledged: after a restart from disk, too",
            EXCLUSIVE,
            acked(
                Acks {
                    heirs: Heirs::Any,
                    ..acks()
                },
                RESTART,
                4,
            ),
        ),
        entry(
            "acknowledged: by a replica of a server that restarted from disk",
            EXCLUSIVE,
            acked(
                Acks {
                    heirs: Heirs::Promoted,
                    ..acks()
                },
                RESTART_AND_FAILOVER,
                4,
            ),
        ),
        entry(
            "acknowledged: others grant without a flag",
            EXCLUSIVE,
            mixed(
                Acks {
                    flag: false,
                    ..acks()
                },
                failovers(1),
            ),
        ),
        entry(
            "acknowledged: a flag that is seen flipped is trusted",
            EXCLUSIVE,
            mixed(
                Acks {
                    own_flip: false,
                    ..acks()
                },
                failovers(1),
            ),
        ),
        entry(
            "acknowledged: a past made anew by others is no flip",
            EXCLUSIVE,
            mixed(
                Acks {
                    lapses_numbered: false,
                    ..acks()
                },
                FLUSH_AND_FAILOVER,
            ),
        ),
    ];
    if bounds == Bounds::Large {
        entries.push(entry(
            "acknowledged: a flip has no number",
            EXCLUSIVE,
            Setting {
                actors: 3,
                plain: [false, true, false],
                end: 2,
                ..mixed(
                    Acks {
                        flip_numbered: false,
                        ..acks()
                    },
                    failovers(1),
                )
            },
        ));
        entries.push(entry(
            "acknowledged: a past in doubt stays acknowledged",
            EXCLUSIVE,
            acked(
                Acks {
                    doubt_clears: false,
                    ..acks()
                },
                RESTART_AND_FAILOVER,
                4,
            ),
        ));
    }
    entries
}
