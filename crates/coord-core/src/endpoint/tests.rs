use std::error::Error;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(url: &str, expected: &str) {
    let actual = match Endpoint::parse(url) {
        Ok(endpoint) => endpoint.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(actual, expected, "{url}");
}

#[test]
fn every_form_is_understood() {
    check("redis://localhost", "redis://localhost:6379/0");
    check(
        "redis://localhost:7000/3?ns=prod",
        "redis://localhost:7000/3",
    );
    check("redis://user:secret@[::1]:7000", "redis://[::1]:7000/0");
    check("redis://[fe80::1]", "redis://[fe80::1]:6379/0");
    check("redis://h/?protocol=resp3", "redis://h:6379/0");
    check(
        "redis+unix:///run/redis.sock?db=2",
        "redis+unix:///run/redis.sock?db=2",
    );
    check("memory://demo", "memory://demo");
    check("memory://", "memory://");
}

#[cfg(all(feature = "cluster", feature = "sentinel", feature = "tls"))]
#[test]
fn every_form_of_a_deployment_is_understood() {
    check("rediss://h:6380/1", "rediss://h:6380/1");
    check(
        "rediscluster://u:p@a,b:7001,[::1]:7002?ns=x",
        "rediscluster://a:6379,b:7001,[::1]:7002",
    );
    check("redisscluster://a/", "redisscluster://a:6379");
    check(
        "redis+sentinel://a,b:5000/mymaster",
        "redis+sentinel://a:26379,b:5000/mymaster/0",
    );
    check(
        "rediss+sentinel://u:p@a/my%20master/3?sentinel_user=s&sentinel_password=t",
        "rediss+sentinel://a:26379/my master/3",
    );
}

#[test]
fn what_is_short_or_odd_is_understood_as_well() {
    check("redis+unix:///s", "redis+unix:///s?db=0");
    check("redis+unix:///run/a@b", "redis+unix:///run/a@b?db=0");
    check("memory://a/b@c", "memory://a/b@c");
    check(
        "redis+unix:///s?nx=1",
        "unknown query key \"nx\"; known here are ns, db, protocol",
    );
    for (text, expected) in [
        ("resp2", Protocol::Resp2),
        ("2", Protocol::Resp2),
        ("resp3", Protocol::Resp3),
        ("3", Protocol::Resp3),
    ] {
        let endpoint = Endpoint::parse(&format!("redis://h?protocol={text}"));
        assert_eq!(endpoint.expect("valid").protocol(), expected);
    }
}

#[test]
fn a_host_has_no_characters_that_mean_something_else() {
    for host in ["h o", "h\u{1}", "h\\o", "h[o"] {
        check(
            &format!("redis://{host}"),
            "the host is not a host name or address; an IPv6 address stands in brackets, as in redis://[::1]:6379",
        );
    }
}

#[cfg(all(feature = "cluster", feature = "sentinel"))]
#[test]
fn as_many_servers_as_may_be_are_named_and_sentinels_have_users_of_their_own() {
    let hosts: Vec<String> = (0..256).map(|number| format!("h{number}")).collect();
    assert!(Endpoint::parse(&format!("rediscluster://{}", hosts.join(","))).is_ok());
    let url = "redis+sentinel://u:p@a/m?sentinel_user=s&sentinel_password=t";
    let endpoint = Endpoint::parse(url).expect("valid");
    let Kind::Sentinel(kind) = endpoint.kind() else {
        panic!("sentinels");
    };
    let parts =
        |credentials: &Credentials| (credentials.user.clone(), credentials.password.clone());
    let some = |user: &str, password: &str| (Some(user.to_owned()), Some(password.to_owned()));
    assert_eq!(parts(&kind.credentials), some("u", "p"));
    assert_eq!(parts(&kind.sentinel_credentials), some("s", "t"));
}

#[test]
fn what_is_wrong_is_named() {
    check(
        "localhost:6379",
        "connection URL has no scheme; write redis://host:port",
    );
    check(
        "http://x",
        "unknown scheme \"http\"; use redis://, rediss://, redis+unix://, rediscluster://, redisscluster://, \
         redis+sentinel://, rediss+sentinel:// or memory://",
    );
    check("redis://", "connection URL names no host");
    check("redis://:6379", "connection URL names no host");
    check("redis+unix://", "connection URL names no socket path");
    check(
        "redis+unix://run/redis.sock",
        "what stands before the socket path (three slashes are meant: redis+unix:///path) is not a host name or \
         address; an IPv6 address stands in brackets, as in redis://[::1]:6379",
    );
    check(
        "redis://h:0",
        "port 0 is not a number from 1 to 65535; user and password end with an @",
    );
    check(
        "redis://h:65536",
        "port 65536 is not a number from 1 to 65535; user and password end with an @",
    );
    check(
        "redis://h:+1",
        "port (not shown, it may be a password) is not a number from 1 to 65535; user and password end with an @",
    );
    check(
        "redis://user:secret",
        "port (not shown, it may be a password) is not a number from 1 to 65535; user and password end with an @",
    );
    check(
        "redis://[::1",
        "an address that begins with [ and has no ] is not a host name or address; an IPv6 address stands in \
         brackets, as in redis://[::1]:6379",
    );
    check(
        "redis://[h]:1",
        "what stands in brackets is not a host name or address; an IPv6 address stands in brackets, as in \
         redis://[::1]:6379",
    );
    check(
        "redis://h/one",
        "database \"one\" is not a number from 0 to 4294967295",
    );
    check(
        "redis://a,b",
        "\"redis\" names one server, not several; use rediscluster:// or redis+sentinel:// for many",
    );
    check(
        "redis://h#x",
        "connection URL contains a #; write it as %23 where it is part of a name or password",
    );
    check(
        "rediscluster://h1,h2/1",
        "database \"1\" in a cluster URL; a cluster has only database 0, separate by ?ns= instead",
    );
    check(
        "rediscluster://h1?db=1",
        "database \"1\" in a cluster URL; a cluster has only database 0, separate by ?ns= instead",
    );
    check("rediscluster://h1,,h2", "connection URL names no host");
    check(
        "rediscluster://h1,h1:6379",
        "address h1:6379 is given twice",
    );
    check(
        &format!("rediscluster://{}", vec!["h"; 257].join(",")),
        "connection URL names 257 addresses; the limit is 256",
    );
    check(
        "redis+sentinel://h1,h2",
        "connection URL names no master name (redis+sentinel://sentinel:26379/master-name)",
    );
    check("redis+sentinel:///m", "connection URL names no host");
    check(
        "redis+sentinel://h/m/0/x",
        "connection URL goes on after its database; remove the rest",
    );
    check(
        "redis+sentinel://h/m/x",
        "database \"x\" is not a number from 0 to 4294967295",
    );
    check(
        "redis://h?nx=1",
        "unknown query key \"nx\"; known here are ns, protocol",
    );
    check(
        "redis://h?sentinel_user=x",
        "unknown query key \"sentinel_user\"; known here are ns, protocol",
    );
    check(
        "redis://h?db=1",
        "unknown query key \"db\"; known here are ns, protocol",
    );
    check(
        "memory://x?protocol=resp3",
        "unknown query key \"protocol\"; known here are ns",
    );
    check(
        "redis://h?protocol=4",
        "protocol \"4\" is unknown; use resp2 or resp3",
    );
    check(
        "redis://user:pa/ss@h",
        "connection URL has an @ after its first / or ?; write / ? # @ in user and password as %2F %3F %23 %40",
    );
    check(
        "redis://user:1?ss@h",
        "connection URL has an @ after its first / or ?; write / ? # @ in user and password as %2F %3F %23 %40",
    );
    check(
        "redis://user:123456",
        "port (not shown, it may be a password) is not a number from 1 to 65535; user and password end with an @",
    );
    check(
        "redis:/user:secret@h?see=http://h",
        "unknown scheme \"(not shown)\"; use redis://, rediss://, redis+unix://, rediscluster://, redisscluster://, \
         redis+sentinel://, rediss+sentinel:// or memory://",
    );
    check("redis://h?ns=a&ns=b", "query key \"ns\" is given twice");
    check("redis://h?ns=", "query key \"ns\" is not usable");
    check("redis://h?ns=a%20b", "query key \"ns\" is not usable");
    check(
        "redis://%ff@h",
        "the user of the connection URL is not valid percent-encoded UTF-8",
    );
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_missing_feature_is_named() {
    check(
        "rediss://h",
        "scheme \"rediss\" needs the feature \"tls\", which this build lacks; turn it on in Cargo.toml",
    );
}

#[test]
fn credentials_are_decoded_and_never_shown() {
    let endpoint = Endpoint::parse("redis://us%40er:p%3Ass@host").expect("valid");
    let Kind::Tcp { credentials, .. } = endpoint.kind() else {
        panic!("a TCP endpoint");
    };
    assert_eq!(credentials.user.as_deref(), Some("us@er"));
    assert_eq!(credentials.password.as_deref(), Some("p:ss"));
    let shown = format!("{endpoint} {endpoint:?}");
    assert!(
        !shown.contains("us@er") && !shown.contains("ss@") && !shown.contains("p:ss"),
        "{shown}"
    );
}

proptest! {
    /// Whatever else is wrong with a URL, and however carelessly the password was written into it.
    #[test]
    fn no_password_is_ever_shown(
        scheme in prop::sample::select(vec![
            "redis", "rediss", "redis+unix", "rediscluster", "redisscluster", "redis+sentinel", "rediss+sentinel",
            "redus", "REDIS",
        ]),
        user in "[a-z@]{0,6}",
        // Unescaped, they make it look like something else.
        before in prop_oneof![
            prop::sample::select(vec!["12/", "12?", "12?x&", "12#", "12,", "[::1]:12/"]).prop_map(str::to_owned),
            "[a-z0-9/?#@:%,&= +.\\[\\]-]{0,8}",
        ],
        after in "[a-z0-9/?#@:%,&= +.\\[\\]-]{0,8}",
        host in prop::sample::select(vec![
            "@host", "@h1,h2:7000", "@[::1]", "@", "@:1", "@h:99999", "@h:x", "@ho st", "@h,h", "@[h]",
        ]),
        tail in prop::sample::select(vec![
            "", "/", "/0", "/x", "/master", "/master/0", "/m/0/x", "/run/socket", "?ns=a b", "/m?nx=1", "?protocol=9",
            "/1?db=1", "?ns=a&ns=b", "#f", "/m?sentinel_password=S3CRET&x", "/m?sentinel_password=%ffS3CRET",
        ]),
    ) {
        let url = format!("{scheme}://{user}:{before}S3CRET{after}{host}{tail}");
        let shown = match Endpoint::parse(&url) {
            Ok(endpoint) => format!("{endpoint} {endpoint:?}"),
            Err(error) => format!("{error} {error:?} {:?}", error.source().map(ToString::to_string)),
        };
        prop_assert!(!shown.contains("S3CRET"), "{} from {}", shown, url);
    }
}

#[test]
fn every_part_has_a_limit_that_is_named() {
    let long = |length| "x".repeat(length);
    let check_limit = |url: String, what: &str, len: usize, limit: usize| {
        check(
            &url,
            &format!("{what} is {len} bytes long; the limit is {limit}"),
        );
    };
    check_limit(
        format!("redis://h?ns={}", long(65_536)),
        "connection URL",
        65_549,
        65_536,
    );
    check_limit(format!("redis://{}", long(254)), "host", 254, 253);
    check_limit(
        format!("redis+unix:///{}", long(107)),
        "socket path",
        108,
        107,
    );
    check_limit(format!("memory://{}", long(129)), "name", 129, 128);
    #[cfg(feature = "sentinel")]
    check_limit(
        format!("redis+sentinel://h/{}", long(129)),
        "master name",
        129,
        128,
    );
    assert!(Endpoint::parse(&format!("redis://u:{}@{}", long(60_000), long(253))).is_ok());
}

#[test]
fn what_a_forgotten_escape_makes_a_query_of_is_not_shown() {
    const UNESCAPED: &str = "connection URL has an @ after its first / or ?; write / ? # @ in user and password as %2F %3F %23 %40";
    check("redis://user?protocol=secret@host", UNESCAPED);
    check("redis://user?ns=a b:secret@host", UNESCAPED);
    check("rediscluster://user?db=secret@host", UNESCAPED);
}
