//! Replication: a standby's directory that holds, byte for byte, what the active's history is made of.
//!
//! The standby keeps the same files under the same names: segments with their headers and batches, and
//! the seal of the term it follows. So everything that reads a history (recovery, reading ahead, the
//! next term's seal) works on it as on the active's own, and a position means the same in both.
//!
//! ```text
//!   active                                            standby
//!   Shipper::begin ── Manifest (seal, files) ───────▶ Follower::begin: what is missing?
//!                  ◀── Want (file, from byte) ───────
//!   pieces of files ─────────────────────────────────▶ bulk: into files of temporary names
//!   Live ────────────────────────────────────────────▶ commit: all of it, or nothing
//!   each batch, as it is written ────────────────────▶ write, sync, tell: one by one
//!   Front (retired files are gone) ──────────────────▶ remove them here, too
//! ```
//!
//! # Why nothing acknowledged is lost
//! 1. Until the *commit* the standby's own history is what it was; what arrives has other names. The
//!    commit is one file, made visible by one `link`: before it nothing has changed, after it every
//!    start carries it to its end ([`recover`]) before it reads anything. So there is no moment at
//!    which a crash leaves half of two histories.
//! 2. After it each batch is written and synced before the next one is written, as the active does it:
//!    a crash tears the last batch at most. Only what is synced is told ([`Follower::end`]).
//! 3. Nothing is taken that is not whole: every header, batch and record is checked on its way in, also
//!    that its offset follows. What is taken lies where the active has it, or it is refused.
//! 4. What this side has beyond the common history is kept aside, never merged, and told; it is bounded
//!    ([`AsideLimits`]).
//! 5. Retired files go only when the active has removed its own, so the record that retires them has
//!    passed the gate, and when the header that says so is durable here.

mod aside;
mod commit;
mod follower;
mod plan;
mod shipper;
mod tap;
mod terms;
mod verify;

use bytes::Bytes;

pub use aside::AsideLimits;
pub use commit::recover;
pub use follower::{Begun, Committed, FollowError, Follower};
pub use shipper::{Shipment, Shipper};
pub(crate) use tap::{Tap, piece};
pub use terms::{TermEnd, ends};

use crate::names::{FileLength, SegmentName, TermId};

/// An entry of a history: its term and its ordinal in that term; 0 stands before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The term.
    pub term: TermId,
    /// Offset in it.
    pub offset: u64,
}

/// What the active's history is made of at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The active's term.
    pub term: TermId,
    /// The bytes of its seal.
    pub seal: Vec<u8>,
    /// The files in the order of their entries; those of its own term as far as they are durable.
    pub files: Vec<Listed>,
}

/// A file of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, and the end of its last record that counts.
    pub file: FileLength,
    /// Offset of its first record.
    pub first_offset: u64,
}

/// A file that the standby needs, from some byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The file.
    pub file: SegmentName,
    /// The first byte that is missing, on a block.
    pub from_byte: u64,
}

/// Some bytes of a file, from their place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub file: SegmentName,
    /// Where they begin.
    pub at_byte: u64,
    /// The bytes.
    pub bytes: Bytes,
}
