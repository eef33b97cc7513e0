//! Groups: who owns what, and drains.

use std::{collections::BTreeSet, time::Duration};

use coord_tests::server::RedisServer;
use redbuckets::{Assignment, Builder, Instance, Redbuckets};
use serde_json::Value;

use super::{LIMIT, finish, run, server, tool};

fn member(server: &RedisServer, id: &str) -> Builder {
    Redbuckets::builder(&server.url(), "orders")
        .buckets(100)
        .instance_id(id)
        .ttl(Duration::from_secs(4))
        .period(Duration::from_millis(100))
        .settle(Duration::from_millis(100))
}

async fn join(builder: Builder) -> Instance {
    builder
        .build()
        .expect("valid")
        .join()
        .await
        .expect("it joins")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"));
}

async fn shared_out(instances: &[&Instance], shares: &[usize]) {
    until("sharing out", || {
        instances
            .iter()
            .zip(shares)
            .all(|(instance, &share)| instance.owned().len() == share)
    })
    .await;
}

/// The buckets in `[[first, last], …]`.
fn numbers(ranges: &Value) -> BTreeSet<u32> {
    let ends = |range: &Value| {
        let end = |index: usize| {
            range[index]
                .as_u64()
                .and_then(|end| u32::try_from(end).ok())
                .expect("a bucket")
        };
        end(0)..=end(1)
    };
    ranges
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(ends)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_shown_as_it_is() {
    let server = server();
    let absent = run(&server, &["buckets", "list", "-g", "orders"]);
    assert_eq!(absent.code, Some(4), "{absent:?}");
    let first = join(member(&server, "alpha")).await;
    let second = join(member(&server, "beta").weight(3)).await;
    shared_out(&[&first, &second], &[25, 75]).await;

    let json = run(&server, &["buckets", "list", "-g", "orders", "--json"]).json();
    assert_eq!(
        (&json["group"], &json["buckets"]),
        (&"orders".into(), &100.into())
    );
    assert_eq!(
        (&json["assignment"], &json["free"]),
        (&"sticky".into(), &0.into())
    );
    assert_eq!(
        (&json["torn"], &json["doubt_ms"]),
        (&false.into(), &0.into())
    );
    let mut all = BTreeSet::new();
    for (member, (instance, weight)) in json["members"]
        .as_array()
        .expect("a list")
        .iter()
        .zip([(&first, 1), (&second, 3)])
    {
        assert_eq!(
            (&member["id"], &member["state"]),
            (&instance.id().into(), &"member".into())
        );
        assert_eq!(
            (&member["weight"], &member["quota"]),
            (&weight.into(), &(25 * weight).into())
        );
        assert_eq!(member["owned"], 25 * weight);
        assert!(
            (1..=4_000).contains(&member["lease_left_ms"].as_u64().expect("a number")),
            "{member}"
        );
        let owned = numbers(&member["ranges"]);
        assert_eq!(owned, instance.owned().ids().collect::<BTreeSet<u32>>());
        all.extend(owned);
    }
    assert_eq!(all.len(), 100);

    let text = run(&server, &["buckets", "list", "-g", "orders"]);
    assert!(
        text.stdout
            .starts_with("group orders: 100 buckets, sticky, 2 members"),
        "{text:?}"
    );
    let map: String = text.stdout.lines().rev().take(2).collect();
    assert_eq!(
        (map.matches('A').count(), map.matches('B').count()),
        (25, 75),
        "{text:?}"
    );
    assert!(!text.stdout.contains('\u{1b}'), "{text:?}");
    let members = run(&server, &["buckets", "members", "-g", "orders", "--json"]).json();
    assert_eq!(members[1]["id"], "beta");
    let table = run(&server, &["buckets", "members", "-g", "orders"]);
    assert_eq!(table.stdout.lines().count(), 3, "{table:?}");
    second.leave().await.expect("nothing is worked in");
    first.leave().await.expect("nothing is worked in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_instance_gives_everything_away_and_gets_it_back() {
    let server = server();
    let first = join(member(&server, "alpha")).await;
    let second = join(member(&server, "beta")).await;
    shared_out(&[&first, &second], &[50, 50]).await;
    let drain = ["buckets", "drain", "-g", "orders", "alpha", "--json"];
    let drained = run(&server, &[&drain[..], &["--wait", "50s"]].concat()).json();
    assert_eq!(
        (&drained["state"], &drained["owned"]),
        (&"drained".into(), &0.into())
    );
    shared_out(&[&first, &second], &[0, 100]).await;
    assert!(first.is_member(), "it stays a member");
    let members = run(&server, &["buckets", "members", "-g", "orders", "--json"]).json();
    assert_eq!(
        (&members[0]["state"], &members[0]["quota"]),
        (&"drained".into(), &0.into())
    );
    // A newcomer changes nothing for it.
    let third = join(member(&server, "gamma")).await;
    shared_out(&[&first, &second, &third], &[0, 50, 50]).await;
    // Nor does asking again.
    assert_eq!(run(&server, &drain).json()["owned"], 0);
    let undone = run(&server, &[&drain[..], &["--undo"]].concat()).json();
    assert_eq!(undone["state"], "resumed");
    until("balance", || {
        [&first, &second, &third]
            .iter()
            .all(|one| 33 <= one.owned().len())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_has_drained_itself_is_idle() {
    let server = server();
    let first = join(member(&server, "alpha")).await;
    let second = join(member(&server, "beta")).await;
    shared_out(&[&first, &second], &[50, 50]).await;
    first.drain().await.expect("nothing is worked in");
    shared_out(&[&first, &second], &[0, 100]).await;
    let members = run(&server, &["buckets", "members", "-g", "orders", "--json"]).json();
    assert_eq!(members[0]["state"], "idle");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_in_a_bucket_is_waited_for() {
    let server = server();
    let first = join(member(&server, "alpha")).await;
    let second = join(member(&server, "beta")).await;
    shared_out(&[&first, &second], &[50, 50]).await;
    let bucket = first.owned().ids().next().expect("it owns fifty");
    let guard = first.enter(bucket).expect("it owns it");
    let drain = ["buckets", "drain", "-g", "orders", "alpha"];
    let waited = run(&server, &[&drain[..], &["--wait", "2s"]].concat());
    assert_eq!(waited.code, Some(1), "{waited:?}");
    assert!(
        waited.stderr.contains("still owns 1 bucket after"),
        "{waited:?}"
    );
    let members = run(&server, &["buckets", "members", "-g", "orders", "--json"]).json();
    assert_eq!(
        (&members[0]["state"], &members[0]["surplus"]),
        (&"draining".into(), &1.into())
    );
    drop(guard);
    shared_out(&[&first, &second], &[0, 100]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contiguous_groups_drain_too() {
    let server = server();
    let contiguous = |id: &str| member(&server, id).assignment(Assignment::Contiguous);
    let first = join(contiguous("alpha")).await;
    let second = join(contiguous("beta")).await;
    shared_out(&[&first, &second], &[50, 50]).await;
    let drain = ["buckets", "drain", "-g", "orders", "beta", "--wait", "50s"];
    assert_eq!(run(&server, &drain).code, Some(0));
    shared_out(&[&first, &second], &[100, 0]).await;
    let json = run(&server, &["buckets", "list", "-g", "orders", "--json"]).json();
    assert_eq!(json["assignment"], "contiguous");
    assert_eq!(json["members"][0]["ranges"], serde_json::json!([[0, 99]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_without_a_shell_drains_the_instance_that_its_environment_names() {
    let server = server();
    let first = join(member(&server, "alpha")).await;
    let second = join(member(&server, "beta")).await;
    shared_out(&[&first, &second], &[50, 50]).await;
    let hook = ["buckets", "drain", "-g", "orders", "--wait", "50s"];
    let hook = tool(&server, &hook).env("INSTANCE_ID", "beta");
    let outcome = finish(&mut hook.spawn().expect("it starts"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    shared_out(&[&first, &second], &[100, 0]).await;
    let nobody = run(&server, &["buckets", "drain", "-g", "orders"]);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_with_the_incarnation() {
    let server = server();
    let first = join(member(&server, "alpha")).await;
    let second = join(member(&server, "beta").rejoin_grace(Duration::from_secs(30))).await;
    shared_out(&[&first, &second], &[50, 50]).await;
    assert_eq!(
        run(&server, &["buckets", "drain", "-g", "orders", "beta"]).code,
        Some(0)
    );
    shared_out(&[&first, &second], &[100, 0]).await;
    second.leave().await.expect("nothing is worked in");
    let members = run(&server, &["buckets", "members", "-g", "orders", "--json"]).json();
    assert_eq!(members[1]["state"], "parked", "{members}");
    let second = join(member(&server, "beta").rejoin_grace(Duration::from_secs(30))).await;
    shared_out(&[&first, &second], &[50, 50]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_does_not_come_back_is_given_up() {
    let server = server();
    let first = join(member(&server, "alpha")).await;
    let second = join(member(&server, "beta").rejoin_grace(Duration::from_secs(600))).await;
    shared_out(&[&first, &second], &[50, 50]).await;
    let evict = ["buckets", "evict", "-g", "orders", "beta"];
    let lives = run(&server, &evict);
    assert_eq!(lives.code, Some(1), "{lives:?}");
    assert!(lives.stderr.contains("lives"), "{lives:?}");
    second.leave().await.expect("nothing is worked in");
    assert_eq!(first.owned().len(), 50, "it is waited for");
    let evicted = run(&server, &[&evict[..], &["--json"]].concat());
    assert_eq!(evicted.json()["state"], "evicted");
    shared_out(&[&first], &[100]).await;
    assert_eq!(run(&server, &evict).code, Some(4), "it is a member no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn drains_that_make_no_sense_change_nothing() {
    let server = server();
    let only = join(member(&server, "alpha")).await;
    shared_out(&[&only], &[100]).await;
    let last = run(&server, &["buckets", "drain", "-g", "orders", "alpha"]);
    assert_eq!(last.code, Some(1), "{last:?}");
    assert!(last.stderr.contains("last member"), "{last:?}");
    let unknown = run(&server, &["buckets", "drain", "-g", "orders", "omega"]);
    assert_eq!(unknown.code, Some(4), "{unknown:?}");
    assert_eq!(
        run(&server, &["buckets", "drain", "-g", "other", "alpha"]).code,
        Some(4)
    );
    assert_eq!(only.owned().len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leaver_leaves_behind_is_seen() {
    let server = server();
    let first = join(member(&server, "alpha")).await;
    shared_out(&[&first], &[100]).await;
    let arguments = [
        "buckets",
        "watch",
        "-g",
        "orders",
        "--json",
        "--interval",
        "50ms",
        "--for",
        "50s",
    ];
    let mut watch = tool(&server, &arguments).spawn().expect("it starts");
    let sees = |wanted: &dyn Fn(&Value) -> bool| {
        let found = watch.wait_for_line(LIMIT, |line| {
            wanted(&serde_json::from_str(line).expect("JSON"))
        });
        found.expect("it is seen");
    };
    sees(&|json| json["members"][0]["owned"] == 100);
    first.leave().await.expect("nothing is worked in");
    sees(&|json| json["free"] == 100);
    watch.kill().expect("it runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_group_is_read_page_by_page() {
    let server = server();
    let large = |id: &str| {
        member(&server, id)
            .buckets(20_000)
            .chunk(1_024)
            .max_moves(20_000)
    };
    let first = join(large("alpha")).await;
    let second = join(large("beta")).await;
    shared_out(&[&first, &second], &[10_000, 10_000]).await;
    let json = run(&server, &["buckets", "list", "-g", "orders", "--json"]).json();
    for (member, instance) in json["members"]
        .as_array()
        .expect("a list")
        .iter()
        .zip([&first, &second])
    {
        assert_eq!(
            numbers(&member["ranges"]),
            instance.owned().ids().collect::<BTreeSet<u32>>()
        );
    }
    let text = run(&server, &["buckets", "list", "-g", "orders"]);
    assert!(
        text.stdout.ends_with("one letter stands for 10 buckets\n"),
        "{text:?}"
    );
}
