//! How separate nodes become one cluster.

use anyhow::{Context, Result};

use super::{Cluster, SLOTS, START_LIMIT, view::View};
use crate::{server::RedisServer, wait};

impl Cluster {
    pub(super) fn form(&self) -> Result<()> {
        let (masters, replicas) = self.nodes.split_at(self.setting.masters);
        for (place, node) in self.nodes.iter().enumerate() {
            // Nodes with the same epoch would first have to quarrel.
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(place + 1).to_string()])?;
        }
        for (place, master) in masters.iter().enumerate() {
            let bound = |place: usize| place * usize::from(SLOTS) / masters.len();
            let slots = (bound(place)..bound(place + 1)).map(|slot| slot.to_string());
            redis::cmd("CLUSTER")
                .arg("ADDSLOTS")
                .arg(slots.collect::<Vec<_>>())
                .query::<()>(&mut master.connection()?)
                .with_context(|| format!("giving slots to port {}", master.port()))?;
        }
        self.meet()?;
        for (place, replica) in replicas.iter().enumerate() {
            let master = &masters[place % masters.len()];
            let id: String = master.query(&["CLUSTER", "MYID"])?;
            replica.cli(&["CLUSTER", "REPLICATE", &id])?;
        }
        Ok(())
    }

    /// Introduces every node to every other.
    fn meet(&self) -> Result<()> {
        let Some((first, others)) = self.nodes.split_first() else {
            return Ok(());
        };
        for other in others {
            let (port, bus) = (
                other.port().to_string(),
                (other.port() + 10_000).to_string(),
            );
            first.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        }
        let know_all = |node: &RedisServer| {
            let view = View::of(node).ok()?;
            let greeted = view.nodes.iter().all(|node| !node.is("handshake"));
            (greeted && view.nodes.len() == self.nodes.len()).then_some(())
        };
        wait::until(START_LIMIT, || self.nodes.iter().try_for_each(know_all))
            .with_context(|| format!("the nodes have not met after {START_LIMIT:?}"))
    }
}
