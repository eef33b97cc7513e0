//! What goes wrong between one client and the engine.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The faults between one client and the engine; all off at first.
///
/// Clones share one switch, and so do clones of the client. Every setting may be changed at any time and counts for
/// what is sent, executed or answered from then on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    any: AtomicBool,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    request_delay: Duration,
    reply_delay: Duration,
    requests_to_drop: u64,
    replies_to_drop: u64,
    requests_cut: bool,
    replies_cut: bool,
}

impl Faults {
    /// Delays every request by this long before the engine executes it, whether the caller still waits or not: a
    /// *ghost write*. Requests with different delays may overtake each other, as those on different connections do.
    pub fn set_request_delay(&self, delay: Duration) {
        self.change(|plan| plan.request_delay = delay);
    }

    /// Delays every answer and every message of a subscription by this long.
    pub fn set_reply_delay(&self, delay: Duration) {
        self.change(|plan| plan.reply_delay = delay);
    }

    /// Loses the next `count` requests before the engine sees them; the callers get a timeout.
    pub fn drop_next_requests(&self, count: u64) {
        self.change(|plan| plan.requests_to_drop = count);
    }

    /// Executes the next `count` requests but loses the answers; the callers get a timeout.
    pub fn drop_next_replies(&self, count: u64) {
        self.change(|plan| plan.replies_to_drop = count);
    }

    /// Loses every request until [`heal`](Self::heal): a partition towards the engine.
    pub fn cut_requests(&self) {
        self.change(|plan| plan.requests_cut = true);
    }

    /// Loses every answer and every message of a subscription until [`heal`](Self::heal): a partition away from the
    /// engine.
    pub fn cut_replies(&self) {
        self.change(|plan| plan.replies_cut = true);
    }

    /// Loses everything in both directions until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.change(|plan| {
            plan.requests_cut = true;
            plan.replies_cut = true;
        });
    }

    /// Ends all faults, delays included. What is delayed already arrives when its delay ends.
    pub fn heal(&self) {
        self.change(|plan| *plan = Plan::default());
    }

    pub(super) fn any(&self) -> bool {
        self.shared.any.load(Ordering::Acquire)
    }

    /// How long the request being sent takes; `None` where it is lost.
    pub(super) fn request(&self) -> Option<Duration> {
        let mut plan = self.plan();
        if plan.requests_cut || take_one(&mut plan.requests_to_drop) {
            return None;
        }
        Some(plan.request_delay)
    }

    /// How long the answer being sent takes; `None` where it is lost.
    pub(super) fn reply(&self) -> Option<Duration> {
        let mut plan = self.plan();
        if plan.replies_cut || take_one(&mut plan.replies_to_drop) {
            return None;
        }
        Some(plan.reply_delay)
    }

    pub(super) fn replies_are_cut(&self) -> bool {
        self.any() && self.plan().replies_cut
    }

    pub(super) fn reply_delay(&self) -> Duration {
        if self.any() {
            self.plan().reply_delay
        } else {
            Duration::ZERO
        }
    }

    fn change(&self, change: impl FnOnce(&mut Plan)) {
        let mut plan = self.plan();
        change(&mut plan);
        let quiet = plan.request_delay.is_zero()
            && plan.reply_delay.is_zero()
            && plan.requests_to_drop == 0
            && plan.replies_to_drop == 0
            && !plan.requests_cut
            && !plan.replies_cut;
        self.shared.any.store(!quiet, Ordering::Release);
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.shared
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_one(count: &mut u64) -> bool {
    let some = 0 < *count;
    *count = count.saturating_sub(1);
    some
}
