//! Replies, command errors and the number formats of the wire.

use std::borrow::Cow;

/// What a command answers, before it is turned into a Lua value or a [`Reply`](super::super::Reply).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resp {
    Nil,
    Int(i64),
    Bulk(Vec<u8>),
    Status(&'static str),
    Array(Vec<Self>),
}

impl Resp {
    pub(super) const OK: Self = Self::Status("OK");

    pub(super) fn bulk(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(bytes.into())
    }

    pub(super) fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(super) fn flag(yes: bool) -> Self {
        Self::Int(i64::from(yes))
    }

    pub(super) fn optional(bytes: Option<impl Into<Vec<u8>>>) -> Self {
        bytes.map_or(Self::Nil, |bytes| Self::Bulk(bytes.into()))
    }

    pub(super) fn score(score: f64) -> Self {
        Self::Bulk(format_double(score).into_bytes())
    }
}

/// The text of an error reply: its code, a space, the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandError(Cow<'static, str>);

impl CommandError {
    pub(super) const WRONG_TYPE: Self =
        Self::new("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(super) const SYNTAX: Self = Self::new("ERR syntax error");
    pub(super) const NOT_AN_INTEGER: Self =
        Self::new("ERR value is not an integer or out of range");
    pub(super) const NOT_A_FLOAT: Self = Self::new("ERR value is not a valid float");
    pub(super) const NOT_POSITIVE: Self = Self::new("ERR value is out of range, must be positive");
    pub(super) const OVERFLOW: Self = Self::new("ERR increment or decrement would overflow");
    pub(super) const TOO_LONG: Self =
        Self::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

    pub(super) const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    pub(super) const fn owned(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    pub(super) fn arity(command: &str) -> Self {
        Self::owned(format!(
            "ERR wrong number of arguments for '{command}' command"
        ))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

pub(super) type CommandResult = Result<Resp, CommandError>;

/// The longest string that Redis stores by default: `proto-max-bulk-len`.
pub(super) const MAX_STRING: usize = 512 * 1024 * 1024;

/// Reads an integer as strictly as Redis does: no plus sign, no leading zeros, no blanks.
pub(super) fn parse_i64(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let canonical = match digits {
        [b'0'] => bytes.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.len() < 19 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

pub(super) fn integer(bytes: &[u8]) -> Result<i64, CommandError> {
    parse_i64(bytes).ok_or(CommandError::NOT_AN_INTEGER)
}

/// Reads a double; NaN and values too large for one are refused, an explicit infinity is not.
pub(super) fn parse_f64(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let value: f64 = text.parse().ok()?;
    let spelled_out = text.contains(['n', 'N']);
    let overflowed = value.is_infinite() && !spelled_out;
    (!value.is_nan() && !overflowed).then_some(value)
}

/// Writes a double like C's `%.17g`, which is how Redis 7.0 prints scores and Lua numbers.
pub(super) fn format_double(value: f64) -> String {
    const PRECISION: i32 = 17;
    if value.is_nan() {
        return if value.is_sign_negative() {
            "-nan"
        } else {
            "nan"
        }
        .to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific
        .split_once('e')
        .expect("Rust always writes the exponent of {:e}");
    let exponent: i32 = exponent.parse().expect("the exponent is an integer");
    if !(-4..PRECISION).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        let mantissa = trim_fraction(mantissa);
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let decimals = usize::try_from(PRECISION - 1 - exponent).unwrap_or(0);
    trim_fraction(&format!("{value:.decimals$}")).to_owned()
}

fn trim_fraction(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// Turns the two ends of a range, which count from the end where negative, into `start..end` within `len`.
pub(super) fn clamp_range(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let length = i64::try_from(len).unwrap_or(i64::MAX);
    let from_start = |index: i64| {
        if index < 0 {
            (index + length).max(0)
        } else {
            index
        }
    };
    // A stop that lies before the first element, unlike a start, is not moved to it.
    let stop = if stop < 0 { stop + length } else { stop }.min(length - 1);
    let start = from_start(start);
    if stop < start || length <= start {
        return 0..0;
    }
    let index = |at: i64| usize::try_from(at).expect("both ends were moved into the range");
    index(start)..index(stop) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("", None),
            ("-", None),
            ("1.0", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn doubles_are_written_as_c_does() {
        for (value, expected) in [
            (0.0, "0"),
            (3.0, "3"),
            (-5.0, "-5"),
            (0.1, "0.10000000000000001"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (123_456_789_012_345_678.0, "1.2345678901234568e+17"),
            (1e-7, "9.9999999999999995e-08"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (1.5, "1.5"),
            (0.0001, "0.0001"),
        ] {
            assert_eq!(format_double(value), expected);
        }
    }

    #[test]
    fn ranges_are_clamped() {
        assert_eq!(clamp_range(0, -1, 5), 0..5);
        assert_eq!(clamp_range(-2, -1, 5), 3..5);
        assert_eq!(clamp_range(-100, 1, 5), 0..2);
        assert_eq!(clamp_range(3, 1, 5), 0..0);
        assert_eq!(clamp_range(0, -6, 5), 0..0);
        assert_eq!(clamp_range(0, 0, 0), 0..0);
    }
}
