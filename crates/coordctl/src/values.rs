//! What users write, read into what it means.

use std::{fmt, ops::RangeInclusive, time::Duration};

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use snowflake::{FieldOrder, Id, IdText, Layout, LayoutError, ParseIdError};

use crate::{cli::LayoutOptions, failure::Failure};

/// `0-1023`, or one number.
pub(crate) fn range(text: &str) -> Result<RangeInclusive<u32>, String> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |part: &str| {
        part.parse::<u32>()
            .map_err(|_| format!("{part:?} is no machine ID; write LOWEST-HIGHEST, such as 0-1023"))
    };
    let range = number(low)?..=number(high)?;
    if range.is_empty() {
        return Err("it is empty; write it as LOWEST-HIGHEST".to_owned());
    }
    Ok(range)
}

/// `10s`, `500ms`, `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Result<SignedDuration, _> = text.parse();
    let positive = parsed.ok().and_then(|span| Duration::try_from(span).ok());
    positive.ok_or_else(|| "it is no length of time; write 500ms, 10s or 1m 30s".to_owned())
}

/// How often something is done: 50 ms to 1 h.
pub(crate) fn pace(text: &str) -> Result<Duration, String> {
    let pace = duration(text)?;
    let (min, max) = (Duration::from_millis(50), Duration::from_secs(3_600));
    if pace < min || max < pace {
        return Err(format!(
            "it is out of bounds; choose between {min:?} and {max:?}"
        ));
    }
    Ok(pace)
}

/// `127.0.0.1:9187`, `[::]:9187`.
#[cfg(feature = "exporter")]
pub(crate) fn listen(text: &str) -> Result<std::net::SocketAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| {
        "it is no address to listen on; write IP:PORT, such as 127.0.0.1:9187 or [::]:9187"
            .to_owned()
    })
}

