//! The control socket: how a second terminal talks to the supervisor of a pair.
//!
//! One connection, one line of JSON each way. The socket is in the pair's private folder, so whoever
//! can open it is the user of the pair.

pub(crate) mod client;
mod server;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;

pub(crate) use server::serve;

/// An order has a hundred bytes.
const MAX_ORDER_BYTES: u64 = 4 * 1024;

/// What a second terminal asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Order {
    /// How the pair stands.
    Status,
    /// End a broker by force.
    Kill {
        /// Whom.
        target: Target,
        /// Whether it is started again.
        restart: bool,
    },
    /// Stop in order.
    Stop {
        /// Whom.
        target: Target,
    },
    /// Start what is down.
    Start {
        /// Whom; nobody named means whoever is down.
        target: Option<Target>,
    },
}

/// Whom an order means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Target {
    /// The primary side.
    Primary,
    /// The backup side.
    Backup,
    /// Whichever side serves.
    Active,
    /// The other one.
    Standby,
    /// Both sides, and the supervisor.
    Pair,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reply {
    /// It was done; how.
    Done(String),
    /// It was not done; why not.
    Refused(String),
    /// How the pair stands.
    Status(Box<Snapshot>),
}
