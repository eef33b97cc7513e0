//! What happens to an instance and its buckets.

use std::{fmt, sync::Arc, time::Duration};

use coord_core::{
    clock::Instant,
    event_log::{EventReader, Missed},
    store::StoreError,
};

use crate::error::JoinError;

/// Something happened. From [`Instance::events`](crate::Instance::events).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The instance is a member of its group, at first or again after a loss.
    Joined {
        /// Its id.
        instance: String,
    },
    /// A bucket is this instance's: it may be entered.
    Granted {
        /// The bucket.
        bucket: u32,
        /// The fencing token of this grant: above that of every earlier owner.
        epoch: u64,
    },
    /// A bucket is to be given away: nobody may enter it any more, and it goes when the last guard is dropped.
    Revoking {
        /// The bucket.
        bucket: u32,
        /// The grant's fencing token.
        epoch: u64,
        /// Whether guards are still there after `drain_timeout`. Said once more, then.
        overdue: bool,
    },
    /// Work in a bucket did not report progress within `progress_timeout`: it is told to end, and the bucket is handed to
    /// another member under a new epoch, whether the work ends or not.
    Stuck {
        /// The bucket.
        bucket: u32,
        /// The grant's fencing token. From now on writes under it are late.
        epoch: u64,
    },
    /// A bucket that was to be given away stays: it may be entered again.
    Kept {
        /// The bucket.
        bucket: u32,
        /// The grant's fencing token, unchanged.
        epoch: u64,
    },
    /// A bucket was given away.
    Released {
        /// The bucket.
        bucket: u32,
        /// The fencing token of the grant that ended.
        epoch: u64,
    },
    /// A bucket was lost: work in it has to stop.
    Lost {
        /// The bucket.
        bucket: u32,
        /// The fencing token of the grant that ended.
        epoch: u64,
        /// Why.
        cause: LossCause,
    },
    /// Another process has taken this instance's id: nothing is held, and nothing will be. The last event.
    Fenced {
        /// The id.
        instance: String,
    },
    /// This instance has its share again after a change of membership.
    Rebalanced {
        /// How many members the group has.
        members: u32,
        /// This instance's share.
        quota: u32,
        /// How many buckets this instance gave, lost or received.
        moved: u32,
        /// How long it took.
        took: Duration,
    },
    /// The store may have forgotten what this instance holds (failover, restart, flush), and was told anew.
    Reasserted {
        /// How many buckets are still held.
        count: u32,
    },
    /// A heartbeat failed; it is tried again until the deadline. Everything is still held.
    BeatFailed {
        /// Why.
        error: Arc<StoreError>,
        /// When everything is lost unless a heartbeat succeeds before.
        deadline: Instant,
    },
    /// Two thirds of the ttl have passed without an acknowledgement.
    AtRisk {
        /// When everything is lost unless a heartbeat succeeds before.
        deadline: Instant,
    },
    /// The instance could not become a member again after a loss; it is tried again.
    RejoinFailed {
        /// Why.
        error: Arc<JoinError>,
    },
    /// The instance has left its group. The last event.
    Left {
        /// Its id.
        instance: String,
    },
    /// This reader fell behind and missed events.
    Missed {
        /// How many.
        count: u64,
    },
}

/// Why a bucket was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossCause {
    /// No heartbeat was acknowledged before the deadline.
    Expired,
    /// Another incarnation has taken the instance's id.
    Fenced,
    /// A request of this process to join, delayed on its way, was executed after a later one.
    Overtaken,
    /// The bucket was granted to another member since.
    Superseded,
    /// The group is not the one that was joined: it was made anew with another bucket count or assignment.
    Replaced,
    /// The instance left while work in the bucket went on.
    Left,
    /// The runtime that the heartbeat ran on was shut down.
    Abandoned,
}

impl fmt::Display for LossCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "no heartbeat was acknowledged before the deadline",
            Self::Fenced => "another process has taken the instance's id",
            Self::Overtaken => "a delayed request of this process to join was executed late",
            Self::Superseded => "it was granted to another member",
            Self::Replaced => "the group was made anew with another configuration",
            Self::Left => "the instance left",
            Self::Abandoned => "the runtime of its heartbeat was shut down",
        })
    }
}

/// The events of one instance, from the moment it joined for the first reader, from the call for others.
#[derive(Debug)]
pub struct Events {
    reader: EventReader<Event>,
}

impl Events {
    pub(crate) const fn new(reader: EventReader<Event>) -> Self {
        Self { reader }
    }

    /// The next event; `None` after the last one.
    ///
    /// # Cancel safety
    ///
    /// Safe: an event is either returned or kept.
    pub async fn next(&mut self) -> Option<Event> {
        let next = self.reader.next().await?;
        Some(next.unwrap_or_else(|Missed { count }| Event::Missed { count }))
    }
}
