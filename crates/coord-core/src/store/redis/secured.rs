//! Encrypted connections: a user's options as the TLS library takes them.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use redis::aio::AsyncStream;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{store::StoreError, tls::Tls};

/// TLS options that were checked.
#[derive(Clone)]
pub(super) struct Secured {
    tls: Tls,
    /// Made when it is first needed, as it may take the system's roots.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Secured {
    pub(super) fn new(tls: Tls) -> Result<Self, StoreError> {
        let misconfigured = |problem| StoreError::Misconfigured { problem };
        check_lengths(&tls).map_err(misconfigured)?;
        let name = tls.server_name.as_deref().map(name_of).transpose();
        name.map_err(misconfigured)?;
        let secured = Self {
            tls,
            config: Arc::default(),
        };
        let roots = match &secured.tls.roots {
            Some(_) => secured.private_roots(),
            // Whatever the system trusts, what is shown can be read now.
            None => Ok(RootCertStore::empty()),
        };
        let config = roots.and_then(|roots| secured.with_roots(roots));
        let config = config.map_err(misconfigured)?;
        if secured.tls.roots.is_some() {
            secured.config.get_or_init(|| Arc::new(config));
        }
        Ok(secured)
    }

    /// Encrypts `socket` to `host`.
    pub(super) async fn handshake(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> io::Result<std::pin::Pin<Box<dyn AsyncStream + Send + Sync>>> {
        let name = self.tls.server_name.as_deref().unwrap_or(host);
        let name =
            name_of(name).map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))?;
        let connector = TlsConnector::from(self.config()?);
        Ok(Box::pin(connector.connect(name, socket).await?))
    }

    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // A store of many years has some that are no longer valid.
        roots.add_parsable_certificates(found.certs);
        let is_empty = roots.is_empty();
        if let (true, Some(error)) = (is_empty, found.errors.into_iter().next()) {
            return Err(io::Error::other(error));
        }
        let config = Arc::new(self.with_roots(roots).map_err(io::Error::other)?);
        if is_empty {
            // Perhaps they are only being installed.
            return Ok(config);
        }
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }

    fn private_roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(self.tls.roots.as_deref(), "root certificates")? {
            let added = roots.add(certificate);
            added.map_err(|error| format!("a root certificate given cannot be used: {error}"))?;
        }
        Ok(roots)
    }

    fn with_roots(&self, roots: RootCertStore) -> Result<ClientConfig, String> {
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS options: {error}"))?
            .with_root_certificates(roots);
        let Some((chain, key)) = &self.tls.client else {
            return Ok(config.with_no_client_auth());
        };
        let chain = certificates(Some(chain), "client certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            // The error may show what stands there.
            "no private key in the key given; give the text of a PEM file".to_owned()
        })?;
        config
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("client certificate and key given: {error}"))
    }
}

fn certificates(pem: Option<&[u8]>, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.unwrap_or_default())
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the {what} given cannot be read: {error}"))?;
    // The library would take such a text for trust in nobody.
    if found.is_empty() {
        return Err(format!(
            "no certificate in the {what} given; give the text of a PEM file"
        ));
    }
    Ok(found)
}

fn name_of(name: &str) -> Result<ServerName<'static>, String> {
    let found = ServerName::try_from(name.to_owned());
    found.map_err(|_| {
        format!("no certificate can bear the name {name:?}; give a host name or an address")
    })
}

fn check_lengths(tls: &Tls) -> Result<(), String> {
    let client = tls.client.as_ref();
    for (pem, what) in [
        (tls.roots.as_ref(), "root certificates"),
        (client.map(|(chain, _)| chain), "client certificate"),
        (client.map(|(_, key)| key), "client key"),
    ] {
        let len = pem.map_or(0, Vec::len);
        if Tls::MAX_PEM < len {
            return Err(format!(
                "the text of the {what} has {len} bytes; the limit is {}; give a PEM file with nothing else in it",
                Tls::MAX_PEM
            ));
        }
    }
    Ok(())
}

/// A user's client takes the provider of the process, which belongs to whoever came first: perhaps the user.
pub(super) fn install_provider() {
    let _ = ring::default_provider().install_default();
}
