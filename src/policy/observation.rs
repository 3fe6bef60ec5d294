//! What is known of the world at one moment.
//!
//! What cannot be reached is unknown, never absent or dead: nothing is decided on it.

use std::fmt;
use std::str::FromStr;

use pair::{Cause, Member, Record, Side};
use serde_json::Value;

use super::Timestamp;
use crate::by_side::BySide;

/// What is known of one thing outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observed<T> {
    /// It says of itself.
    Known(T),
    /// It is certainly not there.
    Absent,
    /// It could not be asked.
    Unknown {
        /// Why, in a few words.
        why: String,
    },
}

impl<T> Observed<T> {
    /// The value, if it is known.
    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown { .. } => None,
        }
    }
}

/// Everything that is known at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// The two processes, as their supervisor knows them.
    pub(crate) processes: BySide<Process>,
    /// What the two brokers say of themselves.
    pub(crate) brokers: BySide<Observed<Broker>>,
    /// The pair record.
    pub(crate) record: Observed<RecordSeen>,
}

/// One side's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// It runs.
    Running,
    /// It ended without having been asked to.
    Ended {
        /// When.
        at: Timestamp,
        /// How long it had run.
        ran_ms: u64,
    },
    /// A person wants it down.
    HeldDown,
}

/// What a broker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    /// Its role.
    pub(crate) role: Role,
    /// Whether a healthy pair stays in that role.
    pub(crate) settled: bool,
    /// Epoch of the record it saw last.
    pub(crate) epoch: u64,
    /// A number of its process, which the next one has not; another one has been stable for no time at all.
    pub(crate) pid: u32,
    /// What the record names for it: this run of its process over a shared store, its store in replication.
    pub(crate) member: String,
    /// The link to the other side, as it sees it.
    pub(crate) link: Link,
    /// What its role means right now, in a sentence.
    pub(crate) why: String,
}

/// The link between the two brokers, as one of them sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// The other side's process is connected.
    Up,
    /// It is not; and why, as far as that is known.
    Down(Option<String>),
}

/// What the pair record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordSeen {
    /// Number of the current term.
    pub(crate) epoch: u64,
    /// Side that holds it.
    pub(crate) holder: Option<Side>,
    /// Processes that may take over when the holder falls silent, the holder's own among them.
    pub(crate) in_sync: Vec<Member>,
    /// The request that is in force: the side it wants active, and its name.
    pub(crate) wanted: Option<(Side, String)>,
    /// Name of the last refused request, and why.
    pub(crate) refused: Option<(String, String)>,
    /// The last change of the holder.
    pub(crate) last: Option<ChangeSeen>,
    /// The epoch in which an update asked for a move of the role, if one ever did.
    pub(crate) update_asked: Option<u64>,
}

/// The record's own key for [`RecordSeen::update_asked`], which brokers keep and do not know.
pub(crate) const UPDATE_ASKED: &str = "update_asked";

impl RecordSeen {
    /// What policy sees of a record.
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            epoch: record.epoch,
            holder: record.holder.as_ref().map(|holder| holder.side),
            in_sync: record.in_sync.clone(),
            wanted: record
                .wanted_now()
                .map(|wanted| (wanted.to, wanted.id.clone())),
            refused: record
                .refused
                .as_ref()
                .map(|refused| (refused.id.clone(), refused.reason.clone())),
            last: record.last.as_ref().map(|last| ChangeSeen {
                cause: last.cause.clone(),
                at: Timestamp(last.at),
                gap_ms: last.gap_ms,
                by: last.by.clone(),
            }),
            update_asked: record.foreign.get(UPDATE_ASKED).and_then(Value::as_u64),
        }
    }
}

/// A change of the holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeSeen {
    /// Why.
    pub(crate) cause: Cause,
    /// When the taker wrote it.
    pub(crate) at: Timestamp,
    /// How long nobody served, once that is known.
    pub(crate) gap_ms: Option<u64>,
    /// The person who forced it, as far as that is known.
    pub(crate) by: Option<String>,
}

/// A broker's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Before its first look at the record.
    Starting,
    /// Follows; its client ports are closed.
    Standby,
    /// Tries to take over.
    Attempting,
    /// Has taken over and prepares to serve.
    Preparing,
    /// Serves clients.
    Serving,
    /// Holds the term but is not sure of it.
    Holding,
    /// Lets go of its term.
    Handing,
    /// Ends.
    Stopped,
}

/// Roles and their names, as brokers write them.
const ROLES: [(Role, &str); 8] = [
    (Role::Starting, "starting"),
    (Role::Standby, "standby"),
    (Role::Attempting, "attempting"),
    (Role::Preparing, "preparing"),
    (Role::Serving, "serving"),
    (Role::Holding, "holding"),
    (Role::Handing, "handing"),
    (Role::Stopped, "stopped"),
];

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        ROLES
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(role, _)| *role)
            .ok_or(())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ROLES
            .iter()
            .find(|(role, _)| role == self)
            .map_or("", |(_, name)| name);
        f.pad(name)
    }
}
