//! Certificates are trusted by those who should, and by nobody else.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use coord_tests::{
    server::RedisServer,
    tls::{Ca, Identity},
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

/// Pings `server` over TLS as `name`, trusting `ca`.
fn ping(
    server: &RedisServer,
    name: &'static str,
    ca: &Ca,
    client: Option<&Identity>,
) -> Result<String> {
    let certificate =
        |path: &Path| CertificateDer::from_pem_slice(&fs::read(path)?).map_err(anyhow::Error::from);
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&ca.certificate())?)?;
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match client {
        Some(identity) => {
            let key = PrivateKeyDer::from_pem_slice(&fs::read(&identity.key)?)?;
            config.with_client_auth_cert(vec![certificate(&identity.certificate)?], key)?
        }
        None => config.with_no_client_auth(),
    };
    let session = ClientConnection::new(Arc::new(config), ServerName::try_from(name)?)?;
    let socket = TcpStream::connect(server.tls_addr())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(session, socket);
    stream.write_all(b"PING\r\n")?;
    let mut reply = [0; 7];
    stream.read_exact(&mut reply)?;
    Ok(String::from_utf8(reply.to_vec())?)
}

#[test]
fn a_server_is_trusted_through_its_authority_under_its_names_alone() {
    let ca = Ca::new().unwrap();
    let server = RedisServer::builder()
        .tls(&ca.server().unwrap())
        .start()
        .unwrap();
    assert!(server.tls_url().starts_with("rediss://localhost:"));
    for name in ["localhost", "127.0.0.1"] {
        assert_eq!(ping(&server, name, &ca, None).unwrap(), "+PONG\r\n");
    }
    let message = ping(&server, "redis.example", &ca, None)
        .unwrap_err()
        .to_string();
    assert!(message.contains("not valid for name"), "{message}");
    let stranger = Ca::new().unwrap();
    let message = ping(&server, "localhost", &stranger, None)
        .unwrap_err()
        .to_string();
    assert!(message.contains("invalid peer certificate"), "{message}");
}

#[test]
fn a_server_may_have_a_name_of_its_own() {
    let ca = Ca::new().unwrap();
    let identity = ca.server_named(&["redis.example"]).unwrap();
    let server = RedisServer::builder().tls(&identity).start().unwrap();
    assert_eq!(
        ping(&server, "redis.example", &ca, None).unwrap(),
        "+PONG\r\n"
    );
    assert!(ping(&server, "localhost", &ca, None).is_err());
}

#[test]
fn a_server_that_asks_for_certificates_lets_in_its_own_clients_alone() {
    let (ca, stranger) = (Ca::new().unwrap(), Ca::new().unwrap());
    let server = RedisServer::builder()
        .tls(&ca.server().unwrap())
        .tls_clients(&ca)
        .start()
        .unwrap();
    let ping_as = |client: Option<&Identity>| ping(&server, "localhost", &ca, client);
    let own = ca.client().unwrap();
    assert_eq!(ping_as(Some(&own)).unwrap(), "+PONG\r\n");
    assert!(ping_as(None).is_err());
    assert!(ping_as(Some(&stranger.client().unwrap())).is_err());
}

const PATIENCE: Duration = Duration::from_secs(10);
