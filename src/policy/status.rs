//! What is said of the pair. The truth, or `Unknown`.

use pair::Side;

use super::{Observation, Observed, Reason, Role, Rules};
use crate::api::status::{Condition, ConditionType, Truth};
use crate::by_side::SIDES;

pub(super) fn conditions(rules: &Rules, seen: &Observation, reasons: &[Reason]) -> Vec<Condition> {
    let mut conditions = vec![available(seen), ready(seen), failback(rules, seen, reasons)];
    if rules.paused {
        conditions.push(condition(
            ConditionType::Paused,
            Truth::True,
            "SpecPaused",
            "spec.paused is set: no failback, no restart".to_owned(),
        ));
    }
    conditions
}

fn condition(kind: ConditionType, status: Truth, reason: &str, message: String) -> Condition {
    Condition {
        kind,
        status,
        reason: reason.to_owned(),
        message,
    }
}

/// The side that serves in the record's epoch, by its own word.
fn serving(seen: &Observation) -> Option<Side> {
    let epoch = seen.record.known()?.epoch;
    SIDES.into_iter().find(|side| {
        let broker = seen.brokers[*side].known();
        broker.is_some_and(|broker| broker.role == Role::Serving && broker.epoch == epoch)
    })
}

fn has_unknown(seen: &Observation) -> bool {
    let unknown = |side: &Side| matches!(seen.brokers[*side], Observed::Unknown { .. });
    matches!(seen.record, Observed::Unknown { .. }) || SIDES.iter().any(unknown)
}

fn available(seen: &Observation) -> Condition {
    let kind = ConditionType::Available;
    match serving(seen) {
        Some(side) => condition(
            kind,
            Truth::True,
            "Serving",
            format!("the {side} serves clients"),
        ),
        None if has_unknown(seen) => {
            let message = "a broker or the pair record does not answer".to_owned();
            condition(kind, Truth::Unknown, "NoAnswer", message)
        }
        None => condition(
            kind,
            Truth::False,
            "NobodyServes",
            "no broker serves".to_owned(),
        ),
    }
}

fn ready(seen: &Observation) -> Condition {
    let kind = ConditionType::Ready;
    let Some(active) = serving(seen) else {
        let status = if has_unknown(seen) {
            Truth::Unknown
        } else {
            Truth::False
        };
        return condition(
            kind,
            status,
            "NotAvailable",
            "no broker is known to serve".to_owned(),
        );
    };
    let standby = active.other();
    match &seen.brokers[standby] {
        Observed::Known(broker) if broker.role == Role::Standby && broker.settled => condition(
            kind,
            Truth::True,
            "Paired",
            format!("the {active} serves, the {standby} takes over when its process ends"),
        ),
        Observed::Known(broker) => {
            let message = format!(
                "the {standby} is {}, not a settled standby yet",
                broker.role
            );
            condition(kind, Truth::False, "StandbyNotSettled", message)
        }
        Observed::Absent => {
            let message = format!("the {standby} does not run");
            condition(kind, Truth::False, "StandbyDown", message)
        }
        Observed::Unknown { why } => {
            let message = format!("the {standby} does not answer ({why})");
            condition(kind, Truth::Unknown, "NoAnswer", message)
        }
    }
}

fn failback(rules: &Rules, seen: &Observation, reasons: &[Reason]) -> Condition {
    let by_hand = rules.by_hand;
    let kind = ConditionType::FailbackPending;
    let Some(record) = seen.record.known() else {
        let message = "the pair record cannot be read".to_owned();
        return condition(kind, Truth::Unknown, "NoRecord", message);
    };
    if record.holder != Some(Side::Backup) {
        let message = "the backup is not active".to_owned();
        return condition(kind, Truth::False, "NotFailedOver", message);
    }
    for reason in reasons {
        let (reason, message) = match reason {
            Reason::FailbackDue { .. } | Reason::FailbackRequested => (
                "Requested",
                "the active is asked to hand over to the primary".to_owned(),
            ),
            Reason::FailbackWaits {
                stable_ms,
                setbacks,
                ..
            } => {
                let wait = seconds(*stable_ms);
                let damped = setbacks.map_or_else(String::new, |count| {
                    format!(
                        " (longer than minStable, because of {count} failovers in a short time)"
                    )
                });
                let message = format!(
                    "the primary becomes active once it has been a healthy standby for {wait}{damped}"
                );
                ("Waiting", message)
            }
            Reason::FailbackDelayed { delay_ms, .. } => (
                "Waiting",
                format!(
                    "the primary becomes active {} after the backup took over",
                    seconds(*delay_ms)
                ),
            ),
            Reason::FailbackBlocked(why) => ("PrimaryNotReady", (*why).to_owned()),
            Reason::FailbackRefused { why, wait_ms, .. } => (
                "Refused",
                format!(
                    "the active refused: {why}; it is asked again after {}",
                    seconds(*wait_ms)
                ),
            ),
            Reason::FailbackManual => {
                ("ManualPolicy", format!("failback waits for you: {by_hand}"))
            }
            Reason::FailbackSuspended => (
                "SwitchedByPerson",
                format!(
                    "failback is suspended, for the backup was made active by a switchover; end that with: {by_hand}"
                ),
            ),
            Reason::Paused => ("Paused", "spec.paused is set".to_owned()),
            Reason::Restart { .. } | Reason::RestartWaits { .. } => continue,
        };
        return condition(kind, Truth::True, reason, message);
    }
    condition(
        kind,
        Truth::Unknown,
        "Undecided",
        "nothing was decided yet".to_owned(),
    )
}

/// A wait in seconds, rounded up.
fn seconds(ms: u64) -> String {
    format!("{} s", ms.div_ceil(1_000))
}
