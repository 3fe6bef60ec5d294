//! The proof under random faults: a pair under a JMS load is killed, frozen, cut off and restarted, and every message is accounted for.
//!
//! ```text
//! run ── one batch after another, each a fresh pair ──► batch   (network and process tree of its own)
//!  │                                                      ├ sides: both brokers, and what is done to them
//!  │ ◄── one JSON value per fault, one at the end ────────├ load: the JMS client of bench/client, its account
//!  ▼                                                      ├ sampler: who answers, fifty times a second
//! results file, report                                    └ network: cuts and resets the link of the two
//! ```
//!
//! The faults follow from a seed, the moments at which they meet the brokers do not: the same seed plays the same list again, not
//! the same run. Nothing is asserted about times; what fails a run is a lost message, two actives, or an account that cannot be
//! true.

mod batch;
mod clock;
mod load;
mod measure;
mod network;
mod overlap;
mod page;
mod report;
mod results;
mod run;
mod sampler;
mod schedule;
mod sides;

pub(crate) use batch::run as batch;
pub(crate) use run::run;
pub(crate) use schedule::Kind;
