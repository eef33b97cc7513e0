//! Users with the smallest rights, as docs/ACL.md gives them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use ::raus::Raus;
use coord_tests::{
    cluster::Cluster,
    sentinels::Sentinels,
    server::{RedisServer, Version},
};
use redbuckets::{JoinError, Redbuckets};

use super::{PATIENCE, acquire, causes, live_as_instances, live_as_machine};

/// The rules that the documentation gives for a user.
fn documented(user: &str) -> String {
    let text = fs::read_to_string(root().join("docs/ACL.md")).expect("is there");
    let start = format!("ACL SETUSER {user} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&start));
    line.expect("the documentation gives rules").to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
}

fn without(rules: &str, right: &str) -> String {
    let rights: Vec<&str> = rules.split(' ').filter(|it| *it != right).collect();
    rights.join(" ")
}

fn server(version: Version, user: &str, rules: &str) -> RedisServer {
    RedisServer::builder()
        .version(version)
        .acl_user(user, rules)
        .start()
        .expect("starts")
}

/// What a user was refused, but for what the documentation says is asked for and may be refused.
fn denied(server: &RedisServer) -> Vec<String> {
    let log: Vec<BTreeMap<String, redis::Value>> = server.query(&["ACL", "LOG"]).expect("asks");
    let objects = log.into_iter().map(|mut entry| {
        let object = entry.remove("object").expect("an entry names its object");
        redis::from_redis_value(object).expect("by a text")
    });
    let optional = ["client", "client|setinfo", "config", "config|get"];
    objects
        .filter(|object: &String| !optional.contains(&object.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_ids_live_under_the_documented_rules_on_every_version() {
    for version in Version::ALL {
        let server = server(version, "raus", &documented("raus"));
        let url = server.url_for("raus", "password");
        for protocol in ["resp2", "resp3"] {
            let url = format!("{url}?protocol={protocol}");
            live_as_machine(Raus::builder(&url, 0..=1).label("tests")).await;
        }
        // Records that were lost are put back.
        let raus = Raus::builder(&url, 0..=1)
            .heartbeat(Duration::from_millis(100))
            .build()
            .expect("valid");
        let machine_id = acquire(&raus).await.expect("free");
        server.flush_all().expect("flushes");
        super::until("it re-asserts itself", || {
            let exists: u32 = server.query(&["EXISTS", "raus:slots"]).expect("asks");
            exists == 1
        })
        .await;
        machine_id.release().await.expect("confirmed");
        assert_eq!(denied(&server), Vec::<String>::new(), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_live_under_the_documented_rules_on_every_version() {
    for version in Version::ALL {
        let server = server(version, "redbuckets", &documented("redbuckets"));
        let url = server.url_for("redbuckets", "password");
        let groups = || [(); 2].map(|()| Redbuckets::builder(&url, "orders"));
        live_as_instances(groups()).await;
        let [graceful, contiguous] = groups();
        let graceful = graceful.rejoin_grace(Duration::from_secs(1));
        live_as_instances([graceful.instance_id("a"), contiguous.instance_id("b")]).await;
        assert_eq!(denied(&server), Vec::<String>::new(), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_acknowledged_under_the_documented_rules() {
    let master = server(Version::Redis7_0, "raus", &documented("raus"));
    let _replica = RedisServer::builder()
        .version(Version::Redis7_0)
        .replica_of(&master)
        .start()
        .expect("starts");
    master.wait_replicas(1, PATIENCE).expect("it is in step");
    let raus = Raus::builder(&master.url_for("raus", "password"), 0..=1);
    let raus = raus.discovery(Duration::ZERO).acknowledge(1);
    let raus = raus.build().expect("valid");
    let machine_id = acquire(&raus).await.expect("it is acknowledged");
    machine_id.release().await.expect("confirmed");
    assert!(master.commandstats().expect("stats").contains_key("wait"));
}

/// Every right that the rules grant is used: by a script, or by a client for the given purpose. Operators' scripts,
/// which `coordctl` runs, are not among those of a service.
#[test]
fn the_documented_rules_are_the_smallest() {
    let check = |name: &str, of_operators: &[&str]| {
        let folder = root().join("crates").join(name).join("src/scripts");
        let mut scripts: Vec<_> = fs::read_dir(folder)
            .expect("is there")
            .map(|entry| entry.expect("is readable").path())
            .filter(|path| {
                let name = path.file_stem().and_then(|name| name.to_str());
                !of_operators.contains(&name.expect("a name"))
            })
            .collect();
        scripts.push(root().join("crates/coord-core/src/history.lua"));
        let mut used: BTreeSet<String> = BY_CLIENT.iter().map(|name| format!("+{name}")).collect();
        for script in scripts {
            let text = fs::read_to_string(script).expect("is text");
            for call in text.split("call('").skip(1) {
                let (command, _) = call.split_once('\'').expect("ends");
                used.insert(format!("+{}", command.to_lowercase()));
            }
        }
        let rules = documented(name);
        let granted: BTreeSet<String> = rules
            .split(' ')
            .filter(|right| right.starts_with('+'))
            .map(str::to_owned)
            .collect();
        assert_eq!(granted, used, "{name}");
    };
    check(
        "raus",
        &[
            "clock",
            "import",
            "init",
            "inspect",
            "operators",
            "page",
            "relayout",
            "repair",
            "revoke",
        ],
    );
    check("redbuckets", &["drain", "members", "owners"]);
}

const BY_CLIENT: [&str; 6] = ["evalsha", "eval", "publish", "subscribe", "ping", "wait"];

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named() {
    for version in [Version::Redis6_2, Version::Redis7_0, Version::Valkey8_1] {
        for (right, name) in [
            ("+evalsha", "evalsha"),
            ("+time", "+time"),
            ("+hset", "+hset"),
            ("~raus:*", "raus:slots"),
        ] {
            let server = server(version, "raus", &without(&documented("raus"), right));
            let raus = Raus::builder(&server.url_for("raus", "password"), 0..=1)
                .discovery(Duration::ZERO)
                .build()
                .expect("valid");
            let error = acquire(&raus).await.expect_err("it must not");
            let text = causes(&error);
            assert!(
                text.contains("NOPERM") && text.contains(name),
                "{version} without {right}: {text}"
            );
            let keys: Vec<String> = server.query(&["KEYS", "*"]).expect("asks");
            assert!(right == "+hset" || keys.is_empty(), "{keys:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_missing_costs_what_is_documented() {
    let rules = ["+publish", "&raus:broadcast", "+ping", "+wait"]
        .iter()
        .fold(documented("raus"), |rules, right| without(&rules, right));
    let server = server(Version::Redis7_0, "raus", &rules);
    let raus = Raus::builder(&server.url_for("raus", "password"), 0..=1)
        .ttl(Duration::from_secs(3))
        .heartbeat(Duration::from_millis(100))
        .failover_bound(Duration::ZERO)
        .build()
        .expect("valid");
    let started = tokio::time::Instant::now();
    let machine_id = acquire(&raus).await.expect("after one ttl");
    assert!(
        Duration::from_secs(3) <= started.elapsed(),
        "it could not listen"
    );
    let mut events = machine_id.events();
    super::until("the refusal is reported", || {
        let event = futures_util::FutureExt::now_or_never(events.next());
        matches!(event, Some(Some(::raus::Event::AnnouncementRefused { .. })))
    })
    .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(machine_id.is_held(), "it was renewed");
    machine_id.release().await.expect("confirmed");
}

/// Nobody could see that the server has forgotten an owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_on_a_server_that_does_not_tell_who_it_is_is_refused_unless_allowed() {
    let server = server(
        Version::Redis7_0,
        "redbuckets",
        &without(&documented("redbuckets"), "+info"),
    );
    let group = || Redbuckets::builder(&server.url_for("redbuckets", "password"), "orders");
    let strict = group().buckets(8).build().expect("valid");
    let error = strict.join().await.expect_err("its identity is unknown");
    assert!(matches!(error, JoinError::Unverified), "{error:?}");
    assert!(error.to_string().contains("allow_unverified_history"));
    let keys: Vec<String> = server.query(&["KEYS", "*"]).expect("asks");
    assert!(keys.is_empty(), "{keys:?}");
    let lenient = group().buckets(8).allow_unverified_history(true).build();
    let instance = lenient.expect("valid").join().await.expect("it is allowed");
    super::until("it owns everything", || instance.owned().len() == 8).await;
    instance.leave().await.expect("confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_from_missing_rights() {
    for version in [Version::Redis6_2, Version::Redis7_0] {
        let server = server(version, "raus", &documented("raus"));
        for (user, password) in [("raus", "wr0ng"), ("nobody", "password")] {
            let url = server.url_for(user, password);
            let raus = Raus::builder(&url, 0..=1).build().expect("valid");
            let text = causes(&acquire(&raus).await.expect_err("must be refused"));
            assert!(
                text.contains("rejected the credentials (WRONGPASS)"),
                "{version}: {text}"
            );
            assert!(
                !text.contains("wr0ng") && !text.contains("nobody"),
                "{text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_and_sentinels_say_that_credentials_are_wrong() {
    let cluster = Cluster::builder()
        .password("s3cret")
        .start()
        .expect("starts");
    let sentinels = Sentinels::builder().password("s3cret");
    let sentinels = sentinels.start().expect("starts");
    for url in [cluster.url(), sentinels.url()] {
        for wrong in ["wr0ng@", "@"] {
            let url = url.replacen("s3cret@", wrong, 1);
            let raus = Raus::builder(&url, 0..=1).build().expect("valid");
            let text = causes(&acquire(&raus).await.expect_err("must be refused"));
            assert!(text.contains("rejected the credentials"), "{url}: {text}");
            assert!(
                !text.contains("wr0ng") && !text.contains("s3cret"),
                "{text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_wants_the_documented_rights_besides() {
    let rules = documented("raus").replace("~raus:*", "~{raus}:*");
    let rules = rules.replace("&raus:broadcast", "&{raus}:broadcast");
    let cluster = Cluster::builder()
        .acl_user("raus", &format!("{rules} +cluster|nodes +asking"))
        .acl_user("lacking", &rules);
    let cluster = cluster.start().expect("starts");
    let url = |user| {
        let url = cluster.url();
        url.replacen("://", &format!("://{user}:password@"), 1)
    };
    live_as_machine(Raus::builder(&url("raus"), 0..=1)).await;
    let raus = Raus::builder(&url("lacking"), 0..=1).build();
    let text = causes(&acquire(&raus.expect("valid")).await.expect_err("must fail"));
    assert!(
        text.contains("NOPERM") && text.contains("cluster"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_databases_want_the_documented_rights_besides() {
    let group = Sentinels::builder()
        .acl_user("raus", &format!("{} +select", documented("raus")))
        .acl_user("lacking", &documented("raus"))
        .sentinel_acl_user("coord", &documented("coord"))
        .start()
        .expect("starts");
    let url = |user| {
        let url = group.url_for(user, "password");
        format!("{url}/3?sentinel_user=coord&sentinel_password=password")
    };
    live_as_machine(Raus::builder(&url("raus"), 0..=1)).await;
    for sentinel in group.sentinels() {
        let log: Vec<redis::Value> = sentinel.query(&["ACL", "LOG"]).expect("asks");
        let log = format!("{log:?}");
        assert!(
            !log.contains("sentinel|") && !log.contains("subscribe"),
            "{log}"
        );
    }
    let raus = Raus::builder(&url("lacking"), 0..=1).build();
    let text = causes(&acquire(&raus.expect("valid")).await.expect_err("must fail"));
    assert!(text.contains("select"), "{text}");
}
