use coord_core::store::Reply;

use super::*;

fn text(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().to_vec())
}

/// A reply of words, each of which scripts send as a string.
fn reply(words: &str) -> Reply {
    Reply::Array(words.split(',').map(text).collect())
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
    let longest = Terms::parse("60000 15000 10000").expect("terms");
    for (word, garbled) in [("", None), ("3", Some(3))] {
        check_acquire(
            &format!("granted,4,9,10,20,15,60000 15000 10000,41/10/12,{word}"),
            AcquireReply::Granted {
                slot,
                longest,
                layout: "41/10/12".to_owned(),
                garbled,
            },
        );
        let mut taken = Taken {
            held: 1,
            ahead: 1,
            frees_within: Some(Duration::from_millis(70)),
            whole: false,
            ahead_by: Duration::from_millis(9),
            garbled,
        };
        let answer = format!("taken,1,1,70,0,9,{word}");
        check_acquire(&answer, AcquireReply::Taken(taken.clone()));
        (taken.held, taken.ahead, taken.whole) = (1_024, 0, true);
        let answer = format!("taken,1024,0,70,1,9,{word}");
        check_acquire(&answer, AcquireReply::Taken(taken));
    }
    let wait = Duration::from_millis(70);
    check_acquire("quarantine,70", AcquireReply::Quarantine { wait });
    let wait = 2 * Terms::MAX;
    check_acquire("quarantine,99000000000", AcquireReply::Quarantine { wait });
    for (word, is_quiet) in [("absent", false), ("quiet", true)] {
        let token = "run@5".to_owned();
        let expected = AcquireReply::Absent { token, is_quiet };
        check_acquire(&format!("{word},run@5"), expected);
    }
    check_acquire("unverified", AcquireReply::Unverified);
    check_acquire("newer,2", AcquireReply::NewerVersion { version: 2 });
    let by = Duration::from_millis(7);
    check_acquire("ahead,7", AcquireReply::Ahead { by });
    check_acquire("skew,15", AcquireReply::Skew { server_ms: 15 });
    let (key, found) = ("ns:slots".to_owned(), "list".to_owned());
    check_acquire(
        "wrongtype,ns:slots,list",
        AcquireReply::WrongType { key, found },
    );
}

/// As the script says it if no lease has an end that it knows.
#[test]
fn a_full_range_may_not_know_when_a_lease_ends() {
    let mut items = vec![text("taken"), Reply::Int(2), Reply::Int(0), Reply::Int(-1)];
    items.extend([text("0"), Reply::Int(0), text("")]);
    let parsed = parse_acquire(&Reply::Array(items), holder(), &[3, 4]);
    assert!(matches!(
        parsed,
        Ok(AcquireReply::Taken(Taken {
            held: 2,
            frees_within: None,
            ..
        }))
    ));
}

#[test]
fn a_grant_that_cannot_be_is_refused() {
    let (terms, rest) = ("60000 15000 10000", ",,");
    for numbers in [
        "5,9,10,20,15",
        "4,0,10,20,15",
        "4,9,21,20,15",
        "4,9,10,20,x",
    ] {
        let words = format!("granted,{numbers},{terms}{rest}");
        let parsed = parse_acquire(&reply(&words), holder(), &[3, 4]);
        assert!(parsed.is_err(), "{words}: {parsed:?}");
    }
    for words in [
        "granted,4,9,10,20,15,60000 15000 10000,",
        "granted,4,9,10,20,15,60000 15000,,",
        "granted,4,9,10,20,15,60000 15000 10000,,5",
        "given,4,9,10,20,15,60000 15000 10000,,",
        "taken,1,0,-1,0,0,",
    ] {
        let parsed = parse_acquire(&reply(words), holder(), &[3, 4]);
        assert!(parsed.is_err(), "{words}: {parsed:?}");
    }
    let words = format!("granted,4,9,20,20,15,{terms}{rest}");
    let empty = parse_acquire(&reply(&words), holder(), &[4]);
    assert!(empty.is_ok(), "a span of time may be used up");
}

