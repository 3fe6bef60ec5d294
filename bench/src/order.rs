//! What the orchestrator asks a worker for, and what it gets: one JSON value per line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Measured values by their names.
pub(crate) type Numbers = BTreeMap<String, f64>;

/// One thing to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Start a broker without a partner on an empty store, time it, and stop it.
    Start,
    /// Make a new pair and start it: the primary serves, the backup stands by. Put messages into a queue that nobody reads.
    Pair {
        /// How many.
        backlog: u32,
    },
    /// Kill both brokers of the pair, start both at once, and time it.
    PairStart,
    /// Memory of both brokers, 10 s after the pair was started.
    Idle,
    /// Kill the primary under traffic, restart it, wait for the failback.
    Gap {
        /// The client's `retryInterval`.
        retry_interval_ms: u32,
    },
    /// The JMS client at full speed.
    Load(Load),
    /// The Rust client at full speed.
    RustLoad(Load),
    /// One producer and many subscribers.
    Topic {
        /// How many.
        subscribers: u32,
        /// Bytes of each message's body.
        size: u32,
        /// How long.
        time: Time,
    },
    /// Stop all brokers.
    Stop,
}

/// How a load is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Durable sends, each waiting for its acknowledgement.
    Send,
    /// The same, with as many consumers.
    Receive,
    /// Batches of durable sends and a commit.
    Transacted,
}

impl Kind {
    /// As the JMS client calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Send => "send",
            Kind::Receive => "receive",
            Kind::Transacted => "transacted",
        }
    }
}

/// A load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// How it is made.
    pub(crate) kind: Kind,
    /// How many producers; as many consumers where there are some.
    pub(crate) clients: u32,
    /// Bytes of each message's body.
    pub(crate) size: u32,
    /// How long.
    pub(crate) time: Time,
}

/// How long something is done before it is measured, and how long it is measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Time {
    /// Not measured.
    pub(crate) warm_ms: u32,
    /// Measured.
    pub(crate) measured_ms: u32,
}

/// What came of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It was done.
    Done(Numbers),
    /// It could not be done, and why.
    Failed(String),
}
