use super::*;
use crate::store::Unchecked;

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn healthy() -> ServerInfo {
    ServerInfo {
        address: "10.0.0.1:6379".into(),
        product: "redis".into(),
        version: "7.0.15".into(),
        role: "master".into(),
        maxmemory_policy: "noeviction".into(),
        maxmemory: 1_000,
        used_memory: 500,
        min_replicas_to_write: Some(0),
        min_replicas_max_lag: Some(seconds(10)),
        persists: Some(true),
        wall: Some(NOW),
        ..ServerInfo::default()
    }
}

fn terms() -> Terms {
    let timing = Timing::new(seconds(60), seconds(1)).expect("valid");
    Terms {
        expiring_keys: true,
        max_clock_skew: Some(seconds(10)),
        ..Terms::new(timing)
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn cluster(node_timeout: u64) -> Option<Failover> {
    Some(Failover::Cluster {
        node_timeout: seconds(node_timeout),
    })
}

fn sentinel(down_after: u64, sentinels: u32, quorum: u32) -> Option<Failover> {
    Some(Failover::Sentinel {
        down_after: seconds(down_after),
        sentinels,
        quorum,
    })
}

/// The kinds of advice for a healthy server that was changed like this.
#[track_caller]
fn check(change: impl FnOnce(&mut ServerInfo), expected: &[&str]) {
    let mut info = healthy();
    change(&mut info);
    let kinds: Vec<&str> = advise(&info, NOW, &terms())
        .iter()
        .map(Advice::kind)
        .collect();
    assert_eq!(kinds, expected);
}

#[test]
fn a_healthy_server_gets_no_advice() {
    check(|_| {}, &[]);
    assert_eq!(advise(&ServerInfo::default(), NOW, &terms()), []);
}

#[test]
fn eviction_counts_where_memory_has_a_limit_and_the_policy_takes_our_keys() {
    let policy = |policy: &'static str, maxmemory| {
        move |info: &mut ServerInfo| {
            info.maxmemory_policy = policy.into();
            info.maxmemory = maxmemory;
        }
    };
    for name in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        check(policy(name, 1_000), &["evicts-all-keys"]);
        check(policy(name, 0), &[]);
    }
    for name in ["volatile-lru", "volatile-ttl"] {
        check(policy(name, 1_000), &["evicts-expiring-keys"]);
        check(policy(name, 0), &[]);
    }
    let mut info = healthy();
    info.maxmemory_policy = "volatile-lru".into();
    let lasting = Terms {
        expiring_keys: false,
        ..terms()
    };
    assert_eq!(advise(&info, NOW, &lasting), []);
}

#[test]
fn only_a_server_that_evicts_everything_is_refused_and_only_where_that_is_not_allowed() {
    let with = |policy: &str, maxmemory| ServerInfo {
        maxmemory_policy: policy.into(),
        maxmemory,
        ..healthy()
    };
    for (info, refused) in [
        (with("allkeys-lru", 1), true),
        (with("allkeys-lru", 0), false),
        (with("volatile-lru", 1), false),
        (with("noeviction", 1), false),
        (with("", 0), false),
    ] {
        assert_eq!(refuse(&info, &terms()).is_err(), refused, "{info:?}");
    }
    let allowing = Terms {
        allow_eviction: true,
        ..terms()
    };
    assert_eq!(refuse(&with("allkeys-lru", 1), &allowing), Ok(()));
    let error = refuse(&with("allkeys-lru", 1), &terms()).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "10.0.0.1:6379 has a memory limit and maxmemory-policy allkeys-lru, which may evict what is known of leases; set \
         noeviction, give leases a server of their own, or accept the danger by the option allow_eviction"
    );
}

#[test]
fn memory_is_nearly_full_above_nine_tenths_of_a_limit() {
    check(|info| info.used_memory = 900, &[]);
    check(|info| info.used_memory = 901, &["memory-nearly-full"]);
    check(|info| (info.used_memory, info.maxmemory) = (901, 0), &[]);
}

#[test]
fn a_replica_and_an_old_version_are_named() {
    check(|info| info.role = "slave".into(), &["replica"]);
    check(|info| info.version = "6.0.16".into(), &["old-version"]);
    check(|info| info.version = "6.2.0".into(), &[]);
    check(|info| info.version = "unknown".into(), &[]);
    check(
        |info| (info.product, info.version) = ("valkey".into(), "1.0.0".into()),
        &[],
    );
}

