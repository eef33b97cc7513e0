//! What is trusted, and what is shown, on an encrypted connection.

use std::fmt;

/// Options of the schemes `rediss://`, `redisscluster://` and `rediss+sentinel://`.
///
/// By default a server's certificate is checked against the system's roots and the host of the URL, and no client
/// certificate is shown. Keys and certificates appear in no output.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Tls {
    pub(crate) roots: Option<Vec<u8>>,
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) server_name: Option<String>,
}

impl Tls {
    /// The longest text of certificates or of a key, in bytes (1 MiB).
    pub const MAX_PEM: usize = 1 << 20;

    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in `pem` (one or more, PEM, at most [`MAX_PEM`](Self::MAX_PEM) bytes) instead of the system's
    /// roots: a private CA.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Shows a client certificate: its chain and its private key, both PEM, at most [`MAX_PEM`](Self::MAX_PEM) bytes each.
    pub fn client_certificate(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.client = Some((chain.into(), key.into()));
        self
    }

    /// The name that server certificates must bear, whatever host is connected to. Defaults to that host. Nodes of a
    /// cluster and masters named by sentinels are mostly known by addresses that no certificate has.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots.as_ref().map(|_| "private"))
            .field("client", &self.client.as_ref().map(|_| "set"))
            .field("server_name", &self.server_name)
            .finish()
    }
}
