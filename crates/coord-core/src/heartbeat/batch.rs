//! Requests that are sent together, and what came back.

use std::{sync::Arc, time::Duration};

use super::Heartbeat;
use crate::{
    clock::Instant,
    store::{Command, Reply, Store, StoreError},
};

/// Which leases are renewed together. There is one batch of each kind under way at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// In one pipeline, which waits for no replica.
    Shared,
    /// In one write with one WAIT, so that all of them wait for the same replicas and for the same time.
    Confirmed {
        replicas: u32,
        patience: Duration,
        /// What leads to their server, as far as that is known. Replicas of one server say nothing about another's.
        route: Option<String>,
    },
}

/// The requests of some leases.
pub(super) struct Batch {
    pub(super) kind: Kind,
    sent: Instant,
    patience: Duration,
    shares: Vec<Share>,
    /// Of all leases, in order; in a confirmed batch the renewals only.
    commands: Vec<Command>,
    /// What the leases of a confirmed batch send beside their renewals.
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
        let patience = match &kind {
            Kind::Shared => Heartbeat::RESPONSE_TIMEOUT,
            Kind::Confirmed { patience, .. } => *patience,
        };
        Self {
            kind,
            sent,
            patience,
            shares: Vec::new(),
            commands: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// The commands of the lease `id`, which waits for an answer for no longer than `patience`.
    pub(super) fn add(&mut self, id: u64, mut commands: Vec<Command>, patience: Duration) {
        self.shares.push(Share {
            id,
            count: commands.len(),
            operation: commands.first().map_or("renew", Command::name),
        });
        self.patience = self.patience.min(patience);
        if self.kind != Kind::Shared && !commands.is_empty() {
            self.hints.extend(commands.split_off(1));
        }
        self.commands.extend(commands);
    }

    pub(super) async fn run(self, store: Arc<dyn Store>) -> Answers {
        let (replies, found) = match self.kind {
            Kind::Shared => (store.pipeline(&self.commands, self.patience).await, 0),
            Kind::Confirmed { replicas, .. } => self.confirm(&*store, replicas).await,
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
    async fn confirm(
        &self,
        store: &dyn Store,
        replicas: u32,
    ) -> (Vec<Result<Reply, StoreError>>, u32) {
        let confirm = store.confirm(&self.commands, replicas, self.patience);
        let hint = async {
            if self.hints.is_empty() {
                return Vec::new();
            }
            store.pipeline(&self.hints, self.patience).await
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
    /// What the lease of `share` lacks, if replicas were to acknowledge its renewal and too few did.
    pub(super) fn shortfall(&self, share: &Share) -> Option<StoreError> {
        let Kind::Confirmed { replicas, .. } = self.kind else {
            return None;
        };
        (self.found < replicas).then_some(StoreError::Unacknowledged {
            operation: share.operation,
            found: self.found,
            wanted: replicas,
        })
    }
}
