//! Which rules of the protocol are in force: all of them, or all but one.

/// Lengths of time in ticks, and the rules. `Rules::default()` is the protocol as the scripts have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// The longest ttl of the group; in the model, everybody's.
    pub(crate) ttl: u8,
    /// What a quarantine adds to it.
    pub(crate) bound: u8,
    pub(crate) discovery: u8,
    /// `history.lua`: another server begins a quarantine.
    pub(crate) quarantine: bool,
    /// `hand.lua`: a member is removed only when its lease is over.
    pub(crate) lease_check: bool,
    /// `hand.lua`: a release is verified against owner and epoch.
    pub(crate) release_check: bool,
    /// `table.lua`: every grant has a higher epoch.
    pub(crate) epochs_rise: bool,
    /// `beat.lua`: who takes an id over fences the incarnation before.
    pub(crate) fencing: bool,
    /// `membership.rs`: only a bucket in which nobody works is released.
    pub(crate) drain: bool,
    /// `lease.rs`: the deadline counts from the send of the acknowledged request.
    pub(crate) deadline_from_send: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ttl: 2,
            bound: 1,
            discovery: 1,
            quarantine: true,
            lease_check: true,
            release_check: true,
            epochs_rise: true,
            fencing: true,
            drain: true,
            deadline_from_send: true,
        }
    }
}
