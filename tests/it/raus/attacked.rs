//! What attacks through the public API have found (issue 13): contradicting options, rewound stores, replicas of
//! replicas, full ranges. Each stays as a test.

use std::time::Duration;

use ::raus::{AcquireError, AttachError, ConfigError, Event, LossCause, MachineId, Raus};
use coord_tests::{proxy::Proxy, server::RedisServer};
use futures_util::future::join_all;
use snowflake::{BuildError, Generator, Layout};

use super::{client, client_at, event, server};

const HEARTBEAT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(40);
/// Shorter than any quarantine here, and long enough for several answers that come too late.
const TO_BE_TOLD: Duration = Duration::from_millis(1_200);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn with_ttl(url: &str, slots: u32, ttl: Duration) -> Raus {
    client_at(url, 0..=slots - 1)
        .ttl(ttl)
        .heartbeat(HEARTBEAT)
        .failover_bound(Duration::ZERO)
        .discovery(Duration::from_millis(700))
        .build()
        .expect("valid")
}

#[track_caller]
fn quarantined(outcome: Result<MachineId, AcquireError>) {
    assert!(
        matches!(outcome, Err(AcquireError::Quarantined { .. })),
        "{outcome:?}"
    );
}

/// A3: the long ttl of a holder that is cut off is known to the one that reasserts, and is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_ttl_of_the_namespace_outlives_a_flush() {
    let server = server();
    let proxy = Proxy::in_front_of(&server).expect("listens");
    let cut_off = with_ttl(&proxy.url(), 2, seconds(6));
    let cut_off = cut_off.acquire().await.expect("free");
    let short = with_ttl(&server.url(), 2, seconds(2));
    let living = short.acquire().await.expect("free");
    let mut events = living.events();
    proxy.cut().expect("cut");
    server.flush_all().expect("flushed");
    event(&mut events, |event| {
        matches!(event, Event::Reasserted { .. })
    })
    .await;
    let newcomer = with_ttl(&server.url(), 2, seconds(2));
    let newcomer = newcomer.acquire_within(PATIENCE).await.expect("later");
    assert_eq!(newcomer.id(), cut_off.id());
    assert!(!cut_off.is_held(), "one holder at a time");
    assert!(living.is_held());
}

/// A5.
#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_hears_no_heartbeat_is_refused() {
    let slow = |discovery| {
        Raus::builder("memory://short-discovery", 0..=0)
            .ttl(seconds(60))
            .heartbeat(seconds(20))
            .discovery(discovery)
            .build()
    };
    let error = slow(seconds(3)).expect_err("too short");
    let expected = Duration::from_millis(40_500);
    assert!(
        matches!(error, ConfigError::Discovery { discovery, heartbeat, least }
            if discovery == seconds(3) && heartbeat == seconds(20) && least == expected),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("3s") && text.contains("20s") && text.contains("40.5s"),
        "{text}"
    );
    slow(expected).expect("long enough");
    slow(Duration::ZERO).expect("off");
}

/// A6: the last of a chain of replicas is promoted, and lacks the grant.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_of_a_replica_that_is_promoted_grants_nothing_at_once() {
    let master = server();
    let replica = RedisServer::builder()
        .replica_of(&master)
        .start()
        .expect("starts");
    replica.wait_caught_up(&master, PATIENCE).expect("in step");
    let last = RedisServer::builder()
        .replica_of(&replica)
        .start()
        .expect("starts");
    last.wait_caught_up(&master, PATIENCE).expect("in step");
    let held = with_ttl(&master.url(), 4, seconds(3));
    let held = held.acquire().await.expect("free");
    last.wait_caught_up(&master, PATIENCE).expect("in step");
    for dead in [&master, &replica] {
        dead.kill().expect("killed");
    }
    last.promote().expect("promoted");
    let newcomer = with_ttl(&last.url(), 4, seconds(3));
    quarantined(newcomer.acquire_within(TO_BE_TOLD).await);
    let newcomer = newcomer.acquire_within(PATIENCE).await.expect("later");
    assert!(!held.is_held() || newcomer.id() != held.id());
}

/// A8: the store becomes an older copy of itself; its identity stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_rewound_grants_nothing_new() {
    let server = server();
    let raus = with_ttl(&server.url(), 2, seconds(4));
    let founder = raus.acquire().await.expect("free");
    for copies_record in [false, true] {
        let late = with_ttl(&server.url(), 2, seconds(4));
        server.cli(&["DEL", "copy"]).expect("deleted");
        let copy = ["COPY", "raus:slots", "raus:slots", "DB", "1", "REPLACE"];
        if !copies_record {
            server.cli(&copy).expect("copied");
        }
        let held = late.acquire_within(PATIENCE).await.expect("free");
        let mut events = held.events();
        if copies_record {
            server.cli(&copy).expect("copied");
            // A renewal that the copy lacks.
            let before = record_of(&server, &held);
            while record_of(&server, &held) == before {
                tokio::time::sleep(HEARTBEAT).await;
            }
        }
        server.cli(&["SWAPDB", "0", "1"]).expect("swapped");
        event(&mut events, |event| {
            matches!(event, Event::Reasserted { .. })
        })
        .await;
        let newcomer = with_ttl(&server.url(), 3, seconds(4));
        quarantined(newcomer.acquire_within(TO_BE_TOLD).await);
        assert!(held.is_held() && founder.is_held());
        held.release().await.expect("confirmed");
    }
}

