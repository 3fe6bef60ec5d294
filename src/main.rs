//! `tandem`: keeps a message broker available with exactly two brokers.
//!
//! ```text
//!   cli ──▶ local (adapter: two processes) ──▶ policy, render (pure) ──▶ api (what users write)
//! ```
//!
//! Who is active is decided by the brokers' own protocol, never here: this program renders, starts,
//! observes and asks.

mod api;
mod by_side;
mod cli;
mod local;
mod policy;
mod render;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
