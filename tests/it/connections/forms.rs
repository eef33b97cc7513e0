//! Every form of a URL for one server, and what each leads to.

use ::raus::Raus;
use coord_tests::server::RedisServer;
use redbuckets::Redbuckets;

use super::{acquire, causes, hints, live_as_instances, live_as_machine};

/// Machine IDs and buckets, on a server that speaks whatever is asked for here.
async fn live(server: &RedisServer, url: &str) {
    live_as_machine(Raus::builder(url, 0..=1)).await;
    live_as_instances([(); 2].map(|()| Redbuckets::builder(url, "group"))).await;
    server.flush_all().expect("flushes");
    let group = || Redbuckets::builder(url, "woken");
    hints::wakes_at_once(server, group(), group()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resp3_for_a_whole_life() {
    let server = RedisServer::start().expect("starts");
    live(&server, &format!("{}?protocol=resp3", server.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_with_a_database_for_a_whole_life() {
    let server = RedisServer::builder()
        .unix_socket()
        .acl_user("us@er", "on >p@ss:word/? allkeys allchannels allcommands")
        .start()
        .expect("starts");
    let socket = server.socket_path();
    for protocol in ["resp2", "resp3"] {
        let url = format!(
            "redis+unix://us%40er:p%40ss%3Aword%2F%3F@{}?db=3&protocol={protocol}",
            socket.display()
        );
        live(&server, &url).await;
        assert_eq!(databases(&server), ["db3"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_for_a_whole_life() {
    let server = RedisServer::builder().ipv6().start().expect("starts");
    live(&server, &server.ipv6_url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_all_that_is_touched() {
    let server = RedisServer::start().expect("starts");
    live(&server, &format!("{}/7", server.url())).await;
    assert_eq!(databases(&server), ["db7"]);
    let raus = Raus::builder(&format!("{}/4711", server.url()), 0..=1).build();
    let error = acquire(&raus.expect("valid")).await;
    let text = causes(&error.expect_err("there are 16"));
    assert!(text.contains("DB index is out of range"), "{text}");
}

/// Those that hold keys.
fn databases(server: &RedisServer) -> Vec<String> {
    let info = server.info("keyspace").expect("asks");
    info.into_keys().collect()
}
