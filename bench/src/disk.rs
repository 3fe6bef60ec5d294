//! The disk's own limit: what `fdatasync` of the same bytes costs without any broker.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::order::Numbers;
use crate::statistics::percentile;

/// The file is written once before, so that no write has to find new blocks: what a journal with prepared files does.
const PREPARED_BYTES: u64 = 64 * 1024 * 1024;

/// Writes `size` bytes and calls `fdatasync`, again and again for `time`.
pub(crate) fn measure(folder: &Path, size: u32, time: Duration) -> Result<Numbers> {
    let path = folder.join("fdatasync");
    let numbers = write(&path, size, time)
        .with_context(|| format!("cannot measure the disk with {}", path.display()));
    // It is in the way of nothing but disk space; the measurement's own error matters more.
    let _ = std::fs::remove_file(&path);
    numbers
}

fn write(path: &Path, size: u32, time: Duration) -> Result<Numbers> {
    let mut file = prepared(path)?;
    let block = vec![1_u8; usize::try_from(size)?];
    let end = Instant::now() + time;
    let begin = Instant::now();
    let mut micros = Vec::new();
    let mut position = 0;
    while Instant::now() < end {
        if position + u64::from(size) > PREPARED_BYTES {
            position = 0;
            file.seek(SeekFrom::Start(0))?;
        }
        let before = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        micros.push(before.elapsed().as_secs_f64() * 1e6);
        position += u64::from(size);
    }
    let count = u32::try_from(micros.len())?;
    Ok(Numbers::from([
        (
            "per_second".to_owned(),
            f64::from(count) / begin.elapsed().as_secs_f64(),
        ),
        ("p50_us".to_owned(), percentile(&micros, 0.5)),
        ("p99_us".to_owned(), percentile(&micros, 0.99)),
    ]))
}

fn prepared(path: &Path) -> Result<File> {
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)?;
    let zeros = vec![0_u8; 1024 * 1024];
    let mut written = 0;
    while written < PREPARED_BYTES {
        file.write_all(&zeros)?;
        written += 1024 * 1024;
    }
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}
