//! When a broker that ended by itself is started again: after a pause that doubles while it keeps
//! ending soon.

use super::{Decision, Observation, Process, Reason, Timestamp};
use crate::by_side::SIDES;

/// First pause. Long enough to see what happened, short against any person's patience.
const FIRST_PAUSE_MS: u64 = 1_000;
/// The longest pause.
const MAX_PAUSE_MS: u64 = 30_000;
/// Doublings until the longest pause is certainly reached.
const MAX_DOUBLINGS: u32 = 5;
/// A broker that ran for so long had started well: its end is a new failure, not the same one.
const RAN_WELL_MS: u64 = 30_000;

/// The last end of one side's process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    ended_at: Option<Timestamp>,
    /// Ends in a row that came soon after a start.
    in_a_row: u32,
}

pub(super) fn decide(seen: &Observation, now: Timestamp, decision: &mut Decision) {
    for side in SIDES {
        let memory = &mut decision.memory.restarts[side];
        let (at, ran_ms) = match seen.processes[side] {
            Process::Running => continue,
            Process::HeldDown => {
                *memory = Memory::default();
                continue;
            }
            Process::Ended { at, ran_ms } => (at, ran_ms),
        };
        if memory.ended_at != Some(at) {
            memory.ended_at = Some(at);
            memory.in_a_row = if ran_ms >= RAN_WELL_MS {
                0
            } else {
                memory.in_a_row + 1
            };
        }
        let doublings = memory.in_a_row.saturating_sub(1).min(MAX_DOUBLINGS);
        let due = at.plus_ms((FIRST_PAUSE_MS << doublings).min(MAX_PAUSE_MS));
        if now >= due {
            decision.reasons.push(Reason::Restart { side });
            decision.actions.push(super::Action::Start(side));
        } else {
            decision
                .reasons
                .push(Reason::RestartWaits { side, at: due });
            decision.wake(due);
        }
    }
}
