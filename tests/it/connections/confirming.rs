//! Writes that replicas acknowledge: many of them, and one WAIT.

use coord_core::{
    endpoint::Endpoint,
    store::{Command, Reply, Script, Store, StoreError, redis as store},
};
use coord_tests::{
    cluster::Cluster,
    server::{RedisServer, ServerBuilder, Version},
};
use raus::Connection;

use super::PATIENCE;

static PUT: Script = Script::new("put", &["return redis.call('INCR', KEYS[1])"]);
static TOUCH: Script = Script::new("touch", &["return redis.call('APPEND', KEYS[1], 'x')"]);

fn write(script: &'static Script, key: &str) -> Command {
    Command::Eval {
        script,
        keys: vec![key.to_owned()],
        args: Vec::new(),
    }
}

fn open(url: &str) -> std::sync::Arc<dyn Store> {
    store::open(&Endpoint::parse(url).expect("valid"), None).expect("valid")
}

fn numbers(replies: Vec<Result<Reply, StoreError>>) -> Vec<Option<u64>> {
    let numbers = replies.into_iter();
    numbers.map(|reply| reply.ok()?.as_u64()).collect()
}

fn master_and_replica(builder: ServerBuilder) -> (RedisServer, RedisServer) {
    let master = builder.start().expect("starts");
    let replica = RedisServer::builder().replica_of(&master);
    let replica = replica.start().expect("starts");
    master.wait_replicas(1, PATIENCE).expect("it is in step");
    (master, replica)
}

