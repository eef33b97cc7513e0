//! What is wrong with a layout.

use core::time::Duration;

use thiserror::Error;

/// What is wrong with a [`Layout`](super::Layout), or with a value that does not fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The fields together are wider than a positive `i64`.
    #[error("{timestamp} + {machine} + {sequence} bits are {total}, but an ID has at most 63; make a field narrower", total = u16::from(*.timestamp) + u16::from(*.machine) + u16::from(*.sequence))]
    TooWide {
        /// Bits of the timestamp.
        timestamp: u8,
        /// Bits of the machine ID.
        machine: u8,
        /// Bits of the sequence number.
        sequence: u8,
    },
    /// A field's width is outside its range.
    #[error("{bits} bits for the {field} are outside {min}..={max}")]
    FieldWidth {
        /// Which field.
        field: &'static str,
        /// Its width in bits.
        bits: u8,
        /// The smallest width allowed.
        min: u8,
        /// The largest width allowed.
        max: u8,
    },
    /// The unit of time is not a whole number of milliseconds from 1 ms to 1 h.
    #[error("a unit of {unit:?} is not a whole number of milliseconds from 1 ms to 1 h")]
    Unit {
        /// The unit that was asked for.
        unit: Duration,
    },
    /// The epoch lies so far in the future that timestamps would overflow.
    #[error(
        "an epoch of {epoch_ms} ms is beyond the {max_ms} ms that 64-bit times can hold; give milliseconds since 1970"
    )]
    EpochTooLarge {
        /// The epoch, in milliseconds since the Unix epoch.
        epoch_ms: u64,
        /// The largest epoch allowed.
        max_ms: u64,
    },
    /// The epoch lies in the years from 1970 to 1973: most likely it was given in seconds.
    #[error(
        "an epoch of {epoch_ms} ms is before March 1973; if it was meant in seconds, multiply it by 1000: {} ms", .epoch_ms * 1_000
    )]
    EpochInSeconds {
        /// The epoch, in milliseconds since the Unix epoch.
        epoch_ms: u64,
    },
    /// The timestamps of the layout have ended, so nothing can be minted any more.
    #[error(
        "the layout's timestamps ended at {ended_ms} ms, and it is {now_ms} ms; move to a wider layout or a later epoch, or set the clock"
    )]
    Ended {
        /// The first millisecond since the Unix epoch that does not fit.
        ended_ms: u64,
        /// The wall clock, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// The epoch is later than now, so nothing can be minted yet.
    #[error(
        "the epoch of {epoch_ms} ms is later than the clock's {now_ms} ms; choose one in the past or set the clock"
    )]
    EpochInFuture {
        /// The epoch, in milliseconds since the Unix epoch.
        epoch_ms: u64,
        /// The wall clock, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// The machine ID does not fit.
    #[error(
        "machine ID {machine_id} does not fit the layout, whose largest is {max}; narrow the range or widen the field"
    )]
    MachineId {
        /// The machine ID.
        machine_id: u32,
        /// The largest one that fits.
        max: u32,
    },
    /// The timestamp does not fit.
    #[error("timestamp {timestamp} does not fit the layout, whose largest is {max}")]
    Timestamp {
        /// Units of time since the epoch.
        timestamp: u64,
        /// The largest number that fits.
        max: u64,
    },
    /// The sequence number does not fit.
    #[error("sequence number {sequence} does not fit the layout, whose largest is {max}")]
    Sequence {
        /// The sequence number.
        sequence: u64,
        /// The largest one that fits.
        max: u64,
    },
    /// A span of time ends before it begins.
    #[error("the span ends where it begins, or before")]
    EmptySpan,
    /// A time lies before the layout's epoch.
    #[error("{unix_ms} ms lies before the layout's epoch of {epoch_ms} ms")]
    BeforeEpoch {
        /// The time, in milliseconds since the Unix epoch.
        unix_ms: u64,
        /// The epoch, in milliseconds since the Unix epoch.
        epoch_ms: u64,
    },
}
