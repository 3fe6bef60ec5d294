//! What can go wrong, by who acts on it: [`WriteError`] ends the incarnation, [`ReadError`] stops a
//! start until a person has looked.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::names::TermId;

/// What was being done to a file or the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Creating a file that must not exist yet.
    Create,
    /// Opening a file for reading.
    Open,
    /// Writing.
    Write,
    /// Making written bytes durable.
    Sync,
    /// Reading.
    Read,
    /// Listing the directory.
    List,
    /// Giving a finished file its name.
    Link,
    /// Removing a temporary or retired file.
    Remove,
    /// Making names durable.
    SyncDirectory,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Read => "read",
            Self::List => "list",
            Self::Link => "link",
            Self::Remove => "remove",
            Self::SyncDirectory => "sync directory",
        })
    }
}

/// The journal could not be written; the incarnation must end and recover from disk.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file system has no room left, or a quota is used up.
    #[error("file system full: cannot {operation} {}: {source}; free space, then start again", .path.display())]
    Full {
        /// What was being done.
        operation: Operation,
        /// To which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Any other refusal of the system.
    #[error("cannot {operation} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        operation: Operation,
        /// To which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A write stopped in the middle without saying why.
    #[error("short write to {}: {written_bytes} of {expected_bytes} bytes", .path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Bytes written by the first call.
        written_bytes: usize,
        /// Bytes it should have written.
        expected_bytes: usize,
    },
    /// The epoch is sealed by another term: this one has lost.
    #[error("{} exists already and is not of term {term}: this term must not write", .path.display())]
    SealedByAnother {
        /// The seal found.
        path: PathBuf,
        /// The term that wanted to seal.
        term: TermId,
    },
    /// A writer may start only in a term whose seal is written.
    #[error("term {term} has no seal of its own in {}: write the seal before the first entry", .path.display())]
    NotSealed {
        /// The journal's directory.
        path: PathBuf,
        /// The term.
        term: TermId,
    },
    /// A seal in the directory could not be read.
    #[error("cannot read the seal of this term: {0}")]
    Seal(#[source] Box<ReadError>),
    /// The writer's thread could not be started.
    #[error("cannot start the journal's thread: {0}")]
    Thread(#[source] io::Error),
    /// The writer's thread panicked, most likely in the caller's callback.
    #[error("the journal's thread panicked")]
    Panicked,
}

impl WriteError {
    /// Sorts an error of the system.
    pub(crate) fn io(operation: Operation, path: PathBuf, source: io::Error) -> Self {
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            Self::Full {
                operation,
                path,
                source,
            }
        } else {
            Self::Io {
                operation,
                path,
                source,
            }
        }
    }

    /// A stable word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::Io { .. } => "io",
            Self::Short { .. } => "short_write",
            Self::SealedByAnother { .. } => "sealed_by_another",
            Self::NotSealed { .. } => "not_sealed",
            Self::Seal(_) => "seal",
            Self::Thread(_) => "thread",
            Self::Panicked => "panicked",
        }
    }
}

/// The journal could not be read; nothing may be served from it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A refusal of the system.
    #[error("cannot {operation} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        operation: Operation,
        /// To which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file that must be there is not.
    #[error("{} is missing, but {needed_by} builds on it: is the whole store mounted?", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Name of the file that tells of it.
        needed_by: String,
    },
    /// Bytes are not what was written.
    #[error("{} is damaged at byte {at_byte}: {damage}; restore the store from a copy", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at_byte: u64,
        /// What is wrong there.
        damage: Damage,
    },
    /// Written by a newer version.
    #[error("{} has format {found}, this version reads up to {supported}: use a newer version", .path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Its format number.
        found: u32,
        /// The highest that can be read.
        supported: u32,
    },
    /// Entries of a term whose seal is gone; without it nobody knows what they continue.
    #[error("{} has entries of a term without its seal {seal}: is the whole store mounted?", .path.display())]
    Unsealed {
        /// The segment.
        path: PathBuf,
        /// Name of the missing seal.
        seal: String,
    },
}

impl ReadError {
    /// A stable word for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Missing { .. } => "missing",
            Self::Damaged { .. } => "damaged",
            Self::Unsupported { .. } => "unsupported",
            Self::Unsealed { .. } => "unsealed",
        }
    }
}

/// What is wrong with the bytes at a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The segment's first block is not whole.
    #[error("the segment's header is not whole")]
    Header,
    /// The header belongs to another file.
    #[error("the segment's header belongs to another file")]
    Identity,
    /// No whole batch or record where one must be.
    #[error("no whole record here, though more was written behind it")]
    Record,
    /// The header says that history begins with a segment that comes after this one.
    #[error("the header says that history begins with segment {0}, which comes later")]
    Start(u64),
    /// A batch or record is whole but not the one that must come here.
    #[error("expected entry {expected}, found {found}")]
    Order {
        /// The offset that must come here.
        expected: u64,
        /// The offset found.
        found: u64,
    },
    /// A batch is whole but its records do not fill it.
    #[error("the records of a batch do not fill it")]
    BatchLength,
    /// The file is shorter than a seal says.
    #[error("the file ends here, sealed are {sealed_bytes} bytes")]
    Short {
        /// The sealed length.
        sealed_bytes: u64,
    },
    /// A seal's length is not the end of a record.
    #[error("no whole record here, sealed are {sealed_bytes} bytes")]
    Sealed {
        /// The sealed length.
        sealed_bytes: u64,
    },
    /// A record carries flags that this version does not know.
    #[error("unknown flags {0:#04x} in a record")]
    Flags(u8),
    /// The seal's checksum line does not fit its text.
    #[error("the seal's checksum does not fit its text")]
    SealChecksum,
    /// The seal's text is not a seal.
    #[error("the seal says {0}")]
    SealText(String),
}
