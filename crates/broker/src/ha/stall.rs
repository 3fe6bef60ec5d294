//! Notices a journal that makes no progress: a store that is cut off lets a call hang for as long as its server is
//! away, and a broker that neither serves nor ends would keep its clients and its lock for as long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use journal::Writer;
use pair::{Input, Term};
use tokio::sync::mpsc;

/// `stall_after` of the pair protocol: longer than any disk takes that still works.
pub(super) const STALL_AFTER: Duration = Duration::from_secs(10);
/// The same for reading, which ends with work in memory: ten million messages are put into their queues in less.
const READ_STALL_AFTER: Duration = Duration::from_mins(1);
/// How often it looks. Looks are counted, not time: a process that was frozen has missed them, and its journal may be
/// about to report.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks without progress until the journal counts as stalled.
const LOOKS: u32 = 20;

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
        if stall.is_over(appended, synced) {
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

/// Waits for a history to be read, as long as the number of its entries grows; a store that hangs must not keep the
/// pair waiting for as long as its server is away.
pub(super) async fn while_it_goes_on<T>(
    work: impl Future<Output = Result<T, String>>,
    progress: &AtomicU64,
) -> Result<T, String> {
    tokio::pin!(work);
    let mut before = 0;
    loop {
        match tokio::time::timeout(READ_STALL_AFTER, &mut work).await {
            Ok(result) => return result,
            Err(_) if progress.load(Ordering::Relaxed) != before => {
                before = progress.load(Ordering::Relaxed);
            }
            Err(_) => {
                return Err(format!(
                    "nothing was read for {} s: is the store cut off?",
                    READ_STALL_AFTER.as_secs()
                ));
            }
        }
    }
}

/// For how many looks the journal has stood still, and where.
#[derive(Debug, Default)]
struct Stall {
    still: Option<(u64, u32)>,
}

impl Stall {
    /// Takes one look; true once entries have waited for too long without any progress.
    fn is_over(&mut self, appended: u64, synced: u64) -> bool {
        if appended <= synced {
            self.still = None;
            return false;
        }
        let looks = match self.still {
            Some((at, looks)) if at == synced => looks + 1,
            Some(_) | None => 0,
        };
        self.still = Some((synced, looks));
        looks >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_journal_that_stands_still_with_work_is_stalled() {
        let mut stall = Stall::default();
        for _ in 0..2 * LOOKS {
            assert!(!stall.is_over(0, 0), "an idle one is not");
        }
        for _ in 0..LOOKS {
            assert!(!stall.is_over(5, 2));
        }
        assert!(!stall.is_over(9, 3), "a slow one is not");
        for _ in 1..LOOKS {
            assert!(!stall.is_over(9, 3));
        }
        assert!(stall.is_over(9, 3));
    }
}