/// A name that every shell accepts.
pub(crate) fn variable(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty()
        || text.starts_with(|c: char| c.is_ascii_digit())
        || !text.chars().all(is_name)
    {
        return Err(
            "it is no name of a variable; use letters, digits and _, no digit first".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// What happens to a program whose lease is about to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLost {
    /// SIGTERM, then SIGKILL.
    Term,
    /// SIGKILL.
    Kill,
    /// This signal.
    Signal(Signal),
    /// Nothing.
    Ignore,
}

/// `term`, `kill`, `signal:10`, `signal:USR1`, `ignore`.
pub(crate) fn on_lost(text: &str) -> Result<OnLost, String> {
    match text {
        "term" => Ok(OnLost::Term),
        "kill" => Ok(OnLost::Kill),
        "ignore" => Ok(OnLost::Ignore),
        _ => {
            let name = text
                .strip_prefix("signal:")
                .ok_or("it is none of term, kill, signal:N and ignore")?;
            let by_number = name
                .parse()
                .ok()
                .and_then(|n: i32| Signal::try_from(n).ok());
            let upper = name.to_ascii_uppercase();
            let full = format!("SIG{}", upper.trim_start_matches("SIG"));
            by_number
                .or_else(|| full.parse().ok())
                .map(OnLost::Signal)
                .ok_or_else(|| {
                    format!(
                        "{name:?} is no signal; write its number or its name, such as signal:USR1"
                    )
                })
        }
    }
}

/// A layout's fields, before its epoch and unit are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields(Layout);

/// A preset's name, `41/10/12` or `39/s8/m16`.
pub(crate) fn fields(text: &str) -> Result<Fields, String> {
    let preset = match text.to_ascii_lowercase().as_str() {
        "twitter" => Some(Layout::TWITTER),
        "discord" => Some(Layout::DISCORD),
        "instagram" => Some(Layout::INSTAGRAM),
        "sonyflake" => Some(Layout::SONYFLAKE),
        "javascript" => Some(Layout::JAVASCRIPT),
        _ => None,
    };
    if let Some(preset) = preset {
        return Ok(Fields(preset));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let bits =
        |part: &str, letter: char| part.strip_prefix(letter).unwrap_or(part).parse::<u8>().ok();
    let parsed = match parts[..] {
        [time, sequence, machine] if sequence.starts_with('s') && machine.starts_with('m') => {
            (|| {
                Some((
                    bits(time, 't')?,
                    bits(machine, 'm')?,
                    bits(sequence, 's')?,
                    FieldOrder::TimestampSequenceMachine,
                ))
            })()
        }
        [time, machine, sequence] => (|| {
            Some((
                bits(time, 't')?,
                bits(machine, 'm')?,
                bits(sequence, 's')?,
                FieldOrder::TimestampMachineSequence,
            ))
        })(),
        _ => None,
    };
    let (time, machine, sequence, order) = parsed.ok_or(
        "it is none of twitter, discord, instagram, sonyflake, javascript, nor bits such as 41/10/12 or 39/s8/m16",
    )?;
    let layout = Layout::new(time, machine, sequence).map_err(|error| error.to_string())?;
    Ok(Fields(layout.with_order(order)))
}

/// `2025-01-01T00:00:00Z`, or milliseconds since 1970.
pub(crate) fn epoch(text: &str) -> Result<u64, String> {
    let time = || {
        let time: Timestamp = text.parse().ok()?;
        u64::try_from(time.as_millisecond()).ok()
    };
    text.parse().ok().or_else(time).ok_or_else(|| {
        "it is no time since 1970; write 2025-01-01T00:00:00Z or milliseconds".to_owned()
    })
}

impl LayoutOptions {
    /// The layout that the options describe.
    pub(crate) fn layout(&self) -> Result<Layout, Failure> {
        self.layout.layout(self.epoch, self.unit)
    }
}

impl Fields {
    /// The layout with these fields; epoch and unit are those of the preset unless given.
    pub(crate) fn layout(
        self,
        epoch_ms: Option<u64>,
        unit: Option<Duration>,
    ) -> Result<Layout, Failure> {
        let usage = |error: LayoutError| Failure::Usage(error.to_string());
        let mut layout = self.0;
        if let Some(epoch_ms) = epoch_ms {
            layout = layout.with_epoch_ms(epoch_ms).map_err(usage)?;
        }
        if let Some(unit) = unit {
            layout = layout.with_unit(unit).map_err(usage)?;
        }
        Ok(layout)
    }
}

/// How an ID is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// 1 to 20 digits.
    Decimal,
    /// 16 digits, lower case.
    Hex,
    /// 13 characters of Crockford's base 32.
    Base32,
    /// 11 characters of Bitcoin's base 58.
    Base58,
    /// 11 characters, 0-9A-Za-z.
    Base62,
}

impl Encoding {
    pub(crate) const ALL: [Self; 5] = [
        Self::Decimal,
        Self::Hex,
        Self::Base32,
        Self::Base58,
        Self::Base62,
    ];

    pub(crate) fn write(self, id: Id) -> IdText {
        match self {
            Self::Decimal => id.to_decimal(),
            Self::Hex => id.to_hex(),
            Self::Base32 => id.to_base32(),
            Self::Base58 => id.to_base58(),
            Self::Base62 => id.to_base62(),
        }
    }

    pub(crate) fn read(self, text: &str) -> Result<Id, ParseIdError> {
        match self {
            Self::Decimal => text.parse(),
            Self::Hex => Id::from_hex(text),
            Self::Base32 => Id::from_base32(text),
            Self::Base58 => Id::from_base58(text),
            Self::Base62 => Id::from_base62(text),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decimal => "decimal",
            Self::Hex => "hex",
            Self::Base32 => "base32",
            Self::Base58 => "base58",
            Self::Base62 => "base62",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_both_ends() {
        assert_eq!(range("0-1023"), Ok(0..=1_023));
        assert_eq!(range("7"), Ok(7..=7));
        for wrong in ["", "-", "9-1", "a-b", "1-2-3", "-5", "0-4294967296"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_of_time_have_units() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "10", "-1s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(pace("1ms").is_err());
    }

    #[test]
    fn signals_have_numbers_and_names() {
        assert_eq!(on_lost("signal:10"), Ok(OnLost::Signal(Signal::SIGUSR1)));
        assert_eq!(on_lost("signal:usr1"), Ok(OnLost::Signal(Signal::SIGUSR1)));
        assert_eq!(on_lost("signal:SIGHUP"), Ok(OnLost::Signal(Signal::SIGHUP)));
        for wrong in [
            "",
            "stop",
            "signal:",
            "signal:0",
            "signal:99",
            "signal:NOPE",
        ] {
            assert!(on_lost(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn layouts_have_names_or_bits() {
        assert_eq!(fields("Twitter"), Ok(Fields(Layout::TWITTER)));
        let own = Layout::new(39, 16, 8).expect("valid");
        let swapped = own.with_order(FieldOrder::TimestampSequenceMachine);
        assert_eq!(fields("39/16/8"), Ok(Fields(own)));
        assert_eq!(fields("39/s8/m16"), Ok(Fields(swapped)));
        for wrong in [
            "",
            "twatter",
            "41/10",
            "41/10/13",
            "a/b/c",
            "41/10/12/0",
            "300/1/1",
        ] {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn epochs_are_times_or_milliseconds() {
        assert_eq!(epoch("2025-01-01T00:00:00Z"), Ok(1_735_689_600_000));
        assert_eq!(epoch("17"), Ok(17));
        assert!(epoch("1960-01-01T00:00:00Z").is_err());
        assert!(epoch("yesterday").is_err());
    }

    #[test]
    fn variables_are_what_shells_accept() {
        assert!(variable("MACHINE_ID").is_ok());
        for wrong in ["", "1A", "A-B", "A=B", "Ä"] {
            assert!(variable(wrong).is_err(), "{wrong}");
        }
    }
}
