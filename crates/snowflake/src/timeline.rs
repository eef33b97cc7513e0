//! How far timestamps may run: pure, told what the clocks show.

use std::time::Duration;

/// Bounds timestamps from above.
///
/// Usually the wall clock is the bound. Where the next timestamp is already ahead of it (the clock was stepped back, or
/// the previous holder's horizon lies ahead), timestamps go on from where they are at the rate of the boot-time clock,
/// never faster, until the wall clock has caught up.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// A time that timestamps were allowed to reach, and the boot-time clock then.
    anchor: (Duration, Duration),
    /// Both clocks when last looked at, wall first.
    seen: Option<(Duration, Duration)>,
    /// How far timestamps may run ahead of the wall clock.
    borrow: Duration,
    steps: u64,
}

/// Both clocks, read one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) wall: Duration,
    pub(crate) boot: Duration,
}

/// Whether the next timestamp may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may, and so may all up to this time.
    Until(Duration),
    /// It may after this long.
    After(Duration),
}

impl Timeline {
    pub(crate) const fn new(borrow: Duration) -> Self {
        Self {
            anchor: (Duration::ZERO, Duration::ZERO),
            seen: None,
            borrow,
            steps: 0,
        }
    }

    /// Whether a timestamp that begins at `next` may be used now.
    pub(crate) fn look(&mut self, now: Reading, next: Duration) -> Verdict {
        self.notice_step(now);
        let borrowed = now.wall + self.borrow;
        if next <= borrowed {
            self.anchor = (borrowed, now.boot);
            return Verdict::Until(borrowed);
        }
        let (reached, at) = self.anchor;
        let ceiling = reached + now.boot.saturating_sub(at);
        if next <= ceiling {
            // Only this far: time in which nothing was minted is not saved up, but for what a late wake-up costs.
            let due = at + next.saturating_sub(reached);
            self.anchor = (next, due.max(now.boot.saturating_sub(LATENESS)));
            return Verdict::Until(next);
        }
        Verdict::After(next - ceiling)
    }

    /// How long until a timestamp that begins at `due` may be used; changes nothing.
    pub(crate) fn wait_for(&self, now: Reading, due: Duration) -> Duration {
        let (reached, at) = self.anchor;
        let ceiling = reached + now.boot.saturating_sub(at);
        let wall = now.wall + self.borrow;
        due.saturating_sub(ceiling.max(wall))
    }

    /// Allows timestamps up to `floor` from now on.
    pub(crate) fn raise(&mut self, now: Reading, floor: Duration) {
        let (reached, at) = self.anchor;
        if reached + now.boot.saturating_sub(at) < floor {
            self.anchor = (floor, now.boot);
        }
    }

    /// How far timestamps may run ahead of the wall clock.
    pub(crate) const fn borrow(&self) -> Duration {
        self.borrow
    }

    /// How often the wall clock was seen to step, forwards or back.
    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }

    fn notice_step(&mut self, now: Reading) {
        if let Some((wall, boot)) = self.seen {
            let expected = wall + now.boot.saturating_sub(boot);
            if expected.abs_diff(now.wall) > STEP {
                self.steps += 1;
            }
        }
        self.seen = Some((now.wall, now.boot));
    }
}

/// How late a waiter may wake without losing rate.
const LATENESS: Duration = Duration::from_millis(10);

/// A smaller difference between the clocks may be a thread that lost its processor between reading them.
const STEP: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const fn at(wall: u64, boot: u64) -> Reading {
        Reading {
            wall: ms(wall),
            boot: ms(boot),
        }
    }

    #[test]
    fn the_wall_clock_is_the_bound() {
        let mut line = Timeline::new(Duration::ZERO);
        assert_eq!(line.look(at(1_000, 0), ms(5)), Verdict::Until(ms(1_000)));
        assert_eq!(line.look(at(1_000, 0), ms(1_001)), Verdict::After(ms(1)));
        assert_eq!(
            line.look(at(1_001, 1), ms(1_001)),
            Verdict::Until(ms(1_001))
        );
        assert_eq!(line.steps(), 0);
    }

    #[test]
    fn after_a_step_back_timestamps_go_on_no_faster_than_time() {
        let mut line = Timeline::new(Duration::ZERO);
        line.look(at(100_000, 0), ms(100_000));
        // The clock is set back by 50 s and nothing is minted for 10 s.
        assert_eq!(
            line.look(at(60_000, 10_000), ms(100_001)),
            Verdict::Until(ms(100_001))
        );
        assert_eq!(line.steps(), 1);
        // The 10 s were not saved up, but for the allowance.
        let next = ms(100_012);
        assert_eq!(
            line.look(at(60_000, 10_000), next),
            Verdict::After(ms(1)),
            "only 10 ms are left"
        );
        assert_eq!(line.look(at(60_001, 10_001), next), Verdict::Until(next));
    }

    #[test]
    fn the_wall_clock_takes_over_again_when_it_has_caught_up() {
        let mut line = Timeline::new(Duration::ZERO);
        line.look(at(100_000, 0), ms(100_000));
        line.look(at(50_000, 1), ms(100_001));
        assert_eq!(
            line.look(at(200_000, 150_000), ms(100_002)),
            Verdict::Until(ms(200_000))
        );
    }

    #[test]
    fn a_floor_ahead_of_the_wall_clock_is_reached_at_once_and_left_at_its_rate() {
        let mut line = Timeline::new(Duration::ZERO);
        line.look(at(1_000, 0), ms(1_000));
        line.raise(at(1_000, 0), ms(6_000));
        assert_eq!(
            line.look(at(1_000, 0), ms(6_000)),
            Verdict::Until(ms(6_000))
        );
        assert_eq!(line.look(at(1_000, 0), ms(6_001)), Verdict::After(ms(1)));
        assert_eq!(line.wait_for(at(1_001, 1), ms(6_003)), ms(2));
    }

    #[test]
    fn a_borrower_runs_ahead_by_its_bound_and_no_further() {
        let mut line = Timeline::new(ms(5));
        assert_eq!(
            line.look(at(1_000, 0), ms(1_005)),
            Verdict::Until(ms(1_005))
        );
        assert_eq!(line.look(at(1_000, 0), ms(1_006)), Verdict::After(ms(1)));
    }

    #[test]
    fn a_borrower_waits_for_what_lies_beyond_its_bound() {
        let line = Timeline::new(ms(5));
        assert_eq!(line.borrow(), ms(5));
        assert_eq!(line.wait_for(at(1_000, 0), ms(1_005)), ms(0));
        assert_eq!(line.wait_for(at(1_000, 0), ms(1_012)), ms(7));
    }

    #[test]
    fn a_step_is_more_than_a_thread_that_was_held_up() {
        let mut line = Timeline::new(ms(0));
        for (wall, steps) in [(1_000, 0), (1_020, 0), (1_041, 1), (1_021, 1), (1_000, 2)] {
            line.look(at(wall, 0), ms(1_000));
            assert_eq!(line.steps(), steps, "at {wall}");
        }
    }
}
