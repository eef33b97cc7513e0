//! Which rules of the protocol are in force: all of them, or all but one.

/// Lengths of time in ticks, and the rules. `Rules::default()` is the protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How far a wall clock may differ from the server's.
    pub(crate) skew: u8,
    /// How long a newcomer listens.
    pub(crate) discovery: u8,
    /// What a quarantine adds to the longest ttl.
    pub(crate) bound: u8,
    /// `acquire.lua`: the next holder begins at the stored horizon.
    pub(crate) horizon: bool,
    /// `renew.lua`: a lock key that is not the holder's is not changed.
    pub(crate) owner_check: bool,
    /// `acquire.lua`: a slot whose lease on record runs is held, lock or not.
    pub(crate) till_on_record: bool,
    /// `slots.lua`, `next_horizon`: what was minted counts only as far as a tolerated clock could have shown it.
    pub(crate) cap_last: bool,
    /// `history.lua`: another server begins a quarantine.
    pub(crate) identity: Identity,
    /// `history.lua`: a claim of silence bears the store's token.
    pub(crate) token: bool,
    /// `history.lua`: a quarantine lasts as long as the longest ttl of the namespace, not that of the caller.
    pub(crate) longest: bool,
    /// `history.lua`: a client brings the longest ttl back that it was told.
    pub(crate) known: bool,
    /// `history.lua`: a renewal begins the quarantine, not only an acquisition.
    pub(crate) watch: bool,
    /// `history.lua`: the floor of a quarantine lies beyond what a replaced master may acknowledge meanwhile.
    pub(crate) floor_bound: bool,
    /// `history.lua`: a quarantine grows with a longer ttl that becomes known while it lasts.
    pub(crate) grows: bool,
    /// `history.lua`: a quarantine begins a window, and none ends while it lasts.
    pub(crate) windows_stay: bool,
    /// `history.lua`: a client listens if nobody was seen for the longest ttl.
    pub(crate) quiet: bool,
    /// `slots.lua`: each renewal continues the chain on record.
    pub(crate) chain: bool,
    /// `slots.lua`: the count in a chain's numbers tells an old record from a clone.
    pub(crate) chain_count: bool,
    /// `renew.lua`, `release.lua`: another's lock beside an older fence shows a loss.
    pub(crate) foreign: bool,
    /// `renew.lua`, `release.lua`: so does a later grant that began below the holder's horizon.
    pub(crate) began_below: bool,
    /// `release.lua`: a forgotten grant is put back although the older record shows the slot as released.
    pub(crate) puts_back: bool,
    /// `release.lua`: the horizon is lowered only to a value that the holder states.
    pub(crate) explicit: bool,
    /// `tenure.rs`: a second close reports what the first one did.
    pub(crate) close_remembers: bool,
    /// `tenure.rs`: a close counts ranges that were handed out and are not minted yet.
    pub(crate) close_counts_ranges: bool,
    /// `lease.rs`: the deadline counts from the send of the acknowledged request.
    pub(crate) deadline_from_send: bool,
    /// `lease.rs`: the deadline keeps a margin, which the slowest tolerated clock uses up.
    pub(crate) margin: bool,
    /// `lease.rs`: a holder stops at its deadline. Without, it goes on until the store tells it otherwise.
    pub(crate) local_deadline: bool,
    /// `heartbeat.rs`: what counts only once replicas have it.
    pub(crate) acknowledge: Acknowledge,
    /// Proposed: the first grant of an absent or quiet past begins above what wall clocks may have shown so far.
    pub(crate) first_floor: bool,
}

/// What tells one server from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Nothing does.
    Ignored,
    /// Its process, `run_id`.
    Process,
    /// Its process and its replication id, whatever the reason for a new one.
    Strict,
    /// As `Strict`, but a master that was never a replica may take a new replication id.
    Whole,
}

/// Which answers count only once replicas have what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledge {
    Nothing,
    Grants,
    Everything,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            skew: 1,
            discovery: 1,
            bound: 1,
            horizon: true,
            owner_check: true,
            till_on_record: true,
            cap_last: true,
            identity: Identity::Whole,
            token: true,
            longest: true,
            known: true,
            watch: true,
            floor_bound: true,
            grows: true,
            windows_stay: true,
            quiet: true,
            chain: true,
            chain_count: true,
            foreign: true,
            began_below: true,
            puts_back: true,
            explicit: true,
            close_remembers: true,
            close_counts_ranges: true,
            deadline_from_send: true,
            margin: true,
            local_deadline: true,
            acknowledge: Acknowledge::Nothing,
            first_floor: false,
        }
    }
}

impl Rules {
    /// The instant at which a holder stops that sent its last acknowledged request at `sent`: the margin and what the
    /// slowest tolerated clock loses cancel out.
    pub(crate) const fn deadline(&self, sent: u8, ttl: u8) -> u8 {
        if self.margin {
            sent + ttl
        } else {
            sent + ttl + 1
        }
    }

    /// `first_horizon` in `slots.lua`: how far a new holder may mint.
    pub(crate) fn first_horizon(&self, now: u8, wall: u8, floor: u8, ttl: u8) -> u8 {
        floor.max(wall.max(floor).min(now + self.skew) + ttl)
    }

    /// `next_horizon` in `slots.lua`: how far a holder may go on.
    pub(crate) fn next_horizon(&self, now: u8, wall: u8, last: u8, ttl: u8) -> u8 {
        let limit = now + self.skew;
        let caps = wall <= limit && self.cap_last;
        let last = if caps { last.min(limit) } else { last };
        wall.min(limit).max(last) + ttl
    }
}
