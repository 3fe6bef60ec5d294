//! What a side wants done, and why it ends.

use std::fmt;

use super::{Draining, Notice, Versioned, View};
use crate::{Cut, Incarnation, Message, Record, Term};

/// Something a side wants done.
///
/// There are three lanes, each with at most one action under way: the *arbiter* (`ReadRecord`,
/// `Cas`, `Create`), the *lock* (`ProbeLock`, `SurveyStore`, `SelfTestLocks`) and the *steps* (everything else that
/// names an answer). A driver carries out each lane in order, runs the lanes side by side, and may
/// take as long as it needs; it answers exactly once. Actions that name no answer are carried out at
/// once, in their place among the steps. Two break into the order: `DropState` and `Exit`.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Look which terms have written to the store. Answer: `StoreInspected`.
    InspectStore,
    /// Read the record, and before it the peer's side file. Answer: `RecordRead`.
    ReadRecord,
    /// Replace the record of that version. Answer: `CasDone`.
    Cas {
        /// Version it is based on.
        base: u64,
        /// The new record.
        record: Box<Record>,
    },
    /// Write the record where there is none. Answer: `CasDone`.
    Create {
        /// The new record.
        record: Box<Record>,
    },
    /// Test the lock of a term's file without taking it. Answer: `LockProbed`.
    ProbeLock {
        /// The term.
        term: Term,
    },
    /// List the store's terms, and test the lock of each that is not marked as fenced. Answer:
    /// `StoreSurveyed`.
    SurveyStore,
    /// Lock a scratch file of the store twice. Answer: `LocksSelfTest`.
    SelfTestLocks,
    /// Bind every client port without listening. Answer: `PortsReserved`.
    ReservePorts,
    /// Write the own side file. No answer.
    WriteSideFile {
        /// Whether this process is about to end.
        leaving: bool,
        /// The last work before the newest term it let go of.
        draining: Option<Draining>,
    },
    /// Create and lock the own term file (rule 3). Answer: `TermFileCreated`.
    CreateTermFile {
        /// The own term.
        term: Term,
    },
    /// Delete the own term file of a takeover that definitely failed. No answer.
    DeleteTermFile {
        /// The own term.
        term: Term,
    },
    /// Mark each of these terms as fenced, and every other term of a lower epoch whose file is in
    /// the store, fsync each; fail if the file of a higher epoch is there. Answer: `Fenced`.
    ///
    /// A record that was rolled back knows neither the terms that came after it nor that there were
    /// any. Their files do: each taker creates its own and then looks for the others', so of two
    /// takers of unlike epochs the higher marks the lower one, or the lower one sees the higher
    /// one's file and goes no further. Two of the same epoch meet at the seal, which only one gets.
    Fence {
        /// The own term.
        term: Term,
        /// The replaced terms that the record knows, marked by name: a listing of a network disk
        /// may be a moment old. A missing file counts as marked.
        terms: Vec<Term>,
    },
    /// List and read, through new opens, what the newest seal names and its term's own files.
    /// A network disk may show less for a moment than was on it already: less than `at_least` is
    /// looked for again, for a bounded time, and then fails. Answer: `HistoryLoaded`.
    LoadHistory {
        /// The own term.
        term: Term,
        /// A replaced term, and entries of its own log that its holder said were on disk.
        at_least: Option<(Term, u64)>,
    },
    /// Write the own seal: the files and lengths just read. Answer: `Sealed`.
    Seal {
        /// The own term.
        term: Term,
    },
    /// Append the *term start* entry, fsync, read the own mark. Answer: `TermStarted`.
    StartTerm {
        /// The own term.
        term: Term,
    },
    /// Open the client ports. Answer: `PortsOpened`.
    OpenPorts {
        /// The own term.
        term: Term,
    },
    /// The gate is open up to this position: acknowledgements that depend on entries up to it may
    /// leave the process. What depends on no entry (deliveries, answers about nothing durable) may
    /// leave until `fresh_until_ms`, on the clock of `Now::mono_ms`, and not after (rule 8). No answer.
    Release {
        /// The own term.
        term: Term,
        /// Position of the term's log; never less than before.
        up_to: u64,
        /// Until then; `u64::MAX` where this process is the only member. May be less than before.
        fresh_until_ms: u64,
    },
    /// Accept nothing more, finish fsyncs (each reported with `Synced`, each released), then send
    /// the clients away and close the ports, within a bounded time. Answer: `Drained`.
    Drain {
        /// The own term.
        term: Term,
    },
    /// Close the own term file, which frees its lock. Answer: `TermClosed`.
    CloseTermFile {
        /// The own term.
        term: Term,
    },
    /// Close client connections and ports at once, acknowledge nothing more, drop all state and
    /// buffers; steps of this term that are under way end, unanswered from here on. Answer:
    /// `StateDropped`.
    DropState {
        /// The own term.
        term: Term,
    },
    /// End the process.
    Exit(ExitReason),
    /// Of this term so many entries are on disk, as its holder says: a standby may read them ahead, so
    /// that a takeover reads only the tail. Nothing is decided on what was read; it is worth nothing
    /// once another term is named. Answer, once for each term: `ReadAheadDone`.
    ReadAhead {
        /// The term this side follows.
        term: Term,
        /// Entries of its log that are on disk.
        durable: u64,
    },
    /// Replication: leave the session that the log follows, sync, and say what is on disk; nothing is
    /// appended from here on until `FollowLog` or `StartTerm` (rule 2). Answer: `LogFrozen`.
    FreezeLog,
    /// Replication: follow that process' log. What the own log has beyond the cut is moved aside, what
    /// comes for this session is appended and synced, each fsync reported with `LogProgress`. No answer.
    FollowLog {
        /// The own number of the session.
        session: u64,
        /// The process that ships it.
        peer: Incarnation,
        /// Its term.
        term: Term,
        /// Where the own log goes on.
        cut: Cut,
    },
    /// Replication: ship the own log to that process, from the cut on and without end; it ends the one
    /// before it. No answer.
    ShipLog {
        /// The follower's number of the session.
        session: u64,
        /// The follower.
        peer: Incarnation,
        /// The own term.
        term: Term,
        /// Where the follower's log goes on.
        cut: Cut,
    },
    /// Replication: give the own store a new random identity, synced. Answer: `LogFrozen`.
    RenewStore,
    /// Replication: keep this record, the newest one known, beside the log, synced. No answer.
    KeepRecord {
        /// The record.
        record: Box<Record>,
    },
    /// Send a message over the link, if that process is connected; what cannot be sent at once is
    /// dropped. No answer.
    Send {
        /// The process it is for.
        peer: Incarnation,
        /// The message.
        message: Message,
    },
    /// Tell people.
    Notice(Notice),
    /// The view has changed.
    Publish(Box<View>),
}

