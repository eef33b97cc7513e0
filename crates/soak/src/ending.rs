//! What is on the server when everybody has gone.

use std::time::Duration;

use anyhow::{Context, Result};
use coord_tests::{server::RedisServer, wait};
use raus::Raus;
use redbuckets::Redbuckets;

use crate::{
    member::{NAME, RANGE},
    raw::{self, End, Setting},
};

/// Waits until every lease is over, and looks.
pub(crate) fn look(server: &RedisServer, setting: &Setting) -> Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let raus = Raus::new(&format!("{}?ns={NAME}", server.url()), RANGE)?.inspector()?;
    let group = Redbuckets::builder(&server.url(), NAME)
        .buckets(setting.buckets)
        .build()?
        .inspector()?;
    let leased = || -> Result<usize> {
        let read = runtime.block_on(raus.read());
        let slots = read.context("reading machine IDs")?.slots;
        Ok(slots.iter().filter(|slot| slot.lock.is_some()).count())
    };
    // A process that was killed just before the end is on record for a ttl.
    let patience = Duration::from_millis(setting.ttl_ms) + GRACE;
    // Where the time is over, what is still leased is on record below.
    let _ = wait::until(patience, || (leased().ok()? == 0).then_some(()));
    let group = runtime
        .block_on(group.read())
        .context("reading the group")?;
    let mut keys: Vec<String> = server.query(&["KEYS", "*"])?;
    keys.sort();
    Ok(End {
        at_ms: raw::now_ms(),
        keys,
        leased: leased()?,
        members: group.members.len(),
        owned: group.buckets - group.free,
        misbehaved: Vec::new(),
        unseen: Vec::new(),
    })
}

const GRACE: Duration = Duration::from_secs(2);
