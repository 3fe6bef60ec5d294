//! The pair protocol that each side of a pair runs: the record both sides share, and the state
//! machine that decides when a side takes over, serves, hands over or steps down.
//!
//! ```text
//!   arbiter, locks, store, ports ──Input──▶ Machine ──Action──▶ arbiter, locks, store, ports
//!                                             │
//!                                             └──View──▶ status, labels, logs
//! ```
//!
//! Everything that decides is here; everything that touches the world is not. The crate must never
//! open a file or a socket, read a clock or draw a random number: time and random bytes are passed
//! in, so that the same inputs always give the same actions and a simulation can run both sides.
#![forbid(unsafe_code)]

mod identity;
mod machine;
mod message;
mod record;
mod replication;
mod timers;

pub use identity::{BadIncarnation, BadSide, Incarnation, Mode, Side, Term};
#[cfg(feature = "broken-rules")]
pub use machine::BrokenRule;
pub use machine::{
    Action, CasDone, Config, ConfigError, Draining, ExitReason, Failback, Input, LinkView,
    LockPolicy, LockState, Machine, Mark, Notice, Now, PeerInfo, RecordRead, Role, StoreFacts,
    Survey, Versioned, View, Waiting,
};
pub use message::{Beat, Body, Confirm, Grant, Join, Message, Report, Resign, Still, Sync};
pub use record::{
    Cause, FORMAT, Holder, Locks, MAX_RECORD_BYTES, Member, Record, RecordError, Refused, Taker,
    TakerPath, Transition, Wanted, WriteId,
};
pub use replication::{Cut, Log, LogFacts, LogTerm, MAX_TERMS_SENT, Position, StoreId};
pub use timers::{BadTimers, Timers};
