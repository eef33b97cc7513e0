use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use coord_tests::{program::Running, server::RedisServer, wait};

use super::{PATIENCE, program, redis};

struct Service {
    run: Running,
    address: String,
}

impl Service {
    fn start(redis: &RedisServer) -> anyhow::Result<Self> {
        let service = env!("CARGO_BIN_EXE_axum_service");
        let run = program(service, redis)
            .args(["--listen", "127.0.0.1:0"])
            .spawn()?;
        let line = run.wait_for_line(PATIENCE, |line| line.starts_with("listening on "))?;
        let address = line.text["listening on ".len()..].to_owned();
        Ok(Self { run, address })
    }

    /// The status and the body of an answer.
    fn ask(&self, request: &str) -> anyhow::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
        )?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (head, body) = reply.split_once("\r\n\r\n").expect("a body follows");
        Ok((head["HTTP/1.1 ".len()..][..3].parse()?, body.to_owned()))
    }
}

#[test]
fn two_processes_never_give_the_same_id_and_a_machine_id_comes_back_on_sigterm()
-> anyhow::Result<()> {
    let redis = redis();
    let mut first = Service::start(&redis)?;
    let second = Service::start(&redis)?;
    let mut bodies = BTreeSet::new();
    for service in [&first, &second].into_iter().cycle().take(40) {
        let (status, body) = service.ask("POST /orders")?;
        assert_eq!(status, 201, "{body}");
        assert!(bodies.insert(body.clone()), "{body} twice");
    }
    assert_eq!(first.ask("GET /readyz")?.0, 200);

    first.run.process().terminate()?;
    let status = first.run.wait(PATIENCE)?;
    assert!(status.success(), "{}", first.run.stderr());
    assert!(first.run.last_line(|line| line == "released").is_some());
    // At once, although the ttl is 10 s: its place is free.
    let mut third = Service::start(&redis)?;
    let (_, body) = third.ask("POST /orders")?;
    assert!(bodies.insert(body));
    // As Ctrl-C does.
    third.run.process().interrupt()?;
    assert!(third.run.wait(PATIENCE)?.success());
    assert!(third.run.last_line(|line| line == "released").is_some());
    Ok(())
}

#[test]
fn without_a_lease_it_is_not_ready_and_with_one_again_it_is() -> anyhow::Result<()> {
    let redis = redis();
    let service = Service::start(&redis)?;
    redis.stop()?;
    let unready = || (service.ask("GET /readyz").ok()?.0 == 503).then_some(());
    wait::until(PATIENCE, unready).expect("its lease ends while the server hangs");
    assert_eq!(service.ask("POST /orders")?.0, 503);
    redis.cont()?;
    let ready = || (service.ask("GET /readyz").ok()?.0 == 200).then_some(());
    wait::until(PATIENCE, ready).expect("it leases again by itself");
    Ok(())
}
