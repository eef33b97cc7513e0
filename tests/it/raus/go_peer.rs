//! A process of the Go original shares the namespace: its exact commands, and ours, never hold one slot together.

use std::{collections::BTreeMap, time::Duration};

use coord_tests::server::RedisServer;
use uuid::Uuid;

use super::{acquire_all, client, event, ids, server};

/// What a holder of the original sends, command by command.
struct GoPeer<'a> {
    server: &'a RedisServer,
    uuid: Uuid,
    held: Option<u32>,
}

impl<'a> GoPeer<'a> {
    fn new(server: &'a RedisServer) -> Self {
        Self {
            server,
            uuid: Uuid::new_v4(),
            held: None,
        }
    }

    /// Tries the candidates in turn: SET NX EX, as the original claims.
    fn claim(&mut self, candidates: impl IntoIterator<Item = u32>) -> Option<u32> {
        for slot in candidates {
            let key = format!("raus:id:{slot}");
            let reply: Option<String> = self
                .server
                .query(&["SET", &key, &self.uuid.to_string(), "EX", "60", "NX"])
                .expect("set");
            if reply.is_some() {
                self.held = Some(slot);
                return self.held;
            }
        }
        None
    }

    /// One heartbeat: PUBLISH, then MULTI GETSET EXPIRE EXEC; false where the old value was not its own.
    fn heartbeat(&self) -> bool {
        let slot = self.held.expect("holds one");
        let (key, uuid) = (format!("raus:id:{slot}"), self.uuid.to_string());
        let mut connection = self.server.connection().expect("connects");
        let _: u32 = redis::cmd("PUBLISH")
            .arg("raus:broadcast")
            .arg(format!("{uuid}:{slot}"))
            .query(&mut connection)
            .expect("publishes");
        let (old, _): (Option<String>, bool) = redis::pipe()
            .atomic()
            .cmd("GETSET")
            .arg(&key)
            .arg(&uuid)
            .cmd("EXPIRE")
            .arg(&key)
            .arg(60)
            .query(&mut connection)
            .expect("executes");
        old.is_some_and(|old| old == uuid)
    }

    fn release(&mut self) {
        let slot = self.held.take().expect("holds one");
        self.server
            .cli(&["DEL", &format!("raus:id:{slot}")])
            .expect("deletes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_fleet_shares_a_range_without_collision() {
    let server = server();
    let raus = client(&server, 0..=19).build().expect("valid");
    let mut peers: Vec<GoPeer<'_>> = (0..8).map(|_| GoPeer::new(&server)).collect();
    for round in 0..10_u32 {
        let ours = acquire_all(&raus, 4).await;
        for peer in &mut peers {
            peer.claim((0..20).map(|slot| (slot + round * 7) % 20))
                .expect("a slot is free");
        }
        let ours_too = acquire_all(&raus, 4).await;
        let mut owners: BTreeMap<u32, u32> = BTreeMap::new();
        let all = ids(&ours).into_iter().chain(ids(&ours_too));
        for slot in all.chain(peers.iter().filter_map(|peer| peer.held)) {
            *owners.entry(slot).or_default() += 1;
        }
        assert_eq!(owners.len(), 16);
        assert!(owners.values().all(|&owners| owners == 1), "{owners:?}");
        for peer in &mut peers {
            assert!(peer.heartbeat(), "the peer's own value was replaced");
        }
        assert!(ours.iter().chain(&ours_too).all(::raus::MachineId::is_held));
        for machine_id in ours.into_iter().chain(ours_too) {
            machine_id.release().await.expect("releases");
        }
        for peer in &mut peers {
            assert!(peer.heartbeat(), "our releases touched a peer's key");
            peer.release();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_peer_that_overwrites_our_key_takes_the_slot_and_we_take_another() {
    let server = server();
    let mut peer = GoPeer::new(&server);
    peer.claim([0]);
    // The peer is paused past its expiry, and we get its slot.
    server.cli(&["DEL", "raus:id:0"]).expect("deletes");
    let raus = client(&server, 0..=1)
        .heartbeat(Duration::from_millis(100))
        .reacquire(true)
        .build()
        .expect("valid");
    let other = acquire_all(&raus, 2).await;
    let (zero, one): (Vec<_>, Vec<_>) = other
        .into_iter()
        .partition(|machine_id| machine_id.id() == 0);
    let (zero, one) = (&zero[0], one.into_iter().next().expect("two slots"));
    one.release().await.expect("releases");
    let mut events = zero.events();
    assert!(
        !peer.heartbeat(),
        "it learns that the value was not its own, too late"
    );
    event(&mut events, |event| matches!(event, ::raus::Event::Lost(_))).await;
    event(&mut events, |event| {
        matches!(event, ::raus::Event::Reacquired { old: 0, new: 1, .. })
    })
    .await;
    assert!(peer.heartbeat(), "its key was left alone");
    assert_eq!(zero.id(), 1);
}