#[test]
fn replicas_want_a_guard_that_is_quicker_than_the_failover() {
    let guarded = |wanted, lag, failover| {
        move |info: &mut ServerInfo| {
            info.connected_replicas = 2;
            info.min_replicas_to_write = wanted;
            info.min_replicas_max_lag = Some(seconds(lag));
            info.failover = failover;
        }
    };
    check(guarded(Some(0), 10, None), &["unguarded-replicas"]);
    check(guarded(Some(1), 0, None), &["unguarded-replicas"]);
    check(guarded(None, 10, None), &[]);
    check(guarded(Some(1), 10, None), &[]);
    check(guarded(Some(1), 10, sentinel(5, 3, 2)), &["late-guard"]);
    check(guarded(Some(1), 5, sentinel(5, 3, 2)), &[]);
    check(guarded(Some(1), 3, cluster(2)), &["late-guard"]);
}

#[test]
fn a_ttl_is_short_where_a_failover_and_two_heartbeats_do_not_fit() {
    let deployed = |replicas, failover| {
        move |info: &mut ServerInfo| {
            info.connected_replicas = replicas;
            info.min_replicas_to_write = Some(1);
            info.failover = failover;
        }
    };
    // ttl 60 s, heartbeat 1 s
    check(deployed(1, cluster(51)), &[]);
    check(deployed(1, cluster(52)), &["short-ttl"]);
    check(deployed(0, cluster(52)), &[]);
    check(deployed(1, sentinel(56, 3, 2)), &[]);
    check(deployed(1, sentinel(57, 3, 2)), &["short-ttl"]);
    let mut info = healthy();
    deployed(1, cluster(60))(&mut info);
    assert_eq!(
        advise(&info, NOW, &terms())[0].to_string(),
        "a ttl of 60s ends before a failover does, which may take 67s; lengthen the ttl to 69s or more, or shorten \
         cluster-node-timeout (60s)"
    );
}

#[test]
fn three_sentinels_and_a_quorum_of_two_are_the_least() {
    for (sentinels, quorum, expected) in [
        (3, 2, &[][..]),
        (5, 3, &[]),
        (2, 2, &["few-sentinels"]),
        (3, 1, &["few-sentinels"]),
    ] {
        check(
            |info| info.failover = sentinel(5, sentinels, quorum),
            expected,
        );
    }
}

#[test]
fn a_clock_is_off_above_a_second_or_half_of_what_is_tolerated() {
    let skew = |wall, max_clock_skew| {
        let terms = Terms {
            max_clock_skew,
            ..terms()
        };
        advise(&healthy(), wall, &terms)
    };
    let limit = Some(seconds(10));
    assert_eq!(skew(NOW + seconds(1), limit), []);
    assert_eq!(
        skew(NOW + Duration::from_millis(1_001), limit),
        [Advice::ClockSkew {
            skew: Duration::from_millis(1_001),
            ahead: true
        }]
    );
    let strict = Some(Duration::from_millis(500));
    assert_eq!(
        skew(NOW - Duration::from_millis(251), strict),
        [Advice::ClockSkew {
            skew: Duration::from_millis(251),
            ahead: false
        }]
    );
    assert_eq!(skew(NOW + Duration::from_millis(251), None), []);
    let mut unknown = healthy();
    unknown.wall = None;
    assert_eq!(advise(&unknown, Duration::ZERO, &terms()), []);
}

#[test]
fn what_is_good_to_know_is_no_warning() {
    let refused = Unchecked::new("snapshots", "CONFIG GET save", "NOPERM no permissions");
    let mut info = healthy();
    info.persists = Some(false);
    info.unchecked = vec![refused.clone()];
    let advice = advise(&info, NOW, &terms());
    assert_eq!(advice, [Advice::NoPersistence, Advice::Unchecked(refused)]);
    assert!(!advice.iter().any(Advice::is_warning));
    assert_eq!(
        advice[1].to_string(),
        "not known: snapshots (CONFIG GET save: NOPERM no permissions); allow +info, +time and +config|get to this user, \
         or check it by hand"
    );
}
