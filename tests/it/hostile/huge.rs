//! Values and keys far larger than anything of ours.

use std::time::Duration;

use coord_tests::server::RedisServer;
use redbuckets::JoinError;

use super::{TTL, group, raus, raus_for, send, server};
use crate::buckets::{is_balanced, until};

/// 64 MB.
const HUGE: usize = 64 << 20;

/// 8 MB: a script has to copy a field as a whole to see that it is no record.
const LARGE: usize = 8 << 20;

/// Makes a value on the server, so that it need not be sent.
async fn fill(server: &RedisServer, script: &str, key: &str) {
    send(server, &["EVAL", script, "1", key]).await;
}

async fn set_huge(server: &RedisServer, key: &str) {
    let offset = (HUGE - 1).to_string();
    send(server, &["SETRANGE", key, &offset, "x"]).await;
}

const MANY_FIELDS: &str = "for i = 1, 300 do local t = {} for j = 1, 1000 do t[2*j-1] = i .. '-' .. j t[2*j] = 'x' end \
     redis.call('HSET', KEYS[1], unpack(t)) end return 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_lock_is_a_slot_that_is_held() {
    let server = server();
    set_huge(&server, "a:id:0").await;
    let lessor = raus(&server, "a", 0..=1);
    let machine_id = lessor.acquire_within(10 * TTL).await.expect("1 is free");
    assert_eq!(machine_id.id(), 1);
    // The holder of a slot whose lock becomes huge hears that it has lost it.
    set_huge(&server, "a:id:1").await;
    let lost = tokio::time::timeout(10 * TTL, machine_id.lost()).await;
    assert!(lost.expect("it is lost").is_some());
    let inspector = lessor.inspector().expect("a heartbeat");
    let found = inspector.read().await.expect("it answers");
    let lock = found.slots[0].lock.as_ref().expect("it is locked");
    // Of 64 million zeros.
    assert_eq!(lock.holder, "\u{fffd}".repeat(128));
    let others = raus(&server, "b", 0..=1).acquire_within(10 * TTL).await;
    others.expect("another namespace is not disturbed");
    send(&server, &["DEL", "a:id:0", "a:id:1"]).await;
    lessor.acquire_within(10 * TTL).await.expect("free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_record_and_too_many_fields_hold_nobody_up() {
    let server = server();
    // The server writes all of that for seconds, if the machine is busy.
    let lessor = raus_for(20 * TTL, &server, "a", 0..=1);
    let machine_id = lessor.acquire_within(10 * TTL).await.expect("free");
    let other = 1 - machine_id.id();
    let huge = format!("redis.call('HSET', KEYS[1], '{other}', string.rep('x', {LARGE})) return 1");
    fill(&server, &huge, "a:slots").await;
    fill(&server, MANY_FIELDS, "a:slots").await;
    let asked = tokio::time::timeout(10 * TTL, lessor.acquire_within(5 * TTL)).await;
    let error = asked.expect("it ends").expect_err("one is held, one huge");
    assert!(error.to_string().contains("a:slots"), "{error}");
    assert!(machine_id.is_held());
    send(&server, &["HDEL", "a:slots", &other.to_string()]).await;
    lessor.acquire_within(10 * TTL).await.expect("free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_among_huge_values_is_made_anew() {
    let server = server();
    let lessor = group(&server, "a", 24).build().expect("valid");
    let mut instances = vec![lessor.join().await.expect("joins")];
    until("all is owned", || is_balanced(&instances, 24)).await;
    let key = |name: &str| format!("a:{{group}}:{name}");
    set_huge(&server, &key("table:0")).await;
    fill(&server, MANY_FIELDS, &key("members")).await;
    fill(&server, MANY_FIELDS, &key("group")).await;
    let joined = tokio::time::timeout(20 * TTL, async {
        loop {
            match group(&server, "a", 24).build().expect("valid").join().await {
                Ok(instance) => return instance,
                // The first ones may give up while the server is busy with what lies there.
                Err(JoinError::Store(error)) if error.is_transient() => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    instances.push(joined.await.expect("it joins"));
    let shared = tokio::time::timeout(20 * TTL, async {
        while !is_balanced(&instances, 24) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    shared.await.expect("all is shared again");
}
