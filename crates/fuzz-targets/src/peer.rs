//! A stranger in the same store, who writes garbage into our keys.
//!
//! What the stranger writes is never a well-formed record: somebody who may write and knows the format can say that a
//! slot is free. SECURITY.md says what follows from that.

use std::{collections::HashMap, sync::Arc, time::Duration};

use coord_core::{
    fuzzing::Input,
    store::{
        Command, Script, Store,
        embedded::{Embedded, EmbeddedStore},
    },
};
use raus::{MachineId, Placement, Raus, TokioClock};
use redbuckets::{Instance, Redbuckets};

static WRITE: Script = Script::new("peer", &["return redis.pcall(unpack(ARGV))"]);

const TTL: Duration = Duration::from_secs(3);
/// Processes beside each other.
const PROCESSES: usize = 3;
const SLOTS: u32 = 4;
const BUCKETS: u32 = 8;

/// Whatever garbage is written: no slot has two holders and no fence falls, no bucket has two owners, nothing panics, and
/// each call comes to an end.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = World::new();
        match input.below(2) {
            0 => leases(&world, &mut input).await,
            _ => shares(&world, &mut input).await,
        }
    });
}

struct World {
    clock: Arc<TokioClock>,
    engine: Embedded,
    stranger: EmbeddedStore,
}

impl World {
    /// How many things happen at most.
    const STEPS: usize = 48;

    fn new() -> Self {
        let clock = Arc::new(TokioClock::new(Duration::from_secs(1_700_000_000)));
        let engine = Embedded::with_seed(clock.clone(), 1);
        let stranger = engine.client();
        Self {
            clock,
            engine,
            stranger,
        }
    }

    async fn write(&self, words: &[&str]) {
        let command = Command::Eval {
            script: &WRITE,
            keys: Vec::new(),
            args: words.iter().map(|&word| word.to_owned()).collect(),
        };
        self.stranger.pipeline(&[command], TTL).await;
    }

    fn placement() -> Placement {
        Placement::Runtime(tokio::runtime::Handle::current())
    }
}

async fn leases(world: &World, input: &mut Input<'_>) {
    let raus: Vec<Raus> = (0..PROCESSES)
        .map(|index| {
            Raus::with_store(Arc::new(world.engine.client()), "x", 0..=SLOTS - 1)
                .ttl(TTL)
                .discovery(Duration::from_millis(2_500))
                .clock(world.clock.clone())
                .placement(World::placement())
                .seed(index as u64)
                .build()
                .expect("valid options")
        })
        .collect();
    let mut held: Vec<MachineId> = Vec::new();
    let mut fences: HashMap<u32, u64> = HashMap::new();
    for _ in 0..World::STEPS {
        if input.is_empty() {
            break;
        }
        match input.below(8) {
            0 | 1 => {
                let process = &raus[input.below(PROCESSES as u16) as usize];
                let limit = Duration::from_secs(u64::from(input.below(8)));
                let asked = process.acquire_within(limit);
                let outcome = tokio::time::timeout(limit + TTL, asked).await;
                if let Ok(machine_id) = outcome.expect("a call ends") {
                    let before = fences.insert(machine_id.id(), machine_id.fence());
                    assert!(before.is_none_or(|before| before < machine_id.fence()));
                    held.push(machine_id);
                }
            }
            2 if !held.is_empty() => {
                let index = input.below(256) as usize % held.len();
                let _ = held.swap_remove(index).release().await;
            }
            3 => tokio::time::sleep(Duration::from_millis(100 * u64::from(input.below(64)))).await,
            _ => garble_slots(world, input).await,
        }
        held.retain(MachineId::is_held);
        for (index, one) in held.iter().enumerate() {
            let twin = held[..index].iter().find(|other| other.id() == one.id());
            assert!(twin.is_none(), "slot {} has two holders", one.id());
        }
    }
}

async fn garble_slots(world: &World, input: &mut Input<'_>) {
    let slot = input.below(SLOTS as u16).to_string();
    let lock = format!("x:id:{slot}");
    let field = ["history", "discovery", &slot][input.below(3) as usize];
    let garbage = garbage(input);
    match input.below(8) {
        0 => world.write(&["SET", &lock, &garbage]).await,
        1 => world.write(&["SET", &lock, &garbage, "PX", "500"]).await,
        2 => world.write(&["DEL", &lock]).await,
        3 => world.write(&["PERSIST", &lock]).await,
        4 => {
            world.write(&["DEL", &lock]).await;
            world.write(&["RPUSH", &lock, &garbage]).await;
        }
        5 => world.write(&["SET", "x:slots", &garbage]).await,
        _ => world.write(&["HSET", "x:slots", field, &garbage]).await,
    }
}

