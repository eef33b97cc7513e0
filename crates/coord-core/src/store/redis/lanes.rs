//! A few multiplexed connections out of a pool, kept while they are good.
//!
//! The pool checks a connection with a PING whenever it is taken out, which would double the round trips of a
//! heartbeat. So each connection is taken out once and shared (it is multiplexed) until something condemns it; then
//! it leaves the pool for good and the next user makes a new one.

use std::{
    error::Error as StdError,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool_redis::{Manager, Pool, PoolError, Runtime, Timeouts};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, aio::MultiplexedConnection, io::tcp::TcpSettings,
};

use super::reply;
use crate::{
    endpoint::{Credentials, Endpoint, Kind},
    store::StoreError,
};

type Cause = Arc<dyn StdError + Send + Sync>;

/// A connection in use. The pool's guard is inside, so dropping the last clone gives it back.
#[derive(Clone)]
pub(super) struct Lane {
    guard: Arc<Mutex<Option<deadpool_redis::Connection>>>,
    connection: MultiplexedConnection,
}

impl Lane {
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}

pub(super) struct Lanes {
    pool: Pool,
    connect: Duration,
    slots: Vec<tokio::sync::Mutex<()>>,
    open: Vec<Mutex<Option<Lane>>>,
    next: AtomicUsize,
}

impl Lanes {
    pub(super) fn new(info: ConnectionInfo, size: usize, connect: Duration) -> Result<Self, Cause> {
        // Responses are bounded by each operation's own deadline. A heartbeat of a thousand leases leaves in one write
        // (the client's default cuts at 8 KiB).
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect))
            .set_response_timeout(None)
            .set_write_backpressure_boundary(Self::WRITE_BUFFER);
        let manager = Manager::new_with_config(info, config).map_err(reply::source)?;
        let pool = Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(connect),
                create: Some(connect),
                recycle: Some(connect),
            })
            .build()
            .map_err(|error| Arc::new(error) as Cause)?;
        Ok(Self {
            pool,
            connect,
            slots: (0..size).map(|_| tokio::sync::Mutex::new(())).collect(),
            open: (0..size).map(|_| Mutex::new(None)).collect(),
            next: AtomicUsize::new(0),
        })
    }

    /// An open connection, made if need be, within the connect timeout.
    pub(super) async fn get(
        &self,
        operation: &'static str,
        address: &str,
    ) -> Result<Lane, StoreError> {
        // Over all of it: many callers of one closed lane must not each wait out the attempts of those before them.
        tokio::time::timeout(self.connect, self.open(operation, address))
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::Connect {
                    operation,
                    address: address.to_owned(),
                    source: Arc::new(std::io::Error::from(std::io::ErrorKind::TimedOut)),
                })
            })
    }

    /// Callers of one lane that find it closed wait for the first of them.
    async fn open(&self, operation: &'static str, address: &str) -> Result<Lane, StoreError> {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.open.len();
        if let Some(lane) = self.current(index) {
            return Ok(lane);
        }
        let _connecting = self.slots[index].lock().await;
        if let Some(lane) = self.current(index) {
            return Ok(lane);
        }
        let guard = self
            .pool
            .get()
            .await
            .map_err(|error| connect_error(operation, address, error))?;
        let lane = Lane {
            connection: MultiplexedConnection::clone(&guard),
            guard: Arc::new(Mutex::new(Some(guard))),
        };
        *lock(&self.open[index]) = Some(lane.clone());
        Ok(lane)
    }

    /// Takes `lane` out of use, unless somebody has already replaced it.
    pub(super) fn discard(&self, lane: &Lane) {
        for open in &self.open {
            let mut open = lock(open);
            if open
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(&current.guard, &lane.guard))
            {
                *open = None;
            }
        }
        if let Some(guard) = lock(&lane.guard).take() {
            drop(deadpool_redis::Connection::take(guard));
        }
    }

    fn current(&self, index: usize) -> Option<Lane> {
        lock(&self.open[index]).clone()
    }

    const WRITE_BUFFER: usize = 1 << 20;
}

/// What is guarded is replaced as a whole, so a panic elsewhere leaves it valid.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect_error(operation: &'static str, address: &str, error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => match reply::credentials_code(&error) {
            Some(code) => StoreError::Credentials {
                operation,
                address: address.to_owned(),
                code,
            },
            None => StoreError::Connect {
                operation,
                address: address.to_owned(),
                source: reply::source(error),
            },
        },
        other => StoreError::Connect {
            operation,
            address: address.to_owned(),
            source: Arc::new(other),
        },
    }
}

/// What the client needs to know to connect to `endpoint`.
pub(super) fn connection_info(endpoint: &Endpoint) -> Result<ConnectionInfo, RedisError> {
    let (address, database, credentials) = match endpoint.kind() {
        Kind::Tcp {
            host,
            port,
            database,
            credentials,
        } => (
            ConnectionAddr::Tcp(host.clone(), *port),
            *database,
            credentials,
        ),
        Kind::Unix {
            path,
            database,
            credentials,
        } => (ConnectionAddr::Unix(path.into()), *database, credentials),
        Kind::Memory { .. } => {
            return Err(RedisError::from((
                redis::ErrorKind::InvalidClientConfig,
                "the embedded store has no server to connect to",
            )));
        }
    };
    let Credentials { user, password } = credentials;
    let mut settings = RedisConnectionInfo::default().set_db(i64::from(database));
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    Ok(address
        .into_connection_info()?
        .set_redis_settings(settings)
        .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}
