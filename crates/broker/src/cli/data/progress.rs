//! Signs of life of a long command, on standard error.

use std::time::{Duration, Instant};

/// Shorter work says nothing but its result.
const INTERVAL: Duration = Duration::from_secs(5);

/// Says how far the work is, now and then.
#[derive(Debug)]
pub(super) struct Progress {
    next: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now() + INTERVAL,
        }
    }

    /// Says it if it is time to.
    pub(super) fn at(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + INTERVAL;
            eprintln!("{}", text());
        }
    }
}
