use super::*;

fn builder() -> Builder {
    Redbuckets::builder("memory://checks", "group")
}

/// What the error says of a number that is one beyond a bound; nothing is wrong with those at it.
#[track_caller]
fn check_number(set: impl Fn(u32) -> Builder, max: u32, expected: &str) {
    for within in [1, max] {
        let checked = set(within).check_numbers();
        assert!(checked.is_ok(), "{within}: {checked:?}");
    }
    for beyond in [0, max + 1] {
        let error = set(beyond).check_numbers().expect_err("out of bounds");
        let expected =
            format!("{expected} of {beyond} is out of bounds; choose between 1 and {max}");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn numbers_have_bounds_that_are_named() {
    check_number(|count| builder().buckets(count), 1_048_576, "bucket count");
    check_number(|weight| builder().weight(weight), 1_000, "weight");
    check_number(|moves| builder().max_moves(moves), 1_048_576, "max_moves");
    check_number(|chunk| builder().chunk(chunk), 1_024, "chunk");
    check_number(
        |replicas| builder().acknowledge(Acknowledge::AtLeast(replicas)),
        100,
        "acknowledge of at least",
    );
    for acknowledge in [Acknowledge::All, Acknowledge::Never] {
        let checked = builder().acknowledge(acknowledge).check_numbers();
        assert!(checked.is_ok(), "{checked:?}");
    }
}

#[test]
fn durations_have_limits_that_are_named() {
    type Set = fn(Builder, Duration) -> Builder;
    let options: [(&str, Set, u64); 6] = [
        ("settle", Builder::settle, 10),
        ("discovery", Builder::discovery, 3_600),
        ("register_timeout", Builder::register_timeout, 600),
        ("leave_timeout", Builder::leave_timeout, 600),
        ("drain_timeout", Builder::drain_timeout, 3_600),
        ("rejoin_grace", Builder::rejoin_grace, 3_600),
    ];
    assert!(builder().check_durations().is_ok(), "the defaults");
    for (option, set, seconds) in options {
        let limit = Duration::from_secs(seconds);
        for within in [Duration::ZERO, limit] {
            let checked = set(builder(), within).check_durations();
            assert!(checked.is_ok(), "{option} of {within:?}: {checked:?}");
        }
        let beyond = limit + Duration::from_millis(1);
        let error = set(builder(), beyond).check_durations();
        let expected =
            format!("{option} of {beyond:?} is out of bounds; choose between 0ns and {limit:?}");
        assert_eq!(error.expect_err("too long").to_string(), expected);
    }
}
