//! What a process of a fleet is told, and what it prints.

use serde::{Deserialize, Serialize};

/// What a process consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Role {
    /// Holders of machine IDs, which mint.
    Holders,
    /// Members of a group of buckets, which work in them.
    Workers,
}

/// The order to one process: its only argument, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// What it consists of.
    pub role: Role,
    /// What records call it; its members are `<name>.0` and so on.
    pub name: String,
    /// How many members it has.
    pub members: u32,
    /// Where the store is.
    pub url: String,
    /// The leases' ttl, ms.
    pub ttl_ms: u64,
    /// The heartbeat, or period, ms.
    pub heartbeat_ms: u64,
    /// How long an unknown past is listened to, ms.
    pub discovery_ms: u64,
    /// For holders: the largest machine ID; the smallest is 0.
    pub highest: u32,
    /// For workers: how many buckets the group has.
    pub buckets: u32,
    /// How many replicas have to have what counts.
    pub acknowledge: u32,
    /// How long one attempt to acquire lasts, ms; it is then made again.
    pub patience_ms: u64,
    /// Blocks every worker thread of the user's runtime.
    pub block: Option<Block>,
}

/// When and for how long every worker thread of the user's runtime is blocked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Block {
    /// How long after every member began to work, ms.
    pub after_ms: u64,
    /// For how long, ms.
    pub for_ms: u64,
}

impl Job {
    /// `members` holders of 0..=1023 with a ttl of 10 s and a heartbeat of 1 s.
    #[must_use]
    pub fn holders(members: u32) -> Self {
        Self {
            role: Role::Holders,
            name: String::new(),
            members,
            url: String::new(),
            ttl_ms: 10_000,
            heartbeat_ms: 1_000,
            discovery_ms: 2_500,
            highest: 1_023,
            buckets: 0,
            acknowledge: 0,
            patience_ms: 30_000,
            block: None,
        }
    }

    /// `members` workers over 1,024 buckets with a ttl of 9 s and a period of 1 s: they outlive a server that stops for
    /// 5 s, whenever their last heartbeat was.
    #[must_use]
    pub fn workers(members: u32) -> Self {
        Self {
            role: Role::Workers,
            ttl_ms: 9_000,
            buckets: 1_024,
            ..Self::holders(members)
        }
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// On the store at `url`.
    #[must_use]
    pub fn at(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }
}

/// One line of a process. Times are of the machine's boot-time clock, µs; `who` is the member's number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Line {
    /// Every member works.
    Ready {
        /// When.
        at: u64,
    },
    /// IDs were minted.
    Ids {
        /// When the last one was.
        at: u64,
        /// By whom.
        who: u32,
        /// The IDs.
        ids: Vec<u64>,
    },
    /// A holder said to be holding at both ends of a span.
    Held {
        /// Who.
        who: u32,
        /// The slot.
        slot: u32,
        /// The fence.
        fence: u64,
        /// Begin of the span.
        from: u64,
        /// End of the span.
        to: u64,
    },
    /// Work in buckets: each with its epoch, and the begin and end of a span at both ends of which it was valid.
    Visits {
        /// Who worked.
        who: u32,
        /// Bucket, epoch, begin, end.
        visits: Vec<[u64; 4]>,
    },
    /// How many buckets each member may enter.
    Owned {
        /// When.
        at: u64,
        /// By member.
        owned: Vec<u32>,
    },
    /// A heartbeat was acknowledged.
    Beat {
        /// When that was seen.
        at: u64,
        /// Whose.
        who: u32,
    },
    /// Something happened.
    Event {
        /// When.
        at: u64,
        /// To whom.
        who: u32,
        /// What: the variant of the library's event in lower case, or an act of the process itself.
        kind: String,
        /// More about it.
        detail: String,
    },
}

/// How a [`Line::Ready`] begins.
pub(super) const READY: &str = "{\"Ready\"";
/// How a [`Line::Owned`] begins.
pub(super) const OWNED: &str = "{\"Owned\"";
