//! What a side shows of itself: the source of its status, its labels and its log lines.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::PeerInfo;
use crate::{Cause, Holder, Incarnation, Locks, Member, Refused, Side, Transition, Wanted};

/// What one side shows of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// This side.
    pub side: Side,
    /// Its role.
    pub role: Role,
    /// When it got that role, in milliseconds since 1970.
    pub since_unix_ms: u64,
    /// Whether it serves, or would take over when the active ends.
    pub settled: bool,
    /// Whether the client ports are open.
    pub ports_open: bool,
    /// Node ID of the pair, once a record was read.
    pub pair: Option<String>,
    /// Epoch of the newest record read.
    pub epoch: u64,
    /// Holder in that record.
    pub holder: Option<Holder>,
    /// Members in that record.
    pub in_sync: Vec<Member>,
    /// Last change of the holder in that record.
    pub last: Option<Transition>,
    /// How often the holder changed.
    pub transitions: u64,
    /// The request in force, if there is one.
    pub wanted: Option<Wanted>,
    /// The last request of this term that was refused.
    pub refused: Option<Refused>,
    /// The side that was stopped on purpose.
    pub stopped: Option<Side>,
    /// What the record says of the store's locks.
    pub locks: Option<Locks>,
    /// What the other side's file says.
    pub peer: Option<PeerInfo>,
    /// The link to the other side.
    pub link: LinkView,
    /// Whether the recorded active, another process, was heard over it within `lost_after`.
    pub active_heard: bool,
    /// What this side waits for.
    pub waiting: Waiting,
    /// The same as a sentence for people.
    pub why: String,
}

/// The link as one side sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkView {
    /// The connected process of the other side.
    pub connected: Option<Incarnation>,
    /// When that connection was made, in milliseconds since 1970.
    pub since_unix_ms: Option<u64>,
    /// Why there is none, as far as that is known.
    pub trouble: Option<String>,
}

/// What a side does in its pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Has not read the record yet.
    Starting,
    /// Follows, ports closed.
    Standby,
    /// Has sent a takeover write, or is about to.
    Attempting,
    /// Holds the term and prepares it, ports closed.
    Preparing,
    /// Serves clients. Only this role passes the gate.
    Serving,
    /// Holds the term but is not sure of it: accepts, answers and delivers nothing.
    Holding,
    /// Has drained and lets go of its term.
    Handing,
    /// Is about to end its process.
    Stopped,
}

impl Role {
    /// Whether a process in this role holds the current term.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Preparing | Self::Serving | Self::Holding)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Attempting => "attempting",
            Self::Preparing => "preparing",
            Self::Serving => "serving",
            Self::Holding => "holding",
            Self::Handing => "handing",
            Self::Stopped => "stopped",
        })
    }
}

