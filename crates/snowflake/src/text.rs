//! IDs as text.

use core::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    str,
};

use crate::{Id, ParseIdError};

/// An [`Id`] as text, without allocation. Dereferences to `str`.
#[derive(Clone, Copy)]
pub struct IdText {
    buffer: Buffer,
    start: u8,
    end: u8,
}

/// ASCII throughout, whole and aligned: so it is checked sixteen bytes at a time.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Buffer([u8; 32]);

impl Id {
    /// 1 to 20 decimal digits, as [`Display`](fmt::Display) prints them.
    #[must_use]
    #[inline]
    pub fn to_decimal(self) -> IdText {
        decimal(self.as_u64())
    }

    /// 16 lower-case hexadecimal digits; texts sort as the IDs do.
    #[must_use]
    #[inline]
    pub fn to_hex(self) -> IdText {
        let pairs = self.as_u64().to_be_bytes().map(usize::from);
        IdText::new(16, join(&HEX, pairs))
    }

    /// 13 characters of Crockford's base 32 (`0-9A-Z` without I, L, O and U); texts sort as the IDs do.
    #[must_use]
    #[inline]
    pub fn to_base32(self) -> IdText {
        let bits = self.as_u64();
        // The lead has only the four bits that are left over.
        let lead = BASE32.pairs[(bits >> 60) as usize] >> 8;
        let pairs = [50, 40, 30, 20, 10, 0].map(|shift| (bits >> shift & 1_023) as usize);
        IdText::new(13, join(&BASE32, pairs) << 8 | u128::from(lead))
    }

    /// 11 characters of base 58 (Bitcoin's alphabet: without 0, O, I and l); texts sort as the IDs do.
    #[must_use]
    #[inline]
    pub fn to_base58(self) -> IdText {
        eleven::<58, 3_364>(self.as_u64(), &BASE58)
    }

    /// 11 characters of base 62 (`0-9A-Za-z`); texts sort as the IDs do.
    #[must_use]
    #[inline]
    pub fn to_base62(self) -> IdText {
        eleven::<62, 3_844>(self.as_u64(), &BASE62)
    }

    /// Parses what [`Id::to_hex`] wrote.
    ///
    /// # Errors
    ///
    /// [`ParseIdError::Length`] unless there are 16 characters, [`ParseIdError::Alphabet`] for one that is not a lower-case
    /// hexadecimal digit.
    pub fn from_hex(text: &str) -> Result<Self, ParseIdError> {
        parse::<16, 16, 256>(text, &HEX)
    }

    /// Parses what [`Id::to_base32`] wrote. One ID has one spelling: lower case and the look-alikes that Crockford
    /// allows are errors.
    ///
    /// # Errors
    ///
    /// [`ParseIdError::Length`] unless there are 13 characters, [`ParseIdError::Alphabet`] for a foreign one,
    /// [`ParseIdError::Overflow`] beyond 64 bits.
    pub fn from_base32(text: &str) -> Result<Self, ParseIdError> {
        parse::<13, 32, 1_024>(text, &BASE32)
    }

    /// Parses what [`Id::to_base58`] wrote.
    ///
    /// # Errors
    ///
    /// [`ParseIdError::Length`] unless there are 11 characters, [`ParseIdError::Alphabet`] for a foreign one,
    /// [`ParseIdError::Overflow`] beyond 64 bits.
    pub fn from_base58(text: &str) -> Result<Self, ParseIdError> {
        parse::<11, 58, 3_364>(text, &BASE58)
    }

    /// Parses what [`Id::to_base62`] wrote.
    ///
    /// # Errors
    ///
    /// [`ParseIdError::Length`] unless there are 11 characters, [`ParseIdError::Alphabet`] for a foreign one,
    /// [`ParseIdError::Overflow`] beyond 64 bits.
    pub fn from_base62(text: &str) -> Result<Self, ParseIdError> {
        parse::<11, 62, 3_844>(text, &BASE62)
    }
}

