//! The pair record: the one value both sides compare-and-set, and every write the protocol allows.
//!
//! A record is never changed in place: each legal write is a function from the record that was read
//! to the record that is to replace it, which keeps what it does not know. A broker's write raises
//! `serial` and carries a new `wid`, so that its sender recognises it after an unclear answer
//! (rule 9) and others see in it a sign of the holder's life; a request (`wanted`) keeps both.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Incarnation, Mode, Side, Term};

mod writes;

pub use writes::{Taker, TakerPath};

/// The newest format of the record that this program reads, and the one it writes.
pub const FORMAT: u32 = 1;

/// A record is a few hundred bytes; more than this is not one, and is not read into memory.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;

/// What the pair's two sides agree on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Format of this record; a reader that knows only lower ones stays standby.
    pub format: u32,
    /// Node ID: identity of the pair's data, shared by both sides.
    pub pair: String,
    /// How the sides share their data.
    pub mode: Mode,
    /// Number of the current term; 0 before the first.
    pub epoch: u64,
    /// Who holds the current term; nobody before the first.
    #[serde(default)]
    pub holder: Option<Holder>,
    /// Who may take over by promise (a process) or by its disk (a store).
    #[serde(default)]
    pub in_sync: Vec<Member>,
    /// A requested switchover; void if its epoch is not the current one.
    #[serde(default)]
    pub wanted: Option<Wanted>,
    /// The last request of this term that the active refused.
    #[serde(default)]
    pub refused: Option<Refused>,
    /// The side that was stopped on purpose without a failover.
    #[serde(default)]
    pub stopped: Option<Side>,
    /// The last change of the holder.
    #[serde(default)]
    pub last: Option<Transition>,
    /// The longest promise ever granted, in milliseconds.
    #[serde(default)]
    pub promise_ms: u64,
    /// Terms that were replaced and are not known to be fenced yet (rule 3).
    #[serde(default)]
    pub unfenced: Vec<Term>,
    /// What is known of the locks of the store; nothing if absent.
    #[serde(default)]
    pub locks: Option<Locks>,
    /// How often the holder changed.
    #[serde(default)]
    pub transitions: u64,
    /// Grows by one with every write of a broker.
    #[serde(default)]
    pub serial: u64,
    /// The last write of a broker.
    #[serde(default)]
    pub wid: Option<WriteId>,
    /// Keys this program does not know; every write keeps them.
    #[serde(flatten)]
    pub foreign: BTreeMap<String, serde_json::Value>,
}

/// The process that holds a term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its side.
    pub side: Side,
    /// Its incarnation.
    pub inc: Incarnation,
    /// Its pod, or host and process, for people only.
    #[serde(default)]
    pub pod: Option<String>,
    /// Boot identifier of the kernel it runs under.
    #[serde(default)]
    pub boot: Option<String>,
}

/// A member of `in_sync`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its side.
    pub side: Side,
    /// Its incarnation (shared store) or its store's identifier (replication).
    pub id: String,
}

/// A requested switchover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The side that shall be active.
    pub to: Side,
    /// The term in which it was asked; void in any other.
    pub epoch: u64,
    /// Name of the request, chosen by who asks; `refused` answers it.
    pub id: String,
}

/// Start of the name of a request that a returned primary makes by itself.
const FAILBACK_ID: &str = "failback:";

impl Wanted {
    /// The request of a returned primary with `failback=broker`.
    pub fn failback(inc: Incarnation, epoch: u64) -> Self {
        Self {
            to: Side::Primary,
            epoch,
            id: format!("{FAILBACK_ID}{}:{epoch}", inc.short()),
        }
    }

    /// Whether a returned primary asked by itself, rather than a person or an operator.
    pub fn is_failback(&self) -> bool {
        self.to == Side::Primary && self.id.starts_with(FAILBACK_ID)
    }
}

/// The answer to a request that the active refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The request's name.
    pub id: String,
    /// Why, in a sentence for people.
    pub reason: String,
}

