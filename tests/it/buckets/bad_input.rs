//! What cannot work is refused with a clear error.

use std::time::Duration;

use redbuckets::{ConfigError, Redbuckets};

#[test]
fn impossible_options_name_the_value_and_the_limit() {
    let builder = || Redbuckets::builder("memory://bad-input", "group");
    let check = |builder: redbuckets::Builder, expected: &str| {
        let error: ConfigError = builder.build().expect_err("must be refused");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(builder().buckets(0), "bucket count of 0 is out of bounds");
    check(builder().buckets(1_048_577), "between 1 and 1048576");
    check(builder().weight(0), "weight of 0 is out of bounds");
    check(builder().weight(1_001), "between 1 and 1000");
    check(
        builder().ttl(Duration::from_secs(2)),
        "shorter than three heartbeats",
    );
    check(
        builder().settle(Duration::from_secs(11)),
        "settle of 11s is out of bounds",
    );
    check(builder().chunk(0), "chunk of 0 is out of bounds");
    check(
        builder().instance_id("two words"),
        "instance id is not usable",
    );
    check(Redbuckets::builder("memory://bad-input", ""), "empty");
    check(Redbuckets::builder("memory://bad-input", "a{b}"), "'{'");
    check(Redbuckets::builder("localhost", "group"), "no scheme");
}
