//! Draws a plan from a seed.

use std::time::Duration;

use super::{Action, Direction, Group, Harm, Number, Options, Outage, Plan, Scene, Step, Subject};
use crate::simulation::coverage::Window;

impl Plan {
    /// The plan of `seed`: machine IDs where it is even, buckets where it is odd.
    pub(in crate::simulation) fn draw(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let size = Size::draw(&mut rng);
        let replicas = if rng.u8(0..5) < 2 { rng.u32(1..=2) } else { 0 };
        let acknowledge = u32::from(replicas != 0 && rng.u8(0..2) == 0);
        let subject = if seed.is_multiple_of(2) {
            Subject::machine_ids(&mut rng, &size)
        } else {
            Subject::buckets(&mut rng, &size)
        };
        let mut scene = Scene {
            subject,
            replicas,
            acknowledge,
            mixed: rng.u8(0..4) == 0,
            heartbeat: ms(*rng
                .choice([300, 300, 600, 1_800].iter())
                .expect("not empty")),
            bound: ms(*rng
                .choice([0, 500, 1_200, 3_000].iter())
                .expect("not empty")),
            expects: rng.u8(0..8) == 0,
            tick: ms(rng.u64(60..=200)),
            slewed: false,
        };
        let steps = Drawing::new(&mut rng, &scene, &size).steps();
        scene.slewed = rng.u8(0..3) == 0;
        Self {
            seed,
            scene,
            faulty: size.faulty,
            steps,
        }
    }
}

impl Options {
    /// Of an instance whose randomness this is.
    pub(in crate::simulation) fn draw(rng: &mut fastrand::Rng, scene: &Scene) -> Self {
        let ttl = match rng.u8(0..3) {
            0 if scene.mixed => 2_000,
            1 if scene.mixed => 6_000,
            _ => 3_000,
        };
        // Up to a third of the ttl, or nearly.
        let longest = scene.heartbeat.min(ms(ttl * 3 / 10));
        let heartbeat = if rng.bool() { longest } else { ms(300) };
        Self {
            ttl: ms(ttl),
            heartbeat,
            // Whoever may have the longest heartbeat is heard within it, unless that has just been lost.
            discovery: 2 * scene.heartbeat.min(scene.longest_ttl() * 3 / 10)
                + ms(600)
                + ms(rng.u64(0..=400)),
            failover_bound: scene.bound
                + if rng.bool() {
                    Scene::BOUND_SPREAD
                } else {
                    ms(0)
                },
            borrow: ms(*rng.choice([0, 500, ttl].iter()).expect("not empty")),
        }
    }
}

/// How much there is of everything.
struct Size {
    instances: u32,
    faulty: Duration,
    faults: usize,
}

impl Size {
    /// The most instances that a run has at a time.
    const LARGEST: u32 = 64;

    /// Most runs are small, because small ones are cheap and find nearly everything; some are long, some are large.
    fn draw(rng: &mut fastrand::Rng) -> Self {
        let instances = match rng.u32(0..1_000) {
            0..960 => rng.u32(2..=4),
            960..998 => rng.u32(5..=12),
            _ => rng.u32(17..=Self::LARGEST),
        };
        let seconds = match rng.u32(0..100) {
            0..98 => rng.u64(4..=8),
            _ => rng.u64(15..=40),
        };
        // Between one in two seconds and three in one, for each four instances.
        let rate = (0.5 + 2.5 * rng.f64()) * f64::from(instances.max(4)) / 4.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few hundred"
        )]
        let faults = (rate * Duration::from_secs(seconds).as_secs_f64()).ceil() as usize;
        Self {
            instances,
            faulty: Duration::from_secs(seconds),
            faults: faults.clamp(1, 400),
        }
    }
}

impl Subject {
    fn machine_ids(rng: &mut fastrand::Rng, size: &Size) -> Self {
        // From crowded, with many that wait for a slot, to roomy.
        let slots = rng.u32((size.instances / 2).max(1)..=size.instances + 1);
        Self::MachineIds { slots }
    }

