//! What is left behind when a generator ends: never at or below a time that an ID carries or may still carry.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proptest::prelude::*;
use snowflake::{
    ClockMode, Generator, Id, IdRange, Layout, Local, MintError, Next, Pool, Reservation,
};

use crate::clock::{ManualClock, ms};

const NOW: u64 = 1_800_000_000_000;

/// A call that a program, its lease or its clock makes.
#[derive(Debug, Clone)]
enum Call {
    Mint,
    Wait,
    Reserve(u32),
    Fill(usize),
    Local,
    Pool,
    Clone,
    Drop,
    Use(usize),
    Forward(u64),
    StepForward(u64),
    StepBack(u64),
    Grant { ahead: u64, span: u64, delay: u64 },
    Extend(u64),
    Revoke,
    Close,
    CloseReservation,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => Just(Call::Mint),
        2 => Just(Call::Wait),
        2 => (1_u32..5_000).prop_map(Call::Reserve),
        2 => (1_usize..10_000).prop_map(Call::Fill),
        2 => Just(Call::Local),
        2 => Just(Call::Pool),
        1 => Just(Call::Clone),
        1 => Just(Call::Drop),
        2 => (1_usize..3_000).prop_map(Call::Use),
        3 => (0_u64..3_000).prop_map(Call::Forward),
        1 => (0_u64..20_000).prop_map(Call::StepForward),
        1 => (0_u64..20_000).prop_map(Call::StepBack),
        1 => (0_u64..9_000, 0_u64..9_000, 0_u64..50)
            .prop_map(|(ahead, span, delay)| Call::Grant { ahead, span, delay }),
        2 => (0_u64..30_000).prop_map(Call::Extend),
        1 => Just(Call::Revoke),
        1 => Just(Call::Close),
        1 => Just(Call::CloseReservation),
    ]
}

/// A program, its generator, and what its lease does.
struct Program {
    clock: ManualClock,
    layout: Layout,
    generators: Vec<Generator>,
    door: Reservation,
    pool: Pool,
    local: Local,
    ranges: Vec<IdRange>,
    horizon_ms: u64,
    /// The latest time of an ID that was handed out.
    latest_ms: Option<u64>,
    /// What each way to close has said.
    ends: BTreeSet<Option<u64>>,
}

impl Program {
    fn new(layout: Layout, borrow: Duration) -> Self {
        let clock = ManualClock::at(NOW);
        let generator = Generator::builder()
            .layout(layout)
            .borrow(borrow)
            .clock(ClockMode::Custom(Arc::new(clock.clone())))
            .reserved()
            .expect("sound");
        Self {
            pool: Generator::from_pool([generator.clone()]).expect("one"),
            local: generator.local(64.try_into().expect("not zero")),
            door: generator.reservation(),
            generators: vec![generator],
            ranges: Vec::new(),
            horizon_ms: 0,
            latest_ms: None,
            ends: BTreeSet::new(),
            clock,
            layout,
        }
    }

    fn handle(&mut self, call: Call) {
        let generator = self.generators.last().cloned();
        match call {
            Call::Mint => {
                let minted = generator.map(|it| it.try_next());
                self.see(minted.into_iter().flatten());
            }
            Call::Wait => self.wait(generator.as_ref().map(Generator::next)),
            Call::Reserve(count) => {
                let range = generator.map(|it| it.reserve(count));
                self.ranges.extend(range.into_iter().flatten());
            }
            Call::Fill(count) => {
                let mut ids = vec![Id::from_u64(0); count];
                let filled = generator.map_or(Ok(0), |it| it.try_fill(&mut ids));
                ids.truncate(filled.unwrap_or(0));
                self.see(ids);
            }
            Call::Local => {
                let minted = self.local.try_next();
                self.see(minted);
            }
            Call::Pool => {
                let minted = self.pool.try_next();
                self.see(minted);
            }
            Call::Clone => self.generators.extend(generator),
            Call::Drop => drop(self.generators.pop()),
            Call::Use(count) => {
                let ids = self.ranges.iter_mut().flatten().take(count).collect();
                self.see::<Vec<_>>(ids);
            }
            Call::Forward(by) => self.clock.forward(ms(by)),
            Call::StepForward(by) => self.clock.step_forward(ms(by)),
            Call::StepBack(by) => self.clock.step_back(ms(by)),
            Call::Grant { ahead, span, delay } => self.grant(ahead, span, delay),
            Call::Extend(by) => {
                self.horizon_ms = self.horizon_ms.max(self.clock.wall_ms() + by);
                self.door.extend(self.horizon_ms);
            }
            Call::Revoke => {
                let reason = Arc::new(std::io::Error::other("lost"));
                self.door.revoke(reason, self.clock.wall_ms());
            }
            Call::Close => {
                if let Some(generator) = generator {
                    generator.close().expect("no file");
                }
            }
            Call::CloseReservation => {
                self.ends.insert(self.door.close());
            }
        }
    }

