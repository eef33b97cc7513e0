//! What the operators' scripts answer, in terms of this crate: pure conversions.

mod changes;

use std::time::Duration;

use coord_core::{
    history::Terms,
    store::{Reply, StoreError},
};

pub(super) use self::changes::{
    Page, Relaid, Repaired, parse_import, parse_init, parse_page, parse_relayout, parse_repair,
};
use super::{History, InspectError, Inspection, Lock, Revocation, SlotRecord};

pub(super) fn parse_inspect(reply: &Reply) -> Result<Inspection, InspectError> {
    let parsed = || -> Option<Result<Inspection, InspectError>> {
        let items = reply.as_array()?;
        match (items.first()?.as_str()?, &items[1..]) {
            (
                "slots",
                [
                    server,
                    standing,
                    left,
                    recorded,
                    slots,
                    layout,
                    floor,
                    longest,
                    has_begun,
                    tells,
                ],
            ) => {
                let slots = slots.as_array()?.iter().map(parse_slot);
                Some(Ok(Inspection {
                    server_ms: server.as_u64()?,
                    history: parse_history(standing.as_str()?, left, has_begun.as_str()? == "1")?,
                    tells_identity: tells.as_str()? == "1",
                    recorded: recorded.as_u64()?,
                    layout: lossy(layout)?,
                    floor_ms: floor.as_u64()?,
                    longest: Terms::parse(longest.as_str()?)?,
                    slots: slots.collect::<Option<_>>()?,
                }))
            }
            (kind, rest) => refusal(kind, rest).map(Err),
        }
    };
    parsed().unwrap_or_else(|| Err(StoreError::unexpected("inspect", reply).into()))
}

pub(super) fn parse_revoke(reply: &Reply) -> Result<Revocation, InspectError> {
    let parsed = || -> Option<Result<Revocation, InspectError>> {
        let items = reply.as_array()?;
        Some(match (items.first()?.as_str()?, &items[1..]) {
            ("revoked", [fence, left]) => Ok(Revocation::Revoked {
                fence: fence.as_u64()?,
                free_in: milliseconds(left)?,
            }),
            ("changed", []) => Ok(Revocation::Changed),
            ("free", []) => Ok(Revocation::Free),
            ("unrecorded", []) => Ok(Revocation::Unrecorded),
            (kind, rest) => return refusal(kind, rest).map(Err),
        })
    };
    parsed().unwrap_or_else(|| Err(StoreError::unexpected("revoke", reply).into()))
}

pub(super) fn parse_clock(reply: &Reply) -> Result<Duration, StoreError> {
    let parsed = || match reply.as_array()? {
        [kind, time] if kind.as_str() == Some("clock") => time.as_u64(),
        _ => None,
    };
    parsed()
        .map(Duration::from_micros)
        .ok_or_else(|| StoreError::unexpected("clock", reply))
}

fn parse_history(standing: &str, left: &Reply, has_begun: bool) -> Option<History> {
    match standing {
        "known" => Some(History::Known),
        "quarantine" => Some(History::Quarantine {
            left: milliseconds(left)?,
            has_begun,
        }),
        "absent" => Some(History::Absent),
        _ => None,
    }
}

fn parse_slot(reply: &Reply) -> Option<SlotRecord> {
    let [id, locked, holder, ttl, fence, horizon, floor, left, label] = reply.as_array()? else {
        return None;
    };
    let lock = match locked.as_str()? {
        "1" => Some(Lock {
            holder: lossy(holder)?,
            // -1 is a key that never expires.
            ttl: ttl.as_u64().map(Duration::from_millis),
        }),
        _ => None,
    };
    Some(SlotRecord {
        id: u32::try_from(id.as_u64()?).ok()?,
        lock,
        fence: fence.as_u64()?,
        horizon_ms: horizon.as_u64()?,
        floor_ms: floor.as_u64()?,
        lease_left: milliseconds(left)?,
        label: lossy(label)?,
    })
}

/// A stranger may have put any bytes there, those that a terminal obeys among them.
fn lossy(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Bytes(bytes) => {
            Some(String::from_utf8_lossy(bytes).replace(char::is_control, "\u{fffd}"))
        }
        _ => None,
    }
}

fn milliseconds(reply: &Reply) -> Option<Duration> {
    reply.as_u64().map(Duration::from_millis)
}

/// What any of the scripts may answer instead.
fn refusal(kind: &str, rest: &[Reply]) -> Option<InspectError> {
    match (kind, rest) {
        ("newer", [version]) => Some(InspectError::NewerVersion {
            version: version.as_u64()?,
        }),
        ("unverified", []) => Some(InspectError::Unverified),
        ("wrongtype", [key, found]) => Some(InspectError::WrongType {
            key: key.as_str()?.to_owned(),
            found: found.as_str()?.to_owned(),
        }),
        _ => None,
    }
}

