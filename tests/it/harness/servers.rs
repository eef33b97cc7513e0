//! Servers start, stop, forget and remember as asked.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    thread,
    time::Duration,
};

use coord_core::clock::{Clock, SystemClock};
use coord_tests::{
    clock::FakeClock,
    program::Program,
    proxy::{Direction, Proxy},
    server::RedisServer,
    wait,
};
use redis::Value;

#[test]
fn a_server_answers_on_its_own_port_and_is_gone_when_dropped() {
    let server = RedisServer::start().unwrap();
    assert_eq!(
        server.cli(&["PING"]).unwrap(),
        Value::SimpleString("PONG".into())
    );
    let address = server.addr();
    assert!(TcpStream::connect(address).is_ok());
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_server_outlives_the_thread_that_started_it_and_ends_with_a_killed_test_program() {
    const PORT_FILE: &str = "COORD_TESTS_PORT_FILE";
    // This test is both programs: the one that is killed finds the variable.
    if let Some(path) = std::env::var_os(PORT_FILE) {
        let started = thread::spawn(|| RedisServer::start().unwrap());
        let server = started.join().unwrap();
        fs::write(path, server.port().to_string()).unwrap();
        thread::sleep(LIMIT);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("port");
    let name = thread::current().name().unwrap().to_owned();
    let mut program = Program::at(std::env::current_exe().unwrap())
        .args(["--exact", &name])
        .env(PORT_FILE, &file)
        .spawn()
        .unwrap();
    let port = wait::until(LIMIT, || fs::read_to_string(&file).ok()?.parse().ok());
    let address = (Ipv4Addr::LOCALHOST, port.unwrap());
    TcpStream::connect(address).unwrap();
    program.kill().unwrap();
    wait::until(LIMIT, || TcpStream::connect(address).err()).unwrap();
}

#[test]
fn servers_started_at_once_do_not_meet() {
    let start = || thread::spawn(|| RedisServer::start().unwrap());
    let starting: Vec<_> = (0..6).map(|_| start()).collect();
    let servers: Vec<RedisServer> = starting
        .into_iter()
        .map(|started| started.join().unwrap())
        .collect();
    for (number, server) in servers.iter().enumerate() {
        server.cli(&["SET", "me", &number.to_string()]).unwrap();
    }
    for (number, server) in servers.iter().enumerate() {
        let me: usize = server.query(&["GET", "me"]).unwrap();
        assert_eq!(me, number);
    }
}

#[test]
fn a_password_is_required_and_part_of_the_url() {
    let server = RedisServer::builder().password("s3cret").start().unwrap();
    assert!(server.cli(&["PING"]).is_ok());
    let without = format!("redis://127.0.0.1:{}", server.port());
    let client = redis::Client::open(without).unwrap();
    let refused = client
        .get_connection()
        .and_then(|mut connection| redis::cmd("PING").query::<String>(&mut connection));
    assert!(refused.unwrap_err().to_string().contains("NOAUTH"));
}

#[test]
fn an_acl_user_may_do_only_what_its_rules_say() {
    let server = RedisServer::builder()
        .acl_user("app", "on >pass ~ns:* +get +set +client +hello")
        .start()
        .unwrap();
    let client = redis::Client::open(server.url_for("app", "pass")).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut set = |key: &str| {
        redis::cmd("SET")
            .arg(key)
            .arg(1)
            .query::<()>(&mut connection)
    };
    set("ns:a").unwrap();
    assert_eq!(set("other").unwrap_err().code(), Some("NOPERM"));
}

#[test]
fn a_restart_keeps_what_a_persistent_server_acknowledged() {
    let server = RedisServer::builder().persistent().start().unwrap();
    let (port, pid) = (server.port(), server.pid());
    server.cli(&["SET", "a", "1"]).unwrap();
    server.restart().unwrap();
    assert_eq!(server.query::<u64>(&["GET", "a"]).unwrap(), 1);
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);

    server.wipe_and_restart().unwrap();
    assert_eq!(server.cli(&["GET", "a"]).unwrap(), Value::Nil);
    assert_eq!(server.port(), port);
}

#[test]
fn a_restart_without_persistence_forgets() {
    let server = RedisServer::start().unwrap();
    server.cli(&["SET", "a", "1"]).unwrap();
    server.restart().unwrap();
    assert_eq!(server.cli(&["GET", "a"]).unwrap(), Value::Nil);
}

#[test]
fn a_killed_server_refuses_connections_until_it_is_restarted() {
    let server = RedisServer::start().unwrap();
    server.kill().unwrap();
    assert!(TcpStream::connect(server.addr()).is_err());
    assert!(server.stop().is_err(), "a dead process cannot be stopped");
    server.restart().unwrap();
    server.cli(&["PING"]).unwrap();
}

#[test]
fn a_stopped_server_is_silent_and_executes_later_what_was_sent() {
    let server = RedisServer::start().unwrap();
    let mut connection = server.connection().unwrap();
    server.stop().unwrap();
    connection
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let ghost = redis::cmd("SET")
        .arg("ghost")
        .arg(1)
        .query::<()>(&mut connection);
    assert!(ghost.unwrap_err().is_timeout());
    server.cont().unwrap();
    assert_eq!(server.query::<u64>(&["GET", "ghost"]).unwrap(), 1);
}

#[test]
fn a_replica_has_its_masters_data_and_refuses_writes() {
    let master = RedisServer::builder().password("pw").start().unwrap();
    master.cli(&["SET", "a", "1"]).unwrap();
    let replica = RedisServer::builder().replica_of(&master).start().unwrap();
    assert_eq!(replica.query::<u64>(&["GET", "a"]).unwrap(), 1);
    let refused = replica.cli(&["SET", "a", "2"]).unwrap_err();
    assert!(
        format!("{refused:#}").contains("read only replica"),
        "{refused:#}"
    );
    assert_eq!(replica.info("replication").unwrap()["role"], "slave");
}

#[test]
fn a_promoted_replica_lacks_what_was_held_back_on_its_way() {
    let master = RedisServer::start().unwrap();
    let link = Proxy::to(master.addr()).unwrap();
    let replica = RedisServer::builder()
        .replica_through(&master, &link)
        .start()
        .unwrap();
    let front = Proxy::in_front_of(&master).unwrap();
    let ask = |command: &[&str]| {
        let client = redis::Client::open(front.url()).unwrap();
        let mut connection = client.get_connection_with_timeout(LIMIT).unwrap();
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name)
            .arg(arguments)
            .query::<Value>(&mut connection)
            .unwrap()
    };
    ask(&["SET", "kept", "1"]);
    let kept = || replica.query::<u64>(&["EXISTS", "kept"]).unwrap();
    wait::until(LIMIT, || (kept() == 1).then_some(())).unwrap();
    link.hold(Direction::ToClient).unwrap();
    ask(&["SET", "lost", "1"]);
    replica.promote().unwrap();
    master.kill().unwrap();
    front.redirect(&replica).unwrap();
    assert_eq!(ask(&["EXISTS", "kept"]), Value::Int(1));
    assert_eq!(ask(&["EXISTS", "lost"]), Value::Int(0));
    ask(&["SET", "lost", "2"]);
}

