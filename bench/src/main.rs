//! `bench`: measures our broker and real Artemis in one run on one machine, with the same clients, and prints one table.
//!
//! ```text
//! orchestrator ── orders, one at a time ──► worker of Tandem   (network and process tree of its own)
//!      │                                 └► worker of Artemis  (the same)
//!      ▼                                         │ starts: brokers, the JMS client of bench/client
//!   report                                       ▼
//! ```
//!
//! `cargo xtask bench` builds what it needs and starts it; `cargo xtask faults` does so for its other half, the proof under random
//! faults (module `faults`). The bench asserts nothing that is timed: it measures, counts what was lost,
//! and says what failed. It ends only processes that it started, and nothing that it started outlives it.

#![expect(
    clippy::print_stdout,
    reason = "a command-line program talks on standard output"
)]

mod arguments;
mod broker;
mod disk;
mod faults;
mod gap;
mod java;
mod machine;
mod namespace;
mod orchestrator;
mod order;
mod pair;
mod plan;
mod process;
mod report;
mod rust_client;
mod statistics;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Mode};

fn main() -> ExitCode {
    let result = match Arguments::parse().mode {
        Mode::Run(options) => orchestrator::run(&options),
        Mode::Worker(options) => worker::run(&options),
        Mode::Faults(options) => faults::run(&options),
        Mode::FaultsBatch(options) => faults::batch(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
