//! How far a copy has come, for people.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::info;

use crate::http::Resync;

/// Time between two lines of the log.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Time between two looks of the status page.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// Shows how far a copy has come.
#[derive(Clone)]
pub(crate) struct Progress {
    shown: watch::Sender<Option<Resync>>,
    times: Arc<Mutex<Times>>,
}

struct Times {
    began: Instant,
    told: Instant,
    shown: Instant,
}

impl Progress {
    /// Nothing to show yet; what there is comes out of the second value.
    pub(crate) fn new() -> (Self, watch::Receiver<Option<Resync>>) {
        let (shown, receiver) = watch::channel(None);
        let now = Instant::now();
        let times = Arc::new(Mutex::new(Times {
            began: now,
            told: now,
            shown: now,
        }));
        (Self { shown, times }, receiver)
    }

    /// So many bytes are to be copied.
    pub(super) fn begins(&self, total_bytes: u64) {
        let now = Instant::now();
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) = Times {
            began: now,
            told: now,
            shown: now,
        };
        self.shown.send_replace((total_bytes > 0).then_some(Resync {
            done_bytes: 0,
            total_bytes,
        }));
    }

    /// So many more are.
    pub(super) fn adds(&self, bytes: u64) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = None;
        self.shown.send_if_modified(|shown| {
            let Some(resync) = shown else { return false };
            resync.done_bytes += bytes;
            // What is written meanwhile is copied as well.
            resync.total_bytes = resync.total_bytes.max(resync.done_bytes);
            if times.told.elapsed() >= LINE_EVERY {
                times.told = Instant::now();
                line = Some(*resync);
            }
            let is_due = times.shown.elapsed() >= SHOW_EVERY;
            if is_due {
                times.shown = Instant::now();
            }
            is_due
        });
        if let Some(Resync {
            done_bytes,
            total_bytes,
        }) = line
        {
            info!(
                "copying the journal: {done_bytes} of {total_bytes} bytes ({} %) in {} s",
                done_bytes * 100 / total_bytes.max(1),
                times.began.elapsed().as_secs()
            );
        }
    }

    /// It is done, or broken off.
    pub(super) fn ends(&self) {
        self.shown.send_replace(None);
    }
}
