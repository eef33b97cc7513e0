//! One simulated process: it leases a machine ID, mints under it, and can be paused, cut off and killed.

use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use coord_core::store::embedded::{Embedded, EmbeddedStore};
use coord_tests::gate::Gate;
use raus::{Acknowledge, Clock, MachineId, Placement, Raus, TokioClock};
use snowflake::{ClockMode, Generator};

use super::{
    ledger::{Holder, Ledger},
    minter::SimMinter,
    mutants::Mutant,
};
use crate::swapped_store::{self, SwappedStore};

pub(super) const TTL: Duration = Duration::from_secs(3);
const HEARTBEAT: Duration = Duration::from_millis(300);
const DISCOVERY: Duration = Duration::from_millis(900);

type Held = (MachineId, Mint);

/// What mints in a process: the smallest thing that keeps the rules, or the generator that users have.
#[derive(Clone)]
enum Mint {
    Smallest(Arc<SimMinter>),
    Generator(Generator),
}

impl Mint {
    fn attach(
        machine_id: &MachineId,
        number: usize,
        clock: &TokioClock,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        if number.is_multiple_of(2) {
            let minter = Arc::new(SimMinter::new(number, ledger));
            machine_id
                .attach(Arc::clone(&minter) as Arc<dyn raus::Minter>)
                .expect("nothing is attached yet");
            return Self::Smallest(minter);
        }
        let clock = ClockMode::Custom(Arc::new(ProcessClock(clock.clone())));
        let generator = Generator::builder().clock(clock).leased(machine_id.clone());
        Self::Generator(generator.expect("the range fits the layout"))
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
    pub(super) number: usize,
    pub(super) gate: Gate,
    pub(super) clock: TokioClock,
    pub(super) store: EmbeddedStore,
    raus: Raus,
    ledger: Arc<Mutex<Ledger>>,
    held: Arc<Mutex<Option<Held>>>,
    acknowledged: Arc<AtomicU64>,
}

impl Process {
    pub(super) fn start(
        number: usize,
        embedded: &Embedded,
        clock: TokioClock,
        slots: u32,
        seed: u64,
        mutant: Mutant,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        let store = embedded.client();
        let gate = Gate::default();
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let mutant_store = SwappedStore::new(store.clone(), mutant, Arc::clone(&shared_clock));
        let acknowledged = mutant_store.acknowledged();
        let raus = Raus::with_store(Arc::new(mutant_store), "sim", 0..=slots - 1)
            .ttl(TTL)
            .heartbeat(HEARTBEAT)
            .discovery(DISCOVERY)
            .release_timeout(Duration::from_secs(5))
            .clock(shared_clock)
            .placement(Placement::Custom(Arc::new(gate.clone())))
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
            gate,
            clock,
            store,
            raus,
            ledger,
            held: Arc::default(),
            acknowledged,
        };
        process.acquire();
        process
    }

    /// Leases a machine ID, however long it takes.
    pub(super) fn acquire(&self) {
        let (raus, held, ledger) = (
            self.raus.clone(),
            Arc::clone(&self.held),
            Arc::clone(&self.ledger),
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
    pub(super) fn release(&self) -> bool {
        let Some((machine_id, _)) = self.held.lock().expect("not poisoned").take() else {
            return false;
        };
        self.gate.run(async move {
            // Unconfirmed is a possible outcome: the ttl frees the slot.
            let _ = machine_id.release().await;
        });
        self.acquire();
        true
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
            Some(Mint::Smallest(minter)) => minter.mint(self.clock.wall_ms()),
            Some(Mint::Generator(generator)) => {
                let Ok(id) = generator.try_next() else {
                    return false;
                };
                let parts = id.decode(&generator.layout());
                let sequence = u32::try_from(parts.sequence).expect("12 bits");
                self.ledger.lock().expect("not poisoned").record_id(
                    self.number,
                    parts.machine_id,
                    parts.unix_ms,
                    sequence,
                );
                true
            }
        }
    }

    /// The slot on which this process believes it may act right now.
    pub(super) fn holder(&self, mutant: Mutant) -> Option<Holder> {
        let held = self.held.lock().expect("not poisoned");
        let (machine_id, _) = held.as_ref()?;
        let is_held = if mutant == Mutant::DeadlineFromReply {
            let ttl = TTL - TTL / 100 - Duration::from_millis(2);
            self.clock.now() < swapped_store::instant(&self.acknowledged) + ttl
        } else {
            machine_id.is_held()
        };
        is_held.then(|| Holder {
            slot: machine_id.id(),
            fence: machine_id.fence(),
            process: self.number,
        })
    }

    pub(super) fn is_lost(&self) -> bool {
        let held = self.held.lock().expect("not poisoned");
        held.as_ref()
            .is_some_and(|(machine_id, _)| !machine_id.is_held())
    }
}
