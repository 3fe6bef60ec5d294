//! The end of a pair: the standby first, so that nothing fails over, then the active.

use nix::sys::signal::Signal;
use pair::Side;
use tokio_util::sync::CancellationToken;

use super::{Supervisor, What};
use crate::by_side::SIDES;
use crate::local::time::now;

/// How the pair ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StopReport {
    /// In the order in which they were stopped.
    pub(crate) stopped: Vec<Stopped>,
    /// Why the supervisor ended by itself, if it did.
    pub(crate) gave_up: Option<String>,
}

/// How one broker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// The side.
    pub(crate) side: Side,
    /// Whether it served until then.
    pub(crate) was_active: bool,
    /// How long that took.
    pub(crate) took_ms: u64,
    /// How it ended.
    pub(crate) how: String,
    /// Whether it had to be forced.
    pub(crate) forced: bool,
}

impl Supervisor {
    /// Stops what runs. Each broker has a bounded time, none once `force` is cancelled.
    pub(super) async fn shut_down(
        &mut self,
        force: CancellationToken,
        gave_up: Option<String>,
    ) -> StopReport {
        let active = self.active();
        let mut order = SIDES;
        // With nobody active, or the primary: the backup goes first.
        order.sort_by_key(|side| (Some(*side) == active, *side == Side::Primary));
        let mut report = StopReport {
            gave_up,
            ..StopReport::default()
        };
        for side in order {
            let slot = &mut self.slots[side];
            if let Some(watcher) = slot.watcher.take() {
                watcher.abort();
            }
            slot.held_down = true;
            slot.end_asked = true;
            let Some(mut process) = slot.process.take() else {
                continue;
            };
            let began = now();
            let (ended, forced) = tokio::select! {
                ended = process.stop() => ended,
                () = force.cancelled() => {
                    process.signal(Signal::SIGKILL);
                    (process.wait().await, true)
                }
            };
            let how = ended.how();
            self.emit(
                ended.at,
                What::Ended {
                    side,
                    how: how.clone(),
                    asked: true,
                    last_lines: None,
                },
            );
            self.slots[side].answer = None;
            self.publish();
            report.stopped.push(Stopped {
                side,
                was_active: active == Some(side),
                took_ms: ended.at.ms_since(began),
                how,
                forced,
            });
        }
        report
    }
}
