//! Which rules of the protocol are in force: all of them, or all but one.

/// Lengths of time in ticks, and the rules. `Rules::default()` is the protocol as the scripts have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) ttl: u8,
    /// How far a wall clock may differ from the server's.
    pub(crate) skew: u8,
    /// How long a newcomer listens where there is no past.
    pub(crate) discovery: u8,
    /// `acquire.lua`: the next holder begins at the stored horizon.
    pub(crate) horizon: bool,
    /// `renew.lua`: a lock key that is not the holder's is not changed.
    pub(crate) owner_check: bool,
    /// `history.lua`: another server identity puts the past in doubt.
    pub(crate) quarantine: bool,
    /// `history.lua`: a claim of first use bears the store's token.
    pub(crate) token: bool,
    /// `acquire.lua`: a slot whose lease on record runs is held, lock or not.
    pub(crate) till_on_record: bool,
    /// `lease.rs`: the deadline counts from the send of the acknowledged request.
    pub(crate) deadline_from_send: bool,
    /// `lease.rs`: the deadline keeps a margin, which the slowest tolerated clock uses up.
    pub(crate) margin: bool,
    /// `lease.rs`: a holder stops at its deadline. Without, it goes on until the store tells it otherwise, as after a
    /// pause that its clock did not count.
    pub(crate) local_deadline: bool,
    /// Proposed: nothing takes a horizon further ahead than a tolerated clock would, not what was minted, nor the floor.
    pub(crate) horizon_capped: bool,
    /// Proposed: the first grant of an absent past begins above what wall clocks may have shown so far.
    pub(crate) first_floor: bool,
    /// Extension: grants that replicas acknowledged before they took effect.
    pub(crate) acks: Option<Acks>,
}

/// The rules of an acknowledged history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acks {
    /// After a failover, slots that the surviving copy shows as held wait for a ttl.
    pub(crate) held_slots_wait: bool,
    /// Every replica has to acknowledge, not just one.
    pub(crate) all_replicas: bool,
    /// A grant that is asked for again waits like a new one, where no replica is connected any more as well.
    pub(crate) repeats_wait: bool,
    /// A client that does not wait for acknowledgements flips the flag before its first grant.
    pub(crate) flag: bool,
    /// It waits until its own flip, known by its number, is acknowledged, whoever flipped the flag before.
    pub(crate) own_flip: bool,
    /// Its grant names that flip, and is refused where the flag was flipped back since.
    pub(crate) flip_numbered: bool,
    /// A past that was put in doubt, or made anew, counts as flipped: it has to be acknowledged as such, too.
    pub(crate) lapses_numbered: bool,
    /// A past in doubt is not acknowledged, until a grant after the doubt is.
    pub(crate) doubt_clears: bool,
    /// Which servers may grant at once what their copy shows as free.
    pub(crate) heirs: Heirs,
}

/// Where a server has its copy from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heirs {
    /// From anywhere.
    Any,
    /// It ran before it became the master, so not from its own disk.
    Promoted,
    /// Besides, the master before it is the one on record, so nobody in between had it from disk.
    Direct,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ttl: 2,
            skew: 1,
            discovery: 1,
            horizon: true,
            owner_check: true,
            quarantine: true,
            token: true,
            till_on_record: true,
            deadline_from_send: true,
            margin: true,
            local_deadline: true,
            horizon_capped: false,
            first_floor: false,
            acks: None,
        }
    }
}

impl Rules {
    /// The instant at which a holder stops that sent its last acknowledged request at `sent`: the margin and what the
    /// slowest tolerated clock loses cancel out.
    pub(crate) const fn deadline(&self, sent: u8) -> u8 {
        if self.margin {
            sent + self.ttl
        } else {
            sent + self.ttl + 1
        }
    }

    /// `next_horizon` in `shared.lua`: how far a holder may mint.
    pub(crate) fn next_horizon(&self, now: u8, wall: u8, minted: u8, floor: u8) -> u8 {
        let most = now + self.skew;
        let base = wall.min(most).max(minted).max(floor);
        if self.horizon_capped {
            base.min(most) + self.ttl
        } else {
            base + self.ttl
        }
    }
}

impl Default for Acks {
    fn default() -> Self {
        Self {
            held_slots_wait: true,
            all_replicas: true,
            repeats_wait: true,
            flag: true,
            own_flip: true,
            flip_numbered: true,
            lapses_numbered: true,
            doubt_clears: true,
            heirs: Heirs::Direct,
        }
    }
}
