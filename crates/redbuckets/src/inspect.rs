//! What operators see and do: who owns which bucket, and how to drain or evict a member.
//!
//! The entry point is [`Redbuckets::inspector`](crate::Redbuckets::inspector). Nothing here is needed to own buckets.

mod reply;

#[cfg(feature = "fuzzing")]
pub(crate) use self::reply::fuzz;

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use coord_core::{
    heartbeat::Heartbeat,
    store::{Command, Reply, Script, Store, StoreError},
};

use crate::{assignment::Assignment, keys::Keys, scripts};

/// Reads one group, and asks its members to drain. From [`Redbuckets::inspector`](crate::Redbuckets::inspector).
pub struct Inspector {
    // Connections run where the heartbeat does, and end with it.
    heartbeat: Heartbeat,
    keys: Keys,
}

/// A group as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The server's clock, Unix ms.
    pub server_ms: u64,
    /// How long nothing free is granted, because the store may have forgotten owners; zero where it can vouch for its
    /// past.
    pub doubt: Duration,
    /// How many buckets the group has.
    pub buckets: u32,
    /// How they are assigned.
    pub assignment: Assignment,
    /// How often membership has changed.
    pub version: u64,
    /// How many buckets nobody owns.
    pub free: u32,
    /// How long until membership has been quiet for long enough that buckets move for balance.
    pub settles_in: Duration,
    /// The members, by number.
    pub members: Vec<MemberRecord>,
    /// Who owns what: runs of one owner that cover all buckets in their order.
    pub runs: Vec<Run>,
    /// Whether the group changed while it was read in parts, so that they need not fit each other.
    pub is_torn: bool,
}

/// What is on record of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberRecord {
    /// Its number in the group.
    pub number: u32,
    /// Its instance id.
    pub id: String,
    /// When this incarnation of it joined, by the server's clock, Unix ms.
    pub joined_ms: u64,
    /// Whether it has left and its buckets are kept for its next incarnation.
    pub is_parked: bool,
    /// Its weight; 0 while it gives everything away, or has no share yet because others died young before it came.
    pub weight: u32,
    /// Whether an operator wants it drained.
    pub is_drained: bool,
    /// How many buckets it owns.
    pub owned: u32,
    /// How many it should.
    pub quota: u32,
    /// What is left of its lease; zero where that is over.
    pub lease_left: Duration,
    /// For how long after its lease its buckets are kept for its next incarnation.
    pub grace: Duration,
    /// How many grants it has not acknowledged yet: buckets that are on their way to it.
    pub incoming: u32,
    /// Whether it and the store agree on what it owns.
    pub is_in_step: bool,
    /// What it should own, in a contiguous group.
    pub range: Option<Range<u32>>,
}

/// Neighbouring buckets of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The buckets.
    pub buckets: Range<u32>,
    /// The number of the member that owns them; `None` where nobody does.
    pub owner: Option<u32>,
}

/// What became of a request to drain a member, to take that back, or to evict one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrainOutcome {
    /// It gives its buckets away, this many, and gets no new ones.
    Draining {
        /// How many it owns now.
        owned: u32,
    },
    /// It takes its share again.
    Resumed {
        /// How many it owns now.
        owned: u32,
    },
    /// It has gone, and is not waited for any more: its buckets, this many, are free with the next heartbeat of a member.
    Evicted {
        /// How many it owned.
        owned: u32,
    },
    /// Its lease runs: nothing was changed.
    Lives {
        /// For how long, unless it renews.
        left: Duration,
    },
    /// No member has this id: nothing was changed.
    NotMember,
    /// Nobody else takes buckets, so these would be nobody's: nothing was changed.
    Last,
}

/// A group could not be read or changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The store failed, or did not answer in time.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// There is no such group.
    #[error("there is no such group")]
    Absent,
    /// A newer version of this crate has written in the group.
    #[error(
        "the group was written by a newer version of this crate (its records have version {version}, this crate knows \
         version 1); upgrade"
    )]
    NewerVersion {
        /// The version of what is on record.
        version: u64,
    },
    /// Something else lives under a key of the group.
    #[error(
        "key {key:?} holds a {found}, which is not this crate's; choose another key prefix or remove it"
    )]
    WrongType {
        /// The key.
        key: String,
        /// The type found there.
        found: String,
    },
}

impl MemberRecord {
    /// How many buckets it has above its quota: it is to give them away.
    #[must_use]
    pub const fn surplus(&self) -> u32 {
        self.owned.saturating_sub(self.quota)
    }

    /// How many buckets it lacks.
    #[must_use]
    pub const fn lack(&self) -> u32 {
        self.quota.saturating_sub(self.owned)
    }
}

impl Inspector {
    /// How many members one call of the script looks at.
    pub const MEMBERS_PAGE: u32 = 256;
    /// How many buckets one call of the script looks at.
    pub const BUCKETS_PAGE: u32 = 4_096;
    /// The longest wait for membership to become quiet that is asked for when a member is drained.
    const SETTLE_MS: u32 = 1_000;
    /// How often a group that changes is read again before it is shown as it came.
    const ATTEMPTS: u32 = 3;
    /// An operator would rather wait than hear that a busy server did not answer.
    const TIMEOUT: Duration = Duration::from_secs(2);

