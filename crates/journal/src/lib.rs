//! Append-only storage of one broker pair: segments with group commit, terms, seals and recovery.
//!
//! It stores entries (a kind and bytes) and gives each a [`Position`]; what they mean is the
//! engine's. It must never decide who may write (that is the pair protocol), never touch a file
//! that another term made, and never report an entry durable before `fdatasync` has returned.
//!
//! ```text
//!   history::replay ──> entries, files and lengths ──> seal::write ──> Writer::start
//!        (read what earlier terms left)             (fix what we build on)   (our own term)
//!
//!   append ──> queue ──> writer thread: one write, one fdatasync ──> JournalEvent::Synced
//!  (appended)                     (written)      (durable)            acknowledge from here on
//! ```
//!
//! # Files
//! All lie in one directory that both sides may share. Names carry the [`TermId`] that made them,
//! every file is created exclusively, is written by that term alone and never recreated. Other
//! names (term files, the arbiter's folder) are ignored.
//!
//! - `journal.EPOCH.INC.NUMBER`: a segment; its layout is drawn in [`mod@format`].
//! - `seal.EPOCH`: the files, and how much of each, that term EPOCH builds on ([`mod@seal`]).
//!
//! # Why nothing acknowledged is lost
//! 1. The writer has one batch in flight. It writes whole blocks behind everything written before,
//!    so no write can damage an older one, and begins the next batch (or segment) only when the
//!    `fdatasync` of this one has returned. For the first batch of a segment the directory is
//!    synced too. Only then is the batch reported durable.
//! 2. So after a crash every batch but the last one begun is whole on disk, in whatever order the
//!    disk wrote the blocks of that last one. A bad batch with a valid later one behind it, or a
//!    bad end of a segment that has a successor, is therefore damage and refused, naming file and
//!    byte; a bad last batch is a torn tail: its whole records up to the first bad one count, the
//!    rest is cut. Entries cut were never durable, so never acknowledged.
//! 3. The cut is never made in the file, which belongs to another term. It is a length in the next
//!    seal. Bytes that a frozen process of the old term writes later lie behind that length and are
//!    never read.
//! 4. What a dead process had written but not synced is readable as long as the machine lives.
//!    [`history::replay`] therefore syncs the last file of the sealed term, and the directory,
//!    before it returns: a seal never names bytes that a power failure could still take away. (A
//!    network file system syncs only what this machine wrote; there it is up to the server, see
//!    `history`.)
//! 5. A failed or short write or sync ends the writer for good; a second sync could claim success
//!    for pages that the first one dropped.
//!
//! # Why retired files may go
//! History always is a suffix of all that was written: the files from some segment on. That segment
//! (the mark) begins with a record from which the caller says everything again that older files said
//! and that still counts; what else the caller must take care of is in the engine's ledger.
//!
//! 1. The start is written into the header of a segment that is begun only when everything appended
//!    before it is durable. So whoever reads that header, torn or whole behind it, finds everything
//!    that was said again.
//! 2. Files are removed only when the batch with that header is durable and has passed the gate. So
//!    a taker, which fences the term before it lists, either finds the header and reads nothing
//!    older, or finds all the older files.
//! 3. Every later header repeats the start, and a seal names only what counts. Which of the retired
//!    files a crash has left does not matter: none of them is opened.
//! 4. A missing file is no error exactly if it is retired. Of the files that count, those of one term
//!    have numbers without gaps, and only the very first of them may have a number other than 1.
//!
//! A last batch that was durable and rotted later looks like a torn tail. What tells them apart is
//! the head that the pair's other side has heard of ([`Synced::head`]); comparing is the caller's.

pub mod error;
pub mod format;
pub mod history;
pub mod mirror;
mod names;
mod reader;
pub mod retire;
pub mod salvage;
pub mod seal;
mod segment;
pub mod storage;
mod writer;

pub use error::{Damage, Operation, ReadError, WriteError};
pub use history::{History, ReadAhead, TornTail};
pub use names::{FileLength, ParseNameError, Position, SegmentName, TermId};
pub use reader::{Entry, Reader};
pub use seal::Seal;
pub use storage::{Directory, Storage, StoredFile};
pub use writer::{AppendError, JournalEvent, Options, Record, Synced, Writer, WriterView};
