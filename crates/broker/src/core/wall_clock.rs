//! Notices when the wall clock is set back. The engine's delays are counted on it, because the times in its records
//! must mean something after a restart.

use std::time::{Duration, Instant};

/// Differences up to this are how clocks are kept right, and delay nothing that anybody notices.
const TOLERANCE_MS: u64 = 1_000;

/// Both clocks at the last look.
#[derive(Debug)]
pub(crate) struct WallClock {
    at: Instant,
    unix_ms: u64,
}

impl WallClock {
    /// Begins to look.
    pub(crate) fn new(at: Instant, unix_ms: u64) -> Self {
        Self { at, unix_ms }
    }

    /// Looks again: by how many milliseconds the wall clock was set back since the last look, if it was.
    pub(crate) fn set_back(&mut self, at: Instant, unix_ms: u64) -> Option<u64> {
        let passed: Duration = at.saturating_duration_since(self.at);
        let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let expected_ms = self.unix_ms.saturating_add(passed_ms);
        *self = Self { at, unix_ms };
        let behind_ms = expected_ms.saturating_sub(unix_ms);
        (behind_ms > TOLERANCE_MS).then_some(behind_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_set_back_is_noticed() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut clock = WallClock::new(start, 1_000_000);
        assert_eq!(clock.set_back(start + second, 1_001_000), None);
        assert_eq!(
            clock.set_back(start + 2 * second, 1_001_500),
            None,
            "slowed"
        );
        assert_eq!(
            clock.set_back(start + 3 * second, 5_001_000),
            None,
            "forward"
        );
        assert_eq!(
            clock.set_back(start + 4 * second, 1_002_000),
            Some(4_000_000)
        );
        assert_eq!(
            clock.set_back(start + 5 * second, 1_003_000),
            None,
            "said once"
        );
    }
}
