//! What a side wants done, what it reports, and why it ends.

use std::fmt;

use super::{Draining, Versioned, View};
use crate::{Cause, Incarnation, Message, Record, Refused, Side, Term};

/// Something a side wants done.
///
/// There are three lanes, each with at most one action under way: the *arbiter* (`ReadRecord`,
/// `Cas`, `Create`), the *lock* (`ProbeLock`, `SelfTestLocks`) and the *steps* (everything else that
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

/// Something people should know. `Display` is a sentence; the driver chooses code and level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A takeover begins.
    TakingOver {
        /// The term it tries to get.
        term: Term,
        /// Why.
        cause: Cause,
    },
    /// The record names this process as holder.
    TookOver {
        /// The own term.
        term: Term,
        /// Why.
        cause: Cause,
        /// The term it replaces.
        replaced: Option<Term>,
    },
    /// Another was first, or a precondition went away.
    TakeoverLost {
        /// The term it tried to get.
        term: Term,
    },
    /// The term's start is durable and unfenced, and the client ports are open.
    Serving {
        /// The own term.
        term: Term,
        /// Service gap as this side saw it.
        gap_ms: Option<u64>,
    },
    /// The own term was replaced.
    SteppingDown {
        /// The own term.
        term: Term,
        /// How it was learned.
        why: &'static str,
    },
    /// This holder is not sure of its term: it answers nobody until the other side promises again or is
    /// removed from the record.
    Holding {
        /// The other side.
        side: Side,
    },
    /// The other side may take over from now on: it is in the record.
    Admitted {
        /// The other side.
        side: Side,
    },
    /// The other side may not take over on silence any more: it is out of the record.
    Removed {
        /// The other side.
        side: Side,
    },
    /// This standby has seen that the store's locks do not work.
    LocksBroken,
    /// A requested switchover begins.
    HandingOver {
        /// The side that shall take over.
        to: Side,
        /// The request.
        id: String,
    },
    /// The other side did not take over in time; this one takes back.
    HandoverUnused {
        /// The side that should have taken over.
        to: Side,
    },
    /// A request was refused, by this side.
    RefusedSwitchover(Refused),
    /// A request is not obeyed yet, because of something that passes.
    SwitchoverWaits {
        /// The request.
        id: String,
        /// What speaks against it.
        reason: String,
    },
    /// This returned primary asks for a failback.
    AskedForFailback {
        /// The request.
        id: String,
    },
    /// The active refused the failback this side asked for.
    FailbackRefused {
        /// The active's reason.
        reason: String,
    },
    /// A free lock does not prove a death here; the takeover waits, then rests on the fence mark.
    LocksUnproven {
        /// The term whose lock is free.
        term: Term,
        /// How long it waits.
        wait_ms: u64,
    },
    /// The holder's term file is gone, so its lock proves nothing: a person must decide.
    TermFileAbsent {
        /// The holder's term.
        term: Term,
    },
    /// The record is missing, or older than one this process has seen, and this side may not make
    /// it again.
    RecordMissing {
        /// Name of the arbiter.
        arbiter: String,
    },
    /// The living holder wrote its copy of the record again (rule 7).
    RecordRecreated {
        /// Epoch of the record.
        epoch: u64,
    },
    /// The record has a format this program does not know.
    RecordFormat {
        /// Its format.
        format: u32,
    },
    /// The arbiter gives no definite answer.
    ArbiterLost(String),
    /// The arbiter answers again.
    ArbiterBack,
    /// The record it would write cannot be written; tried again later.
    WriteRefused(String),
    /// The client ports cannot be reserved, so this side could not take over.
    PortsTaken(String),
    /// The own term file could not be created.
    TermFileFailed(String),
    /// A clean stop could not be written to the record: the other side may take over.
    StopUnrecorded,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakingOver { term, cause } => {
                write!(f, "takes over with epoch {} ({cause})", term.epoch)
            }
            Self::TookOver {
                term,
                cause,
                replaced: None,
            } => {
                write!(f, "holds epoch {} ({cause})", term.epoch)
            }
            Self::TookOver {
                term,
                cause,
                replaced: Some(old),
            } => {
                write!(
                    f,
                    "holds epoch {} ({cause}), replaces epoch {}",
                    term.epoch, old.epoch
                )
            }
            Self::TakeoverLost { term } => {
                write!(
                    f,
                    "does not take over: epoch {} could not be had",
                    term.epoch
                )
            }
            Self::Serving { term, gap_ms: None } => write!(f, "serves epoch {}", term.epoch),
            Self::Serving {
                term,
                gap_ms: Some(gap_ms),
            } => {
                write!(f, "serves epoch {} after a gap of {gap_ms} ms", term.epoch)
            }
            Self::SteppingDown { term, why } => {
                write!(f, "steps down from epoch {}: {why}", term.epoch)
            }
            Self::Holding { side } => write!(
                f,
                "answers nobody: the {side} may take over and is silent, and is not removed from \
                 the pair record yet"
            ),
            Self::Admitted { side } => write!(f, "the {side} is in sync: it may take over"),
            Self::Removed { side } => {
                write!(
                    f,
                    "the {side} is not in sync any more: this side goes on alone"
                )
            }
            Self::LocksBroken => write!(
                f,
                "locks do not work on this store: the active's lock was free while the active \
                 lived; a takeover needs the active's silence, or a person"
            ),
            Self::HandingOver { to, id } => write!(f, "hands over to the {to} (request {id})"),
            Self::HandoverUnused { to } => {
                write!(f, "the {to} did not take over in time: takes back")
            }
            Self::RefusedSwitchover(Refused { id, reason }) => {
                write!(f, "refuses request {id}: {reason}")
            }
            Self::SwitchoverWaits { id, reason } => {
                write!(f, "request {id} waits: {reason}")
            }
            Self::AskedForFailback { id } => write!(f, "asks for a failback (request {id})"),
            Self::FailbackRefused { reason } => write!(f, "the failback was refused: {reason}"),
            Self::LocksUnproven { term, wait_ms } => write!(
                f,
                "the lock of epoch {} is free, but it is not known whether locks work on this \
                 store: waits {wait_ms} ms and then relies on the fence mark alone",
                term.epoch
            ),
            Self::TermFileAbsent { term } => write!(
                f,
                "the file {} of the active's term is gone: whether the active lives cannot be \
                 seen; a person who knows that it does not must force this side",
                term.file_name()
            ),
            Self::RecordMissing { arbiter } => write!(
                f,
                "the pair record in {arbiter} is missing or was rolled back, and the store has \
                 data: stays standby until the active writes it again or a person forces a side"
            ),
            Self::RecordRecreated { epoch } => {
                write!(f, "wrote the lost pair record of epoch {epoch} again")
            }
            Self::RecordFormat { format } => {
                write!(
                    f,
                    "the pair record has the unknown format {format}: upgrade this broker"
                )
            }
            Self::ArbiterLost(error) => write!(f, "the arbiter does not answer: {error}"),
            Self::ArbiterBack => write!(f, "the arbiter answers again"),
            Self::WriteRefused(error) => {
                write!(f, "the pair record cannot be written: {error}")
            }
            Self::PortsTaken(error) => write!(f, "could not take over: {error}"),
            Self::TermFileFailed(error) => write!(f, "the own term file failed: {error}"),
            Self::StopUnrecorded => write!(
                f,
                "the clean stop could not be written to the pair record: the other side may \
                 take over"
            ),
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
