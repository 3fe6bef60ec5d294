//! The same pair as two processes on this machine.
//!
//! ```text
//!   pair.yaml ─▶ render ─▶ folders ─▶ two broker processes ◀─ signals
//!                                        │ HTTP, exit          ▲
//!                                        ▼                     │
//!   pair record ────────────────▶ supervisor ──▶ policy ───────┘ start, wanted
//!                                        │
//!                             events, snapshots ─▶ live view, demo, control socket
//! ```
//!
//! A foreground supervisor: the brokers end when it does, however it ends, and the next start
//! recovers from their store. It must never decide who is active: it only asks, as policy says.

pub(crate) mod control;
pub(crate) mod credentials;
pub(crate) mod demo;
pub(crate) mod event;
pub(crate) mod instance;
pub(crate) mod observe;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod record;
pub(crate) mod setup;
pub(crate) mod snapshot;
pub(crate) mod state_dir;
pub(crate) mod supervisor;
pub(crate) mod time;
pub(crate) mod tracker;
pub(crate) mod view;
