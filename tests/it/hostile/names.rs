//! Names and labels that mean something to Redis, to Lua or to a shell are names and labels, and nothing else.

use raus::{Placement, Raus};
use redbuckets::Redbuckets;

use super::{PERIOD, TTL, server};

const NAMES: &[&str] = &[
    "*",
    "a*b?[c]",
    "{a}{b}",
    "a{",
    "a:id",
    "'];redis.call('FLUSHALL')--",
    "%d%s%n$(reboot)`x`",
    "ünïcödé-\u{202e}",
    "..//\\",
];

#[tokio::test]
async fn a_name_is_a_name_and_a_label_is_a_label() {
    let server = server();
    let canary = "canary";
    super::send(&server, &["SET", canary, "alive"]).await;
    for name in NAMES {
        let url = format!("{}?ns={}", server.url(), escaped(name));
        let raus = Raus::builder(&url, 0..=3)
            .label(*name)
            .ttl(TTL)
            .heartbeat(PERIOD)
            .discovery(std::time::Duration::ZERO)
            .placement(Placement::Runtime(tokio::runtime::Handle::current()))
            .build()
            .expect("a valid name");
        let machine_id = raus.acquire().await.expect("free");
        let found = raus.inspector().expect("a heartbeat").read().await;
        assert_eq!(found.expect("it answers").slots[0].label, *name);
        machine_id.release().await.expect("releases");

        let builder = Redbuckets::builder(&server.url(), "g").key_prefix(format!("p{name}"));
        let instance = builder
            .instance_id(format!("i{name}"))
            .buckets(4)
            .ttl(TTL)
            .period(PERIOD)
            .placement(Placement::Runtime(tokio::runtime::Handle::current()))
            .build()
            .expect("valid names")
            .join()
            .await
            .expect("joins");
        instance.leave().await.expect("leaves");

        let keys: Vec<String> = server.query(&["KEYS", "*"]).expect("answers");
        for key in keys {
            let (namespace, group) = (format!("{name}:"), format!("p{name}:{{g}}:"));
            let is_ours = key.starts_with(&namespace) || key.starts_with(&group);
            assert!(is_ours || key == canary, "{name:?} made {key:?}");
            if is_ours {
                let deleted: u32 = server.query(&["DEL", &key]).expect("answers");
                assert_eq!(deleted, 1);
            }
        }
    }
    let alive: String = server.query(&["GET", canary]).expect("answers");
    assert_eq!(alive, "alive");
}

/// Every byte of `name` as a URL has it.
fn escaped(name: &str) -> String {
    name.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
