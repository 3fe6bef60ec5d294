//! Notices a journal that makes no progress: a store that is cut off lets a call hang for as long as its server is
//! away, and a broker that neither serves nor ends would keep its clients and its lock for as long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use journal::Writer;
use pair::{Input, Term};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// `stall_after` of the pair protocol: longer than any disk takes that still works.
const STALL_AFTER: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Watches the journal of one term until that is dropped; `synced` is the newest entry reported as durable, its
/// fence mark read.
pub(super) async fn watch(
    term: Term,
    writer: Weak<Writer>,
    synced: Arc<AtomicU64>,
    answers: mpsc::UnboundedSender<Input>,
) {
    let mut stall = Stall::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(writer) = writer.upgrade() else {
            return;
        };
        let appended = writer.appended().offset;
        drop(writer);
        let synced = synced.load(Ordering::Relaxed);
        if stall.is_over(appended, synced, Instant::now()) {
            let error = format!(
                "nothing was synced for {} s, {} entries wait: is the store cut off?",
                STALL_AFTER.as_secs(),
                appended - synced
            );
            // A driver that is gone needs no answer.
            let _ = answers.send(Input::JournalFailed { term, error });
            return;
        }
    }
}

/// Since when the journal has stood still.
#[derive(Debug, Default)]
struct Stall {
    since: Option<(u64, Instant)>,
}

impl Stall {
    /// Takes one look; true once entries have waited for too long without any progress.
    fn is_over(&mut self, appended: u64, synced: u64, now: Instant) -> bool {
        if appended <= synced {
            self.since = None;
            return false;
        }
        match self.since {
            Some((at, since)) if at == synced => now.duration_since(since) >= STALL_AFTER,
            Some(_) | None => {
                self.since = Some((synced, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_journal_that_stands_still_with_work_is_stalled() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut stall = Stall::default();
        assert!(!stall.is_over(0, 0, at(0)));
        assert!(!stall.is_over(0, 0, at(60)), "an idle one is not");
        assert!(!stall.is_over(5, 2, at(60)));
        assert!(!stall.is_over(9, 2, at(69)));
        assert!(!stall.is_over(9, 3, at(70)), "a slow one is not");
        assert!(!stall.is_over(9, 3, at(79)));
        assert!(stall.is_over(9, 3, at(80)));
    }
}
