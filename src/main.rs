//! `tandem`: keeps a message broker available with exactly two brokers.
//!
//! ```text
//!   cli ──┬─▶ local (adapter: two processes) ──┬─▶ policy, render (pure) ──▶ api (what users write)
//!         └─▶ kubernetes (adapter: a cluster) ─┘
//! ```
//!
//! Who is active is decided by the brokers' own protocol, never here: this program renders, starts,
//! observes and asks.

mod api;
mod by_side;
mod cli;
mod kubernetes;
mod local;
mod policy;
mod render;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
