//! What the operators' scripts answer, in terms of this crate: pure conversions.

use std::{ops::Range, time::Duration};

use coord_core::store::{Reply, StoreError};

use super::{DrainOutcome, InspectError, Inspection, MemberRecord, Run};
use crate::assignment::Assignment;

/// A page of members, with what is said of the whole group.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) inspection: Inspection,
    /// The highest member number.
    pub(super) highest: u32,
    /// Changes whenever who owns what does.
    pub(super) stamp: String,
}

pub(super) fn parse_members(reply: &Reply) -> Result<Head, InspectError> {
    parse("members", reply, |kind, rest| match (kind, rest) {
        (
            "group",
            [
                server,
                standing,
                left,
                buckets,
                assignment,
                version,
                _,
                free,
                settles,
                highest,
                stamp,
                members,
            ],
        ) => {
            let doubt = milliseconds(left)?;
            let inspection = Inspection {
                server_ms: server.as_u64()?,
                doubt: if standing.as_str()? == "known" {
                    Duration::ZERO
                } else {
                    doubt
                },
                buckets: number(buckets)?,
                assignment: Assignment::of_letter(assignment.as_str()?)?,
                version: version.as_u64()?,
                free: number(free)?,
                settles_in: milliseconds(settles)?,
                members: members
                    .as_array()?
                    .iter()
                    .map(parse_member)
                    .collect::<Option<_>>()?,
                runs: Vec::new(),
                is_torn: false,
            };
            Some(Ok(Head {
                inspection,
                highest: number(highest)?,
                stamp: stamp.as_str()?.to_owned(),
            }))
        }
        _ => None,
    })
}

/// The stamp and the runs of `asked`; a table of another size tells nothing.
pub(super) fn parse_owners(
    reply: &Reply,
    asked: Range<u32>,
) -> Result<(String, Vec<Run>), InspectError> {
    parse("owners", reply, |kind, rest| match (kind, rest) {
        ("owners", [stamp, runs]) => {
            let mut words = runs.as_str()?.split_ascii_whitespace();
            let (mut runs, mut at) = (Vec::new(), asked.start);
            while let Some(length) = words.next() {
                let end = at.checked_add(length.parse().ok()?)?;
                let owner: u32 = words.next()?.parse().ok()?;
                runs.push(Run {
                    buckets: at..end,
                    owner: Some(owner).filter(|&owner| owner != 0),
                });
                at = end;
            }
            if at != asked.end {
                return None;
            }
            Some(Ok((stamp.as_str()?.to_owned(), runs)))
        }
        _ => None,
    })
}

pub(super) fn parse_drain(reply: &Reply) -> Result<DrainOutcome, InspectError> {
    parse("drain", reply, |kind, rest| {
        Some(Ok(match (kind, rest) {
            ("draining", [owned]) => DrainOutcome::Draining {
                owned: number(owned)?,
            },
            ("resumed", [owned]) => DrainOutcome::Resumed {
                owned: number(owned)?,
            },
            ("evicted", [owned]) => DrainOutcome::Evicted {
                owned: number(owned)?,
            },
            ("lives", [left]) => DrainOutcome::Lives {
                left: Duration::from_millis(left.as_u64()?),
            },
            ("not_member", []) => DrainOutcome::NotMember,
            ("last", []) => DrainOutcome::Last,
            _ => return None,
        }))
    })
}

fn parse_member(reply: &Reply) -> Option<MemberRecord> {
    let [
        member,
        id,
        incarnation,
        weight,
        drained,
        owned,
        quota,
        left,
        grace,
        incoming,
        in_step,
        low,
        high,
    ] = reply.as_array()?
    else {
        return None;
    };
    let (joined_us, uuid) = incarnation.as_str()?.split_once(':')?;
    let left: i64 = left.as_str()?.parse().ok()?;
    let range = number(low)?..number(high)?;
    Some(MemberRecord {
        number: number(member)?,
        // A stranger may have written what a terminal obeys.
        id: id.as_str()?.replace(char::is_control, "\u{fffd}"),
        joined_ms: joined_us.parse::<u64>().ok()? / 1_000,
        is_parked: uuid == "-",
        weight: number(weight)?,
        is_drained: drained.as_str()? == "1",
        owned: number(owned)?,
        quota: number(quota)?,
        lease_left: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
        grace: milliseconds(grace)?,
        incoming: number(incoming)?,
        is_in_step: in_step.as_str()? == "1",
        range: Some(range).filter(|range| !range.is_empty()),
    })
}

fn parse<T>(
    operation: &'static str,
    reply: &Reply,
    known: impl FnOnce(&str, &[Reply]) -> Option<Result<T, InspectError>>,
) -> Result<T, InspectError> {
    let parsed = || -> Option<Result<T, InspectError>> {
        let items = reply.as_array()?;
        match (items.first()?.as_str()?, &items[1..]) {
            ("absent", []) => Some(Err(InspectError::Absent)),
            ("newer", [version]) => Some(Err(InspectError::NewerVersion {
                version: version.as_u64()?,
            })),
            ("wrongtype", [key, found]) => Some(Err(InspectError::WrongType {
                key: key.as_str()?.to_owned(),
                found: found.as_str()?.to_owned(),
            })),
            (kind, rest) => known(kind, rest),
        }
    };
    parsed().unwrap_or_else(|| Err(StoreError::unexpected(operation, reply).into()))
}

