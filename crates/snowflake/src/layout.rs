//! Which bits of an ID say what.

use core::{fmt, num::NonZeroU32, time::Duration};

use crate::Id;

mod error;
mod query;

pub use error::LayoutError;

/// How an [`Id`] is divided into a timestamp, a machine ID and a sequence number.
///
/// The timestamp always leads, or IDs would not sort by time. [`FieldOrder`] says which of the other two follows.
/// At most 63 bits are used, so that every ID fits a signed `BIGINT`.
///
/// The default is [`Layout::TWITTER`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    timestamp_bits: u8,
    machine_bits: u8,
    sequence_bits: u8,
    order: FieldOrder,
    unit_ms: NonZeroU32,
    epoch_ms: u64,
}

/// The order of an ID's fields, from the most significant bit down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FieldOrder {
    /// Timestamp, machine ID, sequence: what Twitter, Discord and Instagram use, and the default.
    #[default]
    TimestampMachineSequence,
    /// Timestamp, sequence, machine ID: what Sonyflake uses. IDs of one unit of time then sort by sequence first.
    TimestampSequenceMachine,
}

/// An ID taken apart by [`Layout::decode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Parts {
    /// Units of time since the layout's epoch.
    pub timestamp: u64,
    /// When that unit of time began, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// The machine ID.
    pub machine_id: u32,
    /// The sequence number within the unit of time.
    pub sequence: u64,
}

impl Layout {
    /// Twitter's: 41 bits of milliseconds since 2010-11-04T01:42:54.657Z, 10 of machine ID, 12 of sequence. The
    /// default. Lasts until July 2080.
    pub const TWITTER: Self = Self::preset(41, 10, 12, 1, 1_288_834_974_657);

    /// Discord's: as Twitter's, but since 2015-01-01T00:00:00Z. Discord's worker and process IDs together are the
    /// machine ID. Discord counts a 42nd timestamp bit, the sign of an `i64`, which is unused until September 2084.
    pub const DISCORD: Self = Self::preset(41, 10, 12, 1, 1_420_070_400_000);

    /// Instagram's: milliseconds since 2011-08-24T21:07:01.721Z, 13 bits of shard ID, 10 of sequence. Instagram counts
    /// a 41st timestamp bit, the sign of an `i64`, which is unused until June 2046.
    pub const INSTAGRAM: Self = Self::preset(40, 13, 10, 1, 1_314_220_021_721);

    /// Sonyflake's: 39 bits of 10 ms since 2014-09-01T00:00:00Z, then 8 of sequence, then 16 of machine ID. Lasts
    /// until November 2188. Sonyflake's version 2 begins at 2025-01-01 by default: use [`Layout::with_epoch_ms`].
    pub const SONYFLAKE: Self = Self {
        order: FieldOrder::TimestampSequenceMachine,
        ..Self::preset(39, 16, 8, 10, 1_409_529_600_000)
    };

    /// Safe as a JavaScript number: 41 bits of milliseconds since 2025-01-01T00:00:00Z, 6 of machine ID, 6 of
    /// sequence; 53 in all. 64 machines mint 64,000 IDs a second each. Lasts until September 2094.
    pub const JAVASCRIPT: Self = Self::preset(41, 6, 6, 1, 1_735_689_600_000);

    /// A layout of your own, in milliseconds since 1970 and with the sequence last until you say otherwise.
    ///
    /// # Errors
    ///
    /// [`LayoutError::FieldWidth`] unless the timestamp has 16..=63 bits, the machine ID 0..=32 and the sequence
    /// 0..=32; [`LayoutError::TooWide`] if together they have more than 63.
    pub const fn new(
        timestamp_bits: u8,
        machine_bits: u8,
        sequence_bits: u8,
    ) -> Result<Self, LayoutError> {
        if timestamp_bits < 16 || timestamp_bits > 63 {
            return Err(width("timestamp", timestamp_bits, 16, 63));
        }
        if machine_bits > 32 {
            return Err(width("machine ID", machine_bits, 0, 32));
        }
        if sequence_bits > 32 {
            return Err(width("sequence", sequence_bits, 0, 32));
        }
        if timestamp_bits + machine_bits + sequence_bits > 63 {
            return Err(LayoutError::TooWide {
                timestamp: timestamp_bits,
                machine: machine_bits,
                sequence: sequence_bits,
            });
        }
        Ok(Self::preset(
            timestamp_bits,
            machine_bits,
            sequence_bits,
            1,
            0,
        ))
    }

