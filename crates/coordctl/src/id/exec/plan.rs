//! When a program is told to end, and when it is killed: pure decisions.

use std::time::Duration;

use coord_core::clock::Instant;
use nix::sys::signal::Signal;

use crate::{time, values::OnLost};

/// What was chosen, checked against the ttl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    on_lost: OnLost,
    grace: Duration,
    margin: Duration,
}

/// Something to do to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Send it this signal.
    Tell(Signal),
    /// Send it `SIGKILL`.
    Kill,
}

impl Plan {
    /// The most that a program that was told to end may take: with it, nobody is told before the lease is at risk.
    fn longest_grace(ttl: Duration) -> Duration {
        ttl / 7
    }

    pub(super) fn new(
        ttl: Duration,
        on_lost: OnLost,
        grace: Option<Duration>,
    ) -> Result<Self, String> {
        let limit = Self::longest_grace(ttl);
        if let Some(grace) = grace.filter(|&grace| limit < grace) {
            return Err(format!(
                "grace of {} does not fit a ttl of {}: the limit is {}, a seventh of the ttl; lengthen the ttl or shorten the \
                 grace",
                time::span(grace),
                time::span(ttl),
                time::span(limit)
            ));
        }
        let grace = match on_lost {
            OnLost::Kill => Duration::ZERO,
            _ => grace.unwrap_or_else(|| limit.min(DEFAULT_GRACE)),
        };
        Ok(Self {
            on_lost,
            grace,
            // For the kernel to end what is killed, and for this process to be late on a busy machine. Where clocks are
            // not slewed, the deadline itself leaves twelve times as much.
            margin: ttl / 80,
        })
    }
}

/// Follows the deadline of one lease.
#[derive(Debug)]
pub(super) struct Guard {
    plan: Plan,
    /// The last one that counted.
    deadline: Instant,
    is_lost: bool,
    /// When the program itself did; others of its group may be at work.
    ended_at: Option<Instant>,
    told_at: Option<Instant>,
    done_at: Option<Instant>,
    ends_for_loss: bool,
}

impl Guard {
    pub(super) const fn new(plan: Plan, deadline: Instant) -> Self {
        Self {
            plan,
            deadline,
            is_lost: false,
            ended_at: None,
            told_at: None,
            done_at: None,
            ends_for_loss: false,
        }
    }

    /// A renewal was acknowledged, or not: deadlines only move on.
    pub(super) fn handle_deadline(&mut self, deadline: Instant) {
        self.deadline = self.deadline.max(deadline);
    }

    /// The lease is over: the server says so, or the deadline has passed.
    pub(super) const fn handle_lost(&mut self) {
        self.is_lost = true;
    }

    /// The program has ended by itself or as it was told. What is left of its group is to follow before the machine ID is free.
    pub(super) const fn handle_end(&mut self, now: Instant) {
        if self.ended_at.is_none() {
            self.ended_at = Some(now);
            if !self.ends_for_loss {
                self.told_at = None;
                self.done_at = None;
            }
        }
    }

