//! Whatever keeps a connection from being made, no log line, error, event or `Debug` shows a password.

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use coord_core::endpoint::Endpoint;
use coord_tests::server::RedisServer;
use raus::{Placement, Raus};
use redbuckets::Redbuckets;
use tracing_subscriber::fmt::MakeWriter;

const SECRET: &str = "tr0ub4dor-and-3";

/// Everything that is logged on one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A server that repeats whatever it is sent in its errors.
fn parrot() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(64) {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let said = String::from_utf8_lossy(&buffer[..count]).replace("\r\n", " ");
                let count = said.matches('*').count().max(1);
                let answer = format!("-ERR unknown command {said}\r\n").repeat(count);
                if stream.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    port
}

// On one thread, where everything that is logged is caught.
#[tokio::test]
async fn no_failure_to_connect_shows_a_password() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = RedisServer::builder().password("right").start();
    let server = server.expect("redis-server starts");
    let (port, parrot) = (server.port(), parrot());
    let urls = [
        format!("redis://user:{SECRET}@127.0.0.1:1"),
        format!("redis://:{SECRET}@no-such-host.invalid:6379/2"),
        format!("redis://:{SECRET}@127.0.0.1:{port}"),
        format!("redis://user:{SECRET}@127.0.0.1:{port}?protocol=resp3"),
        format!("redis://user:{SECRET}@127.0.0.1:{parrot}"),
        format!("redis://:{SECRET}@127.0.0.1:{parrot}?protocol=resp3"),
        format!("rediss://user:{SECRET}@127.0.0.1:{port}"),
        format!("redis+unix://user:{SECRET}@/nonexistent/socket"),
        format!("rediscluster://user:{SECRET}@127.0.0.1:{port},127.0.0.1:{parrot}"),
        format!(
            "redis+sentinel://user:{SECRET}@127.0.0.1:{port}/m?sentinel_user=u&sentinel_password={SECRET}"
        ),
        format!("redis+sentinel://127.0.0.1:{parrot}/m?sentinel_password={SECRET}"),
        format!("rediss+sentinel://:{SECRET}@127.0.0.1:{port},127.0.0.1:1/m"),
    ];
    let mut shown = String::new();
    for url in &urls {
        let endpoint = Endpoint::parse(url).expect("a valid URL");
        let _ = write!(shown, "{endpoint} {endpoint:?} ");
        fail(url, &mut shown).await;
    }
    let logged = log.0.lock().expect("not poisoned").clone();
    let logged = String::from_utf8_lossy(&logged);
    assert!(
        logged.contains("acquisition is tried again"),
        "nothing was caught"
    );
    for (place, text) in [("errors", shown.as_str()), ("logs", &*logged)] {
        let found = text.lines().find(|line| line.contains(SECRET));
        assert!(found.is_none(), "{place}: {found:?}");
    }
}

/// Tries everything that connects, and writes down all that it says.
async fn fail(url: &str, shown: &mut String) {
    let here = || Placement::Runtime(tokio::runtime::Handle::current());
    let raus = Raus::builder(url, 0..=1).placement(here()).build();
    let raus = raus.expect("a valid URL");
    let _ = write!(shown, "{raus:?} ");
    let error = raus.acquire_within(Duration::from_millis(700)).await;
    tell(&error.expect_err("nobody answers"), shown);
    if let Err(error) = raus.describe().await {
        tell(&error, shown);
    }
    let timeout = Duration::from_millis(300);
    let buckets = Redbuckets::builder(url, "g").register_timeout(timeout);
    let buckets = buckets.placement(here()).build().expect("a valid URL");
    let _ = write!(shown, "{buckets:?} ");
    tell(&buckets.join().await.expect_err("nobody answers"), shown);
}

fn tell(error: &dyn Error, shown: &mut String) {
    let _ = writeln!(shown, "{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = writeln!(shown, "{cause} {cause:?}");
        source = cause.source();
    }
}