/// Whatever is answered to them.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(reply: &Reply) {
    let _ = (
        parse_inspect(reply),
        parse_revoke(reply),
        parse_clock(reply),
        parse_init(reply),
        parse_page(reply, "ns"),
        parse_repair(reply),
        parse_relayout(reply),
        parse_import(reply, ""),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Reply {
        Reply::Bytes(text.as_bytes().to_vec())
    }

    fn inspected(standing: &str, slots: Vec<Reply>) -> Result<Inspection, InspectError> {
        parse_inspect(&Reply::Array(vec![
            text("slots"),
            text("1000"),
            text(standing),
            Reply::Int(70),
            Reply::Int(2),
            Reply::Array(slots),
            text("41/10/12"),
            text("5"),
            text("60000 15000 10000"),
            text("1"),
            text("0"),
        ]))
    }

    fn slot(locked: &str, holder: Reply, ttl: i64) -> Reply {
        let numbers = ["9", "20", "10"].map(text);
        let head = [Reply::Int(4), text(locked), holder, Reply::Int(ttl)];
        let tail = [Reply::Int(50), text("me")];
        Reply::Array(head.into_iter().chain(numbers).chain(tail).collect())
    }

    #[test]
    fn every_standing_of_the_past_is_understood() {
        let left = Duration::from_millis(70);
        for (standing, expected) in [
            ("known", History::Known),
            ("absent", History::Absent),
            (
                "quarantine",
                History::Quarantine {
                    left,
                    has_begun: true,
                },
            ),
        ] {
            let inspection = inspected(standing, Vec::new()).expect("understood");
            assert_eq!(inspection.history, expected);
            assert!(!inspection.tells_identity);
            assert_eq!((inspection.server_ms, inspection.recorded), (1_000, 2));
        }
    }

    #[test]
    fn a_slot_is_read_with_whatever_stands_in_its_lock() {
        let strange = Reply::Bytes(vec![b'g', 0xff]);
        let slots = vec![
            slot("1", text("holder"), 60),
            slot("1", strange, -1),
            slot("0", text(""), 0),
        ];
        let slots = inspected("known", slots).expect("understood").slots;
        let first = SlotRecord {
            id: 4,
            lock: Some(Lock {
                holder: "holder".to_owned(),
                ttl: Some(Duration::from_millis(60)),
            }),
            fence: 9,
            horizon_ms: 20,
            floor_ms: 10,
            lease_left: Duration::from_millis(50),
            label: "me".to_owned(),
        };
        assert_eq!(slots[0], first);
        let lock = slots[1].lock.as_ref().expect("there is one");
        assert_eq!((&*lock.holder, lock.ttl), ("g\u{fffd}", None), "for ever");
        assert_eq!(slots[2].lock, None);
        assert!(inspected("known", vec![slot("1", Reply::Int(5), 60)]).is_err());
    }

    #[test]
    fn every_answer_to_a_revocation_is_understood() {
        let parsed = |words: &str| {
            let words = words.split(' ').map(text).collect();
            parse_revoke(&Reply::Array(words))
        };
        let free_in = Duration::from_millis(70);
        let revoked = parsed("revoked 9 70").expect("understood");
        assert_eq!(revoked, Revocation::Revoked { fence: 9, free_in });
        for (words, expected) in [
            ("changed", Revocation::Changed),
            ("free", Revocation::Free),
            ("unrecorded", Revocation::Unrecorded),
        ] {
            assert_eq!(parsed(words).expect("understood"), expected);
        }
        let refused = parsed("wrongtype ns:slots list").expect_err("of another type");
        assert!(
            matches!(&refused, InspectError::WrongType { key, found } if key == "ns:slots" && found == "list"),
            "{refused:?}"
        );
    }

    #[test]
    fn the_clock_is_read_in_microseconds() {
        let told = |word: &str| parse_clock(&Reply::Array(vec![text(word), text("1500")]));
        assert_eq!(
            told("clock").expect("understood"),
            Duration::from_micros(1_500)
        );
        assert!(told("clocks").is_err());
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_passed_on() {
        let found = lossy(&text("a\u{1b}[2J\nb"));
        assert_eq!(found.as_deref(), Some("a\u{fffd}[2J\u{fffd}b"));
    }

    #[test]
    fn replies_of_other_shapes_are_refused() {
        for reply in [
            Reply::Nil,
            Reply::Array(vec![]),
            Reply::Array(vec![text("slots")]),
            Reply::Array(vec![text("revoked"), text("x"), Reply::Int(0)]),
            Reply::Array(vec![text("clock"), text("-1")]),
            Reply::Array(vec![
                text("slots"),
                text("1"),
                text("doubtful"),
                Reply::Int(0),
                Reply::Int(0),
                Reply::Array(vec![]),
                text(""),
                text("0"),
                text("0 0 0"),
                text("1"),
                text("1"),
            ]),
        ] {
            assert!(parse_inspect(&reply).is_err(), "{reply:?}");
            assert!(parse_revoke(&reply).is_err(), "{reply:?}");
            assert!(parse_clock(&reply).is_err(), "{reply:?}");
            assert!(parse_init(&reply).is_err(), "{reply:?}");
            assert!(parse_page(&reply, "ns").is_err(), "{reply:?}");
            assert!(parse_repair(&reply).is_err(), "{reply:?}");
            assert!(parse_relayout(&reply).is_err(), "{reply:?}");
            assert!(parse_import(&reply, "").is_err(), "{reply:?}");
        }
    }
}
