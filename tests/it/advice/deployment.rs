//! Replicas, users with few rights, false clocks.

use std::time::Duration;

use coord_tests::{clock::FakeClock, server::RedisServer};
use raus::Advice;

use super::{
    events::{catch, kinds, said},
    machine_ids, started,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_named_with_its_master() {
    catch();
    let master = started(RedisServer::builder());
    let replica = started(RedisServer::builder().replica_of(&master));
    let raus = machine_ids(&replica.url()).build().expect("valid");
    raus.acquire().await.expect_err("it cannot be written");
    let said = said(&replica, "replica");
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].level, tracing::Level::WARN);
    let address = master.addr();
    assert_eq!(said[0].field("value"), format!("of {address}"));
    assert!(
        said[0].field("remedy").contains(&address.to_string()),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_without_a_guard_are_warned_of() {
    catch();
    for (wanted, expected) in [
        ("0", &["unguarded-replicas", "no-persistence"][..]),
        ("1", &["no-persistence"]),
    ] {
        let master =
            started(RedisServer::builder().config_line(format!("min-replicas-to-write {wanted}")));
        let _replica = started(RedisServer::builder().replica_of(&master));
        let raus = machine_ids(&master.url()).build().expect("valid");
        let report = raus.describe().await.expect("answers");
        assert_eq!(report.server.connected_replicas, 1);
        assert_eq!(
            report.server.min_replicas_max_lag,
            Some(Duration::from_secs(10))
        );
        let found: Vec<&str> = report.advice.iter().map(Advice::kind).collect();
        assert_eq!(found, expected);
        assert!(kinds(&master).is_empty(), "describing says nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_may_not_ask_is_said_and_machine_ids_are_leased_all_the_same() {
    catch();
    let rules = "on >pass ~* &* +@all -info -config";
    let server = started(RedisServer::builder().acl_user("app", rules));
    let url = server.url_for("app", "pass");
    let raus = machine_ids(&url).allow_unverified_history(true);
    let raus = raus.build().expect("valid");
    let machine_id = raus.acquire().await.expect("it needs neither");
    let said = said(&server, "unchecked");
    let commands = [
        "INFO server",
        "INFO replication",
        "INFO memory",
        "INFO persistence",
        "CONFIG GET min-replicas-*",
        "CONFIG GET save",
    ];
    assert_eq!(said.len(), commands.len(), "{said:?}");
    for (said, command) in said.iter().zip(commands) {
        assert_eq!(said.level, tracing::Level::INFO);
        let value = said.field("value");
        assert!(value.contains(&format!("({command}: NOPERM")), "{value}");
        assert!(!value.contains("pass"), "{value}");
    }
    let report = raus.describe().await.expect("answers");
    assert_eq!(report.unchecked().len(), commands.len());
    assert_eq!(report.warnings().count(), 0);
    assert!(machine_id.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_are_warned_of_before_they_are_refused() {
    catch();
    let clock = FakeClock::new().expect("libfaketime");
    clock.set_offset_ms(-4_000).expect("steps");
    let server = started(RedisServer::builder().clock(&clock));
    let raus = machine_ids(&server.url()).build().expect("valid");
    raus.acquire().await.expect("10 s are tolerated");
    let said = said(&server, "clock-skew");
    assert_eq!(said.len(), 1);
    let seconds = said[0].field("value").strip_suffix(" s ahead");
    let seconds: f64 = seconds
        .and_then(|text| text.parse().ok())
        .expect("a number");
    assert!((3.0..5.0).contains(&seconds), "{seconds}");
    clock.set_offset_ms(0).expect("steps back");
    let report = raus.describe().await.expect("answers");
    assert_eq!(report.warnings().count(), 0, "{report}");
}
