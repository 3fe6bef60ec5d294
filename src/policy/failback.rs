//! When the primary gets its role back after a failover.
//!
//! It must have been a settled standby for `minStable` without interruption, in the same process
//! and the same epoch, and `delay` must have passed since the backup took over. Trouble of late makes
//! that longer (`damping`). A person's switchover to the backup is not undone: as long as the record
//! names it as the last change, only a person fails back. A move that an update made is no person's wish.
//!
//! A refused request is made again, under a new name, after a wait that doubles: whether a refusal
//! will last nobody can tell, and a passing one must not end the failback of a whole epoch.

use pair::{Cause, Side};

use super::{Action, Decision, Observation, Observed, Reason, RecordSeen, Role, Rules, Timestamp};
use super::{damping, rollout};
use crate::api::spec::FailbackPolicy;

/// First wait after a refusal; doubles each time.
const ASK_AGAIN_MS: u64 = 5_000;
/// The longest such wait: a lasting refusal costs two writes in that time.
const MAX_ASK_AGAIN_MS: u64 = 300_000;
/// Doublings until the longest wait is certainly reached.
const MAX_DOUBLINGS: u32 = 10;
/// Start of the name of a request that policy makes.
const NAME: &str = "managed-failback";

/// A wait that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// The primary's time as a settled standby.
    stable: Option<Stable>,
    refusals: Refusals,
    damping: damping::Memory,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stable {
    epoch: u64,
    pid: u32,
    since: Timestamp,
}

/// Refusals of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Refusals {
    epoch: u64,
    /// Requests of this epoch that were refused, all in all: the next one's name follows from it.
    tries: u32,
    last: Option<Refusal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    at: Timestamp,
    /// The primary's process: for another one the refusal says nothing.
    pid: u32,
    why: String,
    /// Refusals of requests for this process.
    in_a_row: u32,
}

/// Name of a request: its epoch, and which try of that epoch it is. The same for every decider, so
/// that two of them ask once.
fn request_id(epoch: u64, number: u32) -> String {
    format!("{NAME}:{epoch}:{number}")
}

/// Which try of an epoch a request of this name is.
fn number_of(id: &str, epoch: u64) -> Option<u32> {
    let rest = id.strip_prefix(NAME)?.strip_prefix(':')?;
    let (of_epoch, number) = rest.split_once(':')?;
    (of_epoch.parse() == Ok(epoch)).then_some(())?;
    number.parse().ok()
}

/// The request that is in force, if policy made it.
fn own_request(record: &RecordSeen) -> Option<&str> {
    let (_, id) = record.wanted.as_ref()?;
    number_of(id, record.epoch).map(|_| id.as_str())
}

/// Whether the backup serves and the primary's process is certainly not there.
fn is_serving_alone(seen: &Observation, epoch: u64) -> bool {
    let backup = seen.brokers.backup.known();
    backup.is_some_and(|backup| backup.role == Role::Serving && backup.epoch == epoch)
        && seen.brokers.primary == Observed::Absent
}

pub(super) fn decide(rules: &Rules, seen: &Observation, now: Timestamp, decision: &mut Decision) {
    let Observed::Known(record) = &seen.record else {
        decision.memory.failback.stable = None;
        return;
    };
    let memory = &mut decision.memory.failback;
    memory.damping.note(record);
    if record.holder != Some(Side::Backup) {
        // With the primary active, or nobody yet, there is nothing to fail back.
        memory.stable = None;
        return;
    }
    let pid = match primary_as_standby(seen, record.epoch) {
        Ok(pid) => pid,
        Err(why) => {
            memory.stable = None;
            decision.reasons.push(Reason::FailbackBlocked(why));
            // A request that waits would give the role to whatever the primary is when it returns.
            if let Some(id) = own_request(record)
                && is_serving_alone(seen, record.epoch)
            {
                let (epoch, id) = (record.epoch, id.to_owned());
                decision.actions.push(Action::Withdraw { epoch, id });
            }
            return;
        }
    };
    let since = memory.stable_since(record.epoch, pid, now);
    memory.refusals.note(record, pid, now);
    if record.wanted.is_some() {
        decision.reasons.push(Reason::FailbackRequested);
        return;
    }
    if rules.failback == FailbackPolicy::Manual {
        decision.reasons.push(Reason::FailbackManual);
        return;
    }
    let last = record.last.as_ref();
    if last.is_some_and(|last| last.cause == Cause::Switchover) && !rollout::moved_it(record) {
        decision.reasons.push(Reason::FailbackSuspended);
        return;
    }
    let (stable, setbacks) = memory.damping.stable_enough(rules, since);
    let taken_over_at = last.map_or(since, |last| last.at);
    let delayed = taken_over_at.plus_ms(rules.delay_ms);
    let refused = memory.refusals.open(pid);
    let ask_again = refused.map_or(now, |(refusal, wait_ms)| refusal.at.plus_ms(wait_ms));
    let due = stable.max(delayed).max(ask_again);
    if now < due {
        let reason = match refused {
            Some((refusal, wait_ms)) => Reason::FailbackRefused {
                why: refusal.why.clone(),
                wait_ms,
                until: due,
            },
            None if delayed > stable => Reason::FailbackDelayed {
                delay_ms: rules.delay_ms,
                until: due,
            },
            None => Reason::FailbackWaits {
                stable_ms: stable.ms_since(since),
                setbacks,
                until: due,
            },
        };
        decision.reasons.push(reason);
        decision.wake(due);
        return;
    }
    let id = request_id(record.epoch, memory.refusals.tries.saturating_add(1));
    decision.reasons.push(Reason::FailbackDue {
        stable_ms: now.ms_since(since),
    });
    decision.actions.push(Action::SetWanted {
        to: Side::Primary,
        epoch: record.epoch,
        id,
    });
}

impl Memory {
    /// Since when this process has been a settled standby in this epoch.
    fn stable_since(&mut self, epoch: u64, pid: u32, now: Timestamp) -> Timestamp {
        let known = self
            .stable
            .as_ref()
            .filter(|stable| stable.epoch == epoch && stable.pid == pid && stable.since <= now);
        let since = known.map_or(now, |stable| stable.since);
        self.stable = Some(Stable { epoch, pid, since });
        since
    }
}

impl Refusals {
    /// Notes a refusal of a request of ours, once.
    fn note(&mut self, record: &RecordSeen, pid: u32, now: Timestamp) {
        if self.epoch != record.epoch {
            *self = Self {
                epoch: record.epoch,
                ..Self::default()
            };
        }
        let Some((id, why)) = &record.refused else {
            return;
        };
        let Some(number) = number_of(id, record.epoch).filter(|number| *number > self.tries) else {
            return;
        };
        self.tries = number;
        let before = self.last.as_ref().filter(|last| last.pid == pid);
        self.last = Some(Refusal {
            at: now,
            pid,
            why: why.clone(),
            in_a_row: before.map_or(0, |last| last.in_a_row) + 1,
        });
    }

    /// The refusal that counts for this process of the primary, and the wait after it.
    fn open(&self, pid: u32) -> Option<(&Refusal, u64)> {
        let refusal = self.last.as_ref().filter(|last| last.pid == pid)?;
        let doublings = refusal.in_a_row.saturating_sub(1).min(MAX_DOUBLINGS);
        let wait_ms = (ASK_AGAIN_MS << doublings).min(MAX_ASK_AGAIN_MS);
        Some((refusal, wait_ms))
    }
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
