//! Requests that are sent together, and what came back.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Instant,
    store::{Command, Reply, Store, StoreError},
};

/// Which leases are renewed together: those that wait for the same replicas and for the same time. The patience of one
/// lease counts for no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// How many replicas have to acknowledge a renewal. Without any it goes by the pipeline, else in one write with one
    /// WAIT.
    pub(super) replicas: u32,
    pub(super) patience: Duration,
    /// What leads to the server of leases that wait for replicas, as far as that is known. Replicas of one server say
    /// nothing about another's.
    pub(super) route: Option<String>,
}

/// The requests of some leases.
pub(super) struct Batch {
    pub(super) kind: Kind,
    sent: Instant,
    shares: Vec<Share>,
    /// Of all leases, in order; where replicas confirm them the renewals only.
    commands: Vec<Command>,
    /// What leases send beside renewals that replicas confirm.
    hints: Vec<Command>,
}

/// What belongs to one lease.
pub(super) struct Share {
    pub(super) id: u64,
    /// How many replies.
    pub(super) count: usize,
    /// What errors call its renewal.
    pub(super) operation: &'static str,
}

/// What became of a batch.
pub(super) struct Answers {
    pub(super) kind: Kind,
    pub(super) sent: Instant,
    pub(super) shares: Vec<Share>,
    /// Of all leases, in order.
    pub(super) replies: Vec<Result<Reply, StoreError>>,
    /// How many replicas have what the batch wrote; 0 if nobody asked.
    found: u32,
}

impl Batch {
    pub(super) const fn new(kind: Kind, sent: Instant) -> Self {
        Self {
            kind,
            sent,
            shares: Vec::new(),
            commands: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// How many leases are in it.
    pub(super) const fn len(&self) -> usize {
        self.shares.len()
    }

    /// The commands of the lease `id`.
    pub(super) fn add(&mut self, id: u64, mut commands: Vec<Command>) {
        self.shares.push(Share {
            id,
            count: commands.len(),
            operation: commands.first().map_or("renew", Command::name),
        });
        if 0 < self.kind.replicas && !commands.is_empty() {
            self.hints.extend(commands.split_off(1));
        }
        self.commands.extend(commands);
    }

    pub(super) async fn run(self, store: Arc<dyn Store>) -> Answers {
        let (replies, found) = if self.kind.replicas == 0 {
            let replies = store.pipeline(&self.commands, self.kind.patience).await;
            (replies, 0)
        } else {
            self.confirm(&*store).await
        };
        Answers {
            kind: self.kind,
            sent: self.sent,
            shares: self.shares,
            replies,
            found,
        }
    }

    /// The hints go by the pipeline, meanwhile.
    async fn confirm(&self, store: &dyn Store) -> (Vec<Result<Reply, StoreError>>, u32) {
        let (replicas, patience) = (self.kind.replicas, self.kind.patience);
        let confirm = store.confirm(&self.commands, replicas, patience);
        let hint = async {
            if self.hints.is_empty() {
                return Vec::new();
            }
            store.pipeline(&self.hints, patience).await
        };
        let (confirmed, hinted) = tokio::join!(confirm, hint);
        let (renewed, found) =
            confirmed.unwrap_or_else(|error| (vec![Err(error); self.commands.len()], 0));
        let (mut renewed, mut hinted) = (renewed.into_iter(), hinted.into_iter());
        let mut replies = Vec::new();
        for share in self.shares.iter().filter(|share| 0 < share.count) {
            let none = || Err(StoreError::unexpected(share.operation, &Reply::Nil));
            replies.push(renewed.next().unwrap_or_else(none));
            let hints = (1..share.count).map(|_| hinted.next().unwrap_or_else(none));
            replies.extend(hints);
        }
        (replies, found)
    }
}

impl Answers {
    /// Whether the server did what was asked, or said why it never will.
    pub(super) fn came(&self) -> bool {
        let passes = |error: &StoreError| error.is_transient();
        self.replies.is_empty()
            || self
                .replies
                .iter()
                .any(|reply| !reply.as_ref().is_err_and(passes))
    }

    /// What the lease of `share` lacks, if replicas were to acknowledge its renewal and too few did.
    pub(super) fn shortfall(&self, share: &Share) -> Option<StoreError> {
        let wanted = self.kind.replicas;
        (self.found < wanted).then_some(StoreError::Unacknowledged {
            operation: share.operation,
            found: self.found,
            wanted,
        })
    }
}