async fn shares(world: &World, input: &mut Input<'_>) {
    let buckets: Vec<Redbuckets> = (0..PROCESSES)
        .map(|index| {
            Redbuckets::with_store(Arc::new(world.engine.client()), "x")
                .key_prefix("p")
                .buckets(BUCKETS)
                .instance_id(format!("instance-{index}"))
                .ttl(TTL)
                .chunk(3)
                .settle(Duration::ZERO)
                .clock(world.clock.clone())
                .placement(World::placement())
                .seed(index as u64)
                .build()
                .expect("valid options")
        })
        .collect();
    let mut members: Vec<(usize, Instance)> = Vec::new();
    for _ in 0..World::STEPS {
        if input.is_empty() {
            break;
        }
        match input.below(8) {
            0 | 1 => {
                let index = input.below(PROCESSES as u16) as usize;
                if members.iter().all(|(known, _)| *known != index) {
                    let joined = tokio::time::timeout(20 * TTL, buckets[index].join()).await;
                    if let Ok(instance) = joined.expect("a call ends") {
                        members.push((index, instance));
                    }
                }
            }
            2 if !members.is_empty() => {
                let index = input.below(256) as usize % members.len();
                let _ = members.swap_remove(index).1.leave().await;
            }
            3 | 4 => {
                let time = Duration::from_millis(100 * u64::from(input.below(64)));
                tokio::time::sleep(time).await;
            }
            _ => garble_group(world, input).await,
        }
        let mut owners: HashMap<u32, usize> = HashMap::new();
        for (index, instance) in &members {
            for bucket in instance.owned().ids() {
                assert!(bucket < BUCKETS);
                let other = owners.insert(bucket, *index);
                assert!(other.is_none(), "bucket {bucket} has two owners");
            }
        }
    }
}

async fn garble_group(world: &World, input: &mut Input<'_>) {
    const KEYS: [&str; 9] = [
        "group", "members", "ids", "lease", "retired", "table:0", "count:1", "order:1", "inbox:1",
    ];
    const FIELDS: [&str; 6] = ["history", "config", "classes", "state", "hold", "page:0"];
    let key = format!("p:{{x}}:{}", KEYS[input.below(9) as usize]);
    let field = FIELDS[input.below(6) as usize];
    let number = (1 + input.below(3)).to_string();
    let garbage = garbage(input);
    match input.below(8) {
        0 => world.write(&["DEL", &key]).await,
        1 => world.write(&["SET", &key, &garbage]).await,
        2 => {
            world
                .write(&["HSET", "p:{x}:members", &number, &garbage])
                .await
        }
        3 => {
            world
                .write(&["HSET", "p:{x}:ids", "instance-0", &garbage])
                .await
        }
        4 => world.write(&["RPUSH", &key, &garbage]).await,
        5 => {
            let offset = (14 * input.below(32)).to_string();
            let noise = format!("{garbage}{garbage}~~~~~~~~~~~~~~");
            world
                .write(&["SETRANGE", "p:{x}:table:0", &offset, &noise])
                .await;
        }
        _ => world.write(&["HSET", "p:{x}:group", field, &garbage]).await,
    }
}

/// Nothing that anybody could take for a record of ours.
fn garbage(input: &mut Input<'_>) -> String {
    const LONG: usize = 100_000;
    let text = String::from_utf8_lossy(input.chunk()).into_owned();
    match input.below(10) {
        0 => String::new(),
        1 => "-1 -1 -1 -1 x".to_owned(),
        2 => "nan".to_owned(),
        3 => "99999999999999999999 99999999999999999999 99999999999999999999 0 x".to_owned(),
        4 => "1e400 inf 0x10 0 x".to_owned(),
        5 => "x".repeat(LONG),
        6 => "\u{0}\u{0}\u{0}\u{0}".to_owned(),
        7 => "? 0 99999999999999999999 0 0 0 0 0".to_owned(),
        _ => format!("x{text}"),
    }
}
