//! The two words that every ID comes from.
//!
//! **`tickets`** counts: `timestamp << sequence_bits | sequence`, as one integer. A ticket is taken with one
//! `fetch_add`, so no two callers ever hold the same one, and whatever makes time pass only ever raises it.
//!
//! **`authority`** says under which machine ID tickets may become IDs, and before which timestamp (the horizon), in
//! one word shaped like an ID: `horizon << (machine_bits + sequence_bits) | machine ID in its place`. Zero: none.
//!
//! A caller loads the authority **once**, then takes a ticket, splices that word's machine ID into it, and has an ID if
//! the ticket's timestamp lies before that word's horizon. Every timestamp from the floor of a grant up to its horizon
//! belongs to its machine ID for ever once it was granted, and no ticket exists twice, so the ID is unique even if the
//! machine ID was lost, or replaced, between the two steps. Closing sets the top bit of `tickets` itself, which catches
//! a caller between them.
//!
//! **`limit`** and **`fresh_until_ns`** describe the window of tickets that may be used by the clock: below the one, until the
//! other. They only save work and keep timestamps near the clock; uniqueness does not rest on them.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{Id, Layout, sync::Word};

/// A cache line of its own. Two lines, because processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

#[derive(Debug)]
pub(crate) struct State<W = AtomicU64> {
    tickets: Line<W>,
    read_mostly: Line<ReadMostly<W>>,
}

#[derive(Debug)]
struct ReadMostly<W> {
    authority: W,
    limit: W,
    fresh_until_ns: W,
    fields: Fields,
}

/// A number from the counter. May lie beyond the layout, where the caller took it too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// Why [`State::mint`] gave no ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    /// No ticket was taken.
    Untaken,
    /// A ticket was taken for nothing.
    Wasted,
}

/// Tickets in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserved {
    pub(crate) authority: Authority,
    pub(crate) first: Ticket,
    pub(crate) count: u64,
}

/// The right to mint: a machine ID and a horizon in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority(u64);

/// What the layout means for tickets and IDs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) layout: Layout,
    sequence_bits: u32,
    timestamp_shift: u32,
    sequence_shift: u32,
    sequence_mask: u64,
    machine_mask: u64,
}