/// A change of the holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Why it happened.
    pub cause: Cause,
    /// When the taker wrote it, in milliseconds since 1970.
    pub at: u64,
    /// Service gap as the taker saw it: from the beginning of the old holder's last work, or the last
    /// moment it was known alive, to the opened ports. Absent until then, and where the taker never saw the old holder alive.
    #[serde(default)]
    pub gap_ms: Option<u64>,
    /// The person who forced it, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Why the holder changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Cause {
    /// The pair's first term.
    FirstStart,
    /// The taker met no living active when it started.
    ColdStart,
    /// The old active's process ended.
    ProcessEnded,
    /// The old active was stopped, with failover.
    Shutdown,
    /// The primary was wanted back.
    Failback,
    /// A switchover that is not a failback.
    Switchover,
    /// The side that handed over took back, because the other did not take; or a holder that was not
    /// sure of its term, and let go of it, began a new one.
    TakenBack,
    /// The old active fell silent: it hangs, or it is cut off.
    ActiveSilent,
    /// The record was lost, and no term was held any more.
    RecordLost,
    /// A person decided it.
    Forced,
    /// A cause written by another version of this program.
    Other(String),
}

impl Cause {
    /// The cause as it is written in the record.
    pub fn as_str(&self) -> &str {
        match self {
            Self::FirstStart => "first-start",
            Self::ColdStart => "cold-start",
            Self::ProcessEnded => "process-ended",
            Self::Shutdown => "shutdown",
            Self::Failback => "failback",
            Self::Switchover => "switchover",
            Self::TakenBack => "taken-back",
            Self::ActiveSilent => "active-silent",
            Self::RecordLost => "record-lost",
            Self::Forced => "forced",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        match text.as_str() {
            "first-start" => Self::FirstStart,
            "cold-start" => Self::ColdStart,
            "process-ended" => Self::ProcessEnded,
            "shutdown" => Self::Shutdown,
            "failback" => Self::Failback,
            "switchover" => Self::Switchover,
            "taken-back" => Self::TakenBack,
            "active-silent" => Self::ActiveSilent,
            "record-lost" => Self::RecordLost,
            "forced" => Self::Forced,
            _ => Self::Other(text),
        }
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.as_str().to_owned()
    }
}

/// What is known of the store's locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locks {
    /// One side was refused the lock that the other held: they work.
    Seen,
    /// A lock was obtained while its holder lived: a takeover by lock is off.
    Broken,
}

/// Name of one write: the writer's incarnation and its own counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteId {
    /// Who wrote.
    pub inc: Incarnation,
    /// The writer's count of its writes.
    pub n: u64,
}

/// A text that is not a record this program can use.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Larger than any record.
    #[error(
        "the pair record has {bytes} bytes, more than {MAX_RECORD_BYTES}, the most any pair record has"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not JSON, or a field is missing or of a wrong type.
    #[error("the pair record cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer version: nothing in it may be interpreted.
    #[error(
        "the pair record has format {format}, this program knows formats up to {FORMAT}: \
         it stays standby until it is upgraded"
    )]
    NewerFormat {
        /// The record's format.
        format: u32,
    },
}

/// The only key that every format has.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Record {
    /// The record a new pair starts with: no term, no holder.
    pub fn first(node_id: &str, mode: Mode) -> Self {
        Self {
            format: FORMAT,
            pair: node_id.to_owned(),
            mode,
            epoch: 0,
            holder: None,
            in_sync: Vec::new(),
            wanted: None,
            refused: None,
            stopped: None,
            last: None,
            promise_ms: 0,
            unfenced: Vec::new(),
            locks: None,
            transitions: 0,
            serial: 0,
            wid: None,
            foreign: BTreeMap::new(),
        }
    }

    /// Reads a record from its JSON text.
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        if text.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge { bytes: text.len() });
        }
        let FormatOnly { format } = serde_json::from_slice(text)?;
        if format > FORMAT {
            return Err(RecordError::NewerFormat { format });
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// The record's JSON text, one line and a newline. Refused if no reader would take it.
    pub fn to_json(&self) -> Result<String, RecordError> {
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        if text.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge { bytes: text.len() });
        }
        Ok(text)
    }

    /// The current term, if there was one.
    pub fn term(&self) -> Option<Term> {
        self.holder.as_ref().map(|holder| Term {
            epoch: self.epoch,
            inc: holder.inc,
        })
    }

    /// The request that is in force: one of the current term.
    pub fn wanted_now(&self) -> Option<&Wanted> {
        self.wanted
            .as_ref()
            .filter(|wanted| wanted.epoch == self.epoch)
    }

    /// Whether this record is older than one with these numbers, and so counts as missing (A4).
    pub fn is_older_than(&self, epoch: u64, serial: u64) -> bool {
        (self.epoch, self.serial) < (epoch, serial)
    }
}

#[cfg(test)]
mod tests;