#[test]
fn commands_are_counted_since_the_last_reset() {
    let server = RedisServer::start().unwrap();
    server.cli(&["SET", "a", "1"]).unwrap();
    server.reset_stats().unwrap();
    for _ in 0..3 {
        server.cli(&["GET", "a"]).unwrap();
    }
    let stats = server.commandstats().unwrap();
    assert_eq!(stats.get("get"), Some(&3));
    assert_eq!(stats.get("set"), None);
    server.flush_all().unwrap();
    assert_eq!(server.query::<u64>(&["DBSIZE"]).unwrap(), 0);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let started = RedisServer::builder()
        .config_line("no-such-option 1")
        .start();
    let message = format!("{:#}", started.unwrap_err());
    assert!(message.contains("no-such-option"), "{message}");
}

#[test]
fn a_fake_clock_steps_a_running_server_and_outlives_its_restart() {
    let clock = FakeClock::new().unwrap();
    let server = RedisServer::builder().clock(&clock).start().unwrap();
    for offset_s in [0, 60, -3_600, 86_400] {
        clock.set_offset_ms(offset_s * 1_000).unwrap();
        assert_offset(&server, offset_s);
    }
    server.restart().unwrap();
    assert_offset(&server, 86_400);
}

/// The server's clock is whole seconds off: within 30 s, far more than a slow machine needs to answer.
#[track_caller]
fn assert_offset(server: &RedisServer, expected_s: i64) {
    let (server_s, _us): (i64, i64) = server.query(&["TIME"]).unwrap();
    let offset_s = server_s - i64::try_from(SystemClock.wall().as_secs()).unwrap();
    assert!(
        (offset_s - expected_s).abs() < 30,
        "{offset_s} s, not {expected_s} s"
    );
}

const LIMIT: Duration = Duration::from_secs(20);
