//! How much longer the primary must prove itself after trouble.
//!
//! A setback is a failover, or a handover that the primary did not take. The first one costs nothing
//! extra; each further one doubles `minStable` up to a bound, until the pair has been calm for a while.
//! A stop that somebody asked for and a switchover are no setbacks.

use pair::{Cause, Side};

use super::{RecordSeen, Rules, Timestamp};

/// So long without a change of the active, and earlier setbacks are forgotten.
const CALM_MS: u64 = 600_000;
/// The longest time that setbacks alone ask for; shorter than the calm, so that it always ends.
const MAX_STABLE_MS: u64 = 300_000;
/// What is doubled where `minStable` is shorter: twice nothing would damp nothing.
const LEAST_MS: u64 = 1_000;
/// Doublings until the longest time is certainly reached.
const MAX_DOUBLINGS: u32 = 20;

/// The setbacks of late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    changed: Option<Changed>,
    setbacks: u32,
}

/// The last change of the active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Changed {
    epoch: u64,
    to: Option<Side>,
    at: Timestamp,
}

impl Memory {
    /// Counts what the record says of its last change, once.
    pub(super) fn note(&mut self, record: &RecordSeen) {
        let Some(last) = &record.last else { return };
        let before = self.changed;
        if let Some(before) = before {
            if before.epoch == record.epoch {
                return;
            }
            if last.at.ms_since(before.at) >= CALM_MS {
                self.setbacks = 0;
            }
        }
        self.changed = Some(Changed {
            epoch: record.epoch,
            to: record.holder,
            at: last.at,
        });
        let had_it = before.is_none_or(|before| before.to == Some(Side::Primary));
        if record.holder == Some(Side::Backup) && is_setback(&last.cause, had_it) {
            self.setbacks = self.setbacks.saturating_add(1);
        }
    }

    /// When a primary that is a healthy standby since then has proved itself, and the setbacks that
    /// made this later than `minStable` asks for.
    pub(super) fn stable_enough(
        &self,
        rules: &Rules,
        since: Timestamp,
    ) -> (Timestamp, Option<u32>) {
        let undamped = since.plus_ms(rules.min_stable_ms);
        let doublings = self.setbacks.saturating_sub(1).min(MAX_DOUBLINGS);
        let damped_ms = rules
            .min_stable_ms
            .max(LEAST_MS)
            .saturating_mul(1 << doublings)
            .min(MAX_STABLE_MS.max(rules.min_stable_ms));
        let calm = self
            .changed
            .map_or(undamped, |changed| changed.at.plus_ms(CALM_MS));
        let damped = since.plus_ms(damped_ms).min(calm.max(undamped));
        if doublings > 0 && damped > undamped {
            (damped, Some(self.setbacks))
        } else {
            (undamped, None)
        }
    }
}

/// Whether a change to the backup shows a failure of the primary, which had the role before or not.
fn is_setback(cause: &Cause, had_it: bool) -> bool {
    match cause {
        Cause::TakenBack => true,
        // A cold start that the backup wins: the primary was not there. Unknown causes count too.
        Cause::ProcessEnded | Cause::ActiveSilent | Cause::ColdStart | Cause::Other(_) => had_it,
        Cause::FirstStart
        | Cause::Shutdown
        | Cause::Failback
        | Cause::Switchover
        | Cause::RecordLost
        | Cause::Forced => false,
    }
}
