//! The status of a pair as the custom resource has it: what policy says, and what it said before. Pure.
//!
//! Times are kept where nothing changed, so that the same world gives the same status, and nothing is written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as Stored, MicroTime, Time};
use k8s_openapi::jiff;
use pair::{Member, Side};

use super::{ChangeSeen, Observation, Observed, RecordSeen, Role, Timestamp};
use crate::api::status::{
    ActiveStatus, BrokerPairStatus, Condition, Endpoints, MAX_HISTORY, RecordStatus, StandbyState,
    StandbyStatus, Transition,
};
use crate::by_side::{BySide, SIDES};

/// What the status says beside what was seen.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Generation of the spec that was acted upon.
    pub(crate) generation: Option<i64>,
    /// Everything that is stated of the pair.
    pub(crate) conditions: Vec<Condition>,
    /// The pods that are there.
    pub(crate) pods: BySide<Option<String>>,
    /// Where clients connect.
    pub(crate) endpoints: Option<Endpoints>,
    /// What is remembered of the record.
    pub(crate) record: Option<RecordStatus>,
}

/// The status that follows from what is seen, and from what was said before.
pub(crate) fn status(
    before: &BrokerPairStatus,
    seen: &Observation,
    facts: Facts,
    now: Timestamp,
) -> BrokerPairStatus {
    let Facts {
        generation,
        conditions,
        pods,
        endpoints,
        record,
    } = facts;
    let active = active(seen, &pods);
    let standby = standby(
        seen,
        &pods,
        active.as_ref().map(|active| active.side.into()),
    );
    let history = history(before, seen);
    BrokerPairStatus {
        observed_generation: generation,
        conditions: conditions
            .into_iter()
            .map(|condition| stored(before, condition, generation, now))
            .collect(),
        active,
        standby,
        endpoints,
        // While the record cannot be read, what was known of the past is still true.
        last_transition: history.first().cloned(),
        history,
        record,
    }
}

fn stored(
    before: &BrokerPairStatus,
    condition: Condition,
    generation: Option<i64>,
    now: Timestamp,
) -> Stored {
    let Condition {
        kind,
        status,
        reason,
        message,
    } = condition;
    let (type_, status) = (kind.to_string(), status.to_string());
    let known = before
        .conditions
        .iter()
        .find(|known| known.type_ == type_ && known.status == status);
    let since = known.map_or_else(
        || Time(time(now.0)),
        |known| known.last_transition_time.clone(),
    );
    Stored {
        type_,
        status,
        reason,
        message,
        last_transition_time: since,
        observed_generation: generation,
    }
}

/// The broker that serves in the record's epoch, by its own word. Nothing else is said to be active.
fn active(seen: &Observation, pods: &BySide<Option<String>>) -> Option<ActiveStatus> {
    let record = seen.record.known()?;
    let side = SIDES.into_iter().find(|side| {
        let broker = seen.brokers[*side].known();
        broker.is_some_and(|broker| broker.role == Role::Serving && broker.epoch == record.epoch)
    })?;
    let is_holder = record.holder == Some(side);
    let last = record.last.as_ref().filter(|_| is_holder);
    Some(ActiveStatus {
        side: side.into(),
        pod: pods[side].clone(),
        since: last.map(|last| MicroTime(time(last.at.0))),
        epoch: i64::try_from(record.epoch).unwrap_or(i64::MAX),
    })
}

