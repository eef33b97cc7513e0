//! Which work has to report progress, and when it last did.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coord_core::clock::{Clock, Instant};

use super::Shared;
use crate::protocol::Grant;

/// When a piece of work last said that it gets on.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    at_ms: Arc<AtomicU64>,
}

impl Report {
    fn new(clock: &dyn Clock) -> Self {
        let report = Self {
            at_ms: Arc::default(),
        };
        report.make(clock);
        report
    }

    pub(crate) fn make(&self, clock: &dyn Clock) {
        let now = clock.now().since_boot().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.at_ms.store(now, Ordering::Relaxed);
    }

    fn made_at(&self) -> Instant {
        Instant::from_boot(Duration::from_millis(self.at_ms.load(Ordering::Relaxed)))
    }
}

/// A piece of work that has to report. Ends with its guard.
#[derive(Debug)]
pub(crate) struct Watched {
    number: u64,
    pub(crate) report: Report,
}

#[derive(Debug, Default)]
pub(super) struct Reports {
    next: u64,
    expected: BTreeMap<u64, (Grant, Report)>,
}

impl Reports {
    pub(super) fn forget(&mut self, watched: &Watched) {
        self.expected.remove(&watched.number);
    }

    /// The grants of work that last reported before `since`.
    fn late(&self, since: Instant) -> Vec<Grant> {
        let late = self.expected.values();
        late.filter(|(_, report)| report.made_at() < since)
            .map(|&(grant, _)| grant)
            .collect()
    }
}

impl Shared {
    /// Work that begins under a grant has to report from now on, where that is wanted.
    pub(crate) fn watch(&self, grant: Grant) -> Option<Watched> {
        let mut state = self.state();
        state.membership.progress_timeout()?;
        let (number, report) = (state.reports.next, Report::new(&*self.clock));
        state.reports.next += 1;
        let expected = &mut state.reports.expected;
        expected.insert(number, (grant, report.clone()));
        Some(Watched { number, report })
    }

    /// What has not reported in time counts as failed.
    pub(crate) fn fail_stuck(&self) {
        let now = self.clock.now();
        let late = {
            let state = self.state();
            let Some(timeout) = state.membership.progress_timeout() else {
                return;
            };
            let since = now.since_boot().saturating_sub(timeout);
            state.reports.late(Instant::from_boot(since))
        };
        for grant in late {
            self.change(|membership| membership.fail(grant));
        }
    }
}
