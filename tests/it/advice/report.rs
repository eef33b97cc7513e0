//! What `describe()` returns.

use std::time::Duration;

use coord_tests::server::{RedisServer, Version};
use raus::{Advice, DescribeError, Raus};

use super::{buckets, evicting, machine_ids, started};

#[tokio::test(flavor = "multi_thread")]
async fn a_report_tells_the_server_and_what_to_change() {
    let server = started(evicting("allkeys-lru").persistent());
    let raus = machine_ids(&server.url()).build().expect("valid");
    let report = raus.describe().await.expect("answers");
    let info = server.info("server").expect("info");
    assert_eq!(report.server.address, server.addr().to_string());
    assert_eq!(report.server.run_id, info["run_id"]);
    assert_eq!(report.server.role, "master");
    assert_eq!(report.server.maxmemory, 100 << 20);
    assert_eq!(report.server.persists, Some(true));
    assert_eq!(report.unchecked(), []);
    let text = report.to_string();
    assert!(
        text.ends_with(
            "advice      warn evicts-all-keys: maxmemory-policy allkeys-lru may evict what is known of leases; set \
             maxmemory-policy noeviction, or give leases a server of their own"
        ),
        "{text}"
    );
    let group = buckets(&server.url()).build().expect("valid");
    let same = group.describe().await.expect("answers");
    assert_eq!(same.server.run_id, report.server.run_id);
    assert_eq!(same.advice, report.advice);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_and_protocol_tells_everything() {
    for version in Version::ALL {
        let server = started(evicting("volatile-lru").version(version));
        for protocol in ["resp2", "resp3"] {
            let url = format!("{}?protocol={protocol}", server.url());
            let raus = machine_ids(&url).build().expect("valid");
            let report = raus.describe().await.expect("answers");
            let name = format!("{}-{}", report.server.product, report.server.version);
            let (release, _) = version.name().rsplit_once('.').expect("has one");
            assert!(name.starts_with(release), "{version}: {name}");
            assert_eq!(report.server.min_replicas_to_write, Some(0));
            assert_eq!(report.server.persists, Some(false));
            assert!(report.server.wall.is_some(), "{report}");
            let kinds: Vec<&str> = report.advice.iter().map(Advice::kind).collect();
            assert_eq!(kinds, ["evicts-expiring-keys", "no-persistence"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_store_needs_no_advice() {
    let raus = Raus::new("memory://described", 0..=9).expect("valid");
    let report = raus.describe().await.expect("answers");
    assert_eq!(report.server.product, "embedded");
    assert_eq!(report.server.address, "memory://described");
    assert_eq!(report.advice, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_an_error_in_time() {
    let server = started(RedisServer::builder());
    let raus = machine_ids(&server.url()).build().expect("valid");
    raus.describe().await.expect("answers");
    server.stop().expect("stops");
    let described = tokio::time::timeout(Duration::from_secs(20), raus.describe()).await;
    let error = described.expect("in time").expect_err("it hangs");
    assert!(matches!(error, DescribeError::Store(_)), "{error:?}");
    server.cont().expect("goes on");
}