fn waits(server: &RedisServer) -> u64 {
    let stats = server.commandstats().expect("stats");
    stats.get("wait").copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wait_covers_all_writes_even_if_the_server_forgets_their_scripts() {
    let (master, replica) = master_and_replica(RedisServer::builder());
    let client = redis::Client::open(master.url()).expect("valid");
    let pool = deadpool_redis::Config::from_url(master.url())
        .create_pool(Some(deadpool_redis::Runtime::Tokio1))
        .expect("valid");
    let stores = [
        open(&master.url()),
        Connection::from(client).open().expect("valid"),
        Connection::from(pool).open().expect("valid"),
    ];
    let keys = ["a", "b", "c"];
    let puts = keys.map(|key| write(&PUT, key));
    let mut expected = 0;
    for store in stores {
        let _: String = master.query(&["SCRIPT", "FLUSH"]).expect("forgets");
        for _ in ["unknown", "known"] {
            let before = waits(&master);
            let confirmed = store.confirm(&puts, 1, PATIENCE).await;
            let (replies, found) = confirmed.expect("acknowledged");
            expected += 1;
            assert_eq!((numbers(replies), found), (vec![Some(expected); 3], 1));
            for key in keys {
                let has: u64 = replica.query(&["GET", key]).expect("has it");
                assert_eq!(has, expected, "{key} was acknowledged");
            }
            assert_eq!(waits(&master) - before, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_forgotten_among_others_is_repeated_alone() {
    let (master, replica) = master_and_replica(RedisServer::builder());
    let store = open(&master.url());
    let first = store.confirm(&[write(&PUT, "a")], 1, PATIENCE).await;
    first.expect("acknowledged");
    let writes = [write(&PUT, "a"), write(&TOUCH, "t"), write(&PUT, "a")];
    let (replies, found) = store.confirm(&writes, 1, PATIENCE).await.expect("done");
    assert_eq!(found, 1);
    assert_eq!(numbers(replies), [Some(2), Some(1), Some(3)]);
    let has: String = replica.query(&["GET", "t"]).expect("has it");
    assert_eq!(has, "x", "the last WAIT covers it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_fails_alone_and_a_shortage_is_told() {
    let (master, replica) = master_and_replica(RedisServer::builder());
    let store = open(&master.url());
    let _: u64 = master.query(&["RPUSH", "list", "x"]).expect("pushes");
    let writes = [write(&PUT, "a"), write(&PUT, "list"), write(&PUT, "b")];
    let short = std::time::Duration::from_secs(5);
    let (replies, found) = store.confirm(&writes, 2, short).await.expect("done");
    assert_eq!(found, 1, "there is one replica");
    let failure = replies[1].as_ref().expect_err("not a number").to_string();
    assert!(failure.contains("WRONGTYPE"), "{failure}");
    assert_eq!(numbers(replies), [Some(1), None, Some(1)]);

    // Where nothing was written nothing is acknowledged, and what WAIT says does not matter.
    let store = open(&replica.url());
    let (replies, found) = store.confirm(&writes, 1, PATIENCE).await.expect("done");
    assert_eq!(found, 0);
    for reply in replies {
        let error = reply.expect_err("a replica").to_string();
        assert!(error.contains("READONLY"), "{error}");
    }
    let (replies, found) = store
        .confirm(&[], 1, PATIENCE)
        .await
        .expect("nothing to do");
    assert!(replies.is_empty() && found == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_wait_is_refused_with_the_option_that_needs_it() {
    let forbidden = RedisServer::builder().acl_user("app", "on >pw ~* &* +@all -wait");
    let forbidden = forbidden.start().expect("starts");
    let unknown = RedisServer::builder().config_line("rename-command WAIT \"\"");
    let unknown = unknown.start().expect("starts");
    for url in [forbidden.url_for("app", "pw"), unknown.url()] {
        let store = open(&url);
        let outcome = store.confirm(&[write(&PUT, "a")], 1, PATIENCE).await;
        let error = outcome.expect_err("it cannot wait");
        assert!(!error.is_transient(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("acknowledge(n) needs the command WAIT"),
            "{text}"
        );
        assert!(text.starts_with("put: "), "{text}");
    }
}

/// Who wants more replicas than there are holds up nobody who wants those that there are.
#[tokio::test(flavor = "multi_thread")]
async fn some_may_wait_while_others_wait_in_vain() {
    let (master, _replica) = master_and_replica(RedisServer::builder());
    let store = open(&master.url());
    let (puts, touches) = ([write(&PUT, "a")], [write(&TOUCH, "t")]);
    let in_vain = store.confirm(&puts, 2, PATIENCE);
    let served = async {
        let begun = coord_tests::wait::until_async(PATIENCE, async || {
            let waiting: String = master.query(&["CLIENT", "LIST"]).expect("lists");
            waiting.contains("cmd=wait").then_some(())
        });
        begun.await.expect("it waits");
        store.confirm(&touches, 1, PATIENCE).await
    };
    tokio::select! {
        _ = in_vain => panic!("there is no second replica"),
        served = served => assert_eq!(served.expect("acknowledged").1, 1),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_of_a_cluster_waits_for_its_own_replicas() {
    let cluster = Cluster::builder().version(Version::Redis7_0);
    let cluster = cluster.start().expect("starts");
    let keys = ["a", "b", "c", "d"];
    let masters: Vec<u16> = keys
        .iter()
        .map(|key| {
            cluster
                .master_of(Cluster::slot_of(key))
                .expect("one")
                .port()
        })
        .collect();
    assert!(masters.iter().any(|port| *port != masters[0]));
    let store = open(&cluster.url());
    let puts = keys.map(|key| write(&PUT, key));
    let (replies, found) = store.confirm(&puts, 1, PATIENCE).await.expect("done");
    assert_eq!((numbers(replies), found), (vec![Some(1); 4], 1));

    // One node's replica is gone: what it wrote is acknowledged by none, and so is all of it.
    let slot = Cluster::slot_of("a");
    cluster.replica_of(slot).expect("one").kill().expect("dies");
    let short = std::time::Duration::from_secs(5);
    let (replies, found) = store.confirm(&puts, 1, short).await.expect("done");
    assert_eq!((numbers(replies), found), (vec![Some(2); 4], 0));
}
