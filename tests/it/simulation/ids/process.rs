//! One simulated process: it leases a machine ID and mints under it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coord_core::{clock::Instant, store::Store};
use coord_tests::gate::Gate;
use raus::{Acknowledge, Clock, MachineId, Placement, Raus, TokioClock};
use snowflake::{ClockMode, Generator};

use super::{
    ledger::{Holder, Ledger},
    minter::SimMinter,
};
use crate::simulation::{
    mutants::Mutant,
    plan::Number,
    stage::{Shell, Stage, TTL},
};

/// How far clocks are off when a process starts.
const START_ERROR_MS: i64 = 3_000;

type Held = (MachineId, Mint);

/// What mints in a process: the smallest thing that keeps the rules, or the generator that users have.
#[derive(Clone)]
enum Mint {
    Smallest(Arc<SimMinter>),
    Generator(Box<Generator>),
}

impl Mint {
    fn attach(machine_id: &MachineId, number: Number, clock: &TokioClock, ledger: Ledger) -> Self {
        if number.is_multiple_of(2) {
            let minter = Arc::new(SimMinter::new(number, clock.clone(), ledger));
            machine_id
                .attach(Arc::clone(&minter) as Arc<dyn raus::Minter>)
                .expect("nothing is attached yet");
            return Self::Smallest(minter);
        }
        let clock = ClockMode::Custom(Arc::new(ProcessClock(clock.clone())));
        let generator = Generator::builder().clock(clock).leased(machine_id.clone());
        Self::Generator(Box::new(generator.expect("the range fits the layout")))
    }
}

/// The process' clock as the generator wants it.
#[derive(Debug)]
struct ProcessClock(TokioClock);

impl snowflake::Clock for ProcessClock {
    fn wall(&self) -> Duration {
        self.0.wall()
    }

    fn boot(&self) -> Duration {
        self.0.now().since_boot()
    }
}

pub(super) struct Process {
    number: Number,
    gate: Gate,
    clock: TokioClock,
    raus: Raus,
    ledger: Ledger,
    held: Arc<Mutex<Option<Held>>>,
    /// Whether a release is under way.
    releasing: Arc<AtomicBool>,
}

impl Process {
    pub(super) fn start(stage: &mut Stage, number: Number, slots: u32, ledger: Ledger) -> Self {
        let store: Arc<dyn Store> = stage.open_shell(number, START_ERROR_MS);
        let heartbeat = stage.scene.heartbeat;
        let shell = stage.shells.get_mut(&number).expect("just opened");
        let seed = shell.rng.u64(..);
        let raus = Raus::with_store(store, "sim", 0..=slots - 1)
            .ttl(TTL)
            .heartbeat(heartbeat)
            // A living holder is heard within it, unless its heartbeat has just been lost.
            .discovery(heartbeat + Duration::from_millis(600))
            .release_timeout(Duration::from_secs(5))
            .clock(Arc::new(shell.clock.clone()))
            .placement(Placement::Custom(Arc::new(shell.gate.clone())))
            .seed(seed)
            .acknowledge(if seed.is_multiple_of(8) {
                Acknowledge::Never
            } else {
                Acknowledge::All
            })
            .reacquire(true)
            .build()
            .expect("valid");
        let process = Self {
            number,
            gate: shell.gate.clone(),
            clock: shell.clock.clone(),
            raus,
            ledger,
            held: Arc::default(),
            releasing: Arc::default(),
        };
        process.acquire();
        process
    }

    /// Leases a machine ID, however long it takes.
    fn acquire(&self) {
        let (raus, held, ledger) = (
            self.raus.clone(),
            Arc::clone(&self.held),
            self.ledger.clone(),
        );
        let (number, clock) = (self.number, self.clock.clone());
        self.gate.run(async move {
            loop {
                if let Ok(machine_id) = raus.acquire_within(Duration::from_secs(10)).await {
                    let mint = Mint::attach(&machine_id, number, &clock, ledger);
                    *held.lock().expect("not poisoned") = Some((machine_id, mint));
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// Gives the machine ID back and then leases another, as a restarted service would.
    pub(super) fn release(&self) {
        let Some((machine_id, _)) = self.held.lock().expect("not poisoned").take() else {
            return;
        };
        let releasing = Arc::clone(&self.releasing);
        releasing.store(true, Ordering::Relaxed);
        self.gate.run(async move {
            // Unconfirmed is a possible outcome: the ttl frees the slot.
            let _ = machine_id.release().await;
            releasing.store(false, Ordering::Relaxed);
        });
        self.acquire();
    }

    /// Everything is gone at once; nothing is released.
    pub(super) fn kill(&self) {
        self.gate.kill();
        self.held.lock().expect("not poisoned").take();
    }

    pub(super) fn mint(&self) -> bool {
        let held = self.held.lock().expect("not poisoned");
        let mint = held.as_ref().map(|(_, mint)| mint.clone());
        drop(held);
        match mint {
            None => false,
            Some(Mint::Smallest(minter)) => minter.mint(),
            Some(Mint::Generator(generator)) => {
                let Ok(id) = generator.try_next() else {
                    return false;
                };
                let parts = id.decode(&generator.layout());
                let sequence = u32::try_from(parts.sequence).expect("12 bits");
                self.ledger
                    .record_id(self.number, parts.machine_id, parts.unix_ms, sequence);
                true
            }
        }
    }

    /// The slot on which this process believes it may act right now.
    pub(super) fn holder(&self, stage: &Stage, mutant: Mutant) -> Option<Holder> {
        let held = self.held.lock().expect("not poisoned");
        let (machine_id, _) = held.as_ref()?;
        let wire = &self.shell(stage)?.wire;
        let acknowledged = wire.acknowledged();
        let is_held = if mutant == Mutant::DeadlineFromReply {
            let ttl = TTL - TTL / 100 - Duration::from_millis(2);
            acknowledged.is_some_and(|at| self.clock.now() < at + ttl)
        } else {
            machine_id.is_held()
        };
        is_held.then(|| Holder {
            slot: machine_id.id(),
            fence: machine_id.fence(),
            number: self.number,
            is_leapt_over: stage.is_leapt_over(wire.heard()),
        })
    }

    /// When its lease ends; `None` where it has none.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let held = self.held.lock().expect("not poisoned");
        held.as_ref().map(|(machine_id, _)| machine_id.deadline())
    }

    pub(super) fn is_releasing(&self) -> bool {
        self.releasing.load(Ordering::Relaxed)
    }

    fn shell<'a>(&self, stage: &'a Stage) -> Option<&'a Shell> {
        stage.shells.get(&self.number)
    }
}
