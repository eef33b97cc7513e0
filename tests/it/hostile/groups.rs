//! Garbage in the keys of a group.

use std::time::Duration;

use coord_tests::server::RedisServer;
use futures_util::future::join_all;
use redbuckets::Instance;

use super::{TTL, group, send, server};
use crate::buckets::{is_balanced, owners, until};

const BUCKETS: u32 = 24;

/// What the stranger does; `KEY` stands for what the keys of the group begin with.
const DEEDS: &[&[&str]] = &[
    // Other types.
    &["SET KEYgroup x"],
    &["SET KEYmembers x"],
    &["SET KEYids x"],
    &["SET KEYlease x"],
    &["SET KEYretired x"],
    &["DEL KEYtable:0", "RPUSH KEYtable:0 x"],
    &["SET KEYcount:1 x"],
    &["SET KEYorder:1 x"],
    &["SET KEYinbox:1 x"],
    // Garbage in their places.
    &["HSET KEYgroup state garbage"],
    &["HSET KEYgroup config 99999999999999999999_s"],
    &["HSET KEYgroup classes 1:99999999;"],
    &["HSET KEYgroup classes garbage"],
    &["HSET KEYgroup history garbage"],
    &["HSET KEYgroup hold garbage"],
    &["HSET KEYmembers 1 garbage"],
    &["HSET KEYmembers 1 -1:x_-_-1_nan_0_1_0_0_me"],
    &["HSET KEYmembers garbage garbage"],
    &["HSET KEYids first garbage"],
    &["ZADD KEYlease 0 garbage"],
    &["ZADD KEYlease inf garbage"],
    &["ZADD KEYcount:1 -5 garbage"],
    &["RPUSH KEYinbox:1 garbage"],
    &["RPUSH KEYretired garbage -1 99999999999999999999 1"],
    &["SET KEYtable:0 garbage"],
    &["SETRANGE KEYtable:0 0 garbagegarbagegarbage"],
    &["SETRANGE KEYtable:0 336 garbagegarbage"],
    // Keys that go at a bad moment.
    &["DEL KEYtable:0"],
    &["DEL KEYlease", "DEL KEYids"],
    &["EXPIRE KEYmembers 1"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_written_into_a_group_no_bucket_has_two_owners_and_all_is_well_afterwards() {
    let server = server();
    // A few at a time: each is a group with three members.
    for (round, deeds) in DEEDS.chunks(10).enumerate() {
        let groups = deeds.iter().enumerate().map(|(index, deeds)| {
            let prefix = format!("g{round}-{index}");
            let server = &server;
            async move { suffer(server, &prefix, deeds).await }
        });
        join_all(groups).await;
    }
}

/// Two members share a group, something is done to it, a third one comes.
async fn suffer(server: &RedisServer, prefix: &str, deeds: &[&str]) {
    let member = async |id: &str| {
        let builder = group(server, prefix, BUCKETS).instance_id(id);
        builder.build().expect("valid").join().await
    };
    let mut instances: Vec<Instance> = vec![
        member("first").await.expect("joins"),
        member("second").await.expect("joins"),
    ];
    until("all is shared", || is_balanced(&instances, BUCKETS)).await;
    let keys = format!("{prefix}:{{group}}:");
    let mut words = Vec::new();
    for deed in deeds {
        let deed = deed.replace("KEY", &keys);
        words.push(deed.split(' ').nth(1).unwrap_or_default().to_owned());
        let command: Vec<String> = deed.split(' ').map(|word| word.replace('_', " ")).collect();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        send(server, &command).await;
    }
    // Whether it may join or is told what is in its way, it is told soon; and nobody owns what another does meanwhile.
    let third = tokio::time::timeout(10 * TTL, member("third"));
    let third = watched(&instances, third).await.expect("an answer");
    if let Err(error) = &third {
        let text = error.to_string();
        assert!(
            words.iter().any(|key| text.contains(key)),
            "{deeds:?}: {text}"
        );
        for key in &words {
            send(server, &["DEL", key]).await;
        }
    }
    match third {
        Ok(third) => instances.push(third),
        Err(_) => instances.push(member("third").await.expect("nothing is in its way")),
    }
    let balanced = tokio::time::timeout(10 * TTL, async {
        while !is_balanced(&instances, BUCKETS) {
            owners(&instances);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(balanced.await.is_ok(), "{deeds:?}: not shared again");
    owners(&instances);
}

async fn watched<T>(instances: &[Instance], work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        owners(instances);
        let pause = tokio::time::sleep(Duration::from_millis(5));
        tokio::select! {
            output = &mut work => return output,
            () = pause => {}
        }
    }
}
