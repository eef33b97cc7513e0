//! What the scripts do to the store, as pure functions. Each names the script it stands for.

use super::{
    chain::{self, Chain, Step},
    history::{self, Standing},
    rules::Rules,
};

pub(crate) const SLOTS: usize = 2;

/// `till` of a slot that was released, and of one whose lease ended without a release.
pub(crate) const RELEASED: u8 = 0;
pub(crate) const OVER: u8 = 1;

/// Everything a server keeps of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Store {
    pub(crate) slots: [Slot; SLOTS],
    pub(crate) past: Option<Past>,
    pub(crate) token: Token,
}

/// The lock key and the record of one slot. A fence of 0 is no record, a lock of 0 no lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Slot {
    pub(crate) lock: u8,
    pub(crate) expiry: u8,
    pub(crate) fence: u16,
    pub(crate) horizon: u8,
    pub(crate) floor: u8,
    pub(crate) till: u8,
    pub(crate) chain: Chain,
}

/// The field `history`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    pub(crate) run: Server,
    pub(crate) till: u8,
    pub(crate) floor: u8,
    pub(crate) seen: u8,
    /// When the current window began; 0 if windows do not matter, because everybody has the same ttl.
    pub(crate) since: u8,
    /// The longest ttl in this window, and in the one before.
    pub(crate) used: u8,
    pub(crate) before: u8,
}

/// The field `discovery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Token {
    pub(crate) id: u8,
    pub(crate) seen: u8,
    pub(crate) number: u8,
}

/// What tells one server from another: `run_id`, replication id, and whether there is a second replication id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Server {
    pub(crate) process: u8,
    pub(crate) id: u8,
    /// It followed another master since it started.
    pub(crate) followed: bool,
}

/// What a script knows besides the store and its arguments.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) now: u8,
    pub(crate) server: Server,
    /// The last of the numbers that server time in microseconds gives, never the same twice.
    pub(crate) numbers: &'a mut u8,
    pub(crate) slots: usize,
    pub(crate) rules: &'a Rules,
}

/// What a client says of itself: its ttl, the longest one as last told to it, and that an absent record means loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Terms {
    pub(crate) ttl: u8,
    pub(crate) known: u8,
    pub(crate) expects: bool,
}

