//! A change that needs a restart reaches the brokers one after the other: the standby, then the role moves, then the
//! former active.
//!
//! Only pods are replaced here, and requests made; a broker that serves is never restarted while the other one could
//! not take over.

use std::fmt;

use pair::{Cause, Side};

use super::{Observation, Observed, RecordSeen, Role};
use crate::by_side::{BySide, SIDES};

/// Start of the name of a request that an update makes.
const NAME: &str = "update";

/// How one side's pod stands to what it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PodState {
    /// As it should be, or not there: then it will be made as it should be.
    #[default]
    Current,
    /// It runs with what was said before.
    Stale,
    /// It is being replaced.
    Leaving,
}

/// What an update does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: both are as they should be.
    Done,
    /// Replace this side's pod.
    Replace(Side),
    /// Let the other side become active, so that the former active can be replaced.
    Move {
        /// The side that shall be active.
        to: Side,
        /// In which epoch this is asked.
        epoch: u64,
        /// Name of the request.
        id: String,
    },
    /// Something else comes first.
    Wait(Why),
}

/// What an update waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A pod ends and is made anew.
    Replacing(Side),
    /// The standby must be able to take over.
    NotInSync(Side),
    /// Asked already.
    Moving(Side),
    /// Nobody serves, and somebody is about to.
    NobodyServes,
    /// The pair record cannot be read.
    NoRecord,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replacing(side) => write!(f, "the {side}'s pod is replaced"),
            Self::NotInSync(side) => write!(
                f,
                "the active is replaced last, once the {side} is in sync and can take over"
            ),
            Self::Moving(side) => write!(
                f,
                "the {side} takes over, so that the former active can be replaced"
            ),
            Self::NobodyServes => write!(f, "waits until a broker serves"),
            Self::NoRecord => write!(f, "waits until the pair record can be read"),
        }
    }
}

/// The next step of an update.
pub(crate) fn step(seen: &Observation, pods: BySide<PodState>) -> Step {
    if pods == BySide::default() {
        return Step::Done;
    }
    if let Some(side) = SIDES
        .into_iter()
        .find(|side| pods[*side] == PodState::Leaving)
    {
        return Step::Wait(Why::Replacing(side));
    }
    let Observed::Known(record) = &seen.record else {
        return Step::Wait(Why::NoRecord);
    };
    let serving = SIDES.into_iter().find(|side| {
        let broker = seen.brokers[*side].known();
        broker.is_some_and(|broker| broker.role == Role::Serving && broker.epoch == record.epoch)
    });
    let Some(active) = serving else {
        return without_active(seen, record, pods);
    };
    let standby = active.other();
    if pods[standby] == PodState::Stale {
        return Step::Replace(standby);
    }
    if record.wanted.is_some() {
        return Step::Wait(Why::Moving(standby));
    }
    if !could_take_over(seen, record, standby) {
        return Step::Wait(Why::NotInSync(standby));
    }
    let epoch = record.epoch;
    Step::Move {
        to: standby,
        epoch,
        id: format!("{NAME}:{epoch}"),
    }
}

/// With nobody serving, a pod may be what keeps its broker from it: it is replaced, if its broker certainly does not
/// run; the holder's last.
fn without_active(seen: &Observation, record: &RecordSeen, pods: BySide<PodState>) -> Step {
    let last = record.holder.unwrap_or(Side::Primary);
    [last.other(), last]
        .into_iter()
        .find(|side| pods[*side] == PodState::Stale && seen.brokers[*side] == Observed::Absent)
        .map_or(Step::Wait(Why::NobodyServes), Step::Replace)
}

/// Whether this side's own process is a settled standby, and in sync.
fn could_take_over(seen: &Observation, record: &RecordSeen, side: Side) -> bool {
    seen.brokers[side].known().is_some_and(|broker| {
        let is_member = record
            .in_sync
            .iter()
            .any(|member| member.side == side && member.id == broker.member);
        broker.role == Role::Standby && broker.settled && broker.epoch == record.epoch && is_member
    })
}

/// Whether the last change of the active was made for an update, so that it is no person's wish.
pub(crate) fn moved_it(record: &RecordSeen) -> bool {
    let is_move = record
        .last
        .as_ref()
        .is_some_and(|last| matches!(last.cause, Cause::Switchover | Cause::Failback));
    is_move
        && record
            .update_asked
            .is_some_and(|epoch| epoch + 1 == record.epoch)
}

#[cfg(test)]
mod tests {
    use pair::{Incarnation, Member};

    use super::*;
    use crate::policy::{Broker, Link, Process};

