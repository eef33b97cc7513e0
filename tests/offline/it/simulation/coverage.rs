//! What was broken, and whether it was broken at a moment that matters.

use std::fmt::{self, Write as _};

/// Everything that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pause,
    CutRequests,
    CutReplies,
    CutBoth,
    LostRequest,
    LostReply,
    Delay,
    ClientClock,
    Kill,
    Leave,
    Clone,
    Join,
    Down,
    SlowStore,
    Restart,
    FailOver,
    SplitBrain,
    Rewind,
    Backlog,
    EmptyRestart,
    FlushAll,
    ServerClock,
    ReplicasBehind,
    ReplicasCut,
    Eviction,
    Peer,
}

impl Kind {
    pub(super) const ALL: [Self; 26] = [
        Self::Pause,
        Self::CutRequests,
        Self::CutReplies,
        Self::CutBoth,
        Self::LostRequest,
        Self::LostReply,
        Self::Delay,
        Self::ClientClock,
        Self::Kill,
        Self::Leave,
        Self::Clone,
        Self::Join,
        Self::Down,
        Self::SlowStore,
        Self::Restart,
        Self::FailOver,
        Self::SplitBrain,
        Self::Rewind,
        Self::Backlog,
        Self::EmptyRestart,
        Self::FlushAll,
        Self::ServerClock,
        Self::ReplicasBehind,
        Self::ReplicasCut,
        Self::Eviction,
        Self::Peer,
    ];
}

/// A moment at which a fault does the most harm. It is open for one instance; a fault of the server is in it where it is
/// open for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// A request for a grant is under way, or was executed and is not answered yet.
    Granting,
    /// Something was granted and replicas have not acknowledged it yet.
    Acknowledging,
    /// A renewal is under way, or was executed and is not answered yet.
    Renewing,
    /// The last fifth of a lease that was not renewed.
    LastFifth,
    /// A lease is over, and the process does not know, or can do nothing.
    Overdue,
    /// Something is being given back: a release, a leave, a drain.
    HandOver,
    /// A newcomer listens whether there was a past, or waits for it to be over.
    Discovery,
    /// The store may have forgotten something, and waits.
    Doubt,
    /// What the server loses includes a grant.
    LostGrant,
}

impl Window {
    pub(super) const ALL: [Self; 9] = [
        Self::Granting,
        Self::Acknowledging,
        Self::Renewing,
        Self::LastFifth,
        Self::Overdue,
        Self::HandOver,
        Self::Discovery,
        Self::Doubt,
        Self::LostGrant,
    ];

    /// Whether `kind` can happen in this window at all.
    pub(super) const fn applies_to(self, kind: Kind) -> bool {
        match (self, kind) {
            // A holder is copied between two heartbeats, and its copy is heard with the next one.
            (window, Kind::Clone) => matches!(window, Self::Renewing | Self::LastFifth),
            // A replaced master has no replica to wait for.
            (Self::Acknowledging, Kind::SplitBrain) => false,
            (window, kind) => window.is_of_losses(kind),
        }
    }

    const fn is_of_losses(self, kind: Kind) -> bool {
        match self {
            Self::LostGrant => matches!(
                kind,
                Kind::FailOver
                    | Kind::SplitBrain
                    | Kind::Rewind
                    | Kind::EmptyRestart
                    | Kind::FlushAll
                    | Kind::Eviction
            ),
            _ => true,
        }
    }
}

/// A set of windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Windows(u16);

impl Windows {
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn of(window: Window) -> Self {
        Self(1 << window as u16)
    }

    #[must_use]
    pub(super) const fn with(self, window: Window, open: bool) -> Self {
        if open {
            Self(self.0 | 1 << window as u16)
        } else {
            self
        }
    }

    #[must_use]
    pub(super) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(super) const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub(super) const fn has(self, window: Window) -> bool {
        self.0 & 1 << window as u16 != 0
    }
}

const KINDS: usize = Kind::ALL.len();
const WINDOWS: usize = Window::ALL.len();

/// How often each kind happened, and how often in each window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    injected: [u64; KINDS],
    hits: [[u64; WINDOWS]; KINDS],
}

impl Coverage {
    /// One fault that is over, and the windows that were open while it lasted.
    pub(super) fn count(&mut self, kind: Kind, windows: Windows) {
        self.injected[kind as usize] += 1;
        for window in Window::ALL {
            let hit = windows.has(window) && window.applies_to(kind);
            self.hits[kind as usize][window as usize] += u64::from(hit);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for kind in 0..KINDS {
            self.injected[kind] += other.injected[kind];
            for window in 0..WINDOWS {
                self.hits[kind][window] += other.hits[kind][window];
            }
        }
    }

    pub(super) fn faults(&self) -> u64 {
        self.injected.iter().sum()
    }

    /// What never happened of what can: a kind alone, or a kind in a window.
    pub(super) fn gaps(&self, possible: impl Fn(Kind) -> bool) -> Vec<String> {
        let mut gaps = Vec::new();
        for kind in Kind::ALL.into_iter().filter(|&kind| possible(kind)) {
            if self.injected[kind as usize] == 0 {
                gaps.push(format!("{kind:?}"));
            }
            for window in Window::ALL {
                if window.applies_to(kind) && self.hits[kind as usize][window as usize] == 0 {
                    gaps.push(format!("{kind:?} in {window:?}"));
                }
            }
        }
        gaps
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = format!("{:<15}{:>10}", "fault", "injected");
        for window in Window::ALL {
            write!(line, "{:>14}", format!("{window:?}"))?;
        }
        writeln!(f, "{line}")?;
        for kind in Kind::ALL {
            let injected = self.injected[kind as usize];
            if injected == 0 {
                continue;
            }
            write!(f, "{:<15}{injected:>10}", format!("{kind:?}"))?;
            for window in Window::ALL {
                if window.applies_to(kind) {
                    write!(f, "{:>14}", self.hits[kind as usize][window as usize])?;
                } else {
                    write!(f, "{:>14}", "-")?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
