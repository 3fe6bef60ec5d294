//! A person's request to move the active role: whether it can be asked for now, and what became of it.
//!
//! Nothing is asked that could only fail: the target must be a settled standby of the active that
//! serves now. Whether the active then hands over is its own decision.

use std::fmt;

use pair::{Cause, Side};

use super::{Broker, Observation, Observed, Process, Role, Timestamp};

/// How long a new active may take to note the service gap, before it is told without.
const GAP_WAIT_MS: u64 = 1_000;

/// A request of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The side that shall be active.
    pub(crate) to: Side,
    /// The epoch in which it is asked; void in any other.
    pub(crate) epoch: u64,
    /// Its name.
    pub(crate) id: String,
    /// Whether it is in the record already, because policy or somebody else asked for the same.
    pub(crate) is_asked: bool,
}

/// Why nothing is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAsked {
    /// The side is active already.
    AlreadyActive(Side),
    /// It could only fail: why, and what to do.
    Refused(String),
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The active has not answered it yet.
    Asked,
    /// The target has the role and does not serve yet.
    Taken,
    /// The target serves; its standby is not settled yet.
    Serving(Served),
    /// The target serves, the former active is its standby.
    Done(Served),
    /// The active refused it, and why.
    Refused(String),
    /// The target did not take what it was given: the active took its role back.
    NotTaken,
    /// Something else changed the active first.
    Void {
        /// Who is active now.
        holder: Option<Side>,
        /// In which epoch.
        epoch: u64,
    },
}

/// A role that has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// The new epoch.
    pub(crate) epoch: u64,
    /// How long nobody served, if the new active saw it.
    pub(crate) gap_ms: Option<u64>,
}

/// Whether the role can be moved now; to the other side if none is named.
pub(crate) fn check(
    seen: &Observation,
    to: Option<Side>,
    now: Timestamp,
) -> Result<Request, NotAsked> {
    let refused = |why: String| Err(NotAsked::Refused(why));
    let record = match &seen.record {
        Observed::Known(record) => record,
        Observed::Absent => {
            return refused(
                "the pair record is gone: a broker that lives writes it again; ask then".to_owned(),
            );
        }
        Observed::Unknown { why } => {
            return refused(format!("the pair record cannot be read: {why}"));
        }
    };
    let Some(active) = record.holder else {
        let why = if record.epoch == 0 {
            "no broker was ever active: wait for the first start"
        } else {
            "a side was forced and has not taken over yet: wait for that, or start it"
        };
        return refused(why.to_owned());
    };
    if to == Some(active) {
        return Err(NotAsked::AlreadyActive(active));
    }
    let is_serving = |broker: &Broker| broker.role == Role::Serving && broker.epoch == record.epoch;
    if !seen.brokers[active].known().is_some_and(is_serving) {
        return refused(format!(
            "nobody can hand over: the {active} holds the role and does not serve right now"
        ));
    }
    let to = active.other();
    let target = match (&seen.brokers[to], seen.processes[to]) {
        (Observed::Known(target), _) => target,
        (Observed::Unknown { why }, _) => {
            return refused(format!("the {to} does not answer ({why})"));
        }
        (Observed::Absent, Process::HeldDown) => {
            return refused(format!(
                "the {to} does not run: start it, and ask again when it is a standby"
            ));
        }
        (Observed::Absent, Process::Running | Process::Ended { .. }) => {
            return refused(format!(
                "the {to} does not run: it is started again by itself; ask again when it is a standby"
            ));
        }
    };
    if target.role != Role::Standby || !target.settled || target.epoch != record.epoch {
        let is = match target.role {
            Role::Standby => "not a settled standby yet".to_owned(),
            Role::Starting
            | Role::Attempting
            | Role::Preparing
            | Role::Serving
            | Role::Holding
            | Role::Handing
            | Role::Stopped => format!("{}, not a settled standby", target.role),
        };
        return refused(format!("the {to} is {is}: ask again when it is one"));
    }
    let epoch = record.epoch;
    Ok(match &record.wanted {
        // Whoever asked for it: the role moves there once.
        Some((wanted, id)) if *wanted == to => Request {
            to,
            epoch,
            id: id.clone(),
            is_asked: true,
        },
        Some(_) | None => Request {
            to,
            epoch,
            id: format!("person:{epoch}:{}", now.0),
            is_asked: false,
        },
    })
}

/// What became of a request that is in the record.
pub(crate) fn fate(request: &Request, seen: &Observation, now: Timestamp) -> Fate {
    let Observed::Known(record) = &seen.record else {
        return Fate::Asked;
    };
    if record.epoch <= request.epoch {
        let refusal = record.refused.as_ref();
        return match refusal.filter(|(id, _)| *id == request.id && record.epoch == request.epoch) {
            Some((_, why)) => Fate::Refused(why.clone()),
            None => Fate::Asked,
        };
    }
    let last = record.last.as_ref();
    if record.holder != Some(request.to) {
        return match last.map(|last| &last.cause) {
            Some(Cause::TakenBack) if record.epoch == request.epoch + 1 => Fate::NotTaken,
            Some(_) | None => Fate::Void {
                holder: record.holder,
                epoch: record.epoch,
            },
        };
    }
    let is = |side: Side, role: Role| {
        let broker = seen.brokers[side].known();
        broker.is_some_and(|it| it.role == role && it.settled && it.epoch == record.epoch)
    };
    if !is(request.to, Role::Serving) {
        return Fate::Taken;
    }
    let served = Served {
        epoch: record.epoch,
        gap_ms: last.and_then(|last| last.gap_ms),
    };
    let is_told =
        served.gap_ms.is_some() || last.is_none_or(|last| now.ms_since(last.at) >= GAP_WAIT_MS);
    if is_told && is(request.to.other(), Role::Standby) {
        Fate::Done(served)
    } else {
        Fate::Serving(served)
    }
}

impl fmt::Display for NotAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyActive(side) => write!(f, "the {side} is active already"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}