    pub(crate) const fn new(heartbeat: Heartbeat, keys: Keys) -> Self {
        Self { heartbeat, keys }
    }

    /// The store that is asked.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        self.heartbeat.store()
    }

    /// Reads the group, page by page; up to three times where it changes meanwhile.
    ///
    /// # Errors
    ///
    /// [`InspectError`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is changed.
    pub async fn read(&self) -> Result<Inspection, InspectError> {
        let mut attempt = 1;
        loop {
            let inspection = self.read_once().await?;
            if !inspection.is_torn || attempt == Self::ATTEMPTS {
                return Ok(inspection);
            }
            attempt += 1;
        }
    }

    /// Asks the member with this instance id to give all its buckets to the others. It is a member still and gets no new
    /// ones, until [`resume`](Self::resume) or until it leaves. One that has left for the time of its `rejoin_grace` is
    /// [evicted](Self::evict).
    ///
    /// # Errors
    ///
    /// [`InspectError`]; after a timeout it may have been asked all the same.
    ///
    /// # Cancel safety
    ///
    /// It may have been asked or not.
    pub async fn drain(&self, id: &str) -> Result<DrainOutcome, InspectError> {
        self.ask_member(id, "1").await
    }

    /// Takes a [`drain`](Self::drain) back.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    ///
    /// # Cancel safety
    ///
    /// It may have been taken back or not.
    pub async fn resume(&self, id: &str) -> Result<DrainOutcome, InspectError> {
        self.ask_member(id, "0").await
    }

    /// Gives up a member that has gone and will not come back: its buckets are not kept for its `rejoin_grace` any more.
    /// One whose lease runs is left alone; [`drain`](Self::drain) that.
    ///
    /// # Errors
    ///
    /// As for [`drain`](Self::drain).
    ///
    /// # Cancel safety
    ///
    /// It may have been evicted or not.
    pub async fn evict(&self, id: &str) -> Result<DrainOutcome, InspectError> {
        self.ask_member(id, "e").await
    }

    async fn ask_member(&self, id: &str, wanted: &str) -> Result<DrainOutcome, InspectError> {
        let settle = Self::SETTLE_MS.to_string();
        let args = vec![id.to_owned(), wanted.to_owned(), settle];
        reply::parse_drain(&self.ask(&scripts::DRAIN, args).await?)
    }

    async fn read_once(&self) -> Result<Inspection, InspectError> {
        let mut head = self.read_members(1).await?;
        let mut first = 1 + Self::MEMBERS_PAGE;
        while first <= head.highest {
            let page = self.read_members(first).await?;
            head.inspection.is_torn |= page.stamp != head.stamp;
            head.inspection.members.extend(page.inspection.members);
            first += Self::MEMBERS_PAGE;
        }
        let mut inspection = head.inspection;
        let mut bucket = 0;
        while bucket < inspection.buckets {
            let end = bucket
                .saturating_add(Self::BUCKETS_PAGE)
                .min(inspection.buckets);
            let args = vec![bucket.to_string(), end.to_string()];
            let reply = self.ask(&scripts::OWNERS, args).await?;
            let (stamp, runs) = reply::parse_owners(&reply, bucket..end)?;
            inspection.is_torn |= stamp != head.stamp;
            append(&mut inspection.runs, runs);
            bucket = end;
        }
        Ok(inspection)
    }

    async fn read_members(&self, first: u32) -> Result<reply::Head, InspectError> {
        let last = first + Self::MEMBERS_PAGE - 1;
        let args = vec![first.to_string(), last.to_string()];
        reply::parse_members(&self.ask(&scripts::MEMBERS, args).await?)
    }

    async fn ask(&self, script: &'static Script, args: Vec<String>) -> Result<Reply, StoreError> {
        let command = Command::Eval {
            script,
            keys: vec![self.keys.group()],
            args,
        };
        let mut replies = self.store().pipeline(&[command], Self::TIMEOUT).await;
        replies
            .pop()
            .unwrap_or_else(|| Err(StoreError::unexpected(script.name(), &Reply::Nil)))
    }
}

/// Joins runs that meet at the border of two pages.
fn append(runs: &mut Vec<Run>, more: Vec<Run>) {
    for run in more {
        match runs.last_mut() {
            Some(last) if last.owner == run.owner => last.buckets.end = run.buckets.end,
            _ => runs.push(run),
        }
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector")
            .field("store", self.store())
            .field("group", &self.keys.group())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_meet_at_a_border_become_one() {
        let run = |buckets, owner| Run { buckets, owner };
        let mut runs = vec![run(0..3, Some(1)), run(3..4, None)];
        append(&mut runs, vec![run(4..6, None), run(6..8, Some(1))]);
        assert_eq!(
            runs,
            [run(0..3, Some(1)), run(3..6, None), run(6..8, Some(1))]
        );
    }
}
