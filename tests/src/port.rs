//! Loopback ports that stay ours while nothing listens on them.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    ops::Range,
    sync::Mutex,
};

use anyhow::{Context, Result};

/// A claim on a TCP port of loopback: no other test process takes the port while this lives, and this process never
/// claims it again.
///
/// Ports come from 10,000..22,000: below the kernel's ephemeral range, so that no outgoing connection takes the port
/// while its server is killed, and below 22,768, where a cluster's bus port (10,000 higher) would no longer fit.
#[derive(Debug)]
pub struct Port {
    // The UDP port of the same number is the claim: exclusive, and gone with the process however that ends.
    claim: UdpSocket,
    _bus: Option<UdpSocket>,
}

impl Port {
    /// Claims a port that nothing listens on.
    ///
    /// # Errors
    ///
    /// When 1,000 tries found none.
    pub fn claim() -> Result<Self> {
        Self::claim_if(|port| {
            Some(Self {
                claim: claimed(port)?,
                _bus: None,
            })
        })
    }

    /// [`Port::claim`] together with the port that a cluster node on it uses as its bus.
    ///
    /// # Errors
    ///
    /// When 1,000 tries found none.
    pub fn claim_with_bus() -> Result<Self> {
        Self::claim_if(|port| {
            Some(Self {
                claim: claimed(port)?,
                _bus: Some(claimed(port + BUS_OFFSET)?),
            })
        })
    }

    fn claim_if(claim: impl Fn(u16) -> Option<Self>) -> Result<Self> {
        (0..TRIES)
            .find_map(|_| claim(fastrand::u16(PORTS)))
            .with_context(|| {
                format!("no free port among {TRIES} tries in {PORTS:?}; stop what listens there")
            })
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.addr().port()
    }

    /// The port on loopback.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.claim
            .local_addr()
            .expect("a bound socket has an address")
    }
}

/// The claim, where neither this process had the port before nor anybody has it now.
fn claimed(port: u16) -> Option<UdpSocket> {
    static USED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let is_new = USED
        .lock()
        .expect("no holder of this lock panics")
        .insert(port);
    if !is_new {
        return None;
    }
    let claim = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(claim)
}

const BUS_OFFSET: u16 = 10_000;
const PORTS: Range<u16> = 10_000..22_000;
const TRIES: usize = 1_000;
