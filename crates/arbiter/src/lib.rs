//! Where the pair record lives, and the files by which two processes on one store see each other.
//!
//! - [`DirectoryArbiter`]: the record as numbered files in a directory, a compare-and-set register.
//! - [`LeaseArbiter`]: the record in a Lease of Kubernetes, a compare-and-set register.
//! - [`Register`]: either of them, for commands.
//! - [`SideFile`]: what each side leaves there for the other, a hint.
//! - [`TermFile`]: lock and fence mark of a term, in the store.
//! - [`force()`]: a person's word that the active is dead, written into the record.
//! - [`lock`]: open file description locks.
//!
//! Calls on files block, on a network disk for as long as its server is away: run them on threads of their own. Nothing
//! here decides who is active; that is the `pair` crate.

mod directory;
mod force;
pub mod lease;
pub mod lock;
mod register;
mod side_file;
mod term_file;

pub use directory::{DirectoryArbiter, Outcome, ReadError};
pub use force::{ForceError, ForceOrder, Forced, ForcedKind, Said, Seen, force, person};
pub use lease::LeaseArbiter;
pub use register::{BlockingLease, OpenError, Register, UnreadError};
pub use side_file::{SideFile, SideFiles, SideLock};
pub use term_file::{Mark, Probe, TermFile, TermFileError};
