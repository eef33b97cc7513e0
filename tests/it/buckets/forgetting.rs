//! A server that has forgotten who owns what: nobody loses anything, and nobody gets what another still has.

use redbuckets::Event;

use super::{event, is_balanced, join, owners, server, until};

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
