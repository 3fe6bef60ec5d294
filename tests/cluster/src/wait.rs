//! Waiting with a bound.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until `look` finds something; its error, or the end of `limit`, is the end of waiting.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > limit {
            bail!("waited {limit:?} in vain for: {what}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
