//! Moving a slot to another master, key by key, while clients go on.

use std::{thread, time::Duration};

use anyhow::{Result, bail, ensure};
use coord_core::clock::{Clock, SystemClock};

use super::Cluster;
use crate::server::RedisServer;

/// How fast [`Cluster::migrate_slot`] moves keys.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How many keys move in one step; while they do, the source answers nobody.
    pub keys: u16,
    /// How long to rest after a step, in which clients find the slot half moved.
    pub rest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            keys: 100,
            rest: Duration::ZERO,
        }
    }
}

impl Cluster {
    /// Moves `slot` to the master `to` as real resharding does, and returns how many keys it moved.
    ///
    /// In between, the source answers `ASK` for keys that have moved, and `TRYAGAIN` where a command names both kinds.
    ///
    /// # Errors
    ///
    /// When a node refuses, `to` owns the slot already, or keys are left after 60 s; the slot then stays half moved.
    pub fn migrate_slot(&self, slot: u16, to: &RedisServer, pace: Pace) -> Result<usize> {
        let from = self.master_of(slot)?;
        ensure!(
            from.port() != to.port(),
            "port {} owns slot {slot} already",
            to.port()
        );
        let number = slot.to_string();
        let set = |node: &RedisServer, state: &str, id: &str| {
            node.cli(&["CLUSTER", "SETSLOT", &number, state, id])
        };
        let (from_id, to_id): (String, String) = (
            from.query(&["CLUSTER", "MYID"])?,
            to.query(&["CLUSTER", "MYID"])?,
        );
        set(to, "IMPORTING", &from_id)?;
        set(from, "MIGRATING", &to_id)?;
        let moved = self.move_keys(&number, from, to, pace)?;
        // The new owner first: a slot that nobody owns would be an outage.
        set(to, "NODE", &to_id)?;
        set(from, "NODE", &to_id)?;
        for (node, view) in self.views() {
            let is_other = ![from.port(), to.port()].contains(&node.port());
            if is_other && view.myself().is_some_and(super::view::Entry::is_master) {
                set(node, "NODE", &to_id)?;
            }
        }
        Ok(moved)
    }

    fn move_keys(
        &self,
        slot: &str,
        from: &RedisServer,
        to: &RedisServer,
        pace: Pace,
    ) -> Result<usize> {
        let deadline = SystemClock.now() + MOVE_LIMIT;
        let (port, count) = (to.port().to_string(), pace.keys.max(1).to_string());
        let mut moved = 0;
        while SystemClock.now() < deadline {
            let keys: Vec<String> = from.query(&["CLUSTER", "GETKEYSINSLOT", slot, &count])?;
            if keys.is_empty() {
                return Ok(moved);
            }
            let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000"];
            if let Some(password) = &self.setting.password {
                command.extend(["AUTH", password]);
            }
            command.push("KEYS");
            command.extend(keys.iter().map(String::as_str));
            // A key that expired in between is no longer there, which is as good.
            from.cli(&command)?;
            moved += keys.len();
            thread::sleep(pace.rest);
        }
        bail!(
            "slot {slot} still has keys on port {} after {MOVE_LIMIT:?}",
            from.port()
        )
    }
}

const MOVE_LIMIT: Duration = Duration::from_secs(60);
