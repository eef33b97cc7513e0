//! A clock that is being slewed all the time, as much as clocks are by default, first one way and then the other.

use std::time::Duration;

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    lease::Timing,
};

/// The server's clock: that of the world, with the error that slewing has made.
#[derive(Debug)]
pub(super) struct Slewed {
    clock: TokioClock,
}

impl Slewed {
    /// How long it is slewed one way: longer than any lease.
    const TURN: Duration = Duration::from_secs(9);

    pub(super) const fn new(clock: TokioClock) -> Self {
        Self { clock }
    }

    /// The furthest that it is ahead.
    pub(super) fn furthest() -> Duration {
        Self::TURN / Timing::SLEW
    }

    fn ahead(&self) -> Duration {
        let (round, turn) = (2 * Self::TURN.as_nanos(), Self::TURN.as_nanos());
        let into = self.clock.now().since_boot().as_nanos() % round;
        let gained = into.min(round - into).min(turn);
        Duration::from_nanos(u64::try_from(gained).expect("a turn is short")) / Timing::SLEW
    }
}

impl Clock for Slewed {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall(&self) -> Duration {
        self.clock.wall() + self.ahead()
    }
}