/// What a side waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiting {
    /// Nothing: it serves.
    Nothing,
    /// The first answers after its start.
    FirstLook,
    /// The arbiter's answer.
    Arbiter,
    /// The store's answer about the active's lock.
    Locks,
    /// The record: it is missing or was rolled back.
    Record,
    /// A newer version of this program.
    Upgrade {
        /// Format of the record.
        format: u32,
    },
    /// Free client ports.
    Ports(String),
    /// The end of the active's process.
    HolderEnds {
        /// The active's side.
        holder: Side,
    },
    /// The end of the active's process, or its silence: this side is a member of `in_sync`.
    HolderLost {
        /// The active's side.
        holder: Side,
        /// Silence until it takes over, in milliseconds.
        silence_ms: u64,
    },
    /// The active's silence alone: locks prove nothing here, and this side is a member of `in_sync`.
    HolderSilent {
        /// The active's side.
        holder: Side,
        /// Silence until it takes over, in milliseconds.
        silence_ms: u64,
    },
    /// The active's end or its silence; this side's store is in sync.
    ActiveLost {
        /// The active's side.
        holder: Side,
        /// Silence until it takes over, in milliseconds.
        silence_ms: u64,
    },
    /// Its own store: it follows, and is not in sync yet.
    CatchingUp {
        /// The active's side.
        holder: Side,
    },
    /// The side that has the newest data: this one's is not in sync.
    NewestData {
        /// That side.
        side: Side,
        /// It is this side, and the data on a disk that it does not have any more.
        own: bool,
    },
    /// The other side's report of what it has: the record is missing.
    Reports,
    /// The other side's promise, or its removal from the record; until then nothing is answered.
    Consent {
        /// The other side.
        side: Side,
    },
    /// The other side's word that it still follows: the record is missing.
    Still {
        /// The other side.
        side: Side,
    },
    /// The side that a person forced.
    Forced {
        /// That side.
        side: Side,
    },
    /// The other side, which has the first right at a cold start.
    ColdStart {
        /// The side that goes first.
        first: Side,
    },
    /// The side that was stopped on purpose, or the primary.
    StoppedSide(Side),
    /// A lock of unknown worth has been free for long enough.
    UnprovenLock,
    /// A person: the holder's term file is gone.
    AbsentTermFile,
    /// A person: the store's locks are known not to work.
    BrokenLocks,
    /// The other side, to which this one handed over.
    OtherTakes {
        /// The other side.
        side: Side,
    },
    /// Its own takeover.
    OwnTakeover(Cause),
    /// Its own last work before it lets go of the term.
    Draining,
    /// The end of its own replaced term.
    OwnTermEnds,
    /// Its own end.
    OwnEnd,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "serves clients"),
            Self::FirstLook => write!(f, "looks for the pair record and the active"),
            Self::Arbiter => write!(f, "waits for the arbiter to answer"),
            Self::Locks => write!(
                f,
                "waits for the store to answer: whether the active's process lives cannot be seen"
            ),
            Self::Record => write!(
                f,
                "waits: the pair record is missing or was rolled back; the active must write it \
                 again, or a person force a side"
            ),
            Self::Upgrade { format } => {
                write!(
                    f,
                    "waits for an upgrade: the pair record has the unknown format {format}"
                )
            }
            Self::Ports(error) => write!(f, "cannot take over: {error}"),
            Self::HolderEnds { .. } => write!(f, "takes over when the active's process ends"),
            Self::HolderLost { silence_ms, .. } => write!(
                f,
                "takes over when the active's process ends or is silent for {silence_ms} ms"
            ),
            Self::HolderSilent { silence_ms, .. } => write!(
                f,
                "takes over when the active is silent for {silence_ms} ms; its lock proves nothing \
                 here"
            ),
            Self::ActiveLost { silence_ms, .. } => write!(
                f,
                "takes over when the active ends or is silent for {silence_ms} ms"
            ),
            Self::CatchingUp { holder } => {
                write!(f, "cannot take over yet: it copies the log of the {holder}")
            }
            Self::NewestData { own: true, .. } => write!(
                f,
                "cannot take over: the newest data is on another disk that this side had; bring that \
                 back, or a person must force a side and lose what is on it"
            ),
            Self::NewestData { side, own: false } => write!(
                f,
                "cannot take over: the newest data is on the {side}, this side is not in sync"
            ),
            Self::Reports => write!(
                f,
                "waits: the pair record is missing or was rolled back; the active must write it \
                 again, or both sides compare what they have, or a person force a side"
            ),
            Self::Consent { side } => write!(
                f,
                "answers nobody: the {side} may take over and is silent; waits for its word, or for \
                 the arbiter to remove it"
            ),
            Self::Still { side } => write!(
                f,
                "the pair record is missing: waits for the {side} to say that it still follows, \
                 then writes it again"
            ),
            Self::Forced { side } => write!(
                f,
                "waits for the {side}, which a person has forced to take over"
            ),
            Self::ColdStart { first } => {
                write!(
                    f,
                    "takes over soon unless the {first} starts, which goes first"
                )
            }
            Self::StoppedSide(side) => {
                write!(
                    f,
                    "waits: the {side} was stopped on purpose, without a failover"
                )
            }
            Self::UnprovenLock => write!(
                f,
                "takes over soon: the active's lock is free, but locks are not known to work here"
            ),
            Self::AbsentTermFile => write!(
                f,
                "cannot take over by itself: the file of the active's term is gone; a person who \
                 knows that the active has ended must force this side"
            ),
            Self::BrokenLocks => write!(
                f,
                "cannot take over by itself: locks do not work on this store; a person who knows \
                 that the active has ended must force this side"
            ),
            Self::OtherTakes { side } => write!(f, "has handed over and waits for the {side}"),
            Self::OwnTakeover(cause) => write!(f, "takes over ({cause})"),
            Self::Draining => write!(f, "finishes its work before it lets go"),
            Self::OwnTermEnds => write!(f, "was replaced and drops its state"),
            Self::OwnEnd => write!(f, "stops"),
        }
    }
}