#[test]
fn every_answer_to_a_renewal_is_understood() {
    let renewed = Renewed {
        horizon_ms: 20,
        server_ms: 15,
        longest: Terms::parse("60 15 10").expect("terms"),
    };
    let (key, found) = ("ns:slots".to_owned(), "list".to_owned());
    for (words, expected) in [
        ("renewed,20,15,60 15 10", RenewReply::Renewed(renewed)),
        ("reasserted,20,15,60 15 10", RenewReply::Reasserted(renewed)),
        (
            "capped,20,15,60 15 10,OOM",
            RenewReply::Capped {
                server_ms: 15,
                error: "OOM".to_owned(),
            },
        ),
        ("lost,foreign", RenewReply::Foreign),
        ("lost,forgotten", RenewReply::Forgotten),
        ("lost,cloned", RenewReply::Cloned),
        ("lost,superseded,8", RenewReply::Superseded { fence: 8 }),
        (
            "lost,layout,41/8/14",
            RenewReply::Layout {
                stored: "41/8/14".to_owned(),
            },
        ),
        ("late", RenewReply::Late),
        ("newer,2", RenewReply::NewerVersion { version: 2 }),
        (
            "wrongtype,ns:slots,list",
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
        "lost,interest",
        "lost,interest,8",
        "renewed,20",
        "renewed,20,15,60",
        "lost,superseded,x",
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

#[test]
fn the_layout_on_record_is_told() {
    let stored = parse_layout(&reply("layout,41/10/12"));
    assert_eq!(stored.expect("understood"), "41/10/12");
    for words in ["layout", "wrongtype,ns:slots,list"] {
        assert!(parse_layout(&reply(words)).is_err(), "{words}");
    }
}

/// The headers of the scripts say which argument stands where.
#[test]
fn arguments_stand_where_the_scripts_look_for_them() {
    let namespace = coord_core::namespace::Namespace::new("ns").expect("valid");
    let seconds = Duration::from_secs;
    let identity = Identity {
        keys: Keys::new(&namespace, false),
        label: "me".to_owned(),
        timing: Timing::new(seconds(6), seconds(1)).expect("valid"),
        policy: Policy::new(Terms::new(seconds(6), seconds(15), seconds(10))),
        acknowledge: 0,
        longest: Longest::default(),
    };
    identity
        .longest
        .set(Terms::new(seconds(60), seconds(20), seconds(9)));
    let terms = "6000 15000 10000 60000 20000 9000 -";
    let offer = Offer {
        holder: holder(),
        slots: &[3, 4],
        wall_ms: 77,
        mode: &Mode::Ask,
        lenient: true,
        range: Some(&(3..=9)),
        number: 5,
    };
    let (keys, args) = script(identity.acquire(&offer));
    assert_eq!(keys, ["ns:slots", "ns:id:3", "ns:id:4"]);
    let uuid = &*holder().to_string();
    assert_eq!(
        args,
        [uuid, terms, "77", "me", "ask", "1", "3-9", "5", "3", "4"]
    );
    let unsure = Offer {
        range: None,
        ..offer
    };
    assert_eq!(script(identity.acquire(&unsure)).1[6], "");
    let slot = Slot {
        number: 4,
        holder: holder(),
        fence: 9,
        floor_ms: 10,
        horizon_ms: 20,
        server_ms: 15,
    };
    let standing = Standing {
        till_ms: 6_015,
        chain: "7,5",
    };
    let (keys, args) = script(identity.renew(&slot, 77, 12, standing, "41/10/12"));
    assert_eq!(keys, ["ns:slots", "ns:id:4"]);
    let expected = [
        uuid, "4", "9", terms, "77", "12", "me", "6015", "7,5", "41/10/12", "20",
    ];
    assert_eq!(args, expected);
    for (leaves, horizon, lowers) in [
        (Leaves::Exactly(13), "13", "1"),
        (Leaves::Unknown, "20", "0"),
    ] {
        let (keys, args) = script(identity.release(&slot, leaves, standing));
        assert_eq!(keys, ["ns:slots", "ns:id:4"]);
        let expected = [
            uuid, "4", "9", horizon, lowers, terms, "6015", "7,5", "me", "ns:freed",
        ];
        assert_eq!(args, expected);
    }
}

fn script(command: Command) -> (Vec<String>, Vec<String>) {
    match command {
        Command::Eval { keys, args, .. } => (keys, args),
        other => panic!("a script, not {other:?}"),
    }
}
