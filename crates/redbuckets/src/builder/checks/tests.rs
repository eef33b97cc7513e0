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
    for within in [0, 100] {
        assert!(builder().acknowledge(within).check_numbers().is_ok());
    }
    let error = builder().acknowledge(101).check_numbers();
    assert_eq!(
        error.expect_err("out of bounds").to_string(),
        "acknowledge of 101 is out of bounds; choose between 0 and 100"
    );
}

#[test]
fn durations_have_limits_that_are_named() {
    type Set = fn(Builder, Duration) -> Builder;
    let options: [(&str, Set, u64); 7] = [
        ("settle", Builder::settle, 10),
        ("discovery", Builder::discovery, 3_600),
        ("failover_bound", Builder::failover_bound, 3_600),
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

#[test]
fn a_grace_is_for_an_id_that_comes_back() {
    let grace = Duration::from_secs(5);
    let error = builder().rejoin_grace(grace).build().expect_err("no id");
    assert!(error.to_string().contains("rejoin_grace of 5s"), "{error}");
    let named = builder().rejoin_grace(grace).instance_id("pod-0");
    assert!(named.build().is_ok());
}

/// A living member is heard at least once in a discovery, or there is none.
#[test]
fn a_discovery_holds_two_periods_and_an_answer() {
    let (seconds, ms) = (Duration::from_secs, Duration::from_millis);
    let discovery = |builder: Builder| builder.checked_discovery();
    assert_eq!(discovery(builder()).ok(), Some(seconds(3)), "the default");
    let slow = || builder().period(seconds(20)).ttl(seconds(60));
    assert_eq!(discovery(slow()).ok(), Some(ms(40_500)));
    for good in [Duration::ZERO, ms(40_500), seconds(60)] {
        assert_eq!(discovery(slow().discovery(good)).ok(), Some(good));
    }
    let error = slow().discovery(seconds(3)).build().expect_err("too short");
    assert_eq!(
        error.to_string(),
        "discovery of 3s is too short to hear members that register every 20s; choose 40.5s or more, or zero not to wait \
         at all"
    );
}
