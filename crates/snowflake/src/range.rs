//! IDs that were minted together.

use core::iter::FusedIterator;

use crate::{
    Id,
    state::{Authority, Fields, Reserved, Shape, Ticket},
};

/// IDs from [`crate::Generator::reserve`], rising. They are minted already: each is handed out by this iterator once.
#[derive(Debug)]
#[must_use = "the IDs in it are lost when it is dropped"]
pub struct IdRange {
    /// The next ID, unless it is `run_end`.
    id: u64,
    /// One step past the last ID of the same unit of time.
    run_end: u64,
    step: u64,
    /// Where the next run begins.
    next: Ticket,
    end: Ticket,
    shape: Shape,
}

impl IdRange {
    pub(crate) const fn new(fields: &Fields, reserved: Reserved) -> Self {
        let mut range = Self {
            id: 0,
            run_end: 0,
            step: 0,
            next: reserved.first,
            end: Ticket(reserved.first.0 + reserved.count),
            shape: fields.shape(reserved.authority),
        };
        range.step = range.shape.step();
        range.start_run();
        range
    }

    pub(crate) const fn empty(fields: &Fields) -> Self {
        let nothing = Reserved {
            authority: Authority::NONE,
            first: Ticket(0),
            count: 0,
        };
        Self::new(fields, nothing)
    }

    /// Writes all IDs, which are as many as `slots`, run by run.
    #[inline]
    pub(crate) fn write<T: From<Id>>(mut self, slots: &mut [T]) {
        let mut slots = slots;
        while self.id != self.run_end {
            // A run is no longer than what is left, so it fits; the minimum spares the check.
            let length = slots.len().min(self.run_length());
            let (run, rest) = slots.split_at_mut(length);
            let (mut id, step) = (self.id, self.step);
            for slot in run {
                *slot = T::from(Id::from_u64(id));
                id += step;
            }
            slots = rest;
            self.start_run();
        }
    }

    fn run_length(&self) -> usize {
        let length = (self.run_end - self.id) >> self.shape.sequence_shift();
        // At most what a `u32` asked for.
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    /// Goes to the next unit of time; leaves an empty run at the end.
    const fn start_run(&mut self) {
        let unit_end = self.shape.unit_end(self.next).0;
        let end = if unit_end < self.end.0 {
            unit_end
        } else {
            self.end.0
        };
        self.id = self.shape.id(self.next).as_u64();
        self.run_end = self.id + (end - self.next.0) * self.step;
        self.next = Ticket(end);
    }
}

impl Iterator for IdRange {
    type Item = Id;

    #[inline]
    fn next(&mut self) -> Option<Id> {
        if self.id == self.run_end {
            if self.next == self.end {
                return None;
            }
            self.start_run();
        }
        let id = self.id;
        self.id += self.step;
        Some(Id::from_u64(id))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = usize::try_from(self.end.0 - self.next.0).unwrap_or(usize::MAX);
        let left = self.run_length().saturating_add(rest);
        (left, Some(left))
    }

    #[inline]
    fn fold<B, F: FnMut(B, Id) -> B>(mut self, init: B, mut f: F) -> B {
        let mut folded = init;
        while self.id != self.run_end {
            let (mut id, step) = (self.id, self.step);
            for _ in 0..self.run_length() {
                folded = f(folded, Id::from_u64(id));
                id += step;
            }
            self.start_run();
        }
        folded
    }
}

impl ExactSizeIterator for IdRange {}

impl FusedIterator for IdRange {}
