//! An application that owns buckets, and what its page says.

use std::time::Duration;

use coord_tests::server::RedisServer;
use redbuckets::{Builder, Event, Placement, Redbuckets};

use super::{assert_exported, exported, started, until_exported};

fn member(server: &RedisServer, group: &str, id: &str) -> Builder {
    Redbuckets::builder(&server.url(), group)
        .buckets(10)
        .instance_id(id)
        .ttl(Duration::from_secs(3))
        .period(Duration::from_millis(100))
        .settle(Duration::from_millis(100))
        .drain_timeout(Duration::from_millis(200))
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_draining_and_leaving_are_counted() {
    exported();
    let server = started();
    let first = member(&server, "counted", "first").build().expect("valid");
    // From nothing, so that the first drains of a process are seen as a rise.
    assert_exported(r#"redbuckets_drain_seconds_count{group="counted"}"#, 0.0);
    let first = first.join().await.expect("it joins");
    // Nobody has to wait for a heartbeat to see that there is a member.
    assert_exported(r#"redbuckets_instances{group="counted"}"#, 1.0);
    assert_exported(
        r#"redbuckets_joins_total{group="counted",outcome="joined"}"#,
        1.0,
    );
    until_exported(r#"redbuckets_buckets_owned{group="counted"}"#, 10.0).await;
    until_exported(r#"redbuckets_quota{group="counted"}"#, 10.0).await;
    assert_exported(r#"redbuckets_instances{group="counted"}"#, 1.0);
    assert_exported(
        r#"redbuckets_moves_total{group="counted",direction="in"}"#,
        10.0,
    );

    // Work goes on everywhere, so that handing over takes longer than it may.
    let mut guards: Vec<_> = (0..10).filter_map(|bucket| first.enter(bucket)).collect();
    assert_eq!(guards.len(), 10);
    let second = member(&server, "counted", "second").build().expect("valid");
    let second = second.join().await.expect("it joins");
    until_exported(r#"redbuckets_overdue_drains_total{group="counted"}"#, 5.0).await;
    assert_exported(r#"redbuckets_buckets_revoking{group="counted"}"#, 5.0);
    guards.clear();
    until_exported(
        r#"redbuckets_moves_total{group="counted",direction="out"}"#,
        5.0,
    )
    .await;
    until_exported(
        r#"redbuckets_moves_total{group="counted",direction="in"}"#,
        15.0,
    )
    .await;
    until_exported(r#"redbuckets_buckets_revoking{group="counted"}"#, 0.0).await;
    let page = exported();
    let drains = r#"redbuckets_drain_seconds_count{group="counted"}"#;
    assert_eq!(page.get(drains), Some(5.0));
    let spent = page.get(r#"redbuckets_drain_seconds_sum{group="counted"}"#);
    assert!(spent.is_some_and(|spent| 1.0 <= spent), "{spent:?}");
    // Both instances are this process.
    assert_exported(r#"redbuckets_buckets_owned{group="counted"}"#, 10.0);
    assert_exported(r#"redbuckets_instances{group="counted"}"#, 2.0);

    let mut events = second.events();
    second.drain().await.expect("nothing holds it up");
    second.leave().await.expect("it answers");
    while let Some(event) = events.next().await {
        if matches!(event, Event::Left { .. }) {
            break;
        }
    }
    assert_exported(r#"redbuckets_leaves_total{group="counted"}"#, 1.0);
    assert_exported(r#"redbuckets_instances{group="counted"}"#, 1.0);
    until_exported(r#"redbuckets_buckets_owned{group="counted"}"#, 10.0).await;
    let page = exported();
    for name in ["redbuckets_rebalances_total", "redbuckets_beats_total"] {
        let value = page.get(&format!(r#"{name}{{group="counted"}}"#));
        assert!(value.is_some_and(|value| 1.0 <= value), "{name}: {value:?}");
    }
    first.leave().await.expect("it answers");
    assert_exported(r#"redbuckets_buckets_owned{group="counted"}"#, 0.0);
    let page = exported();
    assert_eq!(
        page.get(r#"redbuckets_beats_total{group="counted"}"#),
        page.get(r#"redbuckets_beat_seconds_count{group="counted"}"#)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_that_are_lost_are_counted_with_the_reason() {
    exported();
    let server = started();
    let instance = member(&server, "lost", "only").build().expect("valid");
    let instance = instance.join().await.expect("it joins");
    until_exported(r#"redbuckets_buckets_owned{group="lost"}"#, 10.0).await;
    server.stop().expect("stops");
    until_exported(
        r#"redbuckets_lost_total{group="lost",cause="expired"}"#,
        10.0,
    )
    .await;
    assert_exported(r#"redbuckets_at_risk_total{group="lost"}"#, 1.0);
    assert_exported(r#"redbuckets_buckets_owned{group="lost"}"#, 0.0);
    assert_exported(r#"redbuckets_instances{group="lost"}"#, 0.0);
    server.cont().expect("continues");
    until_exported(r#"redbuckets_instances{group="lost"}"#, 1.0).await;
    instance.leave().await.expect("it answers");
}