    fn buckets(rng: &mut fastrand::Rng, size: &Size) -> Self {
        Self::Buckets(Group {
            buckets: rng.u32(1..=if size.instances <= 16 { 24 } else { 96 }),
            contiguous: rng.u8(0..3) == 0,
            long_discovery: rng.bool(),
            chunk: rng.u32(1..=8),
            max_moves: *rng.choice([1, 3, 64].iter()).expect("not empty"),
            weighted: rng.u8(0..3) == 0,
            epilogue: rng.u8(0..8) == 0,
        })
    }
}

struct Drawing<'a> {
    rng: &'a mut fastrand::Rng,
    scene: &'a Scene,
    size: &'a Size,
    next: Number,
    alive: Vec<Number>,
    steps: Vec<Step>,
}

impl<'a> Drawing<'a> {
    fn new(rng: &'a mut fastrand::Rng, scene: &'a Scene, size: &'a Size) -> Self {
        Self {
            rng,
            scene,
            size,
            next: 0,
            alive: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn steps(mut self) -> Vec<Step> {
        for _ in 0..self.size.instances {
            // Together, or one after the other.
            let at = if self.rng.bool() {
                0
            } else {
                self.rng.u64(0..2_000)
            };
            self.start(ms(at), None);
        }
        let faulty_ms = u64::try_from(self.size.faulty.as_millis()).expect("seconds");
        // Most things break once somebody holds something.
        let first_ms = if self.rng.u8(0..4) == 0 { 100 } else { 3_000 };
        let mut times: Vec<u64> = (0..self.size.faults)
            .map(|_| self.rng.u64(first_ms..faulty_ms))
            .collect();
        times.sort_unstable();
        let server_share = if self.rng.u8(0..4) == 0 {
            0.0
        } else {
            0.4 * self.rng.f64()
        };
        for at in times {
            if self.rng.f64() < server_share {
                self.break_server(ms(at));
            } else {
                self.break_instance(ms(at));
            }
        }
        self.steps.sort_by_key(|step| step.at);
        for (index, step) in self.steps.iter_mut().enumerate() {
            step.index = index;
        }
        self.steps
    }

    fn push(&mut self, at: Duration, window: Option<Window>, action: Action) {
        self.steps.push(Step {
            index: 0,
            at,
            window,
            action,
        });
    }

    /// Somebody who comes because of what happens.
    fn newcomer(&mut self) -> Number {
        self.next += 1;
        self.next - 1
    }

    fn start(&mut self, at: Duration, again: Option<Number>) -> Number {
        let number = self.newcomer();
        self.alive.push(number);
        self.push(at, None, Action::Start { number, again });
        number
    }

    /// A bad moment to wait for; so many in a hundred faults do.
    fn window(&mut self, percent: u32) -> Option<Window> {
        if percent <= self.rng.u32(0..100) {
            return None;
        }
        // The last one is no moment to wait for.
        let window = Window::ALL[self.rng.usize(0..Window::ALL.len() - 1)];
        let is_possible = window != Window::Acknowledging || self.scene.acknowledge != 0;
        is_possible.then_some(window)
    }

    fn break_instance(&mut self, at: Duration) {
        let Some(&number) = self.rng.choice(&self.alive) else {
            self.start(at, None);
            return;
        };
        let window = self.window(50);
        let kinds = match self.scene.subject {
            Subject::MachineIds { .. } => 84,
            Subject::Buckets(_) => 80,
        };
        let harm = match self.rng.u32(0..kinds) {
            0..18 => Harm::Pause(self.up_to(8_000)),
            18..36 => {
                let directions = [Direction::Requests, Direction::Replies, Direction::Both];
                let direction = *self.rng.choice(&directions).expect("not empty");
                Harm::Cut(direction, self.up_to(6_000))
            }
            36..43 => Harm::LoseRequests(self.rng.u64(1..4)),
            43..51 => Harm::LoseReplies(self.rng.u64(1..4)),
            51..60 => {
                // Now and then so slow that requests arrive when nobody waits for them any more.
                let slowest = if self.rng.bool() { 400 } else { 4_000 };
                Harm::Slow {
                    request: self.up_to(slowest),
                    reply: self.up_to(480),
                    lasting: self.up_to(5_000),
                }
            }
            60..64 => Harm::SetClock(self.clock_error()),
            64..70 => return self.end(at, window, number, Harm::Kill),
            70..76 => return self.end(at, window, number, Harm::Leave),
            80.. => {
                let newcomer = self.newcomer();
                Harm::Clone { newcomer }
            }
            _ if (self.alive.len() as u64) < u64::from(Size::LARGEST) => {
                self.start(at, None);
                self.steps.last_mut().expect("just pushed").window = window;
                return;
            }
            _ => Harm::LoseReplies(1),
        };
        self.push(at, window, Action::Local { number, harm });
    }

    /// Clocks stay within what is promised: the client's and the server's together differ by less than 10 s. Buckets do
    /// not depend on the client's at all.
    fn clock_error(&mut self) -> i64 {
        let most = match self.scene.subject {
            Subject::MachineIds { .. } => 6_000,
            Subject::Buckets(_) => 40_000,
        };
        self.rng.i64(-most..=most)
    }

    /// It ends; another comes, soon or later, perhaps with its id.
    fn end(&mut self, at: Duration, window: Option<Window>, number: Number, harm: Harm) {
        let starts_over = matches!(
            (&self.scene.subject, &harm),
            (Subject::MachineIds { .. }, Harm::Leave)
        );
        self.push(at, window, Action::Local { number, harm });
        if starts_over {
            return;
        }
        self.alive.retain(|&other| other != number);
        let later = if self.rng.bool() {
            1
        } else {
            self.rng.u64(1..3_000)
        };
        let again = self.rng.bool().then_some(number);
        if self.rng.u8(0..4) != 0 {
            self.start(at + ms(later), again);
        }
    }

    fn break_server(&mut self, at: Duration) {
        // Of which there are fewer.
        let window = self.window(75);
        let newcomer = self.newcomer();
        let rng = &mut *self.rng;
        let of_machine_ids = match self.scene.subject {
            Subject::MachineIds { slots } => Some(slots),
            Subject::Buckets(_) => None,
        };
        let kinds = if self.scene.replicas == 0 { 54 } else { 61 };
        let pick = rng.u32(..);
        let bound_ms = u64::try_from(self.scene.bound.as_millis()).expect("short");
        let outage = match (rng.u32(0..kinds), of_machine_ids) {
            (0..5, _) => Outage::Down(ms(rng.u64(100..=5_000))),
            (5..10, _) => Outage::Hang(ms(rng.u64(100..=6_000))),
            (10..14, _) => Outage::Restart,
            (14..19, _) => Outage::FailOver { pick },
            (19..22, _) => Outage::EmptyRestart,
            (22..23, _) => Outage::FlushAll,
            (23..25, _) => Outage::FlushBehind { newcomer },
            (25..28, _) => Outage::SetClock(rng.i64(-3_000..=3_000)),
            (28..31, Some(slots)) => {
                let slot = rng.u32(0..slots);
                Outage::Evict { slot }
            }
            (31..33, Some(slots)) => Outage::Peer {
                slot: rng.u32(0..slots),
                lasting: ms(rng.u64(100..=4_000)),
            },
            (28..33, None) => Outage::Hang(ms(rng.u64(100..=700))),
            (33..38, _) => Outage::FailOverBehind { pick, newcomer },
            (38..44, _) => Outage::SplitBrain {
                pick,
                // What a quarantine has to outlast is the longest.
                lasting: ms(if rng.bool() {
                    bound_ms
                } else {
                    rng.u64(0..=bound_ms)
                }),
                newcomer,
            },
            (44..51, _) => Outage::Rewind { pick, newcomer },
            (51..54, _) => Outage::Backlog,
            (54..57, _) => {
                let longest = *rng.choice([1_000, 8_000].iter()).expect("not empty");
                Outage::ReplicasBehind {
                    lasting: ms(rng.u64(100..=longest)),
                    failing_over: rng.bool().then(|| ms(rng.u64(100..=longest))),
                }
            }
            _ => Outage::ReplicasCut(ms(rng.u64(100..=8_000))),
        };
        self.push(at, window, Action::Server(outage));
    }

    fn up_to(&mut self, most_ms: u64) -> Duration {
        ms(self.rng.u64(1..=most_ms))
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
