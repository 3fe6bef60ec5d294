//! Both sides of a pair in a world of their own: golden decision scripts and random faults on a seed.
//!
//! The world is the driver, the arbiter, the store with its locks and marks, and the clients; it
//! knows nothing of the protocol's decisions, only of what the actions mean. It must never read a
//! clock or draw a random number of its own: the same seed tells the same story.
#![forbid(unsafe_code)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the world sorts actions, it decides nothing"
)]
#![expect(clippy::format_push_string, reason = "short texts of tests")]
#![expect(
    clippy::unwrap_used,
    reason = "a script that cannot be read, or a world that cannot go on, ends its test"
)]

mod arbiter;
mod chance;
mod clients;
mod clock;
mod directed;
mod directory;
mod disk;
mod disks;
mod faults;
mod ledger;
mod network;
mod options;
mod plan;
mod process;
mod replicated;
mod script;
mod segments;
mod show;
mod simulation;
mod store;
mod tally;
mod world;

pub use directed::Situation;
pub use directory::{DirectoryOutcome, DirectoryRule, directory};
pub use options::{Mutation, Options};
pub use plan::Fault;
pub use script::transcript;
pub use simulation::{Outcome, Quiet, quiet, run};
pub use tally::Tally;
