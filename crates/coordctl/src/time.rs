//! Times as people read them.

use std::time::Duration;

use jiff::Timestamp;

/// `340ms`, `59.2s`, `2m05s`, `3h07m`.
pub(crate) fn span(span: Duration) -> String {
    let ms = span.as_millis();
    let s = span.as_secs();
    match () {
        () if ms < 1_000 => format!("{ms}ms"),
        () if s < 60 => format!("{}.{}s", s, ms % 1_000 / 100),
        () if s < 3_600 => format!("{}m{:02}s", s / 60, s % 60),
        () => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
    }
}

/// How far `ms` is from `now_ms`: `+59.2s`, `-3m05s`.
pub(crate) fn relative(now_ms: u64, ms: u64) -> String {
    let sign = if now_ms <= ms { '+' } else { '-' };
    format!("{sign}{}", span(Duration::from_millis(ms.abs_diff(now_ms))))
}

/// `2022-06-28T16:07:40.105Z`; the number itself beyond the year 9999.
pub(crate) fn utc(ms: u64) -> String {
    let time = i64::try_from(ms).ok();
    let time = time.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| format!("{ms} ms"), |time| format!("{time:.3}"))
}

/// Whole milliseconds.
pub(crate) fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_unit_that_suits_them() {
        let check = |ms, expected| assert_eq!(span(Duration::from_millis(ms)), expected);
        check(0, "0ms");
        check(999, "999ms");
        check(59_249, "59.2s");
        check(125_000, "2m05s");
        check(11_221_000, "3h07m");
        assert_eq!(relative(1_000, 3_000), "+2.0s");
        assert_eq!(relative(3_000, 1_000), "-2.0s");
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(utc(1_656_432_460_105), "2022-06-28T16:07:40.105Z");
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(u64::MAX), "18446744073709551615 ms");
    }
}
