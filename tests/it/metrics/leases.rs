//! An application that leases and mints, and what its page says.

use std::time::Duration;

use coord_tests::proxy::Proxy;
use raus::{AcquireError, Event, Placement, Raus};
use snowflake::Generator;

use super::{assert_exported, exported, started, until_exported};
use crate::raus::{event, until};

fn leases(url: &str, namespace: &str) -> raus::Builder {
    Raus::builder(&format!("{url}?ns={namespace}"), 0..=0)
        .discovery(Duration::ZERO)
        .ttl(Duration::from_millis(900))
        .heartbeat(Duration::from_millis(100))
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_lost_and_leased_again_is_counted_at_every_step() {
    exported();
    let server = started();
    let proxy = Proxy::in_front_of(&server).expect("proxy");
    let raus = leases(&proxy.url(), "counted")
        .reacquire(true)
        .build()
        .expect("valid");
    assert_exported(r#"raus_acquire_seconds_count{namespace="counted"}"#, 0.0);
    let machine_id = raus.acquire().await.expect("free");
    let mut events = machine_id.events();
    assert_exported(r#"raus_leases_held{namespace="counted"}"#, 1.0);
    assert_exported(
        r#"raus_acquisitions_total{namespace="counted",outcome="granted"}"#,
        1.0,
    );
    let full = raus.acquire().await;
    assert!(
        matches!(full, Err(AcquireError::RangeExhausted { .. })),
        "{full:?}"
    );
    assert_exported(
        r#"raus_acquisitions_total{namespace="counted",outcome="range_exhausted"}"#,
        1.0,
    );
    assert_exported(r#"raus_acquire_seconds_count{namespace="counted"}"#, 1.0);

    let renewals = r#"raus_renewals_total{namespace="counted"}"#;
    until("a renewal is counted", || {
        exported()
            .get(renewals)
            .is_some_and(|renewals| 1.0 <= renewals)
    })
    .await;

    proxy.cut().expect("cuts");
    event(&mut events, |event| matches!(event, Event::AtRisk { .. })).await;
    assert_exported(r#"raus_leases_at_risk{namespace="counted"}"#, 1.0);
    event(&mut events, |event| matches!(event, Event::Lost(_))).await;
    assert_exported(r#"raus_leases_held{namespace="counted"}"#, 0.0);
    assert_exported(r#"raus_leases_at_risk{namespace="counted"}"#, 0.0);
    assert_exported(
        r#"raus_lost_total{namespace="counted",cause="expired"}"#,
        1.0,
    );
    let server_label = format!(r#"server="redis://127.0.0.1:{}"#, proxy.port());
    let down = exported();
    assert!(down.sum("coord_store_up", &server_label).abs() < 1e-9);
    assert!(0.0 < down.sum("coord_store_errors_total", r#"operation="renew""#));

    proxy.resume().expect("resumes");
    event(&mut events, |event| {
        matches!(event, Event::Reacquired { .. })
    })
    .await;
    assert_exported(r#"raus_reacquired_total{namespace="counted"}"#, 1.0);
    assert_exported(r#"raus_at_risk_total{namespace="counted"}"#, 1.0);
    until_exported(r#"raus_leases_held{namespace="counted"}"#, 1.0).await;
    let up = exported();
    assert!((up.sum("coord_store_up", &server_label) - 1.0).abs() < 1e-9);
    assert!(0.0 < up.sum("coord_script_seconds_count", r#"script="renew""#));

    machine_id.release().await.expect("it answers");
    assert_exported(r#"raus_leases_held{namespace="counted"}"#, 0.0);
    assert_exported(
        r#"raus_releases_total{namespace="counted",outcome="confirmed"}"#,
        1.0,
    );
    let after = exported();
    let measured = after.get(r#"raus_renewal_seconds_count{namespace="counted"}"#);
    assert_eq!(after.get(renewals), measured);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leases_of_a_process_add_up() {
    exported();
    let server = started();
    let raus = Raus::builder(&format!("{}?ns=summed", server.url()), 0..=9)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let one = raus.acquire().await.expect("free");
    let two = raus.acquire().await.expect("free");
    assert_exported(r#"raus_leases_held{namespace="summed"}"#, 2.0);
    one.release().await.expect("it answers");
    assert_exported(r#"raus_leases_held{namespace="summed"}"#, 1.0);
    drop(two);
    until_exported(r#"raus_leases_held{namespace="summed"}"#, 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_counted_without_touching_a_counter_for_each() {
    let server = started();
    let raus = Raus::builder(&format!("{}?ns=minted", server.url()), 0..=9)
        .discovery(Duration::ZERO)
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let generator = Generator::from_raus(machine_id).await.expect("fits");
    generator.publish_metrics();
    let layout = generator.layout();
    let series = format!("snowflake_layout_ends_seconds{{layout=\"{layout}\"}}");
    let ends = Duration::from_millis(layout.expires_at_ms()).as_secs_f64();
    assert_eq!(exported().get(&series), Some(ends));
    // Other tests of this process mint too, so only what is added counts.
    let minted = || exported().get("snowflake_ids_minted_total").unwrap_or(0.0);
    let before = minted();
    for _ in 0..1_000 {
        generator.next().await.expect("it is granted");
    }
    let range = generator.reserve(50);
    let reserved = range.map_or(0, |range| range.len());
    generator.publish_metrics();
    let expected = 1_000.0 + f64::from(u32::try_from(reserved).expect("few"));
    assert!(expected <= minted() - before, "{} < {expected}", minted());
    assert_eq!(
        generator.metrics().minted,
        1_000 + u64::try_from(reserved).expect("few")
    );
    generator.release().await.expect("it answers");
}
