//! IDs that were minted together.

use core::iter::FusedIterator;

use crate::{
    Id,
    state::{Authority, Fields, Reserved, Ticket},
};

/// IDs from [`crate::Generator::reserve`], rising. They are minted already: each is handed out by this iterator once.
#[derive(Debug)]
#[must_use = "the IDs in it are lost when it is dropped"]
pub struct IdRange {
    /// The next ID, of `run` in the same unit of time.
    id: u64,
    step: u64,
    run: u64,
    /// Where the run after that begins.
    next: Ticket,
    end: Ticket,
    authority: Authority,
    fields: Fields,
}

impl IdRange {
    pub(crate) const fn new(fields: &Fields, reserved: Reserved) -> Self {
        let mut range = Self {
            id: 0,
            step: fields.step(),
            run: 0,
            next: reserved.first,
            end: Ticket(reserved.first.0 + reserved.count),
            authority: reserved.authority,
            fields: *fields,
        };
        range.start_run();
        range
    }

    pub(crate) const fn empty(fields: &Fields) -> Self {
        Self {
            id: 0,
            step: fields.step(),
            run: 0,
            next: Ticket(0),
            end: Ticket(0),
            authority: Authority::NONE,
            fields: *fields,
        }
    }

    /// Writes all IDs, which are as many as `slots`, run by run.
    #[inline]
    pub(crate) fn write<T: From<Id>>(mut self, slots: &mut [T]) {
        let mut slots = slots;
        while self.run > 0 {
            // A run is no longer than what is left, so it fits; the minimum spares the check.
            let length = slots
                .len()
                .min(usize::try_from(self.run).unwrap_or(usize::MAX));
            let (run, rest) = slots.split_at_mut(length);
            let mut id = self.id;
            for slot in run {
                *slot = T::from(Id::from_u64(id));
                id += self.step;
            }
            slots = rest;
            self.start_run();
        }
    }

    /// Goes to the next unit of time; leaves an empty run at the end.
    const fn start_run(&mut self) {
        let unit_end = self.fields.unit_end(self.next).0;
        let end = if unit_end < self.end.0 {
            unit_end
        } else {
            self.end.0
        };
        self.run = end - self.next.0;
        if self.run > 0 {
            self.id = self.fields.id(self.next, self.authority).as_u64();
        }
        self.next = Ticket(end);
    }
}

impl Iterator for IdRange {
    type Item = Id;

    #[inline]
    fn next(&mut self) -> Option<Id> {
        if self.run == 0 {
            return None;
        }
        let id = self.id;
        self.run -= 1;
        if self.run == 0 {
            self.start_run();
        } else {
            self.id += self.step;
        }
        Some(Id::from_u64(id))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.run + (self.end.0 - self.next.0);
        // At most what a `u32` asked for.
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        (left, Some(left))
    }

    #[inline]
    fn fold<B, F: FnMut(B, Id) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        while self.run > 0 {
            let mut id = self.id;
            for _ in 0..self.run {
                folded = f(folded, Id::from_u64(id));
                id += self.step;
            }
            self.start_run();
        }
        folded
    }
}

impl ExactSizeIterator for IdRange {}

impl FusedIterator for IdRange {}
