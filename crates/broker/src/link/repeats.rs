//! Log lines that come again with every attempt: each is printed once in a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::LogLimit;

/// The same line is printed again after so long, if it is still true.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Lines remembered. What others say is in some of them, so that they could all differ.
const MAX_LINES: usize = 64;

/// The lines printed lately.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    printed: Mutex<BTreeMap<String, Instant>>,
    limit: LogLimit,
}

impl Repeats {
    /// Whether that line may be printed now; then what to add to it.
    pub(super) fn admit(&self, line: &str, now: Instant) -> Option<String> {
        let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        printed.retain(|_, at| now.saturating_duration_since(*at) < AGAIN_AFTER);
        if printed.contains_key(line) {
            return None;
        }
        // A flood of unlike lines is one for the limit, which counts them.
        if printed.len() < MAX_LINES {
            printed.insert(line.to_owned(), now);
        }
        self.limit.admit(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_printed_once_a_minute_and_a_flood_is_counted() {
        let repeats = Repeats::default();
        let start = Instant::now();
        assert_eq!(repeats.admit("one", start).as_deref(), Some(""));
        assert_eq!(repeats.admit("one", start + AGAIN_AFTER / 2), None);
        assert!(repeats.admit("other", start).is_some());
        assert!(repeats.admit("one", start + AGAIN_AFTER).is_some());
        let flood = (0..1000)
            .filter(|n| repeats.admit(&n.to_string(), start + AGAIN_AFTER).is_some())
            .count();
        assert!(flood <= 10, "{flood}");
        assert!(repeats.printed.lock().unwrap().len() <= MAX_LINES);
    }
}