fn record_of(server: &RedisServer, held: &MachineId) -> String {
    let slot = held.id().to_string();
    server
        .query(&["HGET", "raus:slots", &slot])
        .expect("a record")
}

/// A8: nobody was seen in the copy for longer than any ttl, so a newcomer listens, and hears the holder.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_nobody_has_touched_for_a_ttl_is_listened_to() {
    let server = server();
    let ttl = seconds(1);
    let first = with_ttl(&server.url(), 1, ttl)
        .acquire()
        .await
        .expect("free");
    first.release().await.expect("confirmed");
    server
        .cli(&["COPY", "raus:slots", "raus:slots", "DB", "1"])
        .expect("copied");
    tokio::time::sleep(2 * ttl).await;
    let held = with_ttl(&server.url(), 1, ttl);
    let held = held
        .acquire_within(PATIENCE)
        .await
        .expect("nobody is heard");
    server.cli(&["SWAPDB", "0", "1"]).expect("swapped");
    let newcomer = with_ttl(&server.url(), 1, ttl);
    // Its heartbeat comes first, or the newcomer hears it.
    let refused = newcomer.acquire_within(Duration::from_millis(900)).await;
    assert!(
        matches!(
            refused,
            Err(AcquireError::Quarantined { .. } | AcquireError::RangeExhausted { .. })
        ),
        "{refused:?}"
    );
    assert!(held.is_held());
}

/// A11.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_mints_ids_of_one_layout() {
    let server = server();
    let raus = client(&server, 0..=3).build().expect("valid");
    let twitter = Generator::from_raus(raus.acquire().await.expect("free"));
    let twitter = twitter.await.expect("the first layout");
    let narrow = Layout::new(41, 8, 14).expect("valid");
    for _ in 0..2 {
        let lease = raus.acquire().await.expect("free");
        let refused = Generator::builder().layout(narrow).leased(lease).await;
        let Err(BuildError::Attached(AttachError::Layout { stored, layout, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            (stored, layout),
            (Layout::TWITTER.to_string(), narrow.to_string())
        );
        let again = Generator::from_raus(raus.acquire().await.expect("free"));
        again.await.expect("the same layout");
    }
    // It was changed while somebody mints.
    let mut events = twitter.machine_id().expect("leased").events();
    let text = narrow.to_string();
    server
        .cli(&["HSET", "raus:slots", "layout", &text])
        .expect("changed");
    let lost = event(&mut events, |event| matches!(event, Event::Lost(_))).await;
    assert!(matches!(lost, Event::Lost(loss) if matches!(loss.cause, LossCause::Layout { .. })));
}

/// B1: what a clock that ran ahead has left on record is an error, not a grant that can never mint.
#[tokio::test(flavor = "multi_thread")]
async fn a_horizon_far_ahead_is_an_error_that_says_how_far() {
    let server = server();
    let raus = client(&server, 0..=0).build().expect("valid");
    let held = raus.acquire().await.expect("free");
    held.release().await.expect("confirmed");
    let hours = |text: &str, field: usize| {
        let mut fields: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let base: u64 = server.query::<Vec<u64>>(&["TIME"]).expect("answers")[0] * 1_000;
        fields[field] = (base + 7_200_000).to_string();
        fields.join(" ")
    };
    for (name, field) in [("0", 1), ("history", 3)] {
        let text: String = server.query(&["HGET", "raus:slots", name]).expect("there");
        let ahead = hours(&text, field);
        server
            .cli(&["HSET", "raus:slots", name, &ahead])
            .expect("written");
        let error = raus.acquire().await.expect_err("nothing could be minted");
        assert!(
            matches!(error, AcquireError::HorizonAhead { by, .. } if seconds(6_000) < by && by < seconds(7_200)),
            "{name}: {error:?}"
        );
        server
            .cli(&["HSET", "raus:slots", name, &text])
            .expect("written");
        let held = raus.acquire().await.expect("mended");
        held.release().await.expect("confirmed");
    }
}

/// B2 and B6: a replica that comes changes the replication id of the same process; one that goes is missed by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_come_and_go_cost_nothing() {
    let server = RedisServer::builder()
        .config_line("repl-backlog-ttl 1")
        .start()
        .expect("starts");
    let raus = client(&server, 0..=9).build().expect("valid");
    let mut held = vec![raus.acquire().await.expect("free")];
    let id = || server.info("replication").expect("answers")["master_replid"].clone();
    let alone = id();
    for _ in 0..2 {
        let replica = RedisServer::builder()
            .replica_of(&server)
            .start()
            .expect("starts");
        server.wait_replicas(1, PATIENCE).expect("connected");
        held.push(
            raus.acquire_within(seconds(5))
                .await
                .expect("no quarantine"),
        );
        let with_replica = id();
        assert_ne!(with_replica, alone);
        replica.kill().expect("killed");
        held.push(
            raus.acquire_within(seconds(5))
                .await
                .expect("no quarantine"),
        );
        // The backlog expires, and with it the replication id.
        while id() == with_replica {
            tokio::time::sleep(HEARTBEAT).await;
        }
        held.push(
            raus.acquire_within(seconds(5))
                .await
                .expect("no quarantine"),
        );
    }
    assert!(held.iter().all(MachineId::is_held));
}