/// The other side: of the one that serves, else of the one that holds the record. Before the first term there is none.
fn standby(
    seen: &Observation,
    pods: &BySide<Option<String>>,
    active: Option<Side>,
) -> Option<StandbyStatus> {
    let record = seen.record.known();
    let holder = active.or_else(|| record.and_then(|record| record.holder))?;
    let side = holder.other();
    let (state, inc) = match &seen.brokers[side] {
        Observed::Absent => (StandbyState::Down, None),
        Observed::Unknown { .. } => (StandbyState::Unknown, None),
        Observed::Known(broker) => {
            let state = match broker.role {
                Role::Standby if broker.settled => StandbyState::Ready,
                Role::Starting | Role::Standby | Role::Handing => StandbyState::Starting,
                // That the record names another is only a moment old then.
                Role::Attempting | Role::Preparing | Role::Serving => StandbyState::TakingOver,
                Role::Holding => StandbyState::Holding,
                Role::Stopped => StandbyState::Down,
            };
            (state, Some(broker.member.as_str()))
        }
    };
    Some(StandbyStatus {
        side: side.into(),
        pod: pods[side].clone(),
        state,
        in_sync: in_sync(record, side, state, inc),
    })
}

/// Whether the process of that side is a member. Of one that cannot be asked nothing is known.
fn in_sync(
    record: Option<&RecordSeen>,
    side: Side,
    state: StandbyState,
    inc: Option<&str>,
) -> Option<bool> {
    let record = record?;
    match (state, inc) {
        (StandbyState::Unknown, _) => None,
        (_, None) => Some(false),
        (_, Some(inc)) => {
            let is_own = |member: &Member| member.side == side && member.id == inc;
            Some(record.in_sync.iter().any(is_own))
        }
    }
}

/// The past with the record's last change in front, if that is a new one.
fn history(before: &BrokerPairStatus, seen: &Observation) -> Vec<Transition> {
    let mut history = before.history.clone();
    let Some(record) = seen.record.known() else {
        return history;
    };
    let Some(last) = &record.last else {
        return history;
    };
    let newest = transition(record, last);
    match history.first_mut() {
        // The gap comes with a later write.
        Some(known) if known.epoch == newest.epoch => *known = newest,
        Some(_) | None => history.insert(0, newest),
    }
    history.truncate(MAX_HISTORY);
    history
}

fn transition(record: &RecordSeen, last: &ChangeSeen) -> Transition {
    Transition {
        cause: last.cause.to_string(),
        at: MicroTime(time(last.at.0)),
        gap: last.gap_ms.map(|ms| format!("{ms}ms")),
        to: record.holder.map(Into::into),
        epoch: i64::try_from(record.epoch).ok(),
        by: last.by.clone(),
    }
}

