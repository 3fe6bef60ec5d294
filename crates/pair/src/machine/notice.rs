//! What a side tells people.

use std::fmt;

use crate::{Cause, Refused, Side, Term};

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
    /// Replication: this standby follows the active's log.
    Following {
        /// The active's side.
        side: Side,
        /// It gets a full copy.
        anew: bool,
    },
    /// Replication: the own disk has less than it had confirmed, so the store is another one from now on.
    StoreRenewed,
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
    #[expect(clippy::too_many_lines, reason = "one sentence for each notice")]
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
            Self::Following { side, anew: false } => write!(f, "follows the log of the {side}"),
            Self::Following { side, anew: true } => write!(
                f,
                "gets a full copy of the log of the {side}: its own one has nothing in common \
                 with what is left of that"
            ),
            Self::StoreRenewed => write!(
                f,
                "the disk of this side has less than it had confirmed: it went back, or lost \
                 what it had called written; it counts as another disk from now on"
            ),
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