fn number(reply: &Reply) -> Option<u32> {
    u32::try_from(reply.as_u64()?).ok()
}

fn milliseconds(reply: &Reply) -> Option<Duration> {
    reply.as_u64().map(Duration::from_millis)
}

/// Whatever is answered to them, exactly what was asked for is told.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(reply: &Reply) {
    let _ = (parse_members(reply), parse_drain(reply));
    if let Ok((_, runs)) = parse_owners(reply, 0..64) {
        let mut at = 0;
        for run in runs {
            assert_eq!(run.buckets.start, at);
            at = run.buckets.end;
        }
        assert_eq!(at, 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec())
    }

    fn owners(runs: &str) -> Reply {
        Reply::Array(vec![text("owners"), text("stamp"), text(runs)])
    }

    #[test]
    fn runs_cover_exactly_what_was_asked_for() {
        let (stamp, runs) = parse_owners(&owners("2 7 1 0"), 10..13).expect("well-formed");
        assert_eq!(stamp, "stamp");
        let expected = [(10..12, Some(7)), (12..13, None)];
        let found: Vec<_> = runs
            .into_iter()
            .map(|run| (run.buckets, run.owner))
            .collect();
        assert_eq!(found, expected);
        for wrong in ["2 7", "2 7 2 0", "2", "x 7 1 0"] {
            assert!(parse_owners(&owners(wrong), 10..13).is_err(), "{wrong}");
        }
    }

    fn words(words: &str) -> Vec<Reply> {
        words.split('|').map(text).collect()
    }

    /// A group of 64 buckets with one member.
    fn group(standing: &str, assignment: &str, member: &str) -> Result<Head, InspectError> {
        let mut reply = words(&format!(
            "group|1700|{standing}|250|64|{assignment}|9|1|5|40|7|stamp"
        ));
        reply.push(Reply::Array(vec![Reply::Array(words(member))]));
        parse_members(&Reply::Array(reply))
    }

    #[test]
    fn every_field_of_a_group_and_its_members_is_read() {
        let found = group(
            "quarantine",
            "c",
            "3|a\tb|2500:uuid|2|1|30|32|-5|60|4|0|8|40",
        );
        let head = found.expect("well-formed");
        assert_eq!((head.highest, head.stamp.as_str()), (7, "stamp"));
        let member = MemberRecord {
            number: 3,
            id: "a\u{fffd}b".to_owned(),
            joined_ms: 2,
            is_parked: false,
            weight: 2,
            is_drained: true,
            owned: 30,
            quota: 32,
            lease_left: Duration::ZERO,
            grace: Duration::from_millis(60),
            incoming: 4,
            is_in_step: false,
            range: Some(8..40),
        };
        let expected = Inspection {
            server_ms: 1_700,
            doubt: Duration::from_millis(250),
            buckets: 64,
            assignment: Assignment::Contiguous,
            version: 9,
            free: 5,
            settles_in: Duration::from_millis(40),
            members: vec![member],
            runs: Vec::new(),
            is_torn: false,
        };
        assert_eq!(head.inspection, expected);
    }

    #[test]
    fn a_member_that_left_and_a_past_that_is_known_are_told_apart() {
        let found = group("known", "s", "3|a|2500:-|2|0|30|32|70|60|4|1|0|0");
        let head = found.expect("well-formed");
        assert_eq!(head.inspection.doubt, Duration::ZERO);
        let member = &head.inspection.members[0];
        assert!(member.is_parked && member.is_in_step && !member.is_drained);
        assert_eq!(member.lease_left, Duration::from_millis(70));
        assert_eq!(member.range, None);
        assert!(group("known", "s", "3|a|2500|2|0|30|32|70|60|4|1|0|0").is_err());
        assert!(group("known", "x", "3|a|2500:-|2|0|30|32|70|60|4|1|0|0").is_err());
    }

    #[test]
    fn what_becomes_of_a_drain_is_told() {
        for (reply, expected) in [
            ("draining|9", DrainOutcome::Draining { owned: 9 }),
            ("resumed|8", DrainOutcome::Resumed { owned: 8 }),
            ("evicted|7", DrainOutcome::Evicted { owned: 7 }),
            (
                "lives|1500",
                DrainOutcome::Lives {
                    left: Duration::from_millis(1_500),
                },
            ),
            ("not_member", DrainOutcome::NotMember),
            ("last", DrainOutcome::Last),
        ] {
            let found = parse_drain(&Reply::Array(words(reply)));
            assert_eq!(found.expect("well-formed"), expected);
        }
        let wrong = parse_drain(&Reply::Array(words("wrongtype|key|list")));
        let Err(InspectError::WrongType { key, found }) = wrong else {
            panic!("{wrong:?}");
        };
        assert_eq!((key.as_str(), found.as_str()), ("key", "list"));
    }

    #[test]
    fn replies_of_other_shapes_are_refused() {
        for reply in [
            Reply::Nil,
            Reply::Array(vec![]),
            Reply::Array(vec![text("group")]),
            Reply::Array(vec![text("draining")]),
        ] {
            assert!(parse_members(&reply).is_err(), "{reply:?}");
            assert!(parse_drain(&reply).is_err(), "{reply:?}");
        }
        assert!(matches!(
            parse_drain(&Reply::Array(vec![text("absent")])),
            Err(InspectError::Absent)
        ));
        assert!(matches!(
            parse_members(&Reply::Array(words("newer|2"))),
            Err(InspectError::NewerVersion { version: 2 })
        ));
    }
}
