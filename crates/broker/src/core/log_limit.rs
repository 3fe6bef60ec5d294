//! Log lines that others can cause without end: some are printed, the rest is counted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines printed per period: enough to see who does it.
const LINES: u32 = 10;
/// The period.
const PERIOD: Duration = Duration::from_secs(10);

/// The limit for one kind of line.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    printed: u32,
    left_out: u64,
}

impl LogLimit {
    /// Whether a line may be printed now; then what to add to it: how many like it were left out before.
    pub(crate) fn admit(&self, now: Instant) -> Option<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .since
            .is_none_or(|since| now.saturating_duration_since(since) >= PERIOD)
        {
            state.since = Some(now);
            state.printed = 0;
        }
        if state.printed >= LINES {
            state.left_out += 1;
            return None;
        }
        state.printed += 1;
        Some(match std::mem::take(&mut state.left_out) {
            0 => String::new(),
            left_out => format!(" ({left_out} more lines like this were left out)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_prints_a_few_lines_and_then_its_size() {
        let limit = LogLimit::default();
        let start = Instant::now();
        let printed = (0..1000).filter(|_| limit.admit(start).is_some()).count();
        assert_eq!(printed, 10);
        assert_eq!(limit.admit(start + PERIOD / 2), None);
        let later = limit.admit(start + PERIOD).unwrap();
        assert_eq!(later, " (991 more lines like this were left out)");
        assert_eq!(limit.admit(start + PERIOD).as_deref(), Some(""));
    }
}
