//! How connections to one server are made: by us, so that what the server sends is bounded; or by a user's client, as the
//! user wants it.

use std::{io, pin::Pin, sync::Arc};

use deadpool::managed::{Manager, Metrics, RecycleResult};
use futures_util::future::select_ok;
use redis::{
    RedisConnectionInfo, RedisError,
    aio::{AsyncStream, MultiplexedConnection, PubSub},
};
use tokio::{net::TcpStream, task::JoinHandle};

use super::{
    dial::{self, Dial, Place},
    intake::{Gauge, Intake},
    secured::Secured,
};
use crate::endpoint::Address;

#[derive(Clone)]
pub(super) enum Dialer {
    Own(Arc<Own>),
    /// Its TLS options are its secret, so it connects by itself.
    Brought(Box<redis::Client>),
}

pub(super) struct Own {
    /// What logs say.
    address: String,
    place: Place,
    tls: Option<Secured>,
    settings: RedisConnectionInfo,
}

/// A connection, with what drives it.
#[derive(Clone)]
pub(super) struct Wired {
    pub(super) connection: MultiplexedConnection,
    pub(super) gauge: Gauge,
    _driver: Option<Arc<Driver>>,
}

/// A task that ends with this: it would wait for what is under way on a connection that nobody uses any more.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Socket = Pin<Box<dyn AsyncStream + Send + Sync>>;

impl Dialer {
    pub(super) fn new(address: String, place: Place, dial: Dial) -> Self {
        Self::Own(Arc::new(Own {
            address,
            place,
            settings: dial.settings(),
            tls: dial.tls,
        }))
    }

    /// What a server is told of us.
    pub(super) fn settings(&self) -> &RedisConnectionInfo {
        match self {
            Self::Own(own) => &own.settings,
            Self::Brought(client) => client.get_connection_info().redis_settings(),
        }
    }

    async fn connect(&self) -> Result<Wired, RedisError> {
        let (config, gauge) = (dial::config(), Gauge::default());
        match self {
            Self::Own(own) => {
                let stream = own.open(gauge.clone()).await?;
                let (connection, driver) =
                    MultiplexedConnection::new_with_config(&own.settings, stream, config).await?;
                Ok(Wired {
                    connection,
                    gauge,
                    _driver: Some(Arc::new(Driver(tokio::spawn(driver)))),
                })
            }
            Self::Brought(client) => Ok(Wired {
                connection: client
                    .get_multiplexed_async_connection_with_config(&config)
                    .await?,
                gauge,
                _driver: None,
            }),
        }
    }

    /// A connection for a subscription.
    pub(super) async fn listen(&self) -> Result<(PubSub, Gauge), RedisError> {
        let gauge = Gauge::listening();
        let listening = match self {
            Self::Own(own) => PubSub::new(&own.settings, own.open(gauge.clone()).await?).await?,
            Self::Brought(client) => client.get_async_pubsub().await?,
        };
        Ok((listening, gauge))
    }
}

impl Manager for Dialer {
    type Type = Wired;
    type Error = RedisError;

    async fn create(&self) -> Result<Wired, RedisError> {
        self.connect().await
    }

    async fn recycle(&self, wired: &mut Wired, _: &Metrics) -> RecycleResult<RedisError> {
        let ping = redis::cmd("PING");
        ping.exec_async(&mut wired.connection).await?;
        Ok(())
    }
}

impl Own {
    async fn open(&self, gauge: Gauge) -> Result<Intake<Socket>, RedisError> {
        let socket: Socket = match (&self.place, &self.tls) {
            (Place::Unix(path), _) => Box::pin(connect_unix(path).await?),
            (Place::Tcp(address), None) => Box::pin(connect_tcp(address).await?),
            (Place::Tcp(address), Some(tls)) => {
                let socket = connect_tcp(address).await?;
                tls.handshake(&address.host, socket).await?
            }
        };
        Ok(Intake::new(socket, gauge, self.address.clone()))
    }
}

/// The first of all addresses of a host that is reached.
async fn connect_tcp(Address { host, port }: &Address) -> io::Result<TcpStream> {
    let found = tokio::net::lookup_host((host.as_str(), *port)).await?;
    let attempts: Vec<_> = found.map(|at| Box::pin(TcpStream::connect(at))).collect();
    if attempts.is_empty() {
        let text = format!("the host {host} has no address; correct it, or its name server");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let (socket, _) = select_ok(attempts).await?;
    // Nothing waits for a packet to fill.
    socket.set_nodelay(true)?;
    Ok(socket)
}

#[cfg(unix)]
async fn connect_unix(path: &str) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(not(unix))]
async fn connect_unix(_path: &str) -> io::Result<TcpStream> {
    Err(io::ErrorKind::Unsupported.into())
}
