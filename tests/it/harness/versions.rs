//! Every server version, and every way to reach a server.

use coord_tests::server::{RedisServer, Version};
use redis::ConnectionInfo;

fn pings(url: impl redis::IntoConnectionInfo) {
    let info: ConnectionInfo = url.into_connection_info().unwrap();
    let client = redis::Client::open(info).unwrap();
    let mut connection = client.get_connection_with_timeout(PATIENCE).unwrap();
    let pong: String = redis::cmd("PING").query(&mut connection).unwrap();
    assert_eq!(pong, "PONG");
}

#[test]
fn every_version_starts_and_is_what_it_says() {
    for version in Version::ALL {
        let server = RedisServer::builder().version(version).start().unwrap();
        let info = server.info("server").unwrap();
        let field = if version.is_valkey() {
            "valkey_version"
        } else {
            "redis_version"
        };
        let (_, number) = version.name().split_once('-').unwrap();
        // A packaged server's last number rises with the distribution's fixes.
        let (release, _) = number.rsplit_once('.').unwrap();
        assert!(
            info[field].starts_with(release),
            "{version}: {}",
            info[field]
        );
    }
}

#[test]
fn every_version_replicates_and_forgets_nothing_that_it_persisted() {
    for version in Version::ALL {
        let builder = || RedisServer::builder().version(version);
        let master = builder().persistent().start().unwrap();
        master.cli(&["SET", "a", "1"]).unwrap();
        let replica = builder().replica_of(&master).start().unwrap();
        assert_eq!(replica.query::<u64>(&["GET", "a"]).unwrap(), 1, "{version}");
        master.restart().unwrap();
        assert_eq!(master.query::<u64>(&["GET", "a"]).unwrap(), 1, "{version}");
    }
}

#[test]
fn a_server_answers_over_ipv6_and_a_unix_socket_when_asked_to() {
    let builder = RedisServer::builder().password("pw");
    let server = builder.ipv6().unix_socket().start().unwrap();
    pings(server.url());
    pings(server.ipv6_url());
    let socket = server.socket_path();
    pings(format!("unix://{}?pass=pw", socket.display()));
    drop(server);
    assert!(!socket.exists());
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
