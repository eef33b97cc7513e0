//! The Lua scripts: the only code that changes what Redis holds.

use coord_core::{history, store::Script};

const SLOTS: &str = include_str!("scripts/slots.lua");
const OPERATORS: &str = include_str!("scripts/operators.lua");

pub(crate) static ACQUIRE: Script = Script::new(
    "acquire",
    &[
        include_str!("scripts/full.lua"),
        history::PRELUDE,
        SLOTS,
        include_str!("scripts/acquire.lua"),
    ],
);

pub(crate) static RENEW: Script = Script::new(
    "renew",
    &[history::PRELUDE, SLOTS, include_str!("scripts/renew.lua")],
);

pub(crate) static RELEASE: Script = Script::new(
    "release",
    &[history::PRELUDE, SLOTS, include_str!("scripts/release.lua")],
);

pub(crate) static LAYOUT: Script = Script::new(
    "layout",
    &[history::PRELUDE, SLOTS, include_str!("scripts/layout.lua")],
);

pub(crate) static INSPECT: Script = Script::new(
    "inspect",
    &[
        history::PRELUDE,
        SLOTS,
        OPERATORS,
        include_str!("scripts/inspect.lua"),
    ],
);

pub(crate) static REVOKE: Script = Script::new(
    "revoke",
    &[history::PRELUDE, SLOTS, include_str!("scripts/revoke.lua")],
);

pub(crate) static CLOCK: Script = Script::new(
    "clock",
    &[history::PRELUDE, include_str!("scripts/clock.lua")],
);

pub(crate) static INIT: Script = Script::new(
    "init",
    &[
        history::PRELUDE,
        SLOTS,
        OPERATORS,
        include_str!("scripts/init.lua"),
    ],
);

pub(crate) static PAGE: Script = Script::new(
    "page",
    &[
        history::PRELUDE,
        SLOTS,
        OPERATORS,
        include_str!("scripts/page.lua"),
    ],
);

pub(crate) static REPAIR: Script = Script::new(
    "repair",
    &[
        history::PRELUDE,
        SLOTS,
        OPERATORS,
        include_str!("scripts/repair.lua"),
    ],
);

pub(crate) static RELAYOUT: Script = Script::new(
    "relayout",
    &[
        history::PRELUDE,
        SLOTS,
        OPERATORS,
        include_str!("scripts/relayout.lua"),
    ],
);

pub(crate) static IMPORT: Script = Script::new(
    "import",
    &[
        history::PRELUDE,
        SLOTS,
        OPERATORS,
        include_str!("scripts/import.lua"),
    ],
);
