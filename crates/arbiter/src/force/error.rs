//! Why no side was forced, in words for the person who wanted it: what was seen, and what to do instead.

use std::io;

use pair::{RecordError, Role, Side};
use thiserror::Error;

use crate::{TermFileError, UnreadError};

/// Why no side was forced. But for [`ForceError::Unclear`], nothing was changed.
#[derive(Debug, Error)]
pub enum ForceError {
    /// There is nothing to force.
    #[error("the {side} is active already: by its own word it is {role}")]
    AlreadyActive {
        /// The side.
        side: Side,
        /// Its role.
        role: Role,
    },
    /// The standby hears the active.
    #[error(
        "the active lives: the {side} hears it, or heard it within `detection.timeout`. To move the role ask \
         for a switchover, or stop the {other}; if it has just died, ask again in a few seconds",
        other = side.other()
    )]
    ActiveHeard {
        /// Who hears it.
        side: Side,
    },
    /// The other side answers as one that holds the term.
    #[error(
        "the {other} is not dead: it answers on its HTTP port and is {role}. To move the role ask for a \
         switchover; if it cannot serve, end its process first"
    )]
    OtherLives {
        /// Who answers.
        other: Side,
        /// Its role, in words.
        role: String,
    },
    /// The holder wrote the record.
    #[error(
        "the {holder} is not dead: it has just written the pair record. To move the role ask for a \
         switchover; if it cannot serve, end its process first"
    )]
    HolderWrote {
        /// The holder's side.
        holder: Side,
    },
    /// The record is not the one that the person knew.
    #[error("the pair record has changed meanwhile: {now}. Look at the pair, and decide anew")]
    Changed {
        /// What it says now.
        now: String,
    },
    /// In replication, and the person did not say that data may be lost.
    #[error(
        "the pair is one of replication: the {side}'s disk may lack messages that the {other} acknowledged \
         alone, and a {other} that is only cut off goes on acknowledging until it is stopped. If its disk is \
         lost for good, and its process ended, ask again with --accept-data-loss", other = side.other()
    )]
    DataLoss {
        /// Who would take over.
        side: Side,
    },
    /// No term has ever written to the store.
    #[error(
        "no broker of this pair was ever active, so there is nobody to replace: start the {side}, or the \
         {other}, and it serves by itself",
        other = side.other()
    )]
    NeverActive {
        /// The side.
        side: Side,
    },
    /// Neither a record nor data.
    #[error(
        "there is no pair record in {arbiter}, and the store holds no data: is it mounted? The record of a new \
         pair is made by `tandem-broker pair init`"
    )]
    NothingHere {
        /// Where the record should be.
        arbiter: String,
    },
    /// The record cannot be read.
    #[error(transparent)]
    Read(#[from] UnreadError),
    /// The store cannot be looked at.
    #[error(transparent)]
    Store(#[from] TermFileError),
    /// The record would be one that nobody reads.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Somebody else was always first.
    #[error("the pair record changed again and again meanwhile: look at the pair, and ask again")]
    Contended,
    /// No definite answer.
    #[error(
        "the write of the pair record has no definite answer ({source}): it may be in place, or may not. \
         When the store answers again `tandem-broker pair show` tells; asking once more is safe"
    )]
    Unclear {
        /// What the system said last.
        source: io::Error,
    },
}

impl ForceError {
    /// Whether the record is certainly as it was.
    pub fn changed_nothing(&self) -> bool {
        !matches!(self, Self::Unclear { .. })
    }
}
