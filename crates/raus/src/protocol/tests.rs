use coord_core::store::Reply;

use super::*;

fn text(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

/// A reply of words, each of which scripts send as a string.
fn reply(words: &str) -> Reply {
    Reply::Array(words.split(' ').map(text).collect())
}

fn holder() -> Uuid {
    Uuid::from_u128(7)
}

#[track_caller]
fn check_acquire(words: &str, expected: AcquireReply) {
    let parsed = parse_acquire(&reply(words), holder(), &[3, 4]);
    assert_eq!(parsed.expect("understood"), expected, "{words}");
}

#[test]
fn every_answer_to_an_acquisition_is_understood() {
    let slot = Slot {
        number: 4,
        holder: holder(),
        fence: 9,
        floor_ms: 10,
        horizon_ms: 20,
        server_ms: 15,
    };
    for (word, garbled) in [("", None), ("3", Some(3))] {
        check_acquire(
            &format!("granted 4 9 10 20 15 2 {word}"),
            AcquireReply::Granted {
                slot,
                replicas: 2,
                garbled,
            },
        );
        let (held, ahead) = (1, 1);
        check_acquire(
            &format!("taken 1 1 {word}"),
            AcquireReply::Taken {
                held,
                ahead,
                garbled,
            },
        );
    }
    for (spares, flag) in [(true, "1"), (false, "0")] {
        let wait = Duration::from_millis(70);
        check_acquire(
            &format!("suspect 70 {flag}"),
            AcquireReply::Suspect { wait, spares },
        );
    }
    let endless = AcquireReply::Suspect {
        wait: Timing::MAX_TTL,
        spares: false,
    };
    check_acquire("suspect 99000000000 0", endless);
    check_acquire(
        "few 1 2",
        AcquireReply::TooFewReplicas {
            found: 1,
            wanted: 2,
        },
    );
    check_acquire(
        "absent run@5",
        AcquireReply::Absent {
            token: "run@5".to_owned(),
        },
    );
    check_acquire("skew 15", AcquireReply::Skew { server_ms: 15 });
    let (key, found) = ("ns:slots".to_owned(), "list".to_owned());
    check_acquire(
        "wrongtype ns:slots list",
        AcquireReply::WrongType { key, found },
    );
}

#[test]
fn a_grant_that_cannot_be_is_refused() {
    for words in [
        "granted 5 9 10 20 15 0 ",
        "granted 4 0 10 20 15 0 ",
        "granted 4 9 21 20 15 0 ",
        "granted 4 9 10 20 15 0",
        "granted 4 9 10 20 x 0 ",
        "granted 4 9 10 20 15 0 5",
        "given 4 9 10 20 15 0 ",
    ] {
        let parsed = parse_acquire(&reply(words), holder(), &[3, 4]);
        assert!(parsed.is_err(), "{words}: {parsed:?}");
    }
    let empty = parse_acquire(&reply("granted 4 9 20 20 15 0 "), holder(), &[4]);
    assert!(empty.is_ok(), "a span of time may be used up");
}

#[test]
fn every_answer_to_a_renewal_is_understood() {
    let (horizon_ms, server_ms) = (20, 15);
    let (key, found) = ("ns:slots".to_owned(), "list".to_owned());
    for (words, expected) in [
        (
            "renewed 20 15",
            RenewReply::Renewed {
                horizon_ms,
                server_ms,
            },
        ),
        (
            "reasserted 20 15",
            RenewReply::Reasserted {
                horizon_ms,
                server_ms,
            },
        ),
        (
            "capped 20 15 OOM",
            RenewReply::Capped {
                server_ms,
                error: "OOM".to_owned(),
            },
        ),
        ("lost foreign", RenewReply::Foreign),
        ("lost forgotten", RenewReply::Forgotten),
        ("lost superseded 8", RenewReply::Superseded { fence: 8 }),
        (
            "wrongtype ns:slots list",
            RenewReply::WrongType { key, found },
        ),
    ] {
        assert_eq!(
            parse_renew(&reply(words)).expect("understood"),
            expected,
            "{words}"
        );
    }
    for words in [
        "lost",
        "lost interest",
        "lost interest 8",
        "renewed 20",
        "lost superseded x",
    ] {
        assert!(parse_renew(&reply(words)).is_err(), "{words}");
    }
}

#[test]
fn a_release_says_whether_the_slot_was_still_held() {
    assert!(parse_release(&reply("released")).expect("understood"));
    assert!(!parse_release(&reply("not_held")).expect("understood"));
    assert!(parse_release(&reply("lost")).is_err());
    assert!(parse_release(&Reply::Nil).is_err());
}

/// The headers of the scripts say which argument stands where.
#[test]
fn arguments_stand_where_the_scripts_look_for_them() {
    let namespace = coord_core::namespace::Namespace::new("ns").expect("valid");
    let identity = Identity {
        keys: Keys::new(&namespace, false),
        label: "me".to_owned(),
        timing: Timing::new(Duration::from_secs(6), Duration::from_secs(1)).expect("valid"),
        max_clock_skew: Duration::from_secs(10),
        acknowledge: Acknowledge::All,
    };
    let acquire = identity.acquire(holder(), &[3, 4], 77, &Mode::Ask, true, true);
    let Command::Eval { keys, args, .. } = acquire else {
        panic!("a script");
    };
    assert_eq!(keys, ["ns:slots", "ns:id:3", "ns:id:4"]);
    let uuid = holder().to_string();
    assert_eq!(
        args,
        [
            &*uuid, "6000", "77", "10000", "me", "ask", "1", "all", "3", "4"
        ]
    );
    let slot = Slot {
        number: 4,
        holder: holder(),
        fence: 9,
        floor_ms: 10,
        horizon_ms: 20,
        server_ms: 15,
    };
    let Command::Eval { keys, args, .. } = identity.renew(&slot, 77, 12, 6_015) else {
        panic!("a script");
    };
    assert_eq!(keys, ["ns:slots", "ns:id:4"]);
    assert_eq!(
        args,
        [&*uuid, "4", "9", "6000", "77", "10000", "12", "me", "6015"]
    );
    let Command::Eval { args, .. } = identity.release(&slot, 13) else {
        panic!("a script");
    };
    assert_eq!(args, [&*uuid, "4", "9", "13"]);
}
