//! The proxy breaks exactly what it is told to break.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use coord_tests::{
    proxy::{Direction, Proxy},
    server::RedisServer,
    wait,
};

fn both() -> (RedisServer, Proxy) {
    let server = RedisServer::start().unwrap();
    let proxy = Proxy::in_front_of(&server).unwrap();
    (server, proxy)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, command: &str) {
    stream.write_all(command.as_bytes()).unwrap();
}

/// The next line of replies.
fn answer(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        assert_ne!(stream.read(&mut byte).unwrap(), 0, "closed after {line:?}");
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap().trim_end().to_owned()
}

/// Nothing arrives for a while, and the connection stays open.
#[track_caller]
fn assert_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let kind = stream.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut));
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[track_caller]
fn assert_closed(stream: &mut TcpStream) {
    match stream.read(&mut [0]) {
        Ok(length) => assert_eq!(length, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn it_forwards_under_the_servers_password() {
    let server = RedisServer::builder().password("pw").start().unwrap();
    let proxy = Proxy::in_front_of(&server).unwrap();
    let client = redis::Client::open(proxy.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let pong: String = redis::cmd("PING").query(&mut connection).unwrap();
    assert_eq!(pong, "PONG");
    assert_eq!(proxy.accepted(), 1);
}

#[test]
fn a_cut_closes_and_refuses_until_resumed() {
    let (_server, proxy) = both();
    let mut stream = connect(&proxy);
    ask(&mut stream, "PING\r\n");
    assert_eq!(answer(&mut stream), "+PONG");
    proxy.cut().unwrap();
    assert_closed(&mut stream);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).is_err());
    proxy.resume().unwrap();
    let mut stream = connect(&proxy);
    ask(&mut stream, "PING\r\n");
    assert_eq!(answer(&mut stream), "+PONG");
}

#[test]
fn a_disconnect_leaves_new_connections_alone() {
    let (_server, proxy) = both();
    let mut old = connect(&proxy);
    ask(&mut old, "PING\r\n");
    assert_eq!(answer(&mut old), "+PONG");
    proxy.disconnect().unwrap();
    assert_closed(&mut old);
    let mut new = connect(&proxy);
    ask(&mut new, "PING\r\n");
    assert_eq!(answer(&mut new), "+PONG");
}

#[test]
fn refusing_leaves_present_connections_alone() {
    let (_server, proxy) = both();
    let mut old = connect(&proxy);
    ask(&mut old, "PING\r\n");
    assert_eq!(answer(&mut old), "+PONG");
    proxy.refuse().unwrap();
    assert!(TcpStream::connect(proxy.addr()).is_err());
    ask(&mut old, "PING\r\n");
    assert_eq!(answer(&mut old), "+PONG");
    proxy.resume().unwrap();
    let mut new = connect(&proxy);
    ask(&mut new, "PING\r\n");
    assert_eq!(answer(&mut new), "+PONG");
}

#[test]
fn held_requests_never_arrive_when_their_connection_is_closed() {
    let (server, proxy) = both();
    let mut stream = connect(&proxy);
    proxy.hold(Direction::ToServer).unwrap();
    ask(&mut stream, "SET a 1\r\n");
    assert_silent(&mut stream);
    proxy.disconnect().unwrap();
    proxy.resume().unwrap();
    assert_closed(&mut stream);
    let mut later = connect(&proxy);
    ask(&mut later, "PING\r\n");
    assert_eq!(answer(&mut later), "+PONG");
    assert_eq!(server.query::<u64>(&["EXISTS", "a"]).unwrap(), 0);
}

#[test]
fn held_requests_reach_the_server_after_the_partition() {
    let (server, proxy) = both();
    let mut stream = connect(&proxy);
    proxy.hold(Direction::ToServer).unwrap();
    ask(&mut stream, "SET a 1\r\n");
    assert_silent(&mut stream);
    assert_eq!(server.query::<u64>(&["EXISTS", "a"]).unwrap(), 0);
    proxy.resume().unwrap();
    assert_eq!(answer(&mut stream), "+OK");
    assert_eq!(server.query::<u64>(&["GET", "a"]).unwrap(), 1);
}

#[test]
fn held_replies_leave_the_write_done() {
    let (server, proxy) = both();
    let mut stream = connect(&proxy);
    proxy.hold(Direction::ToClient).unwrap();
    ask(&mut stream, "SET a 1\r\n");
    let exists = || server.query::<u64>(&["EXISTS", "a"]).is_ok_and(|n| n == 1);
    wait::until(PATIENCE, || exists().then_some(())).unwrap();
    assert_silent(&mut stream);
    let mut new = connect(&proxy);
    ask(&mut new, "PING\r\n");
    assert_silent(&mut new);
    proxy.resume().unwrap();
    assert_eq!(answer(&mut stream), "+OK");
    assert_eq!(answer(&mut new), "+PONG");
}

#[test]
fn half_open_connections_are_silent_while_new_ones_work() {
    let (_server, proxy) = both();
    let mut old = connect(&proxy);
    ask(&mut old, "PING\r\n");
    assert_eq!(answer(&mut old), "+PONG");
    proxy.half_open(Direction::Both).unwrap();
    ask(&mut old, "PING\r\n");
    assert_silent(&mut old);
    let mut new = connect(&proxy);
    ask(&mut new, "PING\r\n");
    assert_eq!(answer(&mut new), "+PONG");
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn delayed_bytes_arrive_late_and_in_order() {
    let (_server, proxy) = both();
    let mut stream = connect(&proxy);
    proxy.delay(Duration::ZERO, 2 * SILENCE).unwrap();
    for number in 0..50 {
        ask(&mut stream, &format!("ECHO m{number:02}\r\n"));
    }
    assert_silent(&mut stream);
    for number in 0..50 {
        assert_eq!(answer(&mut stream), "$3");
        assert_eq!(answer(&mut stream), format!("m{number:02}"));
    }
}

#[test]
fn a_dead_server_shows_as_a_closed_connection() {
    let (server, proxy) = both();
    let mut stream = connect(&proxy);
    ask(&mut stream, "PING\r\n");
    assert_eq!(answer(&mut stream), "+PONG");
    server.kill().unwrap();
    assert_closed(&mut stream);
    assert_closed(&mut connect(&proxy));
}

const SILENCE: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(10);