    /// What is to be done now; asked again until it is nothing.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Act> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let is_first = self.told_at.is_none();
        self.told_at.get_or_insert(now);
        let action = self.action();
        self.ends_for_loss |=
            self.ended_at.is_none() && matches!(action, OnLost::Term | OnLost::Kill);
        if action != OnLost::Term || !is_first {
            self.done_at = Some(now);
        }
        match action {
            OnLost::Term if is_first => Some(Act::Tell(Signal::SIGTERM)),
            OnLost::Signal(signal) => Some(Act::Tell(signal)),
            OnLost::Term | OnLost::Kill => Some(Act::Kill),
            OnLost::Ignore => None,
        }
    }

    /// How long nothing is to be done, as far as is known; short enough that a machine that slept is noticed.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let left = self.due().map(|due| due.saturating_since(now));
        left.map_or(LONGEST_PAUSE, |left| left.min(LONGEST_PAUSE))
    }

    /// Whether the program was made to end because of the lease, or was to be.
    pub(super) const fn ends_for_loss(&self) -> bool {
        self.ends_for_loss
    }

    /// Whether what is left of the group was killed and has had its time to be gone.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let killed_at = self.done_at.filter(|_| self.ended_at.is_some());
        killed_at.is_some_and(|at| at + LAST_BREATH <= now)
    }

    /// What was chosen is for the program. What it leaves behind ends in any case.
    fn action(&self) -> OnLost {
        match self.plan.on_lost {
            OnLost::Signal(_) | OnLost::Ignore if self.ended_at.is_some() => OnLost::Term,
            chosen => chosen,
        }
    }

    fn due(&self) -> Option<Instant> {
        let latest = self.deadline - self.plan.margin;
        match (self.told_at, self.ended_at) {
            _ if self.done_at.is_some() || self.action() == OnLost::Ignore => None,
            (None, _) if self.is_lost => Some(Instant::from_boot(Duration::ZERO)),
            (None, Some(ended_at)) => Some(latest.min(ended_at + MOMENT)),
            (None, None) => Some(latest - self.plan.grace),
            (Some(told_at), ended_at) if self.is_lost || ended_at.is_some() => {
                Some(latest.min(told_at + self.plan.grace))
            }
            (Some(_), _) => Some(latest),
        }
    }
}

