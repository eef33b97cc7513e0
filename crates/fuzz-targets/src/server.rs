//! A whole client against a server that answers what it likes.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use raus::{Connection, Grant, Loss, Minter, Placement, Raus, TokioClock};
use redbuckets::Redbuckets;
use redis::{
    AsyncConnectionConfig, RedisConnectionInfo, RedisError, Value, aio::MultiplexedConnection,
};
use snowflake::Generator;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Between what the server sends as one answer to a script and the next.
const SEPARATOR: u8 = 0x1e;
/// An answer that begins so is not an answer: the connection ends.
const HANG_UP: u8 = 0x1d;

const TTL: Duration = Duration::from_secs(3);
/// Virtual time: whatever the server does, nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(2 * 24 * 3_600);

/// Whatever the server sends: nothing is held that was not granted, what is held ends when the server falls silent, and
/// nothing goes on for ever.
pub(crate) fn run(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let answers = Answers::new(rest);
        let work = async {
            match first % 3 {
                0 => lease(&answers, false).await,
                1 => lease(&answers, true).await,
                _ => join(&answers).await,
            }
        };
        let done = tokio::time::timeout(PATIENCE, work).await;
        done.expect("no server keeps a client for ever");
        let died = answers.lock().panicked.take();
        assert!(died.is_none(), "a connection's task panicked: {died:?}");
    });
}

async fn lease(answers: &Answers, mints: bool) {
    let clock = TokioClock::new(Duration::from_secs(1_700_000_000));
    let raus = Raus::with_connection(answers.connection(), "fuzz", 0..=3)
        .ttl(TTL)
        .clock(Arc::new(clock))
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
        .discovery(Duration::from_secs(3))
        .seed(1)
        .build()
        .expect("valid options");
    let Ok(machine_id) = raus.acquire().await else {
        return;
    };
    assert!(answers.sent("granted"), "nothing was granted");
    assert!(machine_id.id() <= 3);
    let mut events = machine_id.events();
    if mints {
        // A server may answer that another layout is on record.
        let Ok(generator) = Generator::from_raus(machine_id).await else {
            return;
        };
        for _ in 0..5 {
            let _ = generator.try_next();
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        let _ = generator.release().await;
        return;
    }
    let minter = Arc::new(Recorder::default());
    machine_id.attach(minter).await.expect("the first minter");
    answers.wait_for_the_end().await;
    tokio::time::sleep(TTL).await;
    assert!(!machine_id.is_held(), "held without an answer for a ttl");
    let _ = machine_id.release().await;
    while events.next().await.is_some() {}
}

async fn join(answers: &Answers) {
    let clock = TokioClock::new(Duration::from_secs(1_700_000_000));
    let buckets = Redbuckets::with_connection(answers.connection(), "fuzz")
        .buckets(8)
        .instance_id("me")
        .ttl(TTL)
        .clock(Arc::new(clock))
        .placement(Placement::Runtime(tokio::runtime::Handle::current()))
        .seed(1)
        .build()
        .expect("valid options");
    let Ok(instance) = buckets.join().await else {
        return;
    };
    assert!(answers.sent("joined"), "nobody let it in");
    let mut guards = Vec::new();
    for _ in 0..Answers::MOST {
        if answers.lock().chunks.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let owned: Vec<u32> = instance.owned().ids().collect();
        assert!(owned.iter().all(|&bucket| bucket < 8));
        assert!(owned.is_empty() || answers.sent("ok"));
        guards.extend(
            owned
                .into_iter()
                .filter_map(|bucket| instance.enter(bucket)),
        );
        guards.truncate(20);
    }
    drop(guards);
    answers.lock().chunks.clear();
    tokio::time::sleep(TTL).await;
    let owned = instance.owned().ids().count();
    assert_eq!(owned, 0, "owned without an answer for a ttl");
    let _ = instance.leave().await;
}

/// What the server has to say, and what has become of it.
#[derive(Clone)]
struct Answers(Arc<Mutex<State>>);

struct State {
    chunks: VecDeque<Vec<u8>>,
    sent: Vec<u8>,
    panicked: Option<String>,
}

impl Answers {
    /// A server has something to say so often; then it is silent.
    const MOST: usize = 64;

    fn new(data: &[u8]) -> Self {
        let chunks = data.split(|&byte| byte == SEPARATOR).take(Self::MOST);
        Self(Arc::new(Mutex::new(State {
            chunks: chunks.map(<[u8]>::to_vec).collect(),
            sent: Vec::new(),
            panicked: None,
        })))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self, word: &str) -> bool {
        let state = self.lock();
        state
            .sent
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    }

    /// Until there is nothing more to say, or nobody asks for it.
    async fn wait_for_the_end(&self) {
        for _ in 0..Self::MOST * 4 {
            if self.lock().chunks.is_empty() {
                return;
            }
            tokio::time::sleep(TTL).await;
        }
        self.lock().chunks.clear();
    }

    fn connection(&self) -> Connection {
        let answers = self.clone();
        Connection::factory(move || connect(answers.clone()))
    }

    /// What is said to one command; `None` to hang up, nothing to be silent.
    fn next(&self, command: &Value) -> Option<Vec<u8>> {
        let is_script = matches!(command, Value::Array(words) if matches!(words.first(),
            Some(Value::BulkString(name)) if name.starts_with(b"EVAL")));
        if !is_script {
            return Some(b"-NOPERM not told\r\n".to_vec());
        }
        let mut state = self.lock();
        let Some(chunk) = state.chunks.pop_front() else {
            return Some(Vec::new());
        };
        if chunk.first() == Some(&HANG_UP) {
            return None;
        }
        state.sent.extend(&chunk);
        Some(chunk)
    }
}

async fn connect(answers: Answers) -> Result<MultiplexedConnection, RedisError> {
    let (ours, theirs) = tokio::io::duplex(64 * 1_024);
    tokio::spawn(serve(theirs, answers.clone()));
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, ours, config).await?;
    let driven = tokio::spawn(driver);
    tokio::spawn(async move {
        if let Err(error) = driven.await
            && error.is_panic()
        {
            answers.lock().panicked = Some(error.to_string());
        }
    });
    Ok(connection)
}

async fn serve(mut stream: DuplexStream, answers: Answers) {
    let (mut parser, mut received) = (redis::Parser::new(), Vec::new());
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        received.extend_from_slice(&buffer[..count]);
        loop {
            let mut rest = received.as_slice();
            let Ok(command) = parser.parse_value(&mut rest) else {
                // A command that has not arrived as a whole is read again with the rest of it.
                parser = redis::Parser::new();
                break;
            };
            let used = received.len() - rest.len();
            received.drain(..used);
            let Some(answer) = answers.next(&command) else {
                return;
            };
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }
}

#[derive(Default)]
struct Recorder {
    horizon_ms: Mutex<u64>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    fn raise(&self, horizon_ms: u64) {
        let mut known = self
            .horizon_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            *known < horizon_ms,
            "a horizon that does not rise was passed on"
        );
        *known = horizon_ms;
    }
}

impl Minter for Recorder {
    fn layout(&self) -> String {
        String::new()
    }

    fn grant(&self, grant: &Grant) {
        assert!(grant.floor_ms <= grant.horizon_ms && grant.machine_id <= 3);
        *self
            .horizon_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = grant.horizon_ms;
    }

    fn extend(&self, _fence: u64, horizon_ms: u64) {
        self.raise(horizon_ms);
    }

    fn last_minted_ms(&self) -> Option<u64> {
        None
    }

    fn revoke(&self, _loss: &Loss) {}

    fn close(&self) -> Option<u64> {
        None
    }
}
