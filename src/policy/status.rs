//! What is said of the pair. The truth, or `Unknown`.

use pair::{Member, Side};

use super::{Broker, Link, Observation, Observed, Reason, RecordSeen, Role, Rules};
use crate::api::status::{Condition, ConditionType, Truth};
use crate::by_side::SIDES;

pub(super) fn conditions(rules: &Rules, seen: &Observation, reasons: &[Reason]) -> Vec<Condition> {
    let mut conditions = vec![
        available(seen),
        ready(seen),
        protected(seen),
        failback(rules, seen, reasons),
    ];
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

/// The side that serves by its own word, whatever the record says.
fn says_it_serves(seen: &Observation) -> Option<Side> {
    SIDES.into_iter().find(|side| {
        let broker = seen.brokers[*side].known();
        broker.is_some_and(|broker| matches!(broker.role, Role::Serving | Role::Holding))
    })
}

/// What could not be asked, in words.
fn unknown(seen: &Observation) -> Option<String> {
    if let Observed::Unknown { why } = &seen.record {
        return Some(format!("the pair record cannot be read: {why}"));
    }
    SIDES
        .into_iter()
        .find_map(|side| match &seen.brokers[side] {
            Observed::Unknown { why } => Some(format!("the {side} does not answer: {why}")),
            Observed::Known(_) | Observed::Absent => None,
        })
}

fn available(seen: &Observation) -> Condition {
    let kind = ConditionType::Available;
    if let Some((side, why)) = holding(seen) {
        let message = format!("the {side} holds the role and serves nobody: {why}");
        return condition(kind, Truth::False, "Holding", message);
    }
    match (serving(seen), unknown(seen)) {
        (Some(side), _) => condition(
            kind,
            Truth::True,
            "Serving",
            format!("the {side} serves clients"),
        ),
        (None, None) if says_it_serves(seen).is_some() && seen.record == Observed::Absent => {
            let message = "a broker says that it serves, and the pair record is missing".to_owned();
            condition(kind, Truth::Unknown, "NoRecord", message)
        }
        (None, Some(why)) => {
            let message = format!("no broker is known to serve; {why}");
            condition(kind, Truth::Unknown, "NoAnswer", message)
        }
        (None, None) => condition(
            kind,
            Truth::False,
            "NobodyServes",
            "no broker serves".to_owned(),
        ),
    }
}

/// The side that holds the record's term, is not sure of it, and so serves nobody; and why, by its own word.
fn holding(seen: &Observation) -> Option<(Side, &str)> {
    let record = seen.record.known()?;
    let side = record.holder?;
    let broker = seen.brokers[side].known()?;
    let holds = broker.role == Role::Holding && broker.epoch == record.epoch;
    holds.then_some((side, broker.why.as_str()))
}

/// The active and its settled standby, or the condition that there are none.
fn settled(
    kind: ConditionType,
    seen: &Observation,
) -> Result<(Side, &RecordSeen, &Broker), Condition> {
    let (Some(active), Observed::Known(record)) = (serving(seen), &seen.record) else {
        let status = if unknown(seen).is_some() {
            Truth::Unknown
        } else {
            Truth::False
        };
        let message = "no broker is known to serve".to_owned();
        return Err(condition(kind, status, "NotAvailable", message));
    };
    let standby = active.other();
    match &seen.brokers[standby] {
        Observed::Known(broker) if broker.role == Role::Standby && broker.settled => {
            Ok((active, record, broker))
        }
        Observed::Known(broker) => {
            let message = format!(
                "the {standby} is {}, not a settled standby yet",
                broker.role
            );
            Err(condition(kind, Truth::False, "StandbyNotSettled", message))
        }
        Observed::Absent => {
            let message = format!("the {standby} does not run");
            Err(condition(kind, Truth::False, "StandbyDown", message))
        }
        Observed::Unknown { why } => {
            let message = format!("the {standby} does not answer ({why})");
            Err(condition(kind, Truth::Unknown, "NoAnswer", message))
        }
    }
}

fn ready(seen: &Observation) -> Condition {
    let kind = ConditionType::Ready;
    let (active, ..) = match settled(kind, seen) {
        Ok(settled) => settled,
        Err(condition) => return condition,
    };
    let standby = active.other();
    let message = format!("the {active} serves, the {standby} takes over when its process ends");
    condition(kind, Truth::True, "Paired", message)
}

/// A standby that is no member of `in_sync` takes over when the active's process ends, and only then: while the
/// active hangs or is cut off nobody serves.
fn protected(seen: &Observation) -> Condition {
    let kind = ConditionType::Protected;
    let (active, record, broker) = match settled(kind, seen) {
        Ok(settled) => settled,
        Err(condition) => return condition,
    };
    let standby = active.other();
    // A process that started anew is not its predecessor, which may still be listed.
    let is_member = |member: &Member| member.side == standby && member.id == broker.member;
    if record.in_sync.iter().any(is_member) {
        let message = format!("the {standby} is in sync with the {active}");
        return condition(kind, Truth::True, "InSync", message);
    }
    let only = format!(
        "the {standby} is not in sync: it does not take over if the {active} hangs or is cut off"
    );
    let active = seen.brokers[active].known().map(|broker| &broker.link);
    let (reason, message) = match (&broker.link, active) {
        (Link::Down(Some(why)), _) | (Link::Down(None), Some(Link::Down(Some(why)))) => {
            ("LinkDown", format!("{only}; the link is down: {why}"))
        }
        (Link::Down(None), _) => ("LinkDown", format!("{only}; the link is down")),
        (Link::Up, _) => ("NotInSync", only),
    };
    condition(kind, Truth::False, reason, message)
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