    fn broker(side: Side, role: Role) -> Observed<Broker> {
        Observed::Known(Broker {
            role,
            settled: true,
            epoch: 3,
            pid: 1,
            member: inc(side).to_string(),
            link: Link::Up,
            why: String::new(),
        })
    }

    fn inc(side: Side) -> Incarnation {
        match side {
            Side::Primary => Incarnation([1; 16]),
            Side::Backup => Incarnation([2; 16]),
        }
    }

    fn pair(primary: Role, backup: Role) -> Observation {
        Observation {
            processes: BySide::from_fn(|_| Process::Running),
            brokers: BySide {
                primary: broker(Side::Primary, primary),
                backup: broker(Side::Backup, backup),
            },
            record: Observed::Known(RecordSeen {
                epoch: 3,
                holder: Some(Side::Primary),
                in_sync: SIDES.map(|side| Member::process(side, inc(side))).to_vec(),
                wanted: None,
                refused: None,
                last: None,
                update_asked: None,
            }),
        }
    }

    fn record(seen: &mut Observation) -> &mut RecordSeen {
        match &mut seen.record {
            Observed::Known(record) => record,
            Observed::Absent | Observed::Unknown { .. } => panic!("no record"),
        }
    }

    const BOTH: BySide<PodState> = BySide {
        primary: PodState::Stale,
        backup: PodState::Stale,
    };

    fn stale(side: Side) -> BySide<PodState> {
        let mut pods = BySide::default();
        pods[side] = PodState::Stale;
        pods
    }

    #[test]
    fn first_the_standby_then_the_role_then_the_former_active() {
        let mut seen = pair(Role::Serving, Role::Standby);
        assert_eq!(step(&seen, BOTH), Step::Replace(Side::Backup));
        let leaving = BySide {
            primary: PodState::Stale,
            backup: PodState::Leaving,
        };
        let wait = Step::Wait(Why::Replacing(Side::Backup));
        assert_eq!(step(&seen, leaving), wait);
        // It is back, but its new process is not a member yet.
        seen.brokers.backup = Observed::Known(Broker {
            member: Incarnation([9; 16]).to_string(),
            ..seen.brokers.backup.known().unwrap().clone()
        });
        let wait = Step::Wait(Why::NotInSync(Side::Backup));
        assert_eq!(step(&seen, stale(Side::Primary)), wait);
        record(&mut seen).in_sync = vec![Member::process(Side::Backup, Incarnation([9; 16]))];
        let moved = Step::Move {
            to: Side::Backup,
            epoch: 3,
            id: "update:3".to_owned(),
        };
        assert_eq!(step(&seen, stale(Side::Primary)), moved);
        record(&mut seen).wanted = Some((Side::Backup, "update:3".to_owned()));
        let wait = Step::Wait(Why::Moving(Side::Backup));
        assert_eq!(step(&seen, stale(Side::Primary)), wait);
        let seen = pair(Role::Standby, Role::Serving);
        assert_eq!(
            step(&seen, stale(Side::Primary)),
            Step::Replace(Side::Primary)
        );
        assert_eq!(step(&seen, BySide::default()), Step::Done);
    }

    #[test]
    fn an_active_is_not_restarted_while_nobody_could_take_over() {
        for state in [
            Observed::Absent,
            Observed::Unknown { why: String::new() },
            broker(Side::Backup, Role::Starting),
        ] {
            let mut seen = pair(Role::Serving, Role::Standby);
            seen.brokers.backup = state;
            let wait = Step::Wait(Why::NotInSync(Side::Backup));
            assert_eq!(step(&seen, stale(Side::Primary)), wait);
        }
    }

    #[test]
    fn with_nobody_serving_only_what_certainly_does_not_run_is_replaced() {
        let mut seen = pair(Role::Preparing, Role::Standby);
        assert_eq!(step(&seen, BOTH), Step::Wait(Why::NobodyServes));
        seen.brokers.primary = Observed::Unknown { why: String::new() };
        assert_eq!(step(&seen, BOTH), Step::Wait(Why::NobodyServes));
        seen.brokers.primary = Observed::Absent;
        assert_eq!(step(&seen, BOTH), Step::Replace(Side::Primary));
        seen.brokers.backup = Observed::Absent;
        assert_eq!(step(&seen, BOTH), Step::Replace(Side::Backup));
    }

    #[test]
    fn nothing_is_done_on_a_record_that_is_not_known() {
        let mut seen = pair(Role::Serving, Role::Standby);
        seen.record = Observed::Unknown { why: String::new() };
        assert_eq!(step(&seen, BOTH), Step::Wait(Why::NoRecord));
    }
}
