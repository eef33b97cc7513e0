//! The window, beside a server that answers one renewal after the other.

use std::{cmp::Reverse, collections::BinaryHeap};

use proptest::prelude::*;

use super::*;
use crate::heartbeat::window::Window;

const PATIENCE: Duration = Heartbeat::RESPONSE_TIMEOUT;

fn at(ms: u64) -> Instant {
    Instant::from_boot(Duration::from_millis(ms))
}

/// All that the window lets through.
fn send_all(window: &mut Window, now: Instant) -> Vec<usize> {
    let mut sent = Vec::new();
    loop {
        let room = window.room(now, 5_000);
        assert!(room <= Window::BATCH);
        if room == 0 {
            return sent;
        }
        window.handle_sent(room);
        sent.push(room);
    }
}

#[test]
fn few_leases_make_one_batch_at_a_time() {
    let mut window = Window::new(at(0), false);
    assert!(0 < window.room(at(0), 1));
    window.handle_sent(1);
    assert_eq!(window.room(at(0), 5), 0, "they wait for the answer");
    assert_eq!(window.opens_at(), None);
    window.handle_answered(at(1), at(0), 1, PATIENCE);
    assert!(5 < window.room(at(1), 5));
}

#[test]
fn what_is_answered_promptly_makes_room_for_more() {
    let mut window = Window::new(at(0), false);
    let mut widest = 0;
    for now in 0..20 {
        let sent = send_all(&mut window, at(now));
        widest = widest.max(sent.iter().sum());
        for count in sent {
            window.handle_answered(at(now + 1), at(now), count, PATIENCE);
        }
    }
    assert_eq!(widest, 4 * Window::BATCH);
}

#[test]
fn what_waits_for_replicas_goes_in_turn_however_promptly_they_answer() {
    let mut window = Window::new(at(0), true);
    for now in 0..20 {
        let room = window.room(at(now), 5_000);
        window.handle_sent(room);
        assert_eq!(window.room(at(now), 5_000), 0);
        window.handle_answered(at(now + 1), at(now), room, PATIENCE);
    }
    assert_eq!(window.room(at(20), 5_000), Window::BATCH);
}

#[test]
fn after_a_failure_a_few_find_out_whether_the_server_is_back() {
    let mut window = Window::new(at(0), false);
    for pause in [50, 9_000] {
        window.handle_sent(Window::BATCH);
        window.handle_failed(at(500), at(0), Window::BATCH, Duration::from_millis(pause));
    }
    assert_eq!(window.failures(), 1, "what was sent together counts once");
    assert_eq!(window.opens_at(), Some(at(550)));
    assert_eq!(window.room(at(549), 5_000), 0);
    let mut now = 550;
    let mut sent = send_all(&mut window, at(now));
    assert!(sent.iter().sum::<usize>() < Window::BATCH / 8, "{sent:?}");
    while sent.iter().sum::<usize>() < Window::BATCH {
        for count in sent {
            window.handle_answered(at(now + 1), at(now), count, PATIENCE);
        }
        now += 1;
        sent = send_all(&mut window, at(now));
    }
    assert!(now <= 555, "{now}");
    assert_eq!(window.failures(), 0);
}

#[test]
fn an_answer_to_what_was_sent_before_a_failure_opens_the_window_again() {
    let mut window = Window::new(at(0), false);
    window.handle_sent(Window::BATCH);
    window.handle_sent(Window::BATCH);
    window.handle_failed(at(500), at(0), Window::BATCH, PATIENCE);
    assert_eq!(window.opens_at(), None, "one is under way");
    window.handle_answered(at(501), at(5), Window::BATCH, PATIENCE);
    assert_eq!(window.opens_at(), Some(at(501)));
    assert!(window.is_idle());
}

/// A server that takes `each` for a renewal, `way` there and back, and is always asked for as many as the window lets
/// through.
struct Saturated {
    window: Window,
    each: Duration,
    way: Duration,
    now: Instant,
    free_at: Instant,
    under_way: usize,
}

/// How many renewals were answered in time, and how many not.
#[derive(Debug, Default)]
struct Counts {
    answered: usize,
    failed: usize,
}

impl Saturated {
    fn new(each: Duration, way: Duration) -> Self {
        Self {
            window: Window::new(at(0), false),
            each,
            way,
            now: at(0),
            free_at: at(0),
            under_way: 0,
        }
    }

    /// When the renewals that are sent now come to their end, and whether they are answered.
    fn send(&mut self, count: usize) -> (Instant, bool) {
        self.window.handle_sent(count);
        self.under_way += count;
        assert!(self.under_way <= 4 * Window::BATCH);
        let began = self.free_at.max(self.now + self.way / 2);
        self.free_at = began + self.each * u32::try_from(count).expect("small");
        let answered_at = self.free_at + self.way / 2;
        let given_up_at = self.now + PATIENCE;
        (answered_at.min(given_up_at), answered_at < given_up_at)
    }

    fn go_on_for(&mut self, during: Duration) -> Counts {
        let until = self.now + during;
        let mut counts = Counts::default();
        let mut ends = BinaryHeap::new();
        while self.now < until || !ends.is_empty() {
            let mut room = self.window.room(self.now, usize::MAX);
            while 0 < room && self.now < until {
                let sent = self.now;
                let (end, in_time) = self.send(room);
                ends.push(Reverse((end, sent, room, in_time)));
                room = self.window.room(self.now, usize::MAX);
            }
            let Some(Reverse((end, sent, count, in_time))) = ends.pop() else {
                let opens_at = self.window.opens_at().expect("nothing is under way");
                self.now = self.now.max(opens_at);
                continue;
            };
            self.now = self.now.max(end);
            self.under_way -= count;
            if in_time {
                counts.answered += count;
                self.window.handle_answered(self.now, sent, count, PATIENCE);
            } else {
                counts.failed += count;
                let pause = Duration::from_millis(50);
                self.window.handle_failed(self.now, sent, count, pause);
            }
        }
        counts
    }
}

proptest! {
    /// Whatever a renewal costs the server, and however long the way is: after a while none waits in vain, and
    /// an eighth of what server and way could do is done.
    #[test]
    fn no_more_is_sent_than_the_server_answers_in_time(
        each_us in 1_u64..4_000,
        way_ms in 0_u64..350,
    ) {
        let (each, way) = (Duration::from_micros(each_us), Duration::from_millis(way_ms));
        let mut server = Saturated::new(each, way);
        server.go_on_for(Duration::from_secs(10));
        let counts = server.go_on_for(Duration::from_secs(20));
        prop_assert_eq!(counts.failed, 0);
        let most = u64::try_from(4 * Window::BATCH).expect("small");
        let possible = (20_000_000 / each_us).min(20_000 * most / way_ms.max(1));
        let answered = u64::try_from(counts.answered).expect("small");
        prop_assert!(possible <= 8 * answered, "{} of {}", answered, possible);
    }

    /// A way that becomes longer narrows the window for a moment only.
    #[test]
    fn a_longer_way_is_got_used_to(each_us in 1_u64..500, way_ms in 130_u64..350) {
        let mut server = Saturated::new(Duration::from_micros(each_us), Duration::ZERO);
        server.go_on_for(Duration::from_secs(5));
        server.way = Duration::from_millis(way_ms);
        server.go_on_for(Duration::from_secs(20));
        let counts = server.go_on_for(Duration::from_secs(20));
        prop_assert_eq!(counts.failed, 0);
        prop_assert!(5_000 < counts.answered, "{}", counts.answered);
    }
}