const DEFAULT_GRACE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// What ends together with the program is not left behind.
const MOMENT: Duration = Duration::from_millis(100);
/// How long the kernel may take with what was killed before it is no longer waited for.
const LAST_BREATH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use coord_core::lease::Timing;
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(70);

    fn at(ms: u64) -> Instant {
        Instant::from_boot(Duration::from_millis(ms))
    }

    fn guard(on_lost: OnLost) -> Guard {
        let plan = Plan::new(TTL, on_lost, None).expect("valid");
        Guard::new(plan, at(59_228))
    }

    #[test]
    fn the_program_is_told_one_grace_before_it_is_killed() {
        let mut guard = guard(OnLost::Term);
        assert_eq!(guard.poll(at(48_352)), None);
        assert_eq!(guard.poll(at(48_353)), Some(Act::Tell(Signal::SIGTERM)));
        assert_eq!(guard.poll(at(58_352)), None);
        assert_eq!(guard.poll(at(58_353)), Some(Act::Kill));
        assert_eq!(guard.poll(at(99_999)), None);
        assert!(guard.ends_for_loss());
    }

    #[test]
    fn a_renewal_puts_everything_off() {
        let mut guard = guard(OnLost::Term);
        guard.handle_deadline(at(69_228));
        assert_eq!(guard.poll(at(58_352)), None);
        guard.handle_deadline(at(1));
        assert_eq!(guard.poll(at(58_352)), None, "a deadline never moves back");
        assert!(!guard.ends_for_loss());
    }

    #[test]
    fn a_told_program_is_killed_only_when_its_deadline_comes() {
        let mut guard = guard(OnLost::Term);
        assert!(guard.poll(at(58_000)).is_some());
        guard.handle_deadline(at(109_228));
        assert_eq!(guard.poll(at(60_000)), None);
        assert_eq!(guard.poll(at(108_353)), Some(Act::Kill));
    }

    #[test]
    fn what_is_anothers_is_told_at_once_and_gets_its_grace() {
        let mut guard = guard(OnLost::Term);
        guard.handle_lost();
        assert_eq!(guard.poll(at(1_000)), Some(Act::Tell(Signal::SIGTERM)));
        assert_eq!(guard.poll(at(10_999)), None);
        assert_eq!(guard.poll(at(11_000)), Some(Act::Kill));
    }

    #[test]
    fn after_a_pause_past_the_deadline_nothing_is_waited_for() {
        let mut guard = guard(OnLost::Term);
        guard.handle_lost();
        assert!(guard.poll(at(80_000)).is_some());
        assert_eq!(guard.poll(at(80_000)), Some(Act::Kill));
    }

    #[test]
    fn other_choices_do_one_thing_or_nothing() {
        let mut kill = guard(OnLost::Kill);
        assert_eq!(kill.poll(at(58_352)), None);
        assert_eq!(kill.poll(at(58_353)), Some(Act::Kill));
        assert_eq!(kill.poll(at(99_999)), None);
        let mut told = guard(OnLost::Signal(Signal::SIGUSR1));
        assert_eq!(told.poll(at(48_353)), Some(Act::Tell(Signal::SIGUSR1)));
        assert_eq!(told.poll(at(99_999)), None);
        assert!(!told.ends_for_loss());
        let mut ignored = guard(OnLost::Ignore);
        ignored.handle_lost();
        assert_eq!(ignored.poll(at(99_999)), None);
    }

    #[test]
    fn what_a_program_leaves_behind_ends_whatever_was_chosen() {
        for on_lost in [
            OnLost::Term,
            OnLost::Signal(Signal::SIGUSR1),
            OnLost::Ignore,
        ] {
            let mut guard = guard(on_lost);
            guard.handle_end(at(900));
            assert_eq!(guard.poll(at(999)), None);
            assert_eq!(guard.poll(at(1_000)), Some(Act::Tell(Signal::SIGTERM)));
            guard.handle_end(at(2_000));
            assert_eq!(guard.poll(at(10_999)), None, "{on_lost:?} has its grace");
            assert_eq!(guard.poll(at(11_000)), Some(Act::Kill));
            assert!(!guard.is_over(at(11_999)) && guard.is_over(at(12_000)));
            assert!(!guard.ends_for_loss(), "the program ended by itself");
        }
        let mut kill = guard(OnLost::Kill);
        kill.handle_end(at(900));
        assert_eq!(kill.poll(at(1_000)), Some(Act::Kill));
    }

    #[test]
    fn what_is_left_of_a_group_that_was_told_has_the_rest_of_the_grace() {
        let mut guard = guard(OnLost::Term);
        assert!(guard.poll(at(48_353)).is_some());
        guard.handle_end(at(57_000));
        assert_eq!(guard.poll(at(58_352)), None, "it is not told twice");
        assert_eq!(guard.poll(at(58_353)), Some(Act::Kill));
        assert!(guard.ends_for_loss());
    }

    #[test]
    fn what_is_left_behind_does_not_outlive_the_lease() {
        let mut guard = guard(OnLost::Ignore);
        guard.handle_end(at(49_000));
        assert!(guard.poll(at(50_000)).is_some());
        assert_eq!(guard.poll(at(58_352)), None);
        assert_eq!(guard.poll(at(58_353)), Some(Act::Kill));
    }

    #[test]
    fn a_grace_that_does_not_fit_is_refused() {
        let plan = |grace| Plan::new(TTL, OnLost::Term, Some(Duration::from_secs(grace)));
        assert!(plan(10).is_ok());
        let error = plan(11).expect_err("too long");
        assert!(
            error.contains("11.0s") && error.contains("10.0s"),
            "{error}"
        );
    }

    proptest! {
        /// For every ttl: told only once the lease is at risk, dead before the deadline, which lies before the server's.
        #[test]
        fn the_program_is_gone_before_another_starts(ttl_ms in 30_u64..=3_600_000, sent in 0_u64..1_000_000) {
            let ttl = Duration::from_millis(ttl_ms);
            let timing = Timing::new(ttl, Duration::from_millis(10)).expect("valid");
            let deadline = timing.deadline(at(sent));
            let longest = Plan::longest_grace(ttl);
            for grace in [None, Some(Duration::ZERO), Some(longest)] {
                let plan = Plan::new(ttl, OnLost::Term, grace).expect("valid");
                let mut guard = Guard::new(plan, deadline);
                let told_at = guard.due().expect("something is planned");
                // The deadline's own margin of 2 ms weighs on the shortest leases.
                prop_assert!(at(sent) + ttl * 2 / 3 <= told_at + Duration::from_millis(2));
                prop_assert!(guard.poll(told_at).is_some());
                let killed_at = guard.due().expect("something is planned");
                prop_assert!(killed_at < deadline && deadline < at(sent) + ttl);
                prop_assert_eq!(guard.poll(killed_at), Some(Act::Kill));
            }
        }
    }
}
