//! What the pair needs next: when to fail back, and when to start a broker again.
//!
//! One pure function of values. It asks; the brokers' own protocol decides who is active. It only
//! ever sets `wanted`, takes that back, and starts brokers, and it must never do I/O or read a clock: the same
//! arguments give the same answer, here and on Kubernetes.
//!
//! What was asked is read back from the pair record, so a new decider neither repeats nor forgets a
//! request; only waits that are under way live in [`Memory`], and start anew with it.

mod damping;
mod failback;
mod observation;
pub(crate) mod pair_status;
mod restart;
pub(crate) mod rollout;
mod status;
pub(crate) mod switchover;

#[cfg(test)]
mod tests;

use std::fmt;

use pair::Side;

use crate::api::spec::FailbackPolicy;
use crate::api::status::Condition;
use crate::api::validate::ValidatedPair;
use crate::by_side::BySide;

pub(crate) use observation::{
    Broker, ChangeSeen, Link, Observation, Observed, Process, RecordSeen, Role, UPDATE_ASKED,
};

/// A moment in wall-clock milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) u64);

impl Timestamp {
    /// So many milliseconds later.
    pub(crate) fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since an earlier moment; 0 if it is later.
    pub(crate) fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The part of a pair that policy looks at.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Whether policy leaves the pair alone.
    pub(crate) paused: bool,
    /// Whether the primary becomes active again by itself.
    pub(crate) failback: FailbackPolicy,
    /// The earliest time for that after the backup became active.
    pub(crate) delay_ms: u64,
    /// How long the primary must have been a healthy standby for that.
    pub(crate) min_stable_ms: u64,
    /// What a person types to make the primary active, where the pair runs.
    pub(crate) by_hand: &'static str,
}

impl Rules {
    /// The rules of a pair.
    pub(crate) fn new(pair: &ValidatedPair, by_hand: &'static str) -> Self {
        Self {
            paused: pair.paused,
            failback: pair.failback_policy,
            delay_ms: pair.failback_delay_ms,
            min_stable_ms: pair.failback_min_stable_ms,
            by_hand,
        }
    }
}

/// Waits that are under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    failback: failback::Memory,
    restarts: BySide<restart::Memory>,
}

/// What to do next, and what to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// To be kept for the next call, before the actions are carried out.
    pub(crate) memory: Memory,
    /// In order; each may be repeated.
    pub(crate) actions: Vec<Action>,
    /// What is said of the pair.
    pub(crate) conditions: Vec<Condition>,
    /// When to call again if nothing else happens.
    pub(crate) wake_at: Option<Timestamp>,
    /// Why this was decided.
    pub(crate) reasons: Vec<Reason>,
}

/// Something that shall be done. Repeating it is harmless: a request has one name per epoch, and
/// a broker that runs is not started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask for a switchover, by compare-and-set on the record this was decided on.
    SetWanted {
        /// The side that shall be active.
        to: Side,
        /// The epoch in which it is asked.
        epoch: u64,
        /// Name of the request.
        id: String,
    },
    /// Take a request back that is not answered, by compare-and-set.
    Withdraw {
        /// The epoch in which it was asked.
        epoch: u64,
        /// Name of the request.
        id: String,
    },
    /// Start a broker that ended.
    Start(Side),
}