/// A moment; one that no calendar has is the first one.
fn time(unix_ms: u64) -> jiff::Timestamp {
    i64::try_from(unix_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pair::{Cause, Incarnation};

    use super::*;
    use crate::api::status::{ConditionType, SideName, Truth};
    use crate::policy::{Broker, Link, Process};

    const PRIMARY: Incarnation = Incarnation([1; 16]);
    const BACKUP: Incarnation = Incarnation([2; 16]);

    fn broker(role: Role, inc: Incarnation) -> Observed<Broker> {
        Observed::Known(Broker {
            role,
            settled: true,
            epoch: 3,
            pid: 1,
            member: inc.to_string(),
            link: Link::Up,
            why: String::new(),
        })
    }

    fn healthy() -> Observation {
        Observation {
            processes: BySide::from_fn(|_| Process::Running),
            brokers: BySide {
                primary: broker(Role::Standby, PRIMARY),
                backup: broker(Role::Serving, BACKUP),
            },
            record: Observed::Known(RecordSeen {
                epoch: 3,
                holder: Some(Side::Backup),
                in_sync: vec![
                    Member::process(Side::Backup, BACKUP),
                    Member::process(Side::Primary, PRIMARY),
                ],
                wanted: None,
                refused: None,
                last: Some(ChangeSeen {
                    cause: Cause::ProcessEnded,
                    at: Timestamp(5_000),
                    gap_ms: None,
                    by: None,
                }),
                update_asked: None,
            }),
        }
    }

    fn facts(ready: Truth) -> Facts {
        Facts {
            generation: Some(2),
            conditions: vec![Condition {
                kind: ConditionType::Ready,
                status: ready,
                reason: "Paired".to_owned(),
                message: "m".to_owned(),
            }],
            pods: BySide {
                primary: Some("orders-primary-0".to_owned()),
                backup: Some("orders-backup-0".to_owned()),
            },
            endpoints: None,
            record: None,
        }
    }

    fn at(seen: &Observation, before: &BrokerPairStatus, ms: u64) -> BrokerPairStatus {
        status(before, seen, facts(Truth::True), Timestamp(ms))
    }

    #[test]
    fn a_healthy_pair_is_told_as_it_is() {
        let told = at(&healthy(), &BrokerPairStatus::default(), 9_000);
        let active = told.active.unwrap();
        assert_eq!((active.side, active.epoch), (SideName::Backup, 3));
        assert_eq!(active.pod.as_deref(), Some("orders-backup-0"));
        assert_eq!(active.since.unwrap().0.as_millisecond(), 5_000);
        let standby = told.standby.unwrap();
        assert_eq!(standby.state, StandbyState::Ready);
        assert_eq!(standby.in_sync, Some(true));
        assert_eq!(told.last_transition.unwrap().cause, "process-ended");
    }

    #[test]
    fn the_same_world_gives_the_same_status() {
        let seen = healthy();
        let first = at(&seen, &BrokerPairStatus::default(), 9_000);
        assert_eq!(at(&seen, &first, 90_000), first);
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_changes() {
        let seen = healthy();
        let first = at(&seen, &BrokerPairStatus::default(), 9_000);
        let second = status(&first, &seen, facts(Truth::Unknown), Timestamp(10_000));
        let since = |told: &BrokerPairStatus| told.conditions[0].last_transition_time.0;
        assert_eq!(since(&first).as_millisecond(), 9_000);
        assert_eq!(since(&second).as_millisecond(), 10_000);
    }

    #[test]
    fn what_does_not_answer_is_unknown_and_nothing_is_active_by_hearsay() {
        let why = || Observed::Unknown {
            why: "no answer".to_owned(),
        };
        let mut seen = healthy();
        seen.brokers.primary = why();
        let told = at(&seen, &BrokerPairStatus::default(), 9_000);
        let standby = told.standby.unwrap();
        assert_eq!(
            (standby.state, standby.in_sync),
            (StandbyState::Unknown, None)
        );

        // The record names the backup, but it does not say that it serves.
        seen.brokers.backup = why();
        let told = at(&seen, &BrokerPairStatus::default(), 9_000);
        assert_eq!(told.active, None);

        let before = at(&healthy(), &BrokerPairStatus::default(), 9_000);
        seen.record = Observed::Unknown {
            why: "no answer".to_owned(),
        };
        let told = at(&seen, &before, 10_000);
        assert_eq!((told.active, told.standby), (None, None));
        assert_eq!(told.history, before.history, "the past stays");
    }

    #[test]
    fn a_process_that_started_anew_is_not_its_predecessor() {
        let mut seen = healthy();
        seen.brokers.primary = broker(Role::Standby, Incarnation([9; 16]));
        let told = at(&seen, &BrokerPairStatus::default(), 9_000);
        assert_eq!(told.standby.unwrap().in_sync, Some(false));
    }

    #[test]
    fn the_past_is_kept_newest_first_and_bounded() {
        let mut told = BrokerPairStatus::default();
        for epoch in 1..=30 {
            let mut seen = healthy();
            if let Observed::Known(record) = &mut seen.record {
                record.epoch = epoch;
            }
            told = at(&seen, &told, 1_000);
            if let Observed::Known(record) = &mut seen.record
                && let Some(last) = &mut record.last
            {
                last.gap_ms = Some(epoch);
            }
            told = at(&seen, &told, 1_001);
        }
        assert_eq!(told.history.len(), MAX_HISTORY);
        assert_eq!(told.history[0].epoch, Some(30));
        assert_eq!(told.history[0].gap.as_deref(), Some("30ms"));
        assert_eq!(told.history[1].epoch, Some(29));
    }
}
