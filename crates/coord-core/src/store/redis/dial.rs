//! How servers of one deployment are reached, but for their addresses.

use std::{fmt, net::SocketAddr, time::Duration};

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisFuture,
    io::{AsyncDNSResolver, tcp::TcpSettings},
};

#[cfg(feature = "tls")]
use crate::endpoint::Endpoint;
use crate::{
    endpoint::{Address, Credentials, Protocol},
    store::StoreError,
    tls::Tls,
};

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
    pub(super) tls: Option<Tls>,
}

impl Dial {
    /// How long making a connection may take, the handshake and authentication included.
    pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

    /// What the client needs to know to connect to `place`.
    pub(super) fn info(&self, place: &Place) -> Result<ConnectionInfo, RedisError> {
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
        let address = match (place, &self.tls) {
            (Place::Unix(path), _) => ConnectionAddr::Unix(path.into()),
            (Place::Tcp(Address { host, port }), None) => ConnectionAddr::Tcp(host.clone(), *port),
            (Place::Tcp(Address { host, port }), Some(tls)) => encrypted(host, *port, tls)?,
        };
        Ok(address
            .into_connection_info()?
            .set_redis_settings(settings)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true)))
    }

    pub(super) fn config(&self, place: &Place) -> AsyncConnectionConfig {
        let config = base_config();
        match (place, self.server_name()) {
            (Place::Tcp(address), Some(_)) => config.set_dns_resolver(Elsewhere(address.clone())),
            _ => config,
        }
    }

    /// The name on the certificate, where it is not the host that is connected to.
    pub(super) fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name.as_deref()
    }
}

const WRITE_BUFFER: usize = 1 << 20;

/// Responses are bounded by each operation's own deadline. A heartbeat of a thousand leases leaves in one write (the
/// client's default cuts at 8 KiB).
pub(super) fn base_config() -> AsyncConnectionConfig {
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
        install_provider();
    }
    let settings = info.tcp_settings().clone().set_nodelay(true);
    info.set_tcp_settings(settings)
}

/// rustls takes the provider of the process, which belongs to whoever came first: perhaps the user.
#[cfg(feature = "tls")]
fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(feature = "tls")]
fn encrypted(host: &str, port: u16, tls: &Tls) -> Result<ConnectionAddr, RedisError> {
    use redis::{ClientTlsConfig, TlsCertificates};

    install_provider();
    let host = tls.server_name.as_deref().unwrap_or(host);
    let address = ConnectionAddr::TcpTls {
        host: host.to_owned(),
        port,
        insecure: false,
        tls_params: None,
    };
    let certificates = TlsCertificates {
        client_tls: tls.client.as_ref().map(|(chain, key)| ClientTlsConfig {
            client_cert: chain.clone(),
            client_key: key.clone(),
        }),
        root_cert: tls.roots.clone(),
    };
    let client = redis::Client::build_with_tls(address.into_connection_info()?, certificates)?;
    Ok(client.get_connection_info().addr().clone())
}

/// Whether the certificates and keys in `tls` can be read.
#[cfg(feature = "tls")]
pub(super) fn check(tls: &Tls) -> Result<(), StoreError> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    let misconfigured = |problem| Err(StoreError::Misconfigured { problem });
    let chain = tls.client.as_ref().map(|(chain, _)| chain);
    for (pem, what) in [
        (tls.roots.as_ref(), "root certificates"),
        (chain, "client certificate"),
    ] {
        // The client would take such a text for trust in nobody.
        let is_empty = |pem: &Vec<u8>| CertificateDer::pem_slice_iter(pem).next().is_none();
        if pem.is_some_and(is_empty) {
            return misconfigured(format!(
                "no certificate in the {what} given; give the text of a PEM file"
            ));
        }
    }
    encrypted("localhost", Endpoint::DEFAULT_PORT, tls)
        .map(drop)
        .or_else(|error| misconfigured(format!("TLS options: {error}")))
}

#[cfg(not(feature = "tls"))]
pub(super) fn check(_tls: &Tls) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn encrypted(_host: &str, _port: u16, _tls: &Tls) -> Result<ConnectionAddr, RedisError> {
    Err(RedisError::from((
        redis::ErrorKind::InvalidClientConfig,
        "this build lacks the feature \"tls\"",
    )))
}

/// Resolves every name to one address: the name is the certificate's, the address the server's.
struct Elsewhere(Address);

impl AsyncDNSResolver for Elsewhere {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        _port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((self.0.host.as_str(), self.0.port)).await?;
            Ok(Box::new(found) as Box<_>)
        })
    }
}
