//! Both sides of a pair in a world of their own: golden scripts and a random simulation.
//!
//! Tests only. The world is the driver, the arbiter, the store with its locks and marks, and the
//! clients; it knows nothing of the protocol's decisions, only of what the actions mean.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the world sorts actions, it decides nothing"
)]
#![expect(clippy::format_push_string, reason = "short texts of tests")]

mod chance;
mod effects;
mod faults;
mod scripts;
mod show;
mod simulation;
mod store;
mod world;
