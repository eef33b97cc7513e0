//! One simulated process: it leases a machine ID and mints under it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coord_core::{clock::Instant, store::Store};
use coord_offline::gate::Gate;
use raus::{Clock, MachineId, Placement, Raus, TokioClock};
use snowflake::{ClockMode, Generator, IdRange, Layout};

use super::{
    ledger::{Holder, Ledger},
    minter::SimMinter,
};
use crate::simulation::{
    mutants::Mutant,
    plan::Number,
    stage::{Shell, Stage},
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
    async fn attach(
        machine_id: &MachineId,
        number: Number,
        clock: &TokioClock,
        ledger: Ledger,
        borrow: Duration,
    ) -> Option<Self> {
        if number.is_multiple_of(2) {
            let minter = Arc::new(SimMinter::new(number, clock.clone(), ledger));
            machine_id
                .attach(Arc::clone(&minter) as Arc<dyn raus::Minter>)
                .await
                .ok()?;
            return Some(Self::Smallest(minter));
        }
        let clock = ClockMode::Custom(Arc::new(ProcessClock(clock.clone())));
        let generator = Generator::builder()
            .clock(clock)
            .borrow(borrow)
            .leased(machine_id.clone());
        // Putting the layout on record may fail as every request may.
        Some(Self::Generator(Box::new(generator.await.ok()?)))
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
    borrow: Duration,
    /// IDs that were reserved and are handed out later, even after a release.
    ranges: Mutex<Vec<(Layout, IdRange)>>,
}

impl Process {
    pub(super) fn start(stage: &mut Stage, number: Number, slots: u32, ledger: Ledger) -> Self {
        let store: Arc<dyn Store> = stage.open_shell(number, START_ERROR_MS);
        let (acknowledge, expects) = (stage.scene.acknowledge, stage.scene.expects);
        let shell = stage.shells.get_mut(&number).expect("just opened");
        let seed = shell.rng.u64(..);
        let options = shell.options;
        let raus = Raus::with_store(store, "sim", 0..=slots - 1)
            .ttl(options.ttl)
            .heartbeat(options.heartbeat)
            .discovery(options.discovery)
            .failover_bound(options.failover_bound)
            .acknowledge(acknowledge)
            .expect_history(expects)
            .release_timeout(Duration::from_secs(5))
            .clock(Arc::new(shell.clock.clone()))
            .placement(Placement::Custom(Arc::new(shell.gate.clone())))
            .seed(seed)
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
            borrow: options.borrow,
            ranges: Mutex::default(),
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
        let (number, clock, borrow) = (self.number, self.clock.clone(), self.borrow);
        self.gate.run(async move {
            loop {
                if let Ok(machine_id) = raus.acquire_within(Duration::from_secs(10)).await {
                    let mint =
                        Mint::attach(&machine_id, number, &clock, ledger.clone(), borrow).await;
                    if let Some(mint) = mint {
                        *held.lock().expect("not poisoned") = Some((machine_id, mint));
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// Gives the machine ID back and then leases another, as a restarted service would.
    /// Closes, releases and drops come in any order.
    pub(super) fn release(&self, order: u8) {
        let Some((machine_id, mint)) = self.held.lock().expect("not poisoned").take() else {
            return;
        };
        if let Mint::Generator(generator) = &mint {
            match order % 4 {
                0 => drop(generator.close()),
                1 => drop(generator.reservation().close()),
                _ => {}
            }
        }
        if order.is_multiple_of(3) {
            // The last handle gives it back in the background.
            drop((machine_id, mint));
            return self.acquire();
        }
        let releasing = Arc::clone(&self.releasing);
        releasing.store(true, Ordering::Relaxed);
        self.gate.run(async move {
            // Unconfirmed is a possible outcome: the ttl frees the slot.
            let _ = machine_id.release().await;
            drop(mint);
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
                self.note(&generator.layout(), id);
                if id.as_u64().is_multiple_of(8)
                    && let Ok(range) = generator.reserve(3)
                {
                    self.ranges().push((generator.layout(), range));
                }
                true
            }
        }
    }

    /// Hands out one of the IDs that were reserved, whether anything is held now or not.
    pub(super) fn hand_out(&self) {
        let mut ranges = self.ranges();
        let Some((layout, range)) = ranges.first_mut() else {
            return;
        };
        match range.next() {
            Some(id) => self.note(layout, id),
            None => drop(ranges.remove(0)),
        }
    }

    fn note(&self, layout: &Layout, id: snowflake::Id) {
        let parts = id.decode(layout);
        let sequence = u32::try_from(parts.sequence).expect("12 bits");
        self.ledger
            .record_id(self.number, parts.machine_id, parts.unix_ms, sequence);
    }

    fn ranges(&self) -> MutexGuard<'_, Vec<(Layout, IdRange)>> {
        self.ranges.lock().expect("not poisoned")
    }

    /// The slot on which this process believes it may act right now.
    pub(super) fn holder(&self, stage: &Stage, mutant: Mutant) -> Option<Holder> {
        let held = self.held.lock().expect("not poisoned");
        let (machine_id, _) = held.as_ref()?;
        let shell = self.shell(stage)?;
        let wire = &shell.wire;
        let counts_from = match mutant {
            Mutant::DeadlineFromReply => wire.acknowledged(),
            Mutant::ClocksTrusted => wire.heard(),
            _ => None,
        };
        let is_held = counts_from.map_or_else(
            || machine_id.is_held(),
            |at| {
                let ttl = machine_id.ttl();
                let ttl = ttl - ttl / 100 - Duration::from_millis(2);
                self.clock.now() < at + ttl
            },
        );
        is_held.then(|| Holder {
            slot: machine_id.id(),
            fence: machine_id.fence(),
            number: self.number,
            is_leapt_over: stage.may_be_forgotten(shell, self.number),
            is_copy: false,
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
