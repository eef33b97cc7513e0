use super::*;

/// What every longer reply ends with, and what that says.
const TOLD: &str = "60000 15000 0|1700";

fn said() -> Told {
    Told {
        longest: Terms::new(
            Duration::from_secs(60),
            Duration::from_secs(15),
            Duration::ZERO,
        ),
        server_ms: 1_700,
    }
}

fn text(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

/// Words between bars, each of which may be empty.
fn reply(words: &str) -> Reply {
    Reply::Array(words.split('|').map(text).collect())
}

fn beat(words: &str, releases: usize) -> Result<BeatReply, StoreError> {
    parse_beat(&reply(words), releases, 10)
}

#[test]
fn every_field_of_a_beat_is_read() {
    let words = format!("ok|1|2|3|4|5|1|6|7|8 80 2-4 90|mfgk|10|11|12|state|record|{TOLD}");
    let expected = Beat {
        version: 1,
        members: 2,
        quota: 3,
        surplus: 4,
        again: Duration::from_millis(5),
        more: true,
        range: 6..7,
        grants: vec![
            Grant {
                bucket: 8,
                epoch: 80,
            },
            Grant {
                bucket: 2,
                epoch: 90,
            },
            Grant {
                bucket: 3,
                epoch: 90,
            },
            Grant {
                bucket: 4,
                epoch: 90,
            },
        ],
        received: 2,
        staying: vec![],
        outcomes: vec![Outcome::Gone, Outcome::Gone, Outcome::Gone, Outcome::Keep],
        free: 10,
        doubt: Duration::from_millis(11),
        owned: 12,
        glance: Some(Glance {
            state: "state".to_owned(),
            record: "record".to_owned(),
        }),
        told: said(),
    };
    assert_eq!(
        beat(&words, 4).expect("understood"),
        BeatReply::Beaten(Box::new(expected))
    );
}

#[test]
fn what_a_beat_does_not_say_is_not_there() {
    let words = format!("ok|1|2|3|4|5|0|6|7|||10|11|12|||{TOLD}");
    let BeatReply::Beaten(beat) = beat(&words, 0).expect("understood") else {
        panic!("it says everything else");
    };
    assert!(!beat.more && beat.grants.is_empty() && beat.outcomes.is_empty());
    assert_eq!(beat.glance, None);
}

#[test]
fn a_beat_that_cannot_be_is_refused() {
    let with = |grants: &str, outcomes: &str| {
        beat(
            &format!("ok|1|2|3|4|5|0|6|7|{grants}|{outcomes}|10|11|12|||{TOLD}"),
            2,
        )
    };
    assert!(with("9 1", "mk").is_ok());
    let BeatReply::Beaten(marked) = with("7 2 9 1! 8 4", "mk").expect("understood") else {
        panic!("it says everything");
    };
    assert_eq!((marked.grants[1].epoch, &*marked.staying), (1, &[9][..]));
    for (grants, outcomes) in [
        ("10 1", "mk"),
        ("9 0", "mk"),
        ("9 1 10 1", "mk"),
        ("9", "mk"),
        ("9! 1", "mk"),
        ("9 1!!", "mk"),
        ("x 1", "mk"),
        ("9 1", "m"),
        ("9 1", "mkk"),
        ("9 1", "mx"),
    ] {
        assert!(with(grants, outcomes).is_err(), "{grants:?}, {outcomes:?}");
    }
    assert!(beat("ok|1", 0).is_err());
    assert!(beat("nonsense", 0).is_err());
    assert!(parse_beat(&Reply::Nil, 0, 10).is_err());
}

#[test]
fn short_answers_to_a_beat_are_understood() {
    for (words, expected) in [
        ("same|70", BeatReply::Same(Duration::from_millis(70))),
        ("resync", BeatReply::Resync),
        ("fenced|5:uuid", BeatReply::Fenced("5:uuid".to_owned())),
        ("stale", BeatReply::Stale),
    ] {
        assert_eq!(beat(words, 0).expect("understood"), expected);
        assert!(beat(&format!("{words}|more"), 0).is_err(), "{words}");
    }
}

#[test]
fn every_answer_to_a_join_is_understood() {
    let joined = JoinReply::Joined {
        number: 3,
        generation: "7".to_owned(),
        token: "5:uuid".to_owned(),
        told: said(),
    };
    let occupied = |left| JoinReply::Occupied { left, over_ms: 90 };
    let (key, found) = ("g:group".to_owned(), "list".to_owned());
    let refused = JoinReply::Refused;
    for (words, expected) in [
        (&*format!("joined|3|7|5:uuid|{TOLD}"), joined),
        ("occupied|70|90", occupied(Duration::from_millis(70))),
        ("occupied|99000000000|90", occupied(Timing::MAX_TTL)),
        ("buckets|8", refused(Refusal::Buckets { theirs: 8 })),
        (
            "assignment|c",
            refused(Refusal::Assignment {
                theirs: Assignment::Contiguous,
            }),
        ),
        (
            "assignment|s",
            refused(Refusal::Assignment {
                theirs: Assignment::Sticky,
            }),
        ),
        ("weights|64", refused(Refusal::Weights { most: 64 })),
        ("full", refused(Refusal::Full)),
        ("unverified", refused(Refusal::Unverified)),
        ("newer|2", refused(Refusal::NewerVersion { version: 2 })),
        (
            "wrongtype|g:group|list",
            refused(Refusal::WrongType { key, found }),
        ),
    ] {
        assert_eq!(
            parse_join(&reply(words)).expect("understood"),
            expected,
            "{words}"
        );
    }
    for words in [
        "joined|3|7|5:uuid",
        "joined|3|7|5:uuid|60000 15000|1700",
        "joined|3|7|5:uuid|60000 15000 0|x",
        "buckets|x",
        "assignment|x",
        "nonsense",
        "full|8",
    ] {
        assert!(parse_join(&reply(words)).is_err(), "{words}");
    }
}

#[test]
fn every_answer_to_a_claim_or_a_leave_is_understood() {
    let claimed = ClaimReply::Claimed {
        number: 3,
        generation: "7".to_owned(),
        rejected: vec![1, 4],
        told: said(),
    };
    for (words, expected) in [
        (&*format!("claimed|3|7|1 4|{TOLD}"), claimed),
        ("restart", ClaimReply::Restart),
        ("fenced|5:uuid", ClaimReply::Fenced("5:uuid".to_owned())),
        ("stale", ClaimReply::Stale),
        (
            "buckets|8",
            ClaimReply::Refused(Refusal::Buckets { theirs: 8 }),
        ),
    ] {
        assert_eq!(
            parse_claim(&reply(words)).expect("understood"),
            expected,
            "{words}"
        );
    }
    assert!(parse_claim(&reply("claimed|3|7|x|60000 15000 0|1700")).is_err());
    assert!(parse_leave(&reply("left")).expect("understood"));
    assert!(!parse_leave(&reply("not_member")).expect("understood"));
    assert!(parse_leave(&reply("stayed")).is_err());
}