/// What a client says of a past that is absent or quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mode {
    Ask,
    First(u8),
    Voice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Acquire {
    pub(crate) holder: u8,
    pub(crate) terms: Terms,
    pub(crate) first: u8,
    pub(crate) wall: u8,
    pub(crate) mode: Mode,
    pub(crate) number: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Renew {
    pub(crate) holder: u8,
    pub(crate) terms: Terms,
    pub(crate) slot: u8,
    pub(crate) fence: u16,
    pub(crate) wall: u8,
    pub(crate) last: u8,
    pub(crate) till: u8,
    pub(crate) horizon: u8,
    pub(crate) chain: Chain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Release {
    pub(crate) holder: u8,
    pub(crate) terms: Terms,
    pub(crate) slot: u8,
    pub(crate) fence: u16,
    pub(crate) till: u8,
    pub(crate) horizon: u8,
    pub(crate) lowers: bool,
    pub(crate) chain: Chain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reply {
    Granted {
        slot: u8,
        fence: u16,
        floor: u8,
        horizon: u8,
        at: u8,
        longest: u8,
    },
    Listen(u8),
    /// Taken, in quarantine, or skewed.
    Refused,
    Renewed {
        horizon: u8,
        at: u8,
        longest: u8,
    },
    /// A later renewal came first.
    Late,
    Lost,
    Cloned,
}

/// `acquire.lua`.
pub(crate) fn acquire(store: &mut Store, ask: &Acquire, cx: &mut Context<'_>) -> Reply {
    let (now, rules, ttl) = (cx.now, cx.rules, ask.terms.ttl);
    if ask.wall.abs_diff(now) > rules.skew {
        return Reply::Refused;
    }
    let order: Vec<usize> = (0..cx.slots)
        .map(|i| (i + usize::from(ask.first)) % cx.slots)
        .collect();
    let own = order
        .iter()
        .copied()
        .find(|&at| store.slots[at].lock == ask.holder && store.slots[at].fence != 0);
    let longest = store.past.map_or(0, |past| past.longest()).max(ttl);
    let is_free = |slot: &Slot| {
        let over = slot.till <= now || !rules.till_on_record;
        slot.lock == 0 && over && slot.horizon <= now + longest + rules.skew
    };
    let Some(chosen) = own.or_else(|| order.into_iter().find(|&at| is_free(&store.slots[at])))
    else {
        return Reply::Refused;
    };
    let past = match history::admit(store, ask.mode, ask.terms, cx) {
        Standing::Listen(token) => return Reply::Listen(token),
        Standing::Quarantine => return Reply::Refused,
        Standing::Known(past) if now + past.longest() + rules.skew < past.floor => {
            return Reply::Refused;
        }
        Standing::Known(past) => past,
    };
    let slot = &mut store.slots[chosen];
    if own.is_none() {
        let below = if rules.horizon { slot.horizon } else { 0 };
        slot.floor = below.max(past.floor);
        slot.fence = (slot.fence + 1).max(u16::from(now) * 8);
        slot.horizon = 0;
    }
    let horizon = rules.first_horizon(now, ask.wall, slot.floor, ttl);
    slot.horizon = slot.horizon.max(horizon);
    slot.chain = [ask.number, 0, 0, 0];
    hold(slot, ask.holder, now + ttl);
    Reply::Granted {
        slot: u8::try_from(chosen).expect("two slots"),
        fence: slot.fence,
        floor: slot.floor,
        horizon: slot.horizon,
        at: now,
        longest: past.longest(),
    }
}

fn hold(slot: &mut Slot, holder: u8, till: u8) {
    (slot.lock, slot.expiry, slot.till) = (holder, till, till);
}

/// `renew.lua`.
pub(crate) fn renew(store: &mut Store, ask: &Renew, cx: &Context<'_>) -> Reply {
    let (now, rules) = (cx.now, cx.rules);
    let slot = &mut store.slots[usize::from(ask.slot)];
    let acknowledged = ask.till - ask.terms.ttl;
    let older = slot.fence < ask.fence;
    let is_foreign = slot.lock != 0 && slot.lock != ask.holder;
    if rules.owner_check && (is_foreign || ask.fence < slot.fence) {
        if shows_loss(slot, ask.fence, ask.horizon, rules) && now < ask.till {
            slot.horizon = slot.horizon.max(ask.horizon);
            history::rewound(store, ask.terms, acknowledged, cx);
        }
        return Reply::Lost;
    }
    let step = chain::step(slot.chain, ask.chain, rules);
    match step {
        Step::Late if !older => return Reply::Late,
        Step::Cloned if !older => {
            if now < ask.till {
                slot.chain = chain::BROKEN;
            }
            return Reply::Cloned;
        }
        _ => {}
    }
    let forgotten = older || step == Step::Rewound;
    if forgotten && ask.till <= now {
        return Reply::Lost;
    }
    if older {
        (slot.fence, slot.floor) = (ask.fence, ask.last);
    }
    if forgotten {
        slot.horizon = slot.horizon.max(ask.horizon);
    }
    let raised = rules.next_horizon(now, ask.wall, ask.last, ask.terms.ttl);
    slot.horizon = slot.horizon.max(raised);
    slot.chain = ask.chain;
    hold(slot, ask.holder, now + ask.terms.ttl);
    let horizon = slot.horizon;
    if forgotten {
        history::rewound(store, ask.terms, acknowledged, cx);
    } else {
        history::watch(store, ask.terms, cx);
    }
    Reply::Renewed {
        horizon,
        at: now,
        longest: store.past.map_or(0, |past| past.longest()),
    }
}

/// `slots.lua`, `note_forgotten`: another has the slot, by a grant that did not know of the holder's.
fn shows_loss(slot: &Slot, fence: u16, horizon: u8, rules: &Rules) -> bool {
    let began_below = rules.began_below && fence < slot.fence && slot.floor < horizon;
    rules.foreign && slot.fence < fence || began_below
}

/// `release.lua`.
pub(crate) fn release(store: &mut Store, ask: &Release, cx: &Context<'_>) {
    let (now, rules) = (cx.now, cx.rules);
    let slot = &mut store.slots[usize::from(ask.slot)];
    let acknowledged = ask.till - ask.terms.ttl;
    let older = slot.fence < ask.fence;
    let is_foreign = slot.lock != 0 && slot.lock != ask.holder;
    if is_foreign || ask.fence < slot.fence {
        if shows_loss(slot, ask.fence, ask.horizon, rules) && now < ask.till {
            slot.horizon = slot.horizon.max(ask.horizon);
            history::rewound(store, ask.terms, acknowledged, cx);
        }
        return;
    }
    let step = chain::step(slot.chain, ask.chain, rules);
    if !older && step == Step::Cloned {
        return;
    }
    let forgotten = older || step == Step::Rewound;
    if forgotten && ask.till <= now {
        (slot.lock, slot.expiry) = (0, 0);
        return;
    }
    let shows_released = slot.fence != 0 && slot.till == RELEASED && slot.lock == 0;
    if shows_released && !(forgotten && rules.puts_back) {
        return;
    }
    if older {
        (slot.fence, slot.floor) = (ask.fence, 0);
    }
    slot.horizon = if ask.lowers && !forgotten {
        slot.floor.max(ask.horizon)
    } else {
        slot.horizon.max(ask.horizon)
    };
    slot.chain = ask.chain;
    (slot.lock, slot.expiry, slot.till) = (0, 0, RELEASED);
    if forgotten {
        history::rewound(store, ask.terms, acknowledged, cx);
    }
}

/// What time alone does: locks expire, and what is over stays over.
pub(crate) fn tick(store: &mut Store, now: u8) {
    for slot in &mut store.slots {
        if slot.expiry <= now {
            (slot.lock, slot.expiry) = (0, 0);
        }
        if slot.till != RELEASED && slot.till <= now {
            slot.till = OVER;
        }
    }
    if let Some(past) = &mut store.past
        && past.till <= now
    {
        past.till = 0;
    }
}