    /// The same layout with timestamps counted from `epoch_ms`, in milliseconds since 1970. Defaults to 0.
    ///
    /// # Errors
    ///
    /// [`LayoutError::EpochTooLarge`] beyond the year 294,000; [`LayoutError::EpochInSeconds`] for 1 to 10^11 ms, which is
    /// before March 1973. A generator also refuses an epoch later than its clock.
    pub const fn with_epoch_ms(mut self, epoch_ms: u64) -> Result<Self, LayoutError> {
        if epoch_ms > MAX_EPOCH_MS {
            return Err(LayoutError::EpochTooLarge {
                epoch_ms,
                max_ms: MAX_EPOCH_MS,
            });
        }
        if 0 < epoch_ms && epoch_ms <= LARGEST_IN_SECONDS {
            return Err(LayoutError::EpochInSeconds { epoch_ms });
        }
        self.epoch_ms = epoch_ms;
        Ok(self)
    }

    /// The same layout with timestamps counted in `unit`. Defaults to 1 ms.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Unit`] unless it is a whole number of milliseconds from 1 ms to 1 h.
    pub const fn with_unit(mut self, unit: Duration) -> Result<Self, LayoutError> {
        let ms = unit.as_millis();
        let whole = unit.subsec_nanos().is_multiple_of(1_000_000);
        if !whole || ms > MAX_UNIT_MS {
            return Err(LayoutError::Unit { unit });
        }
        // At most an hour, so the cast keeps the value.
        let Some(unit_ms) = NonZeroU32::new(ms as u32) else {
            return Err(LayoutError::Unit { unit });
        };
        self.unit_ms = unit_ms;
        Ok(self)
    }

    /// The same layout with its fields in `order`. Defaults to [`FieldOrder::TimestampMachineSequence`].
    #[must_use]
    pub const fn with_order(mut self, order: FieldOrder) -> Self {
        self.order = order;
        self
    }

    /// Bits of the timestamp.
    #[must_use]
    pub const fn timestamp_bits(&self) -> u8 {
        self.timestamp_bits
    }

    /// Bits of the machine ID.
    #[must_use]
    pub const fn machine_bits(&self) -> u8 {
        self.machine_bits
    }

    /// Bits of the sequence number.
    #[must_use]
    pub const fn sequence_bits(&self) -> u8 {
        self.sequence_bits
    }

    /// The order of the fields.
    #[must_use]
    pub const fn order(&self) -> FieldOrder {
        self.order
    }

    /// The unit of time that timestamps count.
    #[must_use]
    pub const fn unit(&self) -> Duration {
        Duration::from_millis(self.unit_ms.get() as u64)
    }