impl IdText {
    /// At most sixteen characters, the first in the lowest byte.
    #[inline]
    fn new(length: u8, low: u128) -> Self {
        let mut buffer = [0; 32];
        buffer[..16].copy_from_slice(&low.to_le_bytes());
        Self {
            buffer: Buffer(buffer),
            start: 0,
            end: length,
        }
    }

    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        let used = if self.end > 16 { 32 } else { 16 };
        let text = str::from_utf8(&self.buffer.0[..used]).expect("every alphabet is ASCII");
        &text[usize::from(self.start)..usize::from(self.end)]
    }

    /// The text as ASCII, which spares [`IdText::as_str`]'s check.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer.0[usize::from(self.start)..usize::from(self.end)]
    }
}

impl Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for IdText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for IdText {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for IdText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for IdText {}

impl Hash for IdText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq<str> for IdText {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for IdText {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// An alphabet in rising ASCII order, prepared: two digits at a time are half the work.
struct Alphabet<const PAIRS: usize> {
    name: &'static str,
    /// The first digit in the low byte.
    pairs: [u16; PAIRS],
    values: [u8; 256],
}

impl<const PAIRS: usize> Alphabet<PAIRS> {
    const fn new(name: &'static str, digits: &[u8]) -> Self {
        let mut pairs = [0; PAIRS];
        let mut values = [FOREIGN; 256];
        let base = digits.len();
        let mut high = 0;
        while high < base {
            assert!(high == 0 || digits[high - 1] < digits[high]);
            values[digits[high] as usize] = high as u8;
            let mut low = 0;
            while low < base {
                pairs[high * base + low] = u16::from_le_bytes([digits[high], digits[low]]);
                low += 1;
            }
            high += 1;
        }
        Self {
            name,
            pairs,
            values,
        }
    }
}

/// Eleven digits to base 58 or 62, as two halves that the processor works on side by side.
#[inline]
fn eleven<const BASE: u64, const PAIRS: usize>(bits: u64, alphabet: &Alphabet<PAIRS>) -> IdText {
    let square = BASE * BASE;
    let (high, low) = (
        bits / (square * square * square),
        bits % (square * square * square),
    );
    // Five digits are less than a billion: 32-bit arithmetic is cheaper.
    let high = high as u32;
    let low_high = (low / (square * square)) as usize;
    let low_low = (low % (square * square)) as u32;
    let square = square as u32;
    let pairs = [
        (high / square % square) as usize,
        (high % square) as usize,
        low_high,
        (low_low / square) as usize,
        (low_low % square) as usize,
    ];
    // The high half has five digits.
    let lead = alphabet.pairs[(high / (square * square)) as usize] >> 8;
    IdText::new(11, join(alphabet, pairs) << 8 | u128::from(lead))
}

/// Twenty digits in three parts that the processor works on side by side, then without leading zeros.
#[inline]
fn decimal(bits: u64) -> IdText {
    let high = (bits / 10_000_000_000_000_000) as u32;
    let middle = (bits / 100_000_000 % 100_000_000) as u32;
    let low = (bits % 100_000_000) as u32;
    let words = [eight(high), eight(middle), eight(low)];
    let mut buffer = [b'0'; 32];
    buffer[8..16].copy_from_slice(&words[0].to_le_bytes());
    buffer[16..24].copy_from_slice(&words[1].to_le_bytes());
    buffer[24..].copy_from_slice(&words[2].to_le_bytes());
    // All but the last digit may be leading zeros; a minted ID has none in the first part but those of its four digits.
    let zeros = |word: u64| (word ^ ZEROS).trailing_zeros() as u8 / 8;
    let start = if high != 0 {
        8 + zeros(words[0])
    } else if middle != 0 {
        16 + zeros(words[1])
    } else {
        24 + zeros(words[2]).min(7)
    };
    IdText {
        buffer: Buffer(buffer),
        start,
        end: 32,
    }
}

/// The eight digits of a number below 10^8, the first in the lowest byte. Each step halves all parts at once: one division by
/// 10,000, two by 100, four by 10, the small ones as a multiplication and a shift that are exact for so few digits.
#[inline]
const fn eight(number: u32) -> u64 {
    let fours = (number / 10_000) as u64 | ((number % 10_000) as u64) << 32;
    let hundreds = ((fours * 5_243) >> 19) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | (twos - tens * 10) << 8;
    ones | ZEROS
}

/// Pairs of digits in a row, the first in the lowest bytes. In registers: bytes that were stored in twos could not be
/// read again in eights without a stall.
#[inline]
fn join<const COUNT: usize, const PAIRS: usize>(
    alphabet: &Alphabet<PAIRS>,
    values: [usize; COUNT],
) -> u128 {
    let mut joined = 0;
    for (place, value) in values.into_iter().enumerate() {
        joined |= u128::from(alphabet.pairs[value]) << (16 * place);
    }
    joined
}

fn parse<const LENGTH: usize, const BASE: u64, const PAIRS: usize>(
    text: &str,
    alphabet: &Alphabet<PAIRS>,
) -> Result<Id, ParseIdError> {
    let encoding = alphabet.name;
    let bytes: &[u8; LENGTH] = text
        .as_bytes()
        .try_into()
        .map_err(|_| ParseIdError::Length {
            encoding,
            length: text.len(),
            expected: LENGTH,
        })?;
    let mut bits: u64 = 0;
    let mut overflow = false;
    let mut foreign = 0;
    for &byte in bytes {
        let value = alphabet.values[byte as usize];
        foreign |= value;
        let (shifted, too_large) = bits.overflowing_mul(BASE);
        let (sum, over) = shifted.overflowing_add(u64::from(value));
        overflow |= too_large | over;
        bits = sum;
    }
    // Every value is below 128, so only foreign bytes set the top bit.
    if foreign >= 128 {
        let is_foreign = |byte: &u8| alphabet.values[*byte as usize] == FOREIGN;
        let position = bytes.iter().position(is_foreign).unwrap_or(0);
        return Err(ParseIdError::Alphabet {
            encoding,
            byte: bytes[position],
            position,
        });
    }
    if overflow {
        return Err(ParseIdError::Overflow { encoding });
    }
    Ok(Id::from_u64(bits))
}

/// Eight times the digit zero.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The value of what is no digit.
const FOREIGN: u8 = u8::MAX;

static HEX: Alphabet<256> = Alphabet::new("hexadecimal", b"0123456789abcdef");

static BASE32: Alphabet<1_024> = Alphabet::new("base 32", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ");

static BASE58: Alphabet<3_364> = Alphabet::new(
    "base 58",
    b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
);

static BASE62: Alphabet<3_844> = Alphabet::new(
    "base 62",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_exact() {
        // Every part of four digits, in both places.
        for part in 0..10_000 {
            let number = part * 10_000 + (9_999 - part);
            let text = format!("{number:08}");
            assert_eq!(eight(number).to_le_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn ids_have_the_documented_spelling() {
        let id = Id::from_u64(1_541_815_603_606_036_480);
        assert_eq!(id.to_decimal(), "1541815603606036480");
        assert_eq!(id.to_hex(), "1565a11f6217a000");
        assert_eq!(id.to_base32(), "1ASD13XH1F800");
        assert_eq!(Id::from_u64(0).to_decimal(), "0");
        assert_eq!(Id::from_u64(u64::MAX).to_decimal(), "18446744073709551615");
        assert_eq!(Id::from_u64(u64::MAX).to_base32(), "FZZZZZZZZZZZZ");
        assert_eq!(Id::from_u64(u64::MAX).to_base58(), "jpXCZedGfVQ");
        assert_eq!(Id::from_u64(u64::MAX).to_base62(), "LygHa16AHYF");
        assert_eq!(Id::from_u64(0).to_base62(), "00000000000");
    }
}
