//! What cannot work is refused with a clear error, and nothing is changed.

use std::time::Duration;

use redbuckets::{ConfigError, JoinError, Redbuckets};

use super::{instance_of, is_balanced, join, server, until};

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

#[tokio::test(flavor = "multi_thread")]
async fn another_bucket_count_is_refused_with_both_numbers() {
    let server = server();
    let instances = [join(&server, 8).await];
    until("the first instance owns everything", || {
        is_balanced(&instances, 8)
    })
    .await;
    let refused = instance_of(&server, 9).build().expect("valid").join().await;
    let error = refused.expect_err("the group has 8 buckets");
    assert!(
        matches!(error, JoinError::BucketCount { ours: 9, theirs: 8 }),
        "{error:?}"
    );
    assert!(is_balanced(&instances, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_id_is_a_duplicate() {
    let server = server();
    let twin = || {
        instance_of(&server, 8)
            .instance_id("twin")
            .build()
            .expect("valid")
    };
    let instances = [twin().join().await.expect("joins")];
    until("the first instance owns everything", || {
        is_balanced(&instances, 8)
    })
    .await;
    let error = twin().join().await.expect_err("the first one lives");
    assert!(
        matches!(error, JoinError::DuplicateInstance { .. }),
        "{error:?}"
    );
    assert!(is_balanced(&instances, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_is_named_and_left_alone() {
    let server = server();
    let key = "red-buckets:{group}:group";
    server.cli(&["SET", key, "mine"]).expect("sets");
    let refused = instance_of(&server, 8).build().expect("valid").join().await;
    let error = refused.expect_err("a foreign key is in the way");
    assert!(
        matches!(&error, JoinError::WrongType { key: k, found } if k == key && found == "string"),
        "{error:?}"
    );
    assert_eq!(
        server.query::<String>(&["GET", key]).expect("reads"),
        "mine"
    );
}
