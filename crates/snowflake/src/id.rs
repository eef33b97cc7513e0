//! The ID itself.

use core::{fmt, num::ParseIntError, str::FromStr};

use thiserror::Error;

use crate::{Layout, Parts};

/// A 64-bit ID. It sorts by time of minting, then by machine and sequence in its [`Layout`]'s order.
///
/// Prints and parses as a decimal number.
///
/// ```
/// use snowflake::{Id, Layout};
///
/// let id: Id = "1541815603606036480".parse()?;
/// assert_eq!(id.unix_ms(&Layout::TWITTER), 1_656_432_460_105);
/// assert_eq!(id.machine_id(&Layout::TWITTER), 378);
/// assert_eq!(id.sequence(&Layout::TWITTER), 0);
/// # Ok::<(), snowflake::ParseIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
#[repr(transparent)]
pub struct Id(u64);

/// Why a text is not an [`Id`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// The text is not a decimal number from 0 to 18446744073709551615 without sign, spaces or leading zeros.
    #[error(
        "not a decimal ID from 0 to {}, without sign or leading zeros",
        u64::MAX
    )]
    Decimal,
    /// The text has the wrong length for its encoding.
    #[error("{length} characters, but an ID in {encoding} has exactly {expected}")]
    Length {
        /// The encoding.
        encoding: &'static str,
        /// Bytes given.
        length: usize,
        /// Characters needed.
        expected: usize,
    },
    /// A character is not in the encoding's alphabet.
    #[error("the byte {byte:#04x} at position {position} is not in the alphabet of {encoding}")]
    Alphabet {
        /// The encoding.
        encoding: &'static str,
        /// The byte.
        byte: u8,
        /// Where it is, from 0.
        position: usize,
    },
    /// The text stands for a number beyond 64 bits.
    #[error(
        "the {encoding} text stands for more than the {} that 64 bits hold",
        u64::MAX
    )]
    Overflow {
        /// The encoding.
        encoding: &'static str,
    },
}

/// A number that is no ID, or an ID that is no such number: the two halves of 64 bits differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignedIdError {
    /// The number is negative.
    #[error("{value} is negative, but an ID is not")]
    Negative {
        /// The number.
        value: i64,
    },
    /// The ID has its highest bit set, which no layout of this crate uses.
    #[error("{value} does not fit an i64, whose largest is {}", i64::MAX)]
    TooLarge {
        /// The ID.
        value: u64,
    },
}

impl Id {
    /// The ID with these 64 bits.
    #[must_use]
    pub const fn from_u64(bits: u64) -> Self {
        Self(bits)
    }

    /// The ID's 64 bits.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Takes the ID apart.
    #[must_use]
    pub const fn decode(self, layout: &Layout) -> Parts {
        layout.decode(self)
    }

    /// The timestamp, in the layout's units since the layout's epoch.
    #[must_use]
    pub const fn timestamp(self, layout: &Layout) -> u64 {
        layout.decode(self).timestamp
    }

    /// When the ID's unit of time began, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_ms(self, layout: &Layout) -> u64 {
        layout.decode(self).unix_ms
    }

    /// The machine ID.
    #[must_use]
    pub const fn machine_id(self, layout: &Layout) -> u32 {
        layout.decode(self).machine_id
    }

    /// The sequence number.
    #[must_use]
    pub const fn sequence(self, layout: &Layout) -> u64 {
        layout.decode(self).sequence
    }

    /// When the ID's unit of time began.
    ///
    /// # Errors
    ///
    /// `None` where the platform's [`SystemTime`](std::time::SystemTime) cannot hold it.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn time(self, layout: &Layout) -> Option<std::time::SystemTime> {
        let since_epoch = core::time::Duration::from_millis(self.unix_ms(layout));
        std::time::UNIX_EPOCH.checked_add(since_epoch)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Strict: ASCII digits only, no sign, no leading zeros, so that one ID has one spelling.
impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let canonical = match text.as_bytes() {
            [b'0'] => true,
            [first, ..] => matches!(first, b'1'..=b'9'),
            [] => false,
        };
        if !canonical {
            return Err(ParseIdError::Decimal);
        }
        let bits = text
            .parse()
            .map_err(|_: ParseIntError| ParseIdError::Decimal)?;
        Ok(Self(bits))
    }
}

impl From<u64> for Id {
    fn from(bits: u64) -> Self {
        Self(bits)
    }
}

impl From<Id> for u64 {
    fn from(id: Id) -> Self {
        id.0
    }
}

/// For a `BIGINT` column.
impl TryFrom<i64> for Id {
    type Error = SignedIdError;

    fn try_from(value: i64) -> Result<Self, Self::Error> {
        u64::try_from(value)
            .map(Self)
            .map_err(|_| SignedIdError::Negative { value })
    }
}

/// For a `BIGINT` column. IDs that this crate minted always fit.
impl TryFrom<Id> for i64 {
    type Error = SignedIdError;

    fn try_from(id: Id) -> Result<Self, Self::Error> {
        Self::try_from(id.0).map_err(|_| SignedIdError::TooLarge { value: id.0 })
    }
}
