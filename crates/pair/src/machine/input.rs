//! What a side learns: answers to its actions, the passing of time, orders to stop.

use crate::{Incarnation, LogFacts, Message, Position, Record, Term};

/// The time of an input, on two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never steps and runs on while the machine is suspended
    /// (`CLOCK_BOOTTIME`). Every wait is measured on it.
    pub mono_ms: u64,
    /// Milliseconds since 1970; only written down for people, never decided upon.
    pub unix_ms: u64,
}

/// A record with the arbiter's version of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// What a compare-and-set names to replace exactly this one.
    pub version: u64,
    /// The record.
    pub record: Record,
}

/// Something a side learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Answers `InspectStore`. A process that cannot look into its store ends.
    StoreInspected(Result<StoreFacts, String>),
    /// Answers `ReadRecord`. The driver reads the peer's side file first and passes `PeerFile`.
    RecordRead(RecordRead),
    /// The record may have changed, or whoever watches it cannot tell any more: a hint to read it (A6).
    RecordHint,
    /// Answers `Cas` and `Create`.
    CasDone(CasDone),
    /// What the other side's file says; `None` if it left none.
    PeerFile(Option<PeerInfo>),
    /// Answers `ProbeLock`.
    LockProbed {
        /// The term whose lock was tested.
        term: Term,
        /// What was found.
        lock: LockState,
    },
    /// Answers `SurveyStore`.
    StoreSurveyed(Result<Survey, String>),
    /// Answers `SelfTestLocks`: whether a second descriptor was refused.
    LocksSelfTest(bool),
    /// Answers `ReservePorts`.
    PortsReserved(Result<(), String>),
    /// Answers `CreateTermFile`.
    TermFileCreated {
        /// The own term.
        term: Term,
        /// Whether it is there and locked.
        result: Result<(), String>,
    },
    /// Answers `Fence`.
    Fenced {
        /// The own term.
        term: Term,
        /// Whether every term is marked and the marks are on disk.
        result: Result<(), String>,
    },
    /// Answers `LoadHistory`.
    HistoryLoaded {
        /// The own term.
        term: Term,
        /// Whether all of it was read.
        result: Result<(), String>,
    },
    /// Answers `Seal`.
    Sealed {
        /// The own term.
        term: Term,
        /// Whether the seal is on disk.
        result: Result<(), String>,
    },
    /// Answers `StartTerm`: the *term start* entry is on disk, and this is the own mark as it was
    /// read, through a new open, after that fsync returned.
    TermStarted {
        /// The own term.
        term: Term,
        /// The own mark.
        result: Result<Mark, String>,
    },
    /// An fsync of the journal has returned, and then the own mark was read through a new open. In
    /// replication there are no marks: `Clear`.
    Synced {
        /// The own term.
        term: Term,
        /// Everything up to this position of the term's log is on disk.
        up_to: u64,
        /// The own mark.
        mark: Mark,
    },
    /// A write, an fsync or the reading of the own mark failed: the incarnation is over, unless it
    /// has let go of that term already.
    JournalFailed {
        /// The term whose journal it is.
        term: Term,
        /// What happened.
        error: String,
    },
    /// Answers `OpenPorts`.
    PortsOpened {
        /// The own term.
        term: Term,
        /// Whether every client port is open.
        result: Result<(), String>,
    },
    /// Answers `Drain`.
    Drained {
        /// The own term.
        term: Term,
    },
    /// Answers `DropState`.
    StateDropped {
        /// The own term.
        term: Term,
    },
    /// Answers `CloseTermFile`.
    TermClosed {
        /// The own term.
        term: Term,
    },
    /// Answers `ReadAhead`: what was on disk of this term and of those before it has been read once, or cannot be
    /// read ahead.
    ReadAheadDone {
        /// The term this side follows, or followed.
        term: Term,
    },
    /// A process of the other side is connected over the link; it has proved who it is. There is
    /// one at a time.
    LinkUp {
        /// That process.
        peer: Incarnation,
    },
    /// The connection to that process is closed.
    LinkDown {
        /// That process.
        peer: Incarnation,
    },
    /// A message of the other side's process.
    LinkMessage {
        /// That process.
        peer: Incarnation,
        /// What it says.
        message: Message,
    },
    /// The supervisor of that process saw it end: proof of death. On Kubernetes only the kubelet's word about the
    /// container of this very incarnation.
    ProcessEnded {
        /// That process.
        inc: Incarnation,
    },
    /// Why there is no link, as far as that is known: a sentence for people, never for a decision.
    LinkTrouble(String),
    /// After `LinkDown`: the address at which that very process listened refuses connections.
    LinkRefused {
        /// That process.
        peer: Incarnation,
    },
    /// Replication; answers `FreezeLog` and `RenewStore`: what is on disk. A process that cannot read its own
    /// log ends.
    LogFrozen(Result<LogFacts, String>),
    /// Replication: of what is followed in this session so much is on disk.
    LogProgress {
        /// The session of `FollowLog`.
        session: u64,
        /// The last position on disk.
        end: Position,
        /// The full copy is not whole yet.
        incomplete: bool,
    },
    /// Replication: the log that is followed could not be written or synced: the process ends.
    LogFailed(String),
    /// Replication: what is older than this is about to be retired from the own log.
    LogRetired {
        /// The log can be shipped from there on.
        oldest: Position,
    },
    /// Somebody asked this process to stop.
    StopRequested,
    /// The time that `poll_timeout` named has come.
    TimeOut,
}

