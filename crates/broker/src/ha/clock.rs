//! The two clocks of the pair's state machine.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use pair::Now;

/// Now, on both clocks. `CLOCK_BOOTTIME` goes on while the machine is suspended, which a wait must see.
pub(crate) fn now() -> Now {
    let mono_ms = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| {
        u64::try_from(Duration::from(time).as_millis()).unwrap_or(u64::MAX)
    });
    Now {
        mono_ms,
        unix_ms: crate::core::unix_ms(),
    }
}

/// The kernel's boot identifier, by which two sides know that they share one kernel.
pub(crate) fn boot_id() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .ok()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}
