//! The harness of the end-to-end tests: processes, networks, logs, and the account of every message.
//!
//! Must never leave a process behind, wait without a bound, or touch the machine's own network.

pub(crate) mod account;
pub(crate) mod api_server;
pub(crate) mod cluster;
pub(crate) mod duo;
pub(crate) mod http;
pub(crate) mod instance;
pub(crate) mod kubernetes;
pub(crate) mod local;
pub(crate) mod maven;
pub(crate) mod namespace;
pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod traffic;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a condition is looked at while a test waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits until `look` finds something; after `limit` it panics, naming what it waited for.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain for: {what}"
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Milliseconds since 1970, as the worksheet's clients note them.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("fits for ages")
}

/// Prints a measurement; `cargo xtask test` shows it beside the test's result.
pub(crate) fn measured(what: std::fmt::Arguments<'_>) {
    println!("measured: {what}");
}
