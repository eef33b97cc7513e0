//! Throw-away certificates.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

/// A certificate authority of a test's own, in a directory that goes with it and its [`Identity`]s.
///
/// Two of them do not trust each other.
#[derive(Debug)]
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: Arc<TempDir>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The private key's file.
    pub key: PathBuf,
    _dir: Arc<TempDir>,
}

impl Ca {
    /// A new authority.
    ///
    /// # Errors
    ///
    /// When it cannot be made or written.
    pub fn new() -> Result<Self> {
        let mut params = params(&[], "coord-tests authority")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let dir = tempfile::tempdir().context("creating a directory for certificates")?;
        let ca = Self {
            issuer,
            dir: Arc::new(dir),
        };
        write(&ca.certificate(), &ca.issuer.pem())?;
        Ok(ca)
    }

    /// The file of its own certificate: what those who trust it are given.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server's identity on loopback: `localhost`, 127.0.0.1 and `::1`.
    ///
    /// # Errors
    ///
    /// As [`Ca::server_named`].
    pub fn server(&self) -> Result<Identity> {
        self.server_named(&["localhost", "127.0.0.1", "::1"])
    }

    /// A server's identity under these names alone, which may be addresses.
    ///
    /// # Errors
    ///
    /// When a name is none, or the files cannot be written.
    pub fn server_named(&self, names: &[&str]) -> Result<Identity> {
        self.issue(
            params(names, "server")?,
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// A client's identity.
    ///
    /// # Errors
    ///
    /// When the files cannot be written.
    pub fn client(&self) -> Result<Identity> {
        self.issue(params(&[], "client")?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let number = fastrand::u64(..);
        let identity = Identity {
            certificate: self.dir.path().join(format!("{number}.pem")),
            key: self.dir.path().join(format!("{number}.key")),
            _dir: Arc::clone(&self.dir),
        };
        write(&identity.certificate, &certificate.pem())?;
        write(&identity.key, &key.serialize_pem())?;
        Ok(identity)
    }
}

fn params(names: &[&str], common_name: &str) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
