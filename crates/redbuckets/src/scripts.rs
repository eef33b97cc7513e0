//! The Lua scripts: the only code that changes what Redis holds. Read `scripts/group.lua` for the data, `beat.lua` for
//! the protocol.

use coord_core::{history, store::Script};

const GROUP: &str = include_str!("scripts/group.lua");
const TABLE: &str = include_str!("scripts/table.lua");
const GRANTS: &str = include_str!("scripts/grants.lua");
const CREATE: &str = include_str!("scripts/create.lua");

pub(crate) static JOIN: Script = Script::new(
    "join",
    &[
        history::PRELUDE,
        GROUP,
        TABLE,
        CREATE,
        include_str!("scripts/join.lua"),
    ],
);

pub(crate) static BEAT: Script = Script::new(
    "beat",
    &[
        include_str!("scripts/glance.lua"),
        history::PRELUDE,
        GROUP,
        include_str!("scripts/beat.lua"),
        TABLE,
        GRANTS,
        include_str!("scripts/hand.lua"),
    ],
);

pub(crate) static CLAIM: Script = Script::new(
    "claim",
    &[
        history::PRELUDE,
        GROUP,
        TABLE,
        GRANTS,
        CREATE,
        include_str!("scripts/claim.lua"),
    ],
);

pub(crate) static LEAVE: Script = Script::new(
    "leave",
    &[
        history::PRELUDE,
        GROUP,
        TABLE,
        include_str!("scripts/leave.lua"),
    ],
);

pub(crate) static MEMBERS: Script = Script::new(
    "members",
    &[history::PRELUDE, GROUP, include_str!("scripts/members.lua")],
);

pub(crate) static OWNERS: Script = Script::new(
    "owners",
    &[history::PRELUDE, GROUP, include_str!("scripts/owners.lua")],
);

pub(crate) static DRAIN: Script = Script::new(
    "drain",
    &[
        history::PRELUDE,
        GROUP,
        TABLE,
        include_str!("scripts/drain.lua"),
    ],
);
