//! What is told as Kubernetes events: every change of role, and whatever a person should look at.
//!
//! They follow from the difference of two statuses, so nothing is told twice, and what happened while no controller
//! ran is told as well. Pure.

use crate::api::status::{BrokerPairStatus, ConditionType, Transition, Truth};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Whether somebody should look.
    pub(crate) is_warning: bool,
    /// One word.
    pub(crate) reason: &'static str,
    /// One sentence.
    pub(crate) note: String,
}

fn normal(reason: &'static str, note: String) -> Told {
    Told {
        is_warning: false,
        reason,
        note,
    }
}

fn warning(reason: &'static str, note: String) -> Told {
    Told {
        is_warning: true,
        reason,
        note,
    }
}

/// The record was lost.
pub(crate) fn lost_record() -> Told {
    warning(
        "RecordLost",
        "the Lease with the pair record is gone: an empty one takes its place, into which the active broker writes its record again"
            .to_owned(),
    )
}

/// A step of an update.
pub(crate) fn update(reason: &'static str, note: String) -> Told {
    normal(reason, note)
}

/// What happened between two statuses.
pub(crate) fn between(before: &BrokerPairStatus, after: &BrokerPairStatus) -> Vec<Told> {
    let newest_known = before.history.first().and_then(|known| known.epoch);
    let mut told: Vec<Told> = after
        .history
        .iter()
        .take_while(|transition| newest_known.is_none_or(|known| transition.epoch > Some(known)))
        .map(changed)
        .collect();
    told.reverse();
    for (kind, lost, regained) in [
        (ConditionType::Available, "Unavailable", "Available"),
        (ConditionType::Protected, "Unprotected", "Protected"),
        (
            ConditionType::ConfigApplied,
            "ConfigNotApplied",
            "ConfigApplied",
        ),
    ] {
        told.extend(turned(before, after, kind, lost, regained));
    }
    told
}

fn changed(transition: &Transition) -> Told {
    let side = match transition.to {
        Some(crate::api::status::SideName::Primary) => "the primary",
        Some(crate::api::status::SideName::Backup) => "the backup",
        None => "nobody yet",
    };
    let by = transition
        .by
        .as_ref()
        .map_or_else(String::new, |by| format!(" by {by}"));
    let gap = transition
        .gap
        .as_ref()
        .map_or_else(String::new, |gap| format!(", nobody served for {gap}"));
    let epoch = transition
        .epoch
        .map_or_else(String::new, |epoch| format!(" in epoch {epoch}"));
    let note = format!("{side} became active{epoch}: {}{by}{gap}", transition.cause);
    match transition.cause.as_str() {
        "first-start" | "cold-start" => normal("Started", note),
        "failback" => normal("FailedBack", note),
        "switchover" => normal("SwitchedOver", note),
        "shutdown" => normal("HandedOver", note),
        "taken-back" => normal("TakenBack", note),
        "forced" => warning("Forced", note),
        _ => warning("FailedOver", note),
    }
}

/// A condition that is true no more, or again. The first status of a pair has no before.
fn turned(
    before: &BrokerPairStatus,
    after: &BrokerPairStatus,
    kind: ConditionType,
    lost: &'static str,
    regained: &'static str,
) -> Option<Told> {
    let of = |status: &BrokerPairStatus| {
        let kind = kind.to_string();
        let found = status.conditions.iter().find(|it| it.type_ == kind);
        found.map(|found| (found.status.clone(), found.message.clone()))
    };
    let truth = Truth::True.to_string();
    let (was, _) = of(before)?;
    let (is, message) = of(after)?;
    match (was == truth, is == truth) {
        (true, false) => Some(warning(lost, message)),
        (false, true) => Some(normal(regained, message)),
        (true, true) | (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::api::status::SideName;

    fn transition(epoch: i64, cause: &str) -> Transition {
        Transition {
            cause: cause.to_owned(),
            at: MicroTime(Timestamp::UNIX_EPOCH),
            gap: Some("38ms".to_owned()),
            to: Some(SideName::Backup),
            epoch: Some(epoch),
            by: None,
        }
    }

    fn status(protected: &str, history: Vec<Transition>) -> BrokerPairStatus {
        BrokerPairStatus {
            conditions: vec![Condition {
                type_: "Protected".to_owned(),
                status: protected.to_owned(),
                reason: "R".to_owned(),
                message: format!("it is {protected}"),
                last_transition_time: Time(Timestamp::UNIX_EPOCH),
                observed_generation: None,
            }],
            history,
            ..BrokerPairStatus::default()
        }
    }

    #[test]
    fn every_change_is_told_once_the_oldest_first() {
        let before = status("True", vec![transition(3, "first-start")]);
        let after = status(
            "True",
            vec![
                transition(5, "failback"),
                transition(4, "process-ended"),
                transition(3, "first-start"),
            ],
        );
        let told = between(&before, &after);
        let words: Vec<_> = told
            .iter()
            .map(|told| (told.reason, told.is_warning))
            .collect();
        assert_eq!(words, [("FailedOver", true), ("FailedBack", false)]);
        assert_eq!(
            told[0].note,
            "the backup became active in epoch 4: process-ended, nobody served for 38ms"
        );
        assert_eq!(between(&after, &after), []);
    }

    #[test]
    fn lost_protection_is_told_with_its_reason() {
        let (is, was) = (status("False", Vec::new()), status("True", Vec::new()));
        assert_eq!(
            between(&was, &is),
            [warning("Unprotected", "it is False".to_owned())]
        );
        assert_eq!(
            between(&is, &was),
            [normal("Protected", "it is True".to_owned())]
        );
        let unknown = status("Unknown", Vec::new());
        assert_eq!(between(&is, &unknown), []);
        assert_eq!(
            between(&BrokerPairStatus::default(), &is),
            [],
            "there was none before"
        );
    }
}
