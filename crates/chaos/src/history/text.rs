//! A record as a line: time, member, a letter, and what belongs to it.

use std::{fmt, str::FromStr};

use anyhow::{Context, Error, bail};

use super::{End, Grant, Kind, Record, What};

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.at, self.member)?;
        match &self.what {
            What::Ids { first, count } => write!(f, "I {first} {count}"),
            What::Asked(kind) => write!(f, "? {}", letter(*kind)),
            What::Refused(kind) => write!(f, "- {}", letter(*kind)),
            What::Granted { grant, asked } => write!(f, "+ {grant} {asked}"),
            What::Until { kind, deadline } => write!(f, "= {} {deadline}", letter(*kind)),
            What::Ended { grant, how } => match how {
                End::Released => write!(f, "R {grant}"),
                End::Lost => write!(f, "L {grant}"),
            },
            What::FaultBegan(number) => write!(f, "( {number}"),
            What::FaultEnded(number) => write!(f, ") {number}"),
            What::Said(text) => write!(f, "\" {}", text.escape_debug()),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", letter(self.kind), self.number, self.fence)
    }
}

const fn letter(kind: Kind) -> char {
    match kind {
        Kind::Slot => 's',
        Kind::Bucket => 'b',
    }
}

impl FromStr for Record {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let mut head = line.splitn(4, ' ');
        let mut field = || head.next().context("a field is missing");
        let (at, member) = (field()?.parse()?, field()?.parse()?);
        let (letter, rest) = (field()?, field()?);
        Ok(Self {
            at,
            member,
            what: what(letter, rest)?,
        })
    }
}

fn what(letter: &str, rest: &str) -> Result<What, Error> {
    if letter == "\"" {
        return Ok(What::Said(rest.to_owned()));
    }
    let mut fields = Fields(rest.split(' '));
    let what = match letter {
        "I" => What::Ids {
            first: fields.number()?,
            count: fields.number()?,
        },
        "?" => What::Asked(fields.kind()?),
        "-" => What::Refused(fields.kind()?),
        "+" => What::Granted {
            grant: fields.grant()?,
            asked: fields.number()?,
        },
        "=" => What::Until {
            kind: fields.kind()?,
            deadline: fields.number()?,
        },
        "R" => What::Ended {
            grant: fields.grant()?,
            how: End::Released,
        },
        "L" => What::Ended {
            grant: fields.grant()?,
            how: End::Lost,
        },
        "(" => What::FaultBegan(fields.number()?),
        ")" => What::FaultEnded(fields.number()?),
        other => bail!("no record begins with {other:?}"),
    };
    match fields.0.next() {
        Some(more) => bail!("{more:?} is one too many"),
        None => Ok(what),
    }
}

struct Fields<'a>(std::str::Split<'a, char>);

impl Fields<'_> {
    fn number<T>(&mut self) -> Result<T, Error>
    where
        T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let field = self.0.next().context("a number is missing")?;
        field.parse().with_context(|| format!("{field:?}"))
    }

    fn kind(&mut self) -> Result<Kind, Error> {
        match self.0.next() {
            Some("s") => Ok(Kind::Slot),
            Some("b") => Ok(Kind::Bucket),
            other => bail!("neither slot nor bucket: {other:?}"),
        }
    }

    fn grant(&mut self) -> Result<Grant, Error> {
        Ok(Grant {
            kind: self.kind()?,
            number: self.number()?,
            fence: self.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::{History, Recorder};

    fn kinds() -> impl Strategy<Value = Kind> {
        prop_oneof![Just(Kind::Slot), Just(Kind::Bucket)]
    }

    fn grants() -> impl Strategy<Value = Grant> {
        (kinds(), any::<u32>(), any::<u64>()).prop_map(|(kind, number, fence)| Grant {
            kind,
            number,
            fence,
        })
    }

    fn whats() -> impl Strategy<Value = What> {
        let ended = |how| grants().prop_map(move |grant| What::Ended { grant, how });
        prop_oneof![
            (any::<u64>(), any::<u32>()).prop_map(|(first, count)| What::Ids { first, count }),
            kinds().prop_map(What::Asked),
            kinds().prop_map(What::Refused),
            (grants(), any::<u64>()).prop_map(|(grant, asked)| What::Granted { grant, asked }),
            (kinds(), any::<u64>()).prop_map(|(kind, deadline)| What::Until { kind, deadline }),
            ended(End::Released),
            ended(End::Lost),
            any::<u32>().prop_map(What::FaultBegan),
            any::<u32>().prop_map(What::FaultEnded),
            "[a-z :]{0,20}".prop_map(What::Said),
        ]
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(at: u64, member: u32, what in whats()) {
            let record = Record { at, member, what };
            prop_assert_eq!(record.to_string().parse::<Record>().unwrap(), record);
        }

        #[test]
        fn what_a_kill_left_of_the_last_line_is_left_out(
            whats in prop::collection::vec(whats(), 1..9),
            lost in 1_usize..9,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let recorder = Recorder::create(dir.path(), "p").unwrap();
            for what in whats.clone() {
                recorder.record(1, what);
            }
            let path = dir.path().join("p.history");
            let text = std::fs::read_to_string(&path).unwrap();
            // Every line is longer than what is cut off here.
            std::fs::write(&path, &text[..text.len() - lost]).unwrap();
            let read = History::read(&path).unwrap();
            prop_assert_eq!(read.name, "p");
            let read: Vec<What> = read.records.into_iter().map(|record| record.what).collect();
            prop_assert_eq!(&read[..], &whats[..whats.len() - 1]);
        }
    }

    #[test]
    fn a_line_that_is_no_record_is_refused() {
        let lines = [
            "",
            "1 2",
            "1 2 I",
            "1 2 I 3",
            "1 2 I 3 4 5",
            "1 2 x 3",
            "1 2 + q 3 4 5",
        ];
        for line in lines {
            assert!(line.parse::<Record>().is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_said_stays_on_one_line() {
        let record = Record {
            at: 1,
            member: 2,
            what: What::Said("two\nlines".to_owned()),
        };
        assert_eq!(record.to_string(), "1 2 \" two\\nlines");
    }
}