impl<W: Word> State<W> {
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            tickets: Line(W::new(0)),
            read_mostly: Line(ReadMostly {
                authority: W::new(0),
                limit: W::new(0),
                fresh_until_ns: W::new(0),
                fields: Fields::new(layout),
            }),
        }
    }

    pub(crate) const fn fields(&self) -> &Fields {
        &self.read_mostly.0.fields
    }

    /// The right to mint; must be loaded before the ticket it is used with is taken.
    #[inline]
    pub(crate) fn authority(&self) -> Option<Authority> {
        // Acquire: whoever sees a grant also sees that `tickets` was raised to its floor before.
        match self.read_mostly.0.authority.load(Ordering::Acquire) {
            0 => None,
            word => Some(Authority(word)),
        }
    }

    /// Whether `authority` is still the right to mint, and there is one.
    #[inline]
    pub(crate) fn holds(&self, authority: Authority) -> bool {
        let word = self.read_mostly.0.authority.load(Ordering::Acquire);
        word == authority.0 && word != 0
    }

    /// Mints one ID with a single read-modify-write, if nothing stands against it; takes no ticket where it can see
    /// beforehand that something does. `now_ns` is what the clock shows, since the Unix epoch.
    #[inline]
    pub(crate) fn mint(&self, now_ns: u64) -> Result<Id, Missed> {
        let line = &self.read_mostly.0;
        let word = line.authority.load(Ordering::Acquire);
        let limit = line.limit.load(Ordering::Relaxed);
        // The counter was brought up to the clock when the window was opened, so until then no ticket is stale.
        if now_ns >= line.fresh_until_ns.load(Ordering::Relaxed) {
            return Err(Missed::Untaken);
        }
        let ticket = self.tickets.0.fetch_add(1, Ordering::Relaxed);
        let id = line.fields.splice(ticket, word);
        if ticket < limit && id < word {
            Ok(Id::from_u64(id))
        } else {
            Err(Missed::Wasted)
        }
    }

    /// Takes between `least` and `most` tickets in a row, as many as the window of [`State::mint`] has; `least` must
    /// not be 0. Takes none where there are fewer.
    // Always: where it is not, a batch costs 0.15 ns an ID more (`cargo xtask bench snowflake`).
    #[inline(always)]
    pub(crate) fn reserve(&self, now_ns: u64, least: u64, most: u64) -> Option<Reserved> {
        let line = &self.read_mostly.0;
        let fields = &line.fields;
        let word = line.authority.load(Ordering::Acquire);
        let limit = line.limit.load(Ordering::Relaxed);
        let fresh_until_ns = line.fresh_until_ns.load(Ordering::Relaxed);
        let horizon = (word >> fields.timestamp_shift) << fields.sequence_bits;
        let mut start = self.tickets.0.load(Ordering::Relaxed);
        for _ in 0..EXCHANGES {
            let room = limit.min(horizon).saturating_sub(start);
            if now_ns >= fresh_until_ns || room < least {
                return None;
            }
            let count = room.min(most);
            // As in `mint`, the authority was loaded before the tickets are taken.
            match self.tickets.0.compare_exchange(
                start,
                start + count,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    return Some(Reserved {
                        authority: Authority(word),
                        first: Ticket(start),
                        count,
                    });
                }
                Err(moved) => start = moved,
            }
        }
        None
    }

    /// Takes one ticket, whatever it is. Returns it with what to make of it under `authority`.
    pub(crate) fn take(&self, authority: Authority) -> (Ticket, Option<Id>) {
        let ticket = Ticket(self.tickets.0.fetch_add(1, Ordering::Relaxed));
        (ticket, self.id(ticket, authority))
    }

    /// The ID that `ticket` stands for under an authority that was loaded before it was taken; `None` from the
    /// horizon on.
    pub(crate) fn id(&self, ticket: Ticket, authority: Authority) -> Option<Id> {
        if ticket.0 >= CLOSED {
            return None;
        }
        let id = self.fields().splice(ticket.0, authority.0);
        (id < authority.0).then_some(Id::from_u64(id))
    }

    /// The next ticket, or `None` if the generator is closed.
    pub(crate) fn peek(&self) -> Option<Ticket> {
        match self.tickets.0.load(Ordering::Acquire) {
            closed if closed >= CLOSED => None,
            next => Some(Ticket(next)),
        }
    }

    /// The last ticket before `next` that can have become an ID: those taken in vain at the end of a window have not.
    pub(crate) fn last_used(&self, next: Ticket) -> Ticket {
        let limit = self.read_mostly.0.limit.load(Ordering::Relaxed);
        Ticket(next.0.min(limit).saturating_sub(1))
    }

    /// How many tickets were taken or passed over since the beginning.
    pub(crate) fn passed(&self) -> u64 {
        self.tickets.0.load(Ordering::Relaxed) & !CLOSED
    }

    /// Raises the counter to `ticket`; returns how many tickets were passed over.
    pub(crate) fn raise(&self, ticket: Ticket) -> u64 {
        let before = self.tickets.0.fetch_max(ticket.0, Ordering::AcqRel);
        ticket.0.saturating_sub(before)
    }

    /// How many tickets are left below the limit.
    pub(crate) fn left(&self) -> u64 {
        let limit = self.read_mostly.0.limit.load(Ordering::Relaxed);
        limit.saturating_sub(self.tickets.0.load(Ordering::Relaxed))
    }

    /// Lets [`State::mint`] hand out tickets up to the end of unit `last`, until the clock shows `fresh_until_ns`.
    pub(crate) fn open_until(&self, last: u64, fresh_until_ns: u64) {
        let line = &self.read_mostly.0;
        let limit = line.fields.first(last.saturating_add(1));
        line.limit.store(limit.0, Ordering::Relaxed);
        line.fresh_until_ns.store(fresh_until_ns, Ordering::Relaxed);
    }

    /// Sends every caller of [`State::mint`] to the slow path.
    pub(crate) fn shut(&self) {
        self.read_mostly
            .0
            .fresh_until_ns
            .store(0, Ordering::Relaxed);
    }

    /// Replaces the authority; the caller has raised the counter to the grant's floor.
    pub(crate) fn publish(&self, authority: Authority) {
        self.read_mostly
            .0
            .authority
            .store(authority.0, Ordering::Release);
    }

    pub(crate) fn revoke(&self) {
        self.read_mostly.0.authority.store(0, Ordering::SeqCst);
        self.shut();
    }

    /// Ends minting for good. Every ticket below the one returned was or may have been used; none from it on ever will be.
    /// The first call's answer counts: callers that come too late still move the counter.
    pub(crate) fn close(&self) -> Ticket {
        self.revoke();
        Ticket(self.tickets.0.fetch_or(CLOSED, Ordering::AcqRel) & !CLOSED)
    }
}

