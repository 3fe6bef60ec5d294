//! What happens to a pair, as a person follows it: one event, one line.

use std::fmt;

use pair::{Cause, Side};

use super::time::span;
use crate::policy::{Role, Timestamp};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// When.
    pub(crate) at: Timestamp,
    /// What.
    pub(crate) what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A broker was started.
    Started {
        /// The side.
        side: Side,
        /// Its process.
        pid: u32,
    },
    /// A broker could not be started.
    NotStarted {
        /// The side.
        side: Side,
        /// Why.
        why: String,
    },
    /// A broker's process ended.
    Ended {
        /// The side.
        side: Side,
        /// How.
        how: String,
        /// Whether somebody had asked for it here.
        asked: bool,
        /// What it printed last, where that may tell why.
        last_lines: Option<String>,
    },
    /// A broker settled in another role.
    Became {
        /// The side.
        side: Side,
        /// What it was; nothing if it has just started.
        from: Option<Role>,
        /// What it is: standby or serving.
        to: Role,
        /// Its epoch.
        epoch: u64,
        /// Why it became active, if it did.
        cause: Option<Cause>,
        /// How long nobody served, if the new active saw that.
        gap_ms: Option<u64>,
    },
    /// The active was asked to hand over to the primary.
    FailbackAsked {
        /// How long the primary has been a healthy standby.
        stable_ms: u64,
    },
    /// The active refused to hand over.
    HandoverRefused {
        /// The active.
        side: Side,
        /// Why.
        why: String,
    },
    /// Something a person should know.
    Warning(String),
    /// Somebody asked for something here.
    Asked {
        /// Of whom.
        side: Side,
        /// For what.
        what: &'static str,
    },
}

impl What {
    /// The side it is about.
    pub(crate) fn side(&self) -> Option<Side> {
        match self {
            Self::Started { side, .. }
            | Self::NotStarted { side, .. }
            | Self::Ended { side, .. }
            | Self::Became { side, .. }
            | Self::HandoverRefused { side, .. }
            | Self::Asked { side, .. } => Some(*side),
            Self::FailbackAsked { .. } => Some(Side::Primary),
            Self::Warning(_) => None,
        }
    }
}

/// A role in the words of the pair: active or standby.
pub(crate) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Starting => "starting",
        Role::Standby => "standby",
        Role::Attempting => "taking over",
        Role::Preparing => "preparing",
        Role::Serving => "active",
        Role::Holding => "holding",
        Role::Handing => "handing over",
        Role::Stopped => "stopping",
    }
}

/// Why a side became active, as a clause.
fn because(cause: &Cause, side: Side) -> String {
    match cause {
        Cause::FirstStart => "first start of the pair".to_owned(),
        Cause::ColdStart => "nobody was active".to_owned(),
        Cause::ProcessEnded => format!("the {}'s process ended", side.other()),
        Cause::Shutdown => format!("the {} was stopped", side.other()),
        Cause::Failback => "failback".to_owned(),
        Cause::Switchover => "switchover".to_owned(),
        Cause::TakenBack => format!("the {} did not take over", side.other()),
        Cause::ActiveSilent => format!("the {} fell silent", side.other()),
        Cause::RecordLost => "the pair record was lost".to_owned(),
        Cause::Forced => "forced by a person".to_owned(),
        Cause::Other(text) => text.clone(),
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid, .. } => write!(f, "started, process {pid}"),
            Self::NotStarted { why, .. } => write!(f, "not started: {why}"),
            Self::Ended {
                how, asked: true, ..
            } => write!(f, "process ended ({how})"),
            Self::Ended {
                how, asked: false, ..
            } => {
                write!(f, "process ended without being asked to ({how})")
            }
            Self::Became {
                side,
                from,
                to,
                epoch,
                cause,
                gap_ms,
            } => {
                let from = from.unwrap_or(Role::Starting);
                write!(f, "{} → {}", role_word(from), role_word(*to))?;
                if let Some(cause) = cause {
                    write!(f, "  epoch {epoch}  ({}", because(cause, *side))?;
                    if let Some(gap_ms) = gap_ms {
                        write!(f, "; service gap {}", span(*gap_ms))?;
                    }
                    f.write_str(")")?;
                }
                Ok(())
            }
            Self::FailbackAsked { stable_ms } => write!(
                f,
                "has been a healthy standby for {}: asked the active to hand over",
                span(*stable_ms)
            ),
            Self::HandoverRefused { why, .. } => write!(f, "refused to hand over: {why}"),
            Self::Asked { what, .. } => f.write_str(what),
            Self::Warning(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_is_one_line_with_cause_and_gap() {
        let became = What::Became {
            side: Side::Backup,
            from: Some(Role::Standby),
            to: Role::Serving,
            epoch: 2,
            cause: Some(Cause::ProcessEnded),
            gap_ms: Some(41),
        };
        assert_eq!(
            became.to_string(),
            "standby → active  epoch 2  (the primary's process ended; service gap 41 ms)"
        );
    }
}