/// Why the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It was asked to.
    Stopped,
    /// There is no record and no data: there is no pair here, or its store is not mounted.
    NoRecord {
        /// Name of the arbiter.
        arbiter: String,
    },
    /// The record belongs to another pair, or to another mode.
    OtherPair {
        /// What the record says.
        found: String,
        /// What this instance is.
        expected: String,
    },
    /// The store failed in a step that nothing may be built upon.
    Store {
        /// What was tried.
        step: &'static str,
        /// What happened.
        error: String,
    },
    /// The client ports could not be opened although they had been reserved.
    Ports(String),
}

impl ExitReason {
    /// Status the process ends with; each reason has its own.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::NoRecord { .. } => 70,
            Self::OtherPair { .. } => 71,
            Self::Store { .. } => 72,
            Self::Ports(_) => 73,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => write!(f, "stopped"),
            Self::NoRecord { arbiter } => write!(
                f,
                "no pair record in {arbiter}: is the store mounted? A new pair is made by \
                 `create`, or by `tandem-broker pair init INSTANCE`."
            ),
            Self::OtherPair { found, expected } => {
                write!(
                    f,
                    "the pair record belongs to {found}, this instance is {expected}"
                )
            }
            Self::Store { step, error } => write!(f, "the store failed ({step}): {error}"),
            Self::Ports(error) => write!(f, "the client ports cannot be opened: {error}"),
        }
    }
}

/// A write of the record, as the machine keeps it until its outcome is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Write {
    /// Replace this version.
    Cas(Versioned),
    /// Make the first version.
    Create(Record),
}

impl Write {
    /// The record that is to be in place.
    pub(super) fn record(&self) -> &Record {
        match self {
            Self::Cas(versioned) => &versioned.record,
            Self::Create(record) => record,
        }
    }

    /// The action that sends it.
    pub(super) fn action(&self) -> Action {
        match self {
            Self::Cas(Versioned { version, record }) => Action::Cas {
                base: *version,
                record: Box::new(record.clone()),
            },
            Self::Create(record) => Action::Create {
                record: Box::new(record.clone()),
            },
        }
    }
}
