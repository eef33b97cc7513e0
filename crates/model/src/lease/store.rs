//! What the scripts do to the store, as pure functions. Each names the script it stands for.

use super::{
    history::{self, Standing},
    rules::Rules,
};

pub(crate) const SLOTS: usize = 2;

/// `till` of a slot that was released, and of one whose lease is over without a release.
pub(crate) const RELEASED: u8 = 0;
pub(crate) const OVER: u8 = 1;

/// Everything a server keeps of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Store {
    pub(crate) slots: [Slot; SLOTS],
    pub(crate) past: Option<Past>,
    /// The field `discovery`, "<run_id>@<time>"; (_, 0) where there is none.
    pub(crate) token: (u8, u8),
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
}

/// The field `history`, with what an acknowledged history adds to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Past {
    pub(crate) run: u8,
    pub(crate) till: u8,
    pub(crate) floor: u8,
    /// Every grant that took effect was acknowledged by a replica, or is in this copy.
    pub(crate) acked: bool,
    /// The number of the last flip of `acked`.
    pub(crate) flip: u8,
    /// Until `till` only slots wait that are shown as held.
    pub(crate) open: bool,
}

/// What a script can know of the server it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Server {
    pub(crate) run: u8,
    /// How many masters there were before; no rule of the protocol reads it.
    pub(crate) term: u8,
    /// The identity of the master before it.
    pub(crate) before: u8,
    /// It ran before it became the master, as a replica.
    pub(crate) promoted: bool,
}

/// What a client says of an absent past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mode {
    Ask,
    First(u8),
    Voice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Acquire {
    pub(crate) holder: u8,
    pub(crate) first: u8,
    pub(crate) wall: u8,
    pub(crate) mode: Mode,
    /// It will wait until replicas have what it was granted.
    pub(crate) acking: bool,
    /// The flip of its own that was acknowledged; 0: none.
    pub(crate) armed: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Renew {
    pub(crate) holder: u8,
    pub(crate) slot: u8,
    pub(crate) fence: u16,
    pub(crate) wall: u8,
    pub(crate) minted: u8,
    pub(crate) till: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Release {
    pub(crate) holder: u8,
    pub(crate) slot: u8,
    pub(crate) fence: u16,
    pub(crate) horizon: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reply {
    Granted {
        slot: u8,
        fence: u16,
        floor: u8,
        horizon: u8,
        at: u8,
        /// The holder had it already.
        again: bool,
    },
    Absent(u8),
    /// The flag was flipped; ask again when that is acknowledged.
    Flipped(u8),
    /// Taken, suspect or skewed.
    Refused,
    Renewed {
        horizon: u8,
        at: u8,
    },
    Lost,
}

/// `acquire.lua`.
pub(crate) fn acquire(
    store: &mut Store,
    now: u8,
    server: Server,
    ask: &Acquire,
    slots: usize,
    numbers: &mut u8,
    rules: &Rules,
) -> Reply {
    if ask.wall.abs_diff(now) > rules.skew {
        return Reply::Refused;
    }
    let order: Vec<usize> = (0..slots)
        .map(|i| (i + usize::from(ask.first)) % slots)
        .collect();
    for &at in &order {
        let slot = &mut store.slots[at];
        if slot.lock == ask.holder && slot.fence != 0 {
            slot.horizon = slot
                .horizon
                .max(rules.next_horizon(now, ask.wall, 0, slot.floor));
            (slot.till, slot.expiry) = (now + rules.ttl, now + rules.ttl);
            return granted(at, slot, now, true);
        }
    }
    let mut free: Vec<usize> = order
        .into_iter()
        .filter(|&at| is_free(&store.slots[at], now, rules))
        .collect();
    if free.is_empty() {
        return Reply::Refused;
    }
    let floor = match history::admit(store, now, server, ask, numbers, rules) {
        Standing::Absent(token) => return Reply::Absent(token),
        Standing::Suspect => return Reply::Refused,
        Standing::Known(floor) => floor,
        Standing::Open => {
            let all = rules.acks.is_some_and(|acks| !acks.held_slots_wait);
            free.retain(|&at| all || shows_free(&store.slots[at]));
            0
        }
    };
    let near = |&&at: &&usize| store.slots[at].horizon <= now + rules.skew;
    let Some(&chosen) = free.iter().find(near).or_else(|| free.first()) else {
        return Reply::Refused;
    };
    if let Some(flipped) = history::flip(store, ask, numbers, rules) {
        return Reply::Flipped(flipped);
    }
    let slot = &mut store.slots[chosen];
    let below = if rules.horizon { slot.horizon } else { 0 };
    slot.floor = below.max(floor);
    slot.fence = (slot.fence + 1).max(u16::from(now) * 8);
    slot.horizon = slot
        .floor
        .max(rules.next_horizon(now, ask.wall, 0, slot.floor));
    slot.till = now + rules.ttl;
    (slot.lock, slot.expiry) = (ask.holder, now + rules.ttl);
    granted(chosen, slot, now, false)
}

fn granted(at: usize, slot: &Slot, now: u8, again: bool) -> Reply {
    Reply::Granted {
        slot: u8::try_from(at).expect("two slots"),
        fence: slot.fence,
        floor: slot.floor,
        horizon: slot.horizon,
        at: now,
        again,
    }
}

fn is_free(slot: &Slot, now: u8, rules: &Rules) -> bool {
    slot.lock == 0 && (slot.till <= now || !rules.till_on_record)
}

/// What the surviving copy shows as never granted or released.
fn shows_free(slot: &Slot) -> bool {
    slot.fence == 0 || slot.till == RELEASED
}

/// `renew.lua`.
pub(crate) fn renew(
    store: &mut Store,
    now: u8,
    server: Server,
    ask: &Renew,
    numbers: &mut u8,
    rules: &Rules,
) -> Reply {
    let slot = &mut store.slots[usize::from(ask.slot)];
    if rules.owner_check && slot.lock != 0 && slot.lock != ask.holder {
        return Reply::Lost;
    }
    if rules.owner_check && slot.fence > ask.fence {
        return Reply::Lost;
    }
    let forgotten = slot.fence < ask.fence;
    if forgotten && ask.till <= now {
        return Reply::Lost;
    }
    if forgotten {
        (slot.fence, slot.floor) = (ask.fence, ask.minted);
    }
    let raised = rules.next_horizon(now, ask.wall, ask.minted, 0);
    slot.horizon = slot.horizon.max(raised);
    slot.till = now + rules.ttl;
    (slot.lock, slot.expiry) = (ask.holder, now + rules.ttl);
    let horizon = slot.horizon;
    if forgotten {
        history::doubt(store, now, server, numbers, rules, false);
    }
    Reply::Renewed { horizon, at: now }
}

/// `release.lua`.
pub(crate) fn release(store: &mut Store, ask: &Release) {
    let slot = &mut store.slots[usize::from(ask.slot)];
    if (slot.lock != 0 && slot.lock != ask.holder) || slot.fence > ask.fence {
        return;
    }
    if slot.fence == ask.fence {
        slot.horizon = slot.floor.max(ask.horizon);
        slot.till = RELEASED;
    }
    (slot.lock, slot.expiry) = (0, 0);
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
        (past.till, past.open) = (0, false);
    }
}
