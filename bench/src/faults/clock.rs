//! Microseconds of the machine's monotonic clock, which the JMS client reads too, so that its times and ours can be compared.

use nix::time::{ClockId, clock_gettime};

/// Microseconds since some moment before this program began.
pub(crate) fn now_us() -> u64 {
    let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
        return 0;
    };
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec()).unwrap_or(0);
    seconds * 1_000_000 + nanoseconds / 1_000
}

/// Milliseconds, for people and for files.
#[expect(
    clippy::cast_precision_loss,
    reason = "days in microseconds are far below 2^52"
)]
pub(crate) fn as_ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}