    /// When timestamps begin, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn epoch_ms(&self) -> u64 {
        self.epoch_ms
    }

    /// The largest timestamp, in units since the epoch.
    #[must_use]
    pub const fn max_timestamp(&self) -> u64 {
        mask(self.timestamp_bits)
    }

    /// The largest machine ID.
    #[must_use]
    pub const fn max_machine_id(&self) -> u32 {
        // At most 32 bits, so the cast keeps the value.
        mask(self.machine_bits) as u32
    }

    /// The largest sequence number; one more is how many IDs one machine can mint in a unit of time.
    #[must_use]
    pub const fn max_sequence(&self) -> u64 {
        mask(self.sequence_bits)
    }

    /// The first instant that no ID can carry any more, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn expires_at_ms(&self) -> u64 {
        let units = 1_u128 << self.timestamp_bits;
        let ms = self.epoch_ms as u128 + units * self.unit_ms.get() as u128;
        if ms > u64::MAX as u128 {
            u64::MAX
        } else {
            ms as u64
        }
    }

    /// Puts an ID together.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Timestamp`], [`LayoutError::MachineId`] or [`LayoutError::Sequence`] for a value that does not
    /// fit its field.
    pub const fn encode(
        &self,
        timestamp: u64,
        machine_id: u32,
        sequence: u64,
    ) -> Result<Id, LayoutError> {
        if timestamp > self.max_timestamp() {
            return Err(LayoutError::Timestamp {
                timestamp,
                max: self.max_timestamp(),
            });
        }
        if sequence > self.max_sequence() {
            return Err(LayoutError::Sequence {
                sequence,
                max: self.max_sequence(),
            });
        }
        if let Err(error) = self.check_machine_id(machine_id) {
            return Err(error);
        }
        let timestamp = timestamp << self.timestamp_shift();
        let machine = (machine_id as u64) << self.machine_shift();
        let sequence = sequence << self.sequence_shift();
        Ok(Id::from_u64(timestamp | machine | sequence))
    }

    /// Takes an ID apart. Every `u64` decodes; whether the ID was minted with this layout cannot be seen from it.
    #[must_use]
    pub const fn decode(&self, id: Id) -> Parts {
        let bits = id.as_u64();
        let timestamp = bits >> self.timestamp_shift();
        Parts {
            timestamp,
            unix_ms: self.unit_start_ms(timestamp),
            machine_id: ((bits >> self.machine_shift()) & mask(self.machine_bits)) as u32,
            sequence: (bits >> self.sequence_shift()) & mask(self.sequence_bits),
        }
    }

    /// Whether every machine ID in `range` fits, as a range that machine IDs are leased from must.
    ///
    /// # Errors
    ///
    /// [`LayoutError::MachineId`] with the largest of the range.
    pub const fn check_range(
        &self,
        range: &core::ops::RangeInclusive<u32>,
    ) -> Result<(), LayoutError> {
        self.check_machine_id(*range.end())
    }

    /// Whether `machine_id` fits.
    ///
    /// # Errors
    ///
    /// [`LayoutError::MachineId`] if it does not.
    pub const fn check_machine_id(&self, machine_id: u32) -> Result<(), LayoutError> {
        if machine_id > self.max_machine_id() {
            return Err(LayoutError::MachineId {
                machine_id,
                max: self.max_machine_id(),
            });
        }
        Ok(())
    }

    /// The unit that `unix_ms` lies in; 0 before the epoch. May exceed [`Layout::max_timestamp`].
    pub(crate) const fn timestamp_at_ms(&self, unix_ms: u64) -> u64 {
        let since = unix_ms.saturating_sub(self.epoch_ms);
        // The usual unit is worth a branch: it spares every ID a division.
        if self.unit_ms.get() == 1 {
            since
        } else {
            since / self.unit_ms.get() as u64
        }
    }

    /// When unit `timestamp` begins, in milliseconds since the Unix epoch; saturating.
    pub(crate) const fn unit_start_ms(&self, timestamp: u64) -> u64 {
        timestamp
            .saturating_mul(self.unit_ms.get() as u64)
            .saturating_add(self.epoch_ms)
    }

    pub(crate) const fn timestamp_shift(&self) -> u32 {
        self.machine_bits as u32 + self.sequence_bits as u32
    }

    pub(crate) const fn machine_shift(&self) -> u32 {
        match self.order {
            FieldOrder::TimestampMachineSequence => self.sequence_bits as u32,
            FieldOrder::TimestampSequenceMachine => 0,
        }
    }

    pub(crate) const fn sequence_shift(&self) -> u32 {
        match self.order {
            FieldOrder::TimestampMachineSequence => 0,
            FieldOrder::TimestampSequenceMachine => self.machine_bits as u32,
        }
    }

    const fn preset(timestamp: u8, machine: u8, sequence: u8, unit_ms: u32, epoch_ms: u64) -> Self {
        Self {
            timestamp_bits: timestamp,
            machine_bits: machine,
            sequence_bits: sequence,
            order: FieldOrder::TimestampMachineSequence,
            unit_ms: NonZeroU32::new(unit_ms).expect("callers pass a literal that is not zero"),
            epoch_ms,
        }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Self::TWITTER
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({self})")
    }
}

/// For example `41/10/12 of 1 ms since 1288834974657`.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (t, m, s) = (self.timestamp_bits, self.machine_bits, self.sequence_bits);
        let (unit, epoch) = (self.unit_ms, self.epoch_ms);
        match self.order {
            FieldOrder::TimestampMachineSequence => write!(f, "{t}/{m}/{s}")?,
            FieldOrder::TimestampSequenceMachine => write!(f, "{t}/s{s}/m{m}")?,
        }
        write!(f, " of {unit} ms since {epoch}")
    }
}

const fn width(field: &'static str, bits: u8, min: u8, max: u8) -> LayoutError {
    LayoutError::FieldWidth {
        field,
        bits,
        min,
        max,
    }
}

/// The lowest `bits` bits; at most 63.
const fn mask(bits: u8) -> u64 {
    (1 << bits) - 1
}

/// Leaves room for the timestamps themselves: far beyond what any clock shows, far below overflow.
const MAX_EPOCH_MS: u64 = 1 << 53;

/// No system counts from 1970 to 1973 but from 1970 itself, and in seconds this is the year 5138.
const LARGEST_IN_SECONDS: u64 = 100_000_000_000;

const MAX_UNIT_MS: u128 = 3_600_000;
