//! How servers of one deployment are reached, but for their addresses.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisConnectionInfo,
};

use super::secured::Secured;
use crate::endpoint::{Address, Credentials, Protocol};

/// Where one server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Tcp(Address),
    Unix(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => f.write_str(path),
        }
    }
}

#[derive(Clone)]
pub(super) struct Dial {
    pub(super) credentials: Credentials,
    pub(super) database: u32,
    pub(super) protocol: Protocol,
    /// `None` for connections in the clear.
    pub(super) tls: Option<Secured>,
}

impl Dial {
    /// How long making a connection may take, the handshake and authentication included.
    pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

    /// What a server is told of us.
    pub(super) fn settings(&self) -> RedisConnectionInfo {
        let Credentials { user, password } = &self.credentials;
        let mut settings = RedisConnectionInfo::default().set_db(i64::from(self.database));
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        if self.protocol == Protocol::Resp3 {
            settings = settings.set_protocol(ProtocolVersion::RESP3);
        }
        settings
    }
}

const WRITE_BUFFER: usize = 1 << 20;

/// Responses are bounded by each operation's own deadline. A heartbeat of a thousand leases leaves in one write (the
/// client's default cuts at 8 KiB).
pub(super) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Dial::CONNECT_TIMEOUT))
        .set_response_timeout(None)
        .set_write_backpressure_boundary(WRITE_BUFFER)
}

/// The address as errors say it, without credentials.
pub(super) fn shown(info: &ConnectionInfo) -> String {
    let (address, database) = (info.addr(), info.redis_settings().db());
    match address {
        ConnectionAddr::Unix(_) => format!("redis+unix://{address}?db={database}"),
        ConnectionAddr::TcpTls { .. } => format!("rediss://{address}/{database}"),
        _ => format!("redis://{address}/{database}"),
    }
}

/// A user's settings, and no waiting for a packet to fill.
pub(super) fn without_delay(info: ConnectionInfo) -> ConnectionInfo {
    #[cfg(feature = "tls")]
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        super::secured::install_provider();
    }
    let settings = info.tcp_settings().clone().set_nodelay(true);
    info.set_tcp_settings(settings)
}