    /// A store grants nothing below an earlier horizon of its own.
    fn grant(&mut self, ahead: u64, span: u64, delay: u64) {
        let floor_ms = self.horizon_ms.max(self.clock.wall_ms()) + ahead;
        let granted = self
            .door
            .grant(3, floor_ms, floor_ms + span, Some(ms(delay)));
        if granted.is_ok() {
            self.horizon_ms = floor_ms + span;
        }
    }

    /// Polls a waiting call twice, with some time between: it takes a place in the queue, and may be given up in it.
    fn wait(&mut self, next: Option<Next<'_>>) {
        let Some(mut next) = next.map(Box::pin) else {
            return;
        };
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..2 {
            match next.as_mut().poll(&mut context) {
                std::task::Poll::Ready(minted) => return self.see(minted),
                std::task::Poll::Pending => self.clock.forward(ms(1)),
            }
        }
    }

    fn see<I: IntoIterator<Item = Id>>(&mut self, ids: I) {
        let unit_ms = u64::try_from(self.layout.unit().as_millis()).expect("an hour at most");
        for id in ids {
            let last_ms = id.unix_ms(&self.layout) + unit_ms - 1;
            self.latest_ms = self.latest_ms.max(Some(last_ms));
        }
    }

    /// As a release would, after whatever the program did; then what it still held is used.
    fn release(mut self) {
        let last_ms = self.door.last_minted_ms();
        self.ends.insert(self.door.close());
        for call in [Call::Mint, Call::Wait, Call::Local, Call::Pool, Call::Close] {
            self.handle(call);
        }
        self.grant(0, 1_000, 0);
        self.handle(Call::Mint);
        self.ends.insert(self.door.close());
        self.handle(Call::Use(usize::MAX));
        assert_eq!(self.ends.len(), 1, "one end: {:?}", self.ends);
        let end_ms = self.ends.pop_first().flatten().expect("the same process");
        assert!(
            self.latest_ms < Some(end_ms) || (self.latest_ms, end_ms) == (None, 0),
            "{:?} was handed out and {end_ms} left behind",
            self.latest_ms
        );
        assert!(last_ms.is_none_or(|last_ms| last_ms < end_ms));
        assert!(self.door.last_minted_ms() >= self.latest_ms);
    }
}

proptest! {
    #[test]
    fn no_order_of_calls_leaves_a_horizon_that_an_id_has_reached(
        calls in prop::collection::vec(call(), 0..60),
        granted in any::<bool>(),
        borrow in prop::sample::select(vec![0, 3, 2_000]),
        layout in prop::sample::select(vec![
            Layout::TWITTER,
            Layout::SONYFLAKE,
            Layout::TWITTER.with_unit(ms(250)).expect("whole"),
        ]),
    ) {
        let mut program = Program::new(layout, ms(borrow));
        if granted {
            program.grant(0, 5_000, 0);
        }
        for call in calls {
            program.handle(call);
        }
        program.release();
    }
}

/// What a fork knows is as old as the fork: its parent mints on.
#[cfg(unix)]
#[test]
fn the_child_of_a_fork_ends_nothing() {
    let _one_child = crate::forks::one();
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("horizon");
    let generator = Generator::builder()
        .horizon_file(&path)
        .machine_id(907)
        .expect("free");
    generator.next_blocking().expect("stored");
    let before = std::fs::read(&path).expect("there");
    let unknown = crate::guards::in_child(|| {
        generator.close().is_ok()
            && generator.reservation().close().is_none()
            && matches!(generator.try_next(), Err(MintError::Forked { .. }))
    });
    assert!(unknown);
    assert_eq!(std::fs::read(&path).expect("there"), before);
    generator.next_blocking().expect("the parent goes on");
}

/// A generator that was closed gives its machine ID back once, not again when it is dropped.
#[test]
fn dropping_what_was_closed_ends_no_claim_of_its_successor() {
    let first = Generator::with_machine_id(908).expect("free");
    first.close().expect("no file");
    let _second = Generator::with_machine_id(908).expect("given back");
    drop(first);
    assert!(Generator::with_machine_id(908).is_err(), "the second lives");
}

#[cfg(feature = "raus")]
#[tokio::test]
async fn closing_before_a_release_repeats_nothing() {
    let raus = |label: &str| {
        raus::Raus::builder("memory://closing", 5..=5)
            .discovery(Duration::ZERO)
            .label(label)
            .build()
            .expect("sound")
    };
    let mut last = None;
    for round in 0..6 {
        let lease = raus("").acquire().await.expect("one slot");
        let generator = Generator::builder()
            .borrow(Duration::from_secs(2))
            .leased(lease)
            .await
            .expect("fits");
        let mut ids = vec![Id::from_u64(0); 40_000];
        generator.fill(&mut ids).expect("borrowed");
        assert!(last < Some(ids[0]), "round {round}");
        last = ids.last().copied();
        match round % 3 {
            0 => generator.close().expect("no file"),
            1 => {
                let _ = generator.reservation().close();
            }
            _ => {}
        }
        generator.release().await.expect("confirmed");
    }
}
