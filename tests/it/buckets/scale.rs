//! One process in very many groups: one heartbeat keeps its membership in all of them.

use std::time::Duration;

use coord_tests::server::RedisServer;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use redbuckets::{Event, Events, Instance, Redbuckets};

use super::until;

const GROUPS: usize = 1_000;
const TTL: Duration = Duration::from_secs(15);

/// A member of a group of its own. Its heartbeat is the one that the process has for this server.
async fn member(url: &str, number: usize) -> Instance {
    let group = Redbuckets::builder(url, &format!("group-{number}"))
        .buckets(4)
        .ttl(TTL)
        .failover_bound(Duration::ZERO)
        .discovery(Duration::ZERO)
        .register_timeout(Duration::from_secs(60))
        .build()
        .expect("valid");
    group.join().await.expect("joins")
}

/// Waits until all were heard after now.
async fn all_heard_again(instances: &[Instance]) {
    let before: Vec<_> = instances.iter().map(Instance::last_registration).collect();
    let mut heard = instances.iter().zip(&before);
    until("all are heard again", move || {
        heard.all(|(instance, before)| *before < instance.last_registration())
    })
    .await;
}

fn assert_nothing_lost(events: &mut [Events], after: &str) {
    for events in events {
        while let Some(Some(event)) = events.next().now_or_never() {
            assert!(!matches!(event, Event::Lost { .. }), "{after}: {event:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_groups_outlive_a_server_that_stands_still_and_one_that_is_killed() {
    let server = RedisServer::builder()
        .config_line("appendonly yes")
        .start()
        .expect("starts");
    let url = server.url();
    let joining = stream::iter((0..GROUPS).map(|number| member(&url, number)));
    let instances: Vec<Instance> = joining.buffer_unordered(50).collect().await;
    until("all have their buckets", || {
        instances.iter().all(|it| it.owned().len() == 4)
    })
    .await;
    let mut events: Vec<Events> = instances.iter().map(Instance::events).collect();

    server.stop().expect("stops");
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.cont().expect("goes on");
    all_heard_again(&instances).await;
    assert_nothing_lost(&mut events, "it stood still");

    server.kill().expect("dies");
    server.restart().expect("restarts");
    all_heard_again(&instances).await;
    assert_nothing_lost(&mut events, "it was killed");
    until("all have their buckets again", || {
        instances.iter().all(|it| it.owned().len() == 4)
    })
    .await;
    assert_nothing_lost(&mut events, "it was killed");
}
