//! `tandem-broker`: a message broker that users of Apache `ActiveMQ` Artemis can use in its place.
//!
//! ```text
//!  cli ──► instance (files of an instance, read and checked)
//!             │
//!             ▼
//!  ha ── executes what the pair's state machine decides: record, term files, takeover, handover
//!             │ while this side serves
//!             ▼
//!  core ── ports, connections, sessions ──► engine ──► journal
//!  link ── the connection to the broker of the other side, in every role
//!  broadcast ── tells clients by multicast where it serves
//!  http ── health and the pair's state, in every role
//! ```
//! Decisions about who is active are made in the `pair` crate, decisions about messages in `engine`; this
//! program joins them with sockets, files and clocks.

mod broadcast;
mod cli;
mod core;
mod exit;
mod ha;
mod http;
mod instance;
mod link;
mod logging;
mod multicast;
mod pods;
mod random;
mod run;
mod settings;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