impl Authority {
    /// No right at all.
    pub(crate) const NONE: Self = Self(0);
}

impl Fields {
    pub(crate) const fn new(layout: Layout) -> Self {
        Self {
            layout,
            sequence_bits: layout.sequence_bits() as u32,
            timestamp_shift: layout.timestamp_shift(),
            sequence_shift: layout.sequence_shift(),
            sequence_mask: layout.max_sequence(),
            machine_mask: (layout.max_machine_id() as u64) << layout.machine_shift(),
        }
    }

    /// The right to mint under `machine_id` timestamps below `horizon`. `machine_id` must fit the layout.
    pub(crate) fn authority(&self, machine_id: u32, horizon: u64) -> Authority {
        let horizon = horizon.min(self.end());
        let machine = u64::from(machine_id) << self.layout.machine_shift();
        Authority(horizon << self.timestamp_shift | machine)
    }

    pub(crate) const fn horizon(&self, authority: Authority) -> u64 {
        authority.0 >> self.timestamp_shift
    }

    /// The first timestamp that does not fit.
    pub(crate) const fn end(&self) -> u64 {
        self.layout.max_timestamp() + 1
    }

    /// The unit of time that a ticket belongs to.
    pub(crate) const fn unit(&self, ticket: Ticket) -> u64 {
        ticket.0 >> self.sequence_bits
    }

    /// The first ticket of a unit of time; of the first one beyond the layout, for all that are beyond it.
    pub(crate) fn first(&self, unit: u64) -> Ticket {
        Ticket(unit.min(self.end()) << self.sequence_bits)
    }

    /// All that a range of IDs needs to know.
    pub(crate) const fn shape(&self, authority: Authority) -> Shape {
        Shape {
            machine: authority.0 & self.machine_mask,
            sequence_bits: self.sequence_bits as u8,
            timestamp_shift: self.timestamp_shift as u8,
            sequence_shift: self.sequence_shift as u8,
        }
    }

    /// How many tickets a unit of time has.
    pub(crate) const fn per_unit(&self) -> u64 {
        self.sequence_mask + 1
    }

    #[inline]
    const fn splice(&self, ticket: u64, word: u64) -> u64 {
        let timestamp = (ticket >> self.sequence_bits) << self.timestamp_shift;
        let sequence = (ticket & self.sequence_mask) << self.sequence_shift;
        timestamp | sequence | (word & self.machine_mask)
    }
}

/// How tickets of one authority, taken and found valid, become IDs: small, so that a range of IDs is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    machine: u64,
    sequence_bits: u8,
    timestamp_shift: u8,
    sequence_shift: u8,
}

impl Shape {
    pub(crate) const fn id(&self, ticket: Ticket) -> Id {
        let timestamp = (ticket.0 >> self.sequence_bits) << self.timestamp_shift;
        let sequence = (ticket.0 & self.sequence_mask()) << self.sequence_shift;
        Id::from_u64(timestamp | sequence | self.machine)
    }

    /// From the ID of one ticket to that of the next in the same unit.
    pub(crate) const fn step(&self) -> u64 {
        1 << self.sequence_shift
    }

    pub(crate) const fn sequence_shift(&self) -> u8 {
        self.sequence_shift
    }

    /// The first ticket after the unit that `ticket` belongs to.
    pub(crate) const fn unit_end(&self, ticket: Ticket) -> Ticket {
        Ticket((ticket.0 | self.sequence_mask()) + 1)
    }

    const fn sequence_mask(&self) -> u64 {
        (1 << self.sequence_bits) - 1
    }
}

/// How often [`State::reserve`] tries again because others were faster.
const EXCHANGES: u32 = 1_000;

/// The top bit of the counter: no layout reaches it.
const CLOSED: u64 = 1 << 63;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
