//! A server that has forgotten who owns what: nobody loses anything, and nobody gets what another still has.

use std::{sync::Arc, time::Duration};

use coord_offline::gate::Gate;
use coord_tests::{proxy::Proxy, server::RedisServer};
use redbuckets::{Builder, Event, Instance, Placement, Redbuckets};

use super::{PERIOD, TTL, event, instance_of, is_balanced, join, owners, server, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_restart_is_survived() {
    let server = server();
    let instances = [join(&server, 128).await, join(&server, 128).await];
    until("all buckets are shared", || is_balanced(&instances, 128)).await;
    let before = owners(&instances);
    let mut events: Vec<_> = instances.iter().map(|instance| instance.events()).collect();
    server.wipe_and_restart().expect("restarts");
    for events in &mut events {
        event(events, |event| matches!(event, Event::Reasserted { .. })).await;
    }
    assert_eq!(owners(&instances), before, "under the same epochs");
}

/// Its heart beats every 20 s, and others give an absent group a second to be heard of.
fn slow(server: &RedisServer) -> Builder {
    let slow = instance_of(server, 16).period(Duration::from_secs(20));
    slow.ttl(Duration::from_secs(60)).discovery(Duration::ZERO)
}

/// It has nothing to do any more until its next heartbeat.
async fn at_rest(member: &Instance) {
    until("everything is owned", || member.owned().len() == 16).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// Looks all the time until `member` has said again what it holds.
async fn nobody_else_owns_until_it_reasserts(instances: &[Instance], member: &Instance) {
    let mut events = member.events();
    let reasserted = event(&mut events, |event| {
        matches!(event, Event::Reasserted { .. })
    });
    tokio::pin!(reasserted);
    loop {
        owners(instances);
        tokio::select! {
            _ = &mut reasserted => break,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    assert_eq!(owners(instances).len(), member.owned().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_noticed_by_members_whose_heart_beats_slowly() {
    let server = server();
    let slow = slow(&server).build().expect("valid").join().await;
    let slow = slow.expect("joins");
    at_rest(&slow).await;
    server.flush_all().expect("flushes");
    let newcomer = join(&server, 16).await;
    nobody_else_owns_until_it_reasserts(&[slow.clone(), newcomer], &slow).await;
}

/// Members are asked, whatever their numbers are.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_noticed_by_the_last_of_many_members() {
    let server = server();
    let group = slow(&server).build().expect("valid");
    let mut members = Vec::new();
    for _ in 0..140 {
        members.push(group.join().await.expect("joins"));
    }
    let last = members.pop().expect("140");
    for member in members {
        member.leave().await.expect("leaves");
    }
    at_rest(&last).await;
    server.flush_all().expect("flushes");
    let newcomer = join(&server, 16).await;
    nobody_else_owns_until_it_reasserts(&[last.clone(), newcomer], &last).await;
}

/// It connects again only now and then, after it could not for so long.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_restart_after_a_long_outage_is_noticed_by_slow_members() {
    let server = server();
    let slow = slow(&server).build().expect("valid").join().await;
    let slow = slow.expect("joins");
    at_rest(&slow).await;
    server.kill().expect("is killed");
    tokio::time::sleep(Duration::from_secs(12)).await;
    server.wipe_and_restart().expect("restarts");
    let newcomer = join(&server, 16).await;
    nobody_else_owns_until_it_reasserts(&[slow.clone(), newcomer], &slow).await;
}

/// The one that is heard remembers how long the one that is not may go on.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_flush_the_longest_ttl_that_anybody_knows_of_is_waited_for() {
    let server = server();
    let proxy = Proxy::in_front_of(&server).expect("starts");
    let long = Redbuckets::builder(&proxy.url(), "group")
        .buckets(16)
        .ttl(Duration::from_secs(1_200))
        .period(PERIOD)
        .settle(Duration::ZERO)
        .failover_bound(Duration::ZERO)
        .build()
        .expect("valid");
    let instances = [join(&server, 16).await, long.join().await.expect("joins")];
    until("all buckets are shared", || is_balanced(&instances, 16)).await;
    proxy.cut().expect("is cut");
    let [short, long] = &instances;
    let mut events = short.events();
    server.flush_all().expect("flushes");
    event(&mut events, |event| {
        matches!(event, Event::Reasserted { .. })
    })
    .await;
    until("the doubt is told", || !short.doubt().is_zero()).await;
    assert!(
        Duration::from_secs(600) < short.doubt(),
        "{:?}, while the other believes what it had",
        short.doubt()
    );
    assert_eq!((long.owned().len(), short.owned().len()), (8, 8));
}

/// What nobody claims is found when the wait is over, however much of it there is.
#[tokio::test(flavor = "multi_thread")]
async fn what_half_of_the_owners_had_is_found_in_few_calls() {
    const BUCKETS: u32 = 1 << 16;
    let server = server();
    let gate = Gate::default();
    let group = || {
        instance_of(&server, BUCKETS)
            .ttl(TTL * 3)
            .max_moves(BUCKETS)
    };
    let placement = Placement::Custom(Arc::new(gate.clone()));
    let gone = group().placement(placement).build().expect("valid");
    let stays = group().build().expect("valid");
    let instances = [
        gone.join().await.expect("joins"),
        stays.join().await.expect("joins"),
    ];
    until("all are shared", || is_balanced(&instances, BUCKETS)).await;
    let [_gone, stays] = instances;
    gate.kill();
    let mut events = stays.events();
    server.flush_all().expect("flushes");
    event(&mut events, |event| {
        matches!(event, Event::Reasserted { .. })
    })
    .await;
    until("the wait is over", || stays.doubt().is_zero()).await;
    server.reset_stats().expect("are reset");
    until("everything is owned", || {
        stays.owned().len() == BUCKETS as usize
    })
    .await;
    let calls = server.commandstats().expect("are there");
    let scripts = calls.get("evalsha").copied().unwrap_or(0);
    assert!(scripts < 200, "{scripts} calls for {} buckets", BUCKETS / 2);
}
