//! Stands in for encrypted connections where this build has none.

use std::io;

use redis::aio::AsyncStream;
use tokio::net::TcpStream;

use crate::{store::StoreError, tls::Tls};

#[derive(Clone)]
pub(super) enum Secured {}

impl Secured {
    pub(super) fn new(_tls: Tls) -> Result<Self, StoreError> {
        Err(StoreError::Misconfigured {
            problem: "this build cannot encrypt; turn on the feature \"tls\"".to_owned(),
        })
    }

    pub(super) async fn handshake(
        &self,
        _host: &str,
        _socket: TcpStream,
    ) -> io::Result<std::pin::Pin<Box<dyn AsyncStream + Send + Sync>>> {
        match *self {}
    }
}
