//! Free loopback ports that stay free while their server is down.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::Mutex,
};

use anyhow::{Context, Result};

/// A loopback port that nothing listens on and that this process has not handed out before.
///
/// Ports come from 10,000..22,000: below the kernel's ephemeral range, so that no outgoing connection takes the port
/// while its server is killed, and below 22,768, where a cluster's bus port (10,000 higher) would no longer fit.
///
/// # Errors
///
/// When 1,000 tries found none.
pub fn free() -> Result<u16> {
    static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().expect("no holder of this lock panics");
    (0..TRIES)
        .map(|_| fastrand::u16(PORTS))
        .find(|port| {
            let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
            unused && taken.insert(*port)
        })
        .with_context(|| {
            format!("no free port among {TRIES} tries in {PORTS:?}; stop what listens there")
        })
}

const PORTS: Range<u16> = 10_000..22_000;
const TRIES: usize = 1_000;