/// Why something was decided, or was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Policy leaves the pair alone.
    Paused,
    /// The primary is stable and gets its role back.
    FailbackDue {
        /// How long it has been a healthy standby.
        stable_ms: u64,
    },
    /// The primary is a healthy standby, but not for long enough.
    FailbackWaits {
        /// For how long it must be one.
        stable_ms: u64,
        /// Setbacks of late that made this longer than `minStable`.
        setbacks: Option<u32>,
        /// When it will be due.
        until: Timestamp,
    },
    /// The primary is a stable standby, but it is not time yet.
    FailbackDelayed {
        /// The delay.
        delay_ms: u64,
        /// When it will be due.
        until: Timestamp,
    },
    /// The primary's own state keeps it from coming back.
    FailbackBlocked(&'static str),
    /// It was asked for already.
    FailbackRequested,
    /// The active refused it; it is asked again.
    FailbackRefused {
        /// Why.
        why: String,
        /// The wait after the refusal.
        wait_ms: u64,
        /// When it is asked again.
        until: Timestamp,
    },
    /// Only a person asks for it.
    FailbackManual,
    /// A person gave the role to the backup, and takes it back.
    FailbackSuspended,
    /// A broker ended and is started again.
    Restart {
        /// The side.
        side: Side,
    },
    /// A broker ended and is started again later.
    RestartWaits {
        /// The side.
        side: Side,
        /// When.
        at: Timestamp,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetWanted { to, epoch, id } => {
                write!(f, "set wanted to={to} epoch={epoch} id={id}")
            }
            Self::Withdraw { epoch, id } => write!(f, "withdraw epoch={epoch} id={id}"),
            Self::Start(side) => write!(f, "start {side}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => write!(f, "paused: nothing is decided"),
            Self::FailbackDue { stable_ms } => {
                write!(
                    f,
                    "failback: the primary has been a healthy standby for {stable_ms} ms"
                )
            }
            Self::FailbackWaits {
                stable_ms,
                setbacks,
                until,
            } => {
                write!(f, "failback: due at {} after {stable_ms} ms", until.0)?;
                match setbacks {
                    Some(setbacks) => {
                        write!(f, ", for the primary failed {setbacks} times of late")
                    }
                    None => Ok(()),
                }
            }
            Self::FailbackDelayed { delay_ms, until } => {
                write!(f, "failback: due at {}, delayed by {delay_ms} ms", until.0)
            }
            Self::FailbackBlocked(why) => write!(f, "failback: {why}"),
            Self::FailbackRequested => write!(f, "failback: already asked for"),
            Self::FailbackRefused {
                why,
                wait_ms,
                until,
            } => write!(
                f,
                "failback: refused by the active: {why}; asked again at {} after {wait_ms} ms",
                until.0
            ),
            Self::FailbackManual => write!(f, "failback: the policy is Manual"),
            Self::FailbackSuspended => {
                write!(f, "failback: a person gave the role to the backup")
            }
            Self::Restart { side } => write!(f, "restart: the {side} ended and is started again"),
            Self::RestartWaits { side, at } => write!(f, "restart: the {side} is due at {}", at.0),
        }
    }
}

/// Decides what the pair needs next. Pure: the same arguments give the same answer.
///
/// Call again when the observation changes, when every action has finished, or at `wake_at`.
#[must_use]
pub(crate) fn decide(
    rules: &Rules,
    memory: &Memory,
    seen: &Observation,
    now: Timestamp,
) -> Decision {
    let mut decision = Decision {
        memory: memory.clone(),
        actions: Vec::new(),
        conditions: Vec::new(),
        wake_at: None,
        reasons: Vec::new(),
    };
    if rules.paused {
        // Waits that ran before a pause say nothing about the time after it.
        decision.memory = Memory::default();
        decision.reasons.push(Reason::Paused);
    } else {
        restart::decide(seen, now, &mut decision);
        failback::decide(rules, seen, now, &mut decision);
    }
    decision.conditions = status::conditions(rules, seen, &decision.reasons);
    decision
}

impl Reason {
    /// When the primary gets its role back, if that is only a matter of time.
    pub(crate) fn failback_at(&self) -> Option<Timestamp> {
        match self {
            Self::FailbackWaits { until, .. }
            | Self::FailbackDelayed { until, .. }
            | Self::FailbackRefused { until, .. } => Some(*until),
            Self::Paused
            | Self::FailbackDue { .. }
            | Self::FailbackBlocked(_)
            | Self::FailbackRequested
            | Self::FailbackManual
            | Self::FailbackSuspended
            | Self::Restart { .. }
            | Self::RestartWaits { .. } => None,
        }
    }
}

impl Decision {
    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}
