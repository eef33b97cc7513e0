//! Masters that go on for a moment after one of their replicas was promoted, with another replica that still follows them: what
//! it acknowledges, the promoted one never hears of.

use std::time::Duration;

use coord_tests::{
    server::{RedisServer, Version},
    wait,
};
use raus::{AcquireError, MachineId, Placement, Raus};

use super::{PATIENCE, on_versions};

const TTL: Duration = Duration::from_secs(3);

/// A master and two replicas that were there when the first machine ID was granted.
struct Trio {
    servers: [RedisServer; 3],
    held: Vec<MachineId>,
}

impl Trio {
    async fn start(version: Version) -> Self {
        let master = RedisServer::builder().version(version).start();
        let master = master.expect("starts");
        let replica = || {
            let replica = RedisServer::builder().version(version);
            replica.replica_of(&master).start().expect("starts")
        };
        let (first, second) = (replica(), replica());
        master.wait_replicas(2, PATIENCE).expect("they follow");
        // A replica vouches for what is younger than itself, as far as its uptime in whole seconds tells.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut trio = Self {
            servers: [master, first, second],
            held: Vec::new(),
        };
        trio.acquire(0).await.expect("the first one");
        trio
    }

    /// A process of its own asks server `index` for a machine ID of three.
    async fn acquire(&mut self, index: usize) -> Result<(), AcquireError> {
        let raus = Raus::builder(&self.servers[index].url(), 0..=2)
            .ttl(TTL)
            .heartbeat(TTL / 6)
            .discovery(Duration::ZERO)
            .placement(Placement::Runtime(tokio::runtime::Handle::current()));
        let raus = raus.build().expect("valid");
        self.held.push(raus.acquire_within(2 * TTL).await?);
        Ok(())
    }

    fn follow(&self, index: usize, master: usize) {
        let port = self.servers[master].port().to_string();
        let _: String = self.servers[index]
            .query(&["REPLICAOF", "127.0.0.1", &port])
            .expect("follows");
    }

    /// The server stops following, and its master has noticed.
    fn leave(&self, index: usize, master: usize, left: usize, command: [&str; 3]) {
        let _: String = self.servers[index].query(&command).expect("obeys");
        let noticed = wait::until(PATIENCE, || {
            let info = self.servers[master].info("replication").ok()?;
            (info.get("connected_slaves")? == &left.to_string()).then_some(())
        });
        noticed.expect("its master notices");
    }

    fn promote(&self, index: usize, master: usize, left: usize) {
        self.leave(index, master, left, ["REPLICAOF", "NO", "ONE"]);
    }

    /// `old` goes on although `new` was promoted, and the third one follows late: they must not grant the same.
    async fn clash(mut self, old: usize, new: usize) {
        let other = 3 - old - new;
        self.promote(new, old, 1);
        let limit = TTL / 2;
        let newcomer = Raus::builder(&self.servers[old].url(), 0..=2).discovery(Duration::ZERO);
        let newcomer = newcomer.ttl(TTL).build().expect("valid");
        let granted = newcomer.acquire_within(limit).await;
        assert!(
            matches!(granted, Err(AcquireError::HistorySuspect { .. })),
            "server {old} granted {granted:?} although {new} may have succeeded it"
        );
        self.follow(other, new);
        self.servers[new]
            .wait_replicas(1, PATIENCE)
            .expect("follows");
        self.acquire(new).await.expect("the last one is free");
        let held = self.held.iter().filter(|machine_id| machine_id.is_held());
        let mut ids: Vec<u32> = held.map(MachineId::id).collect();
        ids.sort_unstable();
        ids.dedup();
        let held = self.held.iter().filter(|machine_id| machine_id.is_held());
        assert_eq!(ids.len(), held.count(), "one slot has two holders");
    }
}

async fn a_replica_that_was_counted(version: Version) {
    Trio::start(version).await.clash(0, 1).await;
}

/// There and back: the former master follows the first successor after that one's last grant, and is promoted again.
async fn a_master_that_follows_again(version: Version) {
    let mut trio = Trio::start(version).await;
    trio.promote(1, 0, 1);
    trio.follow(2, 1);
    trio.servers[1].wait_replicas(1, PATIENCE).expect("follows");
    trio.acquire(1).await.expect("free");
    trio.follow(0, 1);
    trio.servers[1].wait_replicas(2, PATIENCE).expect("follows");
    trio.clash(1, 0).await;
}

/// Its master has waited a ttl for it, and granted without it.
async fn a_replica_that_was_cut_off_and_is_back(version: Version) {
    let mut trio = Trio::start(version).await;
    trio.leave(1, 0, 1, ["REPLICAOF", "127.0.0.1", "1"]);
    trio.acquire(0).await.expect("after a ttl");
    trio.follow(1, 0);
    trio.servers[0].wait_replicas(2, PATIENCE).expect("is back");
    trio.clash(0, 1).await;
}

on_versions! {
    a_master_misses_a_replica_that_acknowledged_its_last_grant: Redis7_0 a_replica_that_was_counted;
    a_master_misses_one_that_came_since_its_last_grant: Redis7_0 a_master_that_follows_again;
    a_master_of_redis_8_misses_one_that_came_since_its_last_grant: Redis8_2 a_master_that_follows_again;
    a_master_of_valkey_misses_one_that_came_since_its_last_grant: Valkey9_1 a_master_that_follows_again;
    a_master_misses_one_that_was_cut_off_and_came_back: Redis6_2 a_replica_that_was_cut_off_and_is_back;
}