/// B3: a release wakes those who wait, and one of them gets the slot.
#[tokio::test(flavor = "multi_thread")]
async fn each_release_of_a_full_range_serves_one_of_those_who_wait() {
    let server = server();
    let raus = client(&server, 0..=3).build().expect("valid");
    let held = join_all((0..4).map(|_| raus.acquire())).await;
    let waiting = (0..8).map(|_| {
        let raus = client(&server, 0..=3).build().expect("valid");
        async move {
            let machine_id = raus.acquire_within(PATIENCE).await.expect("served");
            machine_id.release().await.expect("confirmed");
        }
    });
    let releasing = async {
        for machine_id in held {
            machine_id
                .expect("free")
                .release()
                .await
                .expect("confirmed");
        }
    };
    tokio::join!(join_all(waiting), releasing);
}

/// B3: a full range tells when its first lease ends, and what was in the way when the time was over.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_range_is_what_was_in_the_way() {
    let server = server();
    let raus = client(&server, 0..=0).build().expect("valid");
    let _held = raus.acquire().await.expect("free");
    for outcome in [
        raus.acquire().await,
        raus.acquire_within(Duration::from_millis(300)).await,
    ] {
        let error = outcome.expect_err("full");
        assert!(
            matches!(error, AcquireError::RangeExhausted { held: 1, frees_within: Some(within), .. }
                if within <= seconds(60)),
            "{error:?}"
        );
    }
}

/// B5: the quarantine begins with the first renewal that sees another server, and is over before somebody asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_quarantine_begins_without_a_newcomer() {
    let server = RedisServer::builder()
        .config_line("appendonly yes")
        .config_line("appendfsync always")
        .start()
        .expect("starts");
    let raus = with_ttl(&server.url(), 4, seconds(2));
    let held = raus.acquire().await.expect("free");
    server.kill().expect("killed");
    server.restart().expect("restarted");
    let until = || {
        let history: String = server
            .query(&["HGET", "raus:slots", "history"])
            .expect("there");
        history
            .split(' ')
            .nth(2)
            .expect("a field")
            .parse::<u64>()
            .expect("a number")
    };
    while until() == 0 {
        tokio::time::sleep(HEARTBEAT).await;
    }
    quarantined(raus.acquire_within(TO_BE_TOLD).await);
    raus.acquire_within(PATIENCE).await.expect("later");
    assert!(held.is_held());
}

/// Section C: a master that was cut off together with its clients cannot prolong their leases, if they ask for a replica
/// that is on the other side.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_no_replica_has_prolongs_nothing() {
    let server = server();
    let proxy = Proxy::in_front_of(&server).expect("listens");
    let replica = RedisServer::builder()
        .replica_through(&server, &proxy)
        .start()
        .expect("starts");
    server.wait_replicas(1, PATIENCE).expect("connected");
    let builder = |replicas| {
        client(&server, 0..=3)
            .ttl(seconds(3))
            .heartbeat(HEARTBEAT)
            .acknowledge(replicas)
            .build()
            .expect("valid")
    };
    let careful = builder(1).acquire().await.expect("acknowledged");
    let careless = builder(0).acquire().await.expect("free");
    let mut events = careful.events();
    proxy.cut().expect("cut");
    let lost = event(&mut events, |event| matches!(event, Event::Lost(_))).await;
    assert!(matches!(lost, Event::Lost(loss) if matches!(loss.cause, LossCause::Expired { .. })));
    assert!(careless.is_held(), "the server still answers");
    let refused = builder(1).acquire().await;
    assert!(
        matches!(refused, Err(AcquireError::TooFewReplicas { wanted: 1, .. })),
        "{refused:?}"
    );
    drop(replica);
}
