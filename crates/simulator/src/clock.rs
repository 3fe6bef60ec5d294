//! The clock of one process: its own beginning, its own speed, and a machine that may be suspended.

/// So many parts are one whole: a rate of this is exact.
const EXACT: u64 = 1_000_000;
/// Two clocks may each run 2 % wrong; the protocol's margin is made for that (`margin` in Timers).
const MAX_DRIFT: u64 = 20_000;
/// Clocks begin anywhere.
const MAX_OFFSET_MS: u64 = 1_000_000;

use crate::chance::Chance;

/// One monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    world_ms: u64,
    local_ms: u64,
    /// How far it moves while the world moves by `EXACT`.
    rate: u64,
}

impl Clock {
    /// The world's own clock, if there is no luck; else one that is wrong within bounds.
    pub(crate) const fn new(chance: &mut Chance) -> Self {
        let mut clock = Self {
            world_ms: 0,
            local_ms: chance.below(MAX_OFFSET_MS),
            rate: EXACT,
        };
        if chance.is_some() {
            // Mostly as wrong as it may be: that is where the margins are used up.
            clock.rate = match chance.below(4) {
                0 => EXACT - MAX_DRIFT,
                1 => EXACT + MAX_DRIFT,
                _ => EXACT - MAX_DRIFT + chance.below(2 * MAX_DRIFT),
            };
        }
        clock
    }

    /// What it shows.
    pub(crate) const fn local(&self, world_ms: u64) -> u64 {
        self.local_ms + world_ms.saturating_sub(self.world_ms) * self.rate / EXACT
    }

    /// When it will show that, if it is not stopped.
    pub(crate) const fn world(&self, local_ms: u64) -> u64 {
        let ahead_ms = local_ms.saturating_sub(self.local_ms);
        self.world_ms + ahead_ms.saturating_mul(EXACT).div_ceil(self.rate)
    }

    /// It stands still from now until then.
    pub(crate) const fn stand_still(&mut self, now_ms: u64, until_ms: u64) {
        self.local_ms = self.local(now_ms);
        self.world_ms = until_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reaches_what_it_is_waited_for_and_stands_still_when_stopped() {
        for seed in 0..100 {
            let mut clock = Clock::new(&mut Chance::seeded(seed, 1));
            let due_ms = clock.local(5_000) + 777;
            let at_ms = clock.world(due_ms);
            assert!(clock.local(at_ms) >= due_ms && clock.local(at_ms - 1) < due_ms);
            let stopped_ms = clock.local(6_000);
            clock.stand_still(6_000, 9_000);
            assert_eq!(clock.local(9_000), stopped_ms);
            assert!(clock.local(10_000) - stopped_ms <= 1_020);
        }
    }
}
