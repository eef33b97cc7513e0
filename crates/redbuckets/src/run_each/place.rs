//! What is to be done about one bucket: pure decisions.

use std::time::Duration;

use coord_core::clock::Instant;
use tokio::task::AbortHandle;

use crate::{guard::Bucket, membership::Phase};

/// What is known of a bucket that has, or had, a task under one grant.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) epoch: u64,
    pub(super) stage: Stage,
    pub(super) timer: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Stage {
    Running(Running),
    Failed(Failed),
    Done,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) abort: AbortHandle,
    pub(super) handle: Bucket,
    pub(super) since: Instant,
    /// Whether it has been said that the task is to end. It is started again if the bucket stays after all.
    pub(super) told: bool,
    /// How often it failed before, one time after the other.
    pub(super) failures: u32,
}

/// A task that is to be started again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failed {
    pub(super) failures: u32,
    pub(super) again_at: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    Abort,
    /// `None`: not at all.
    AbortAt(Option<Instant>),
    StartAgain {
        failures: u32,
    },
    /// What was known is of an earlier grant.
    StartAnew,
}

impl Place {
    pub(super) const fn new(epoch: u64, stage: Stage) -> Self {
        Self {
            epoch,
            stage,
            timer: None,
        }
    }

    pub(super) fn next(
        &mut self,
        now: Instant,
        standing: Option<(u64, Phase)>,
        notice: Duration,
    ) -> Next {
        let phase = standing
            .filter(|&(epoch, _)| epoch == self.epoch)
            .map(|(_, phase)| phase);
        match &mut self.stage {
            Stage::Running(running) => running.next(phase, notice),
            _ if phase.is_none() => Next::StartAnew,
            Stage::Failed(failed) if failed.again_at <= now => Next::StartAgain {
                failures: failed.failures,
            },
            Stage::Failed(_) | Stage::Done => Next::Nothing,
        }
    }
}

impl Running {
    fn next(&mut self, phase: Option<Phase>, notice: Duration) -> Next {
        self.told |= phase != Some(Phase::Active);
        match phase {
            Some(Phase::Active) if self.told => Next::AbortAt(None),
            Some(Phase::Active) => Next::Nothing,
            Some(Phase::Revoking { since, .. }) if self.handle.listens() => {
                Next::AbortAt(Some(since + notice))
            }
            Some(Phase::Revoking { .. } | Phase::Failed | Phase::Releasing) | None => Next::Abort,
        }
    }
}
