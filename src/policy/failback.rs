//! When the primary gets its role back after a failover.
//!
//! It must have been a settled standby for `minStable` without interruption, in the same process
//! and the same epoch, and `delay` must have passed since the backup took over. It is asked for once
//! per epoch. When the primary did not take what it was given, the next try waits longer each time.

use pair::{Cause, Side};

use super::{Action, Decision, Observation, Observed, Reason, Role, Rules, Timestamp};
use crate::api::spec::FailbackPolicy;

/// First extra wait after a handover that the primary did not take; doubles each time.
const RETRY_MS: u64 = 5_000;
/// The longest such wait.
const MAX_RETRY_MS: u64 = 300_000;
/// Doublings until the longest wait is certainly reached.
const MAX_DOUBLINGS: u32 = 10;

/// A wait that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// The primary's time as a settled standby.
    stable: Option<Stable>,
    /// Handovers in a row that the primary did not take, and the epoch of the last.
    not_taken: u32,
    not_taken_epoch: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stable {
    epoch: u64,
    pid: u32,
    since: Timestamp,
}

/// Name of the request in an epoch. The same for every decider, so that two of them ask once.
pub(super) fn request_id(epoch: u64) -> String {
    format!("managed-failback:{epoch}")
}

pub(super) fn decide(rules: &Rules, seen: &Observation, now: Timestamp, decision: &mut Decision) {
    let memory = &mut decision.memory.failback;
    let Observed::Known(record) = &seen.record else {
        memory.stable = None;
        return;
    };
    if record.holder != Some(Side::Backup) {
        // With the primary active, or nobody yet, there is nothing to fail back.
        memory.stable = None;
        if record.holder == Some(Side::Primary) && record.last.is_some() {
            memory.not_taken = 0;
        }
        return;
    }
    count_not_taken(
        memory,
        record.epoch,
        record.last.as_ref().map(|(cause, _)| cause),
    );
    let is_manual = match rules.failback {
        FailbackPolicy::Automatic => false,
        FailbackPolicy::Manual => true,
    };
    if is_manual {
        memory.stable = None;
        decision.reasons.push(Reason::FailbackManual);
        return;
    }
    let pid = match primary_as_standby(seen, record.epoch) {
        Ok(pid) => pid,
        Err(why) => {
            memory.stable = None;
            decision.reasons.push(Reason::FailbackBlocked(why));
            return;
        }
    };
    let epoch = record.epoch;
    let stable = memory
        .stable
        .take_if(|stable| stable.epoch == epoch && stable.pid == pid && stable.since <= now)
        .unwrap_or(Stable {
            epoch,
            pid,
            since: now,
        });
    let since = stable.since;
    memory.stable = Some(stable);

    let id = request_id(epoch);
    if record.wanted.is_some() {
        decision.reasons.push(Reason::FailbackRequested);
        return;
    }
    if let Some((_, why)) = record
        .refused
        .as_ref()
        .filter(|(refused, _)| *refused == id)
    {
        decision.reasons.push(Reason::FailbackRefused(why.clone()));
        return;
    }
    let taken_over_at = record.last.as_ref().map_or(since, |(_, at)| *at);
    let extra_ms = match memory.not_taken {
        0 => 0,
        count => (RETRY_MS << (count - 1).min(MAX_DOUBLINGS)).min(MAX_RETRY_MS),
    };
    let due = since
        .plus_ms(rules.min_stable_ms)
        .max(taken_over_at.plus_ms(rules.delay_ms))
        .max(since.plus_ms(extra_ms));
    if now < due {
        decision.reasons.push(Reason::FailbackWaits { until: due });
        decision.wake(due);
        return;
    }
    decision.reasons.push(Reason::FailbackDue {
        stable_ms: now.ms_since(since),
    });
    decision.actions.push(Action::SetWanted {
        to: Side::Primary,
        epoch,
        id,
    });
}

/// Counts each epoch in which the backup had to take back what it had handed over.
fn count_not_taken(memory: &mut Memory, epoch: u64, cause: Option<&Cause>) {
    if memory.not_taken_epoch == epoch {
        return;
    }
    memory.not_taken_epoch = epoch;
    memory.not_taken = match cause {
        Some(Cause::TakenBack) => memory.not_taken.saturating_add(1),
        Some(_) | None => 0,
    };
}

/// The process of a primary that could take over in this epoch, or what keeps it from that.
fn primary_as_standby(seen: &Observation, epoch: u64) -> Result<u32, &'static str> {
    let Observed::Known(backup) = &seen.brokers.backup else {
        return Err("the active backup does not answer");
    };
    if backup.role != Role::Serving || backup.epoch != epoch {
        return Err("the backup is not serving yet");
    }
    let primary = match &seen.brokers.primary {
        Observed::Known(primary) => primary,
        Observed::Absent => return Err("the primary does not run"),
        Observed::Unknown { .. } => return Err("the primary does not answer"),
    };
    if primary.role != Role::Standby || !primary.settled || primary.epoch != epoch {
        return Err("the primary is not a settled standby yet");
    }
    Ok(primary.pid)
}