/// What lies in the store when a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// The highest epoch that a seal or a journal file names; 0 if no term has written there.
    /// Term files do not count: a taker creates its one before it has the term. A record below this
    /// epoch is an old copy (A4), also for a process that has never seen a newer one.
    pub newest_epoch: u64,
}

/// What a store shows of its terms when the record is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The highest epoch that a seal, a journal file or a term file names; 0 if there is none.
    pub newest_epoch: u64,
    /// Every term whose file is there, ascending.
    pub terms: Vec<Term>,
    /// A term whose mark is clear and whose lock is held, or could not be tested.
    pub living: Option<Term>,
}

impl StoreFacts {
    /// Whether any term has written there.
    pub const fn has_data(self) -> bool {
        self.newest_epoch > 0
    }
}

/// The answer to a read of the record.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordRead {
    /// The record.
    Found(Box<Versioned>),
    /// The arbiter definitely has none.
    Missing,
    /// There is one, of a format this program does not know.
    NewerFormat {
        /// Its format.
        format: u32,
    },
    /// No definite answer.
    Failed(String),
}

/// The answer to a write of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasDone {
    /// It is in place.
    Won {
        /// Its version.
        version: u64,
    },
    /// The base is not, or no longer, the newest version. Not a "no" (A2).
    Conflict,
    /// No definite answer; it may have landed or may land yet (A1).
    Unknown(String),
    /// It was not sent and never will be: such a record cannot be written.
    Refused(String),
}

/// What a test of a term's lock finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockState {
    /// Refused: its process lives.
    Held,
    /// Free: as a term's lock is taken once, before the term exists, it stays free for ever.
    Free,
    /// There is no such file.
    Absent,
    /// No answer.
    Failed(String),
}

/// The fence mark of the own term, read through a new open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nobody has replaced this term.
    Clear,
    /// A taker has replaced this term.
    Fenced,
    /// The file is gone, which counts as marked.
    Missing,
}

/// What the other side's file says of it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PeerInfo {
    /// Host and port of its clients.
    pub connector: String,
    /// Its incarnation.
    pub inc: Incarnation,
    /// Whether it has said that it is about to end.
    pub leaving: bool,
    /// The last work it did, or does, before it lets go of a term.
    pub draining: Option<Draining>,
    /// Whether a process of that side holds the side's lock: a killed one leaves its file behind.
    /// False if that could not be seen. A hint for availability, never evidence for safety.
    pub alive: bool,
}

/// Since when an active accepts nothing new: the service gap begins there. A hint for the number that
/// people see, never for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Draining {
    /// The term it lets go of.
    pub epoch: u64,
    /// Wall-clock time of that machine, in milliseconds since 1970.
    pub since_unix_ms: u64,
}
