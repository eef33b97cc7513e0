//! Which machine IDs have a generator in this process.

use std::{
    collections::HashMap,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{Layout, state::Ticket};

/// A machine ID of a layout, for one generator. Ends when it is released.
#[derive(Debug)]
pub(crate) struct Claim {
    key: (Layout, u32),
    /// A claim ends once: by then a successor may have made its own.
    ended: AtomicBool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    live: bool,
    /// What the last generator would have used next: a successor in this process begins there.
    next: u64,
}

static CLAIMS: LazyLock<Mutex<HashMap<(Layout, u32), Entry>>> = LazyLock::new(Mutex::default);

impl Claim {
    /// Claims a machine ID, and says from which ticket on it may be used. `None` if another generator has it.
    pub(crate) fn new(layout: Layout, machine_id: u32) -> Option<(Self, Ticket)> {
        let key = (layout, machine_id);
        let mut claims = claims();
        let entry = claims.entry(key).or_default();
        if entry.live {
            return None;
        }
        entry.live = true;
        let claim = Self {
            key,
            ended: AtomicBool::new(false),
        };
        Some((claim, Ticket(entry.next)))
    }

    /// Ends the claim; `next` is what its generator would have used next.
    pub(crate) fn release(&self, next: Ticket) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(entry) = claims().get_mut(&self.key) {
            entry.live = false;
            entry.next = entry.next.max(next.0);
        }
    }
}

fn claims() -> MutexGuard<'static, HashMap<(Layout, u32), Entry>> {
    CLAIMS.lock().unwrap_or_else(PoisonError::into_inner)
}
