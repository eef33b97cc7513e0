//! A server that is started again with its data: owners keep what they have, however much and however far away.

use std::time::Duration;

use coord_tests::{proxy::Proxy, server::RedisServer};
use redbuckets::{Event, Instance, Redbuckets};

use super::{SETTLE, event, until};

const BUCKETS: u32 = 1 << 17;

async fn owner_of_everything(proxy: &Proxy) -> Instance {
    let owner = Redbuckets::builder(&proxy.url(), "group")
        .buckets(BUCKETS)
        .ttl(Duration::from_secs(10))
        .period(Duration::from_millis(500))
        .settle(SETTLE)
        .max_moves(BUCKETS)
        .build()
        .expect("valid");
    let owner = owner.join().await.expect("joins");
    until("everything is owned", || {
        owner.owned().len() == BUCKETS as usize
    })
    .await;
    owner
}

/// It was away for a moment, as for an upgrade.
#[tokio::test(flavor = "multi_thread")]
async fn a_planned_restart_costs_a_large_owner_few_calls() {
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("starts");
    let owner = owner_of_everything(&proxy).await;
    let latency = Duration::from_millis(100);
    proxy.delay(latency, latency).expect("delays");
    let mut events = owner.events();
    server.cli(&["SAVE"]).expect("is saved");
    server.restart().expect("restarts");
    let said = event(&mut events, |event| {
        matches!(event, Event::Reasserted { .. } | Event::Lost { .. })
    });
    let said = said.await;
    assert!(
        matches!(said, Event::Reasserted { count: BUCKETS }),
        "{said:?}"
    );
    let calls = server.commandstats().expect("are there");
    let scripts = |name| calls.get(name).copied().unwrap_or(0);
    let scripts = scripts("evalsha") + scripts("eval");
    assert!(scripts < 64, "{scripts} calls for {BUCKETS} buckets");
    assert_eq!(owner.owned().len(), BUCKETS as usize);
}

/// All of it has to be told anew, and that takes longer than a lease lasts: nothing is lost meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_takes_longer_than_the_ttl_loses_nothing() {
    let server = RedisServer::start().expect("starts");
    let proxy = Proxy::in_front_of(&server).expect("starts");
    let owner = owner_of_everything(&proxy).await;
    let latency = Duration::from_millis(100);
    proxy.delay(latency, latency).expect("delays");
    let mut events = owner.events();
    server.flush_all().expect("flushes");
    let said = tokio::time::timeout(PATIENCE, async {
        loop {
            let said = events.next().await.expect("there is more to come");
            if matches!(said, Event::Reasserted { .. } | Event::Lost { .. }) {
                break said;
            }
        }
    });
    let said = said.await.expect("it comes in time");
    assert!(
        matches!(said, Event::Reasserted { count: BUCKETS }),
        "{said:?}"
    );
    assert_eq!(owner.owned().len(), BUCKETS as usize);
}

const PATIENCE: Duration = Duration::from_secs(120);
