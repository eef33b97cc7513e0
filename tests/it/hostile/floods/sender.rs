//! A server that answers politely until it is asked for something.

use std::{
    fs, io,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coord_tests::tls::Ca;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;

/// What is sent: a beginning, and then the same for as long as somebody takes it.
#[derive(Clone)]
pub(super) struct Flood {
    begin: Arc<[u8]>,
    again: Arc<[u8]>,
}

impl Flood {
    pub(super) fn new(begin: impl Into<String>, again: impl Into<String>) -> Self {
        Self {
            begin: begin.into().into_bytes().into(),
            again: again.into().into_bytes().into(),
        }
    }

    fn send(&self, socket: &mut impl Write, sent: &AtomicU64) -> io::Result<()> {
        socket.write_all(&self.begin)?;
        // A few bytes at a time would cost the kernel more than anybody else.
        let times = (1 << 16) / self.again.len() + 1;
        let again = self.again.repeat(times);
        loop {
            socket.write_all(&again)?;
            sent.fetch_add(again.len() as u64, Ordering::Relaxed);
        }
    }
}

/// Listens until the test ends.
pub(super) struct Sender {
    url: String,
    port: u16,
    sent: Arc<AtomicU64>,
    _dir: Option<TempDir>,
}

impl Sender {
    pub(super) fn tcp(flood: Flood) -> Self {
        let (listener, port) = listener();
        let sent = Arc::<AtomicU64>::default();
        serve(listener, &sent, flood, Ok);
        Self {
            url: format!("redis://127.0.0.1:{port}"),
            port,
            sent,
            _dir: None,
        }
    }

    pub(super) fn tls(flood: Flood, ca: &Ca) -> Self {
        let identity = ca.server().expect("is issued");
        let pem = |path| fs::read(path).expect("it was written");
        let chain = CertificateDer::from_pem_slice(&pem(&identity.certificate)).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(&pem(&identity.key)).expect("PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("a pair");
        let config = Arc::new(config);
        let (listener, port) = listener();
        let sent = Arc::<AtomicU64>::default();
        serve(listener, &sent, flood, move |socket| {
            let session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            Ok(StreamOwned::new(session, socket))
        });
        Self {
            url: format!("rediss://localhost:{port}"),
            port,
            sent,
            _dir: None,
        }
    }

    pub(super) fn unix(flood: Flood) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let sent = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&sent);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                let _ = socket.set_write_timeout(Some(PATIENCE));
                start(socket, &counted, &flood);
            }
        });
        Self {
            url: format!("redis+unix://{}", path.display()),
            port: 0,
            sent,
            _dir: Some(dir),
        }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// How many bytes were taken, over all connections.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// How long somebody may take nothing.
const PATIENCE: Duration = Duration::from_secs(60);

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

fn serve<S: Read + Write + Send + 'static>(
    listener: TcpListener,
    sent: &Arc<AtomicU64>,
    flood: Flood,
    open: impl Fn(std::net::TcpStream) -> io::Result<S> + Send + 'static,
) {
    let sent = Arc::clone(sent);
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else { return };
            let _ = socket.set_write_timeout(Some(PATIENCE));
            if let Ok(socket) = open(socket) {
                start(socket, &sent, &flood);
            }
        }
    });
}

fn start<S: Read + Write + Send + 'static>(socket: S, sent: &Arc<AtomicU64>, flood: &Flood) {
    let (sent, flood) = (Arc::clone(sent), flood.clone());
    // It ends when the other side does.
    std::thread::spawn(move || answer(socket, &flood, &sent));
}

fn answer(mut socket: impl Read + Write, flood: &Flood, sent: &AtomicU64) -> io::Result<()> {
    let mut parser = redis::Parser::new();
    loop {
        let command = parser.parse_value(&mut socket).map_err(io::Error::other)?;
        let words: Vec<String> = redis::from_redis_value(command).map_err(io::Error::other)?;
        match words.first().map(String::as_str) {
            Some("CLIENT" | "AUTH" | "SELECT") => socket.write_all(b"+OK\r\n")?,
            Some("HELLO") => socket.write_all(b"%0\r\n")?,
            Some("SUBSCRIBE") => {
                socket.write_all(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")?;
                return flood.send(&mut socket, sent);
            }
            _ => return flood.send(&mut socket, sent),
        }
    }
}
