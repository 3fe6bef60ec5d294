//! What the numbers were measured on.

use std::fs;
use std::thread;
use std::time::Duration;

/// How long is looked: short, because it is done before every run.
const LOOK: Duration = Duration::from_millis(200);

/// The machine in one line: processors, memory, kernel, file system of nothing but what `/proc` tells.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory_kib: u64 = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("MemTotal:"))?;
            line.trim().strip_suffix("kB")?.trim().parse().ok()
        })
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, {} GiB, Linux {}",
        memory_kib.div_ceil(1024 * 1024),
        kernel.trim()
    )
}

/// How busy the machine has been in the last minute: processes that run or wait.
pub(crate) fn load_average() -> f64 {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(0.0)
}

/// Which share of all processors is at work now. Asked while the brokers are idle, it is what others do beside us.
pub(crate) fn busy_share() -> f64 {
    let (idle_before, all_before) = processor_time();
    thread::sleep(LOOK);
    let (idle_after, all_after) = processor_time();
    let all = all_after - all_before;
    if all <= 0.0 {
        return 0.0;
    }
    (1.0 - (idle_after - idle_before) / all).clamp(0.0, 1.0)
}

/// Time that all processors were idle, and time in all, in the kernel's ticks.
fn processor_time() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        // What follows the eighth is counted among the first two already.
        .take(8)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    // The fourth is idle, the fifth waits for a disk.
    let idle = ticks.iter().skip(3).take(2).sum();
    (idle, ticks.iter().sum())
}
