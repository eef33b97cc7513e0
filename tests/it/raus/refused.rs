//! Pasts that nobody can vouch for: an acquisition is refused, and says why.

use std::time::Duration;

use ::raus::AcquireError;
use coord_tests::server::RedisServer;

use super::{client, client_at, server};

/// Section C: without INFO nobody would see a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_tell_its_identity_is_refused() {
    let server = RedisServer::builder()
        .acl_user("blind", "on >secret ~* &* +@all -info")
        .start()
        .expect("starts");
    let url = server.url_for("blind", "secret");
    let refused = client_at(&url, 0..=3)
        .build()
        .expect("valid")
        .acquire()
        .await;
    assert!(
        matches!(refused, Err(AcquireError::Unverified)),
        "{refused:?}"
    );
    let allowed = client_at(&url, 0..=3).allow_unverified_history(true);
    let held = allowed
        .build()
        .expect("valid")
        .acquire()
        .await
        .expect("allowed");
    held.release().await.expect("confirmed");
}

/// Section C: what a newer version wrote is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_a_newer_version_is_refused_and_untouched() {
    let server = server();
    server
        .cli(&["HSET", "raus:slots", "history", "2 whatever comes"])
        .expect("written");
    let refused = client(&server, 0..=3)
        .build()
        .expect("valid")
        .acquire()
        .await;
    assert!(
        matches!(refused, Err(AcquireError::NewerVersion { version: 2 })),
        "{refused:?}"
    );
    let fields: Vec<String> = server.query(&["HKEYS", "raus:slots"]).expect("answers");
    assert_eq!(fields, ["history"]);
}

/// Section C: an emptied namespace that is expected to have a record waits, however silent it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_absent_record_that_is_expected_was_lost() {
    let server = server();
    let raus = client(&server, 0..=3)
        .expect_history(true)
        .build()
        .expect("valid");
    let outcome = raus.acquire_within(Duration::from_secs(1)).await;
    assert!(
        matches!(outcome, Err(AcquireError::Quarantined { .. })),
        "{outcome:?}"
    );
}
