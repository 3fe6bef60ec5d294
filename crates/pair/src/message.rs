//! What the two sides tell each other over the link between them.
//!
//! Pair, mode, side and incarnation of the sender are proved once, when a connection is made; every
//! message names the epoch of the newest record its sender knows. A message can be lost, late, out
//! of order or there twice: nothing in it means more than what was true when it was sent.

use serde::{Deserialize, Serialize};

use crate::{Incarnation, Locks, Role, Term};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Epoch of the newest record that the sender has read or written.
    pub epoch: u64,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// A sign of life, every `beat`.
    Beat(Beat),
    /// A standby's promise, the answer to a beat that asks for one (rule 3).
    Grant(Grant),
    /// The sender's own term is over, and nothing of it will ever be acknowledged again.
    Resign(Resign),
    /// The sender, a standby, is about to end: it takes over nothing any more.
    Leave,
    /// A holder whose record is missing asks its member to confirm that it still follows (rule 7).
    AskStill(Still),
    /// A member confirms that it follows that term and has not tried to take over.
    Still(Still),
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Number of this beat; the sender's first is 1.
    pub n: u64,
    /// Number of the newest beat heard from the other process; 0 before the first.
    pub echo: u64,
    /// Role of the sender.
    pub role: Role,
    /// The term the sender holds, or else the one it follows.
    pub term: Option<Term>,
    /// The holder asks for a promise at this time, on its own clock.
    pub ask_ms: Option<u64>,
    /// Entries of the holder's own log that are on disk: a taker must find no fewer.
    pub head: u64,
    /// The arbiter's version of the newest record the sender knows: a hint to read (A6).
    pub record_version: u64,
    /// What the sender, a standby, has seen of the lock of the term it follows.
    pub locks: Option<Locks>,
}

/// A promise not to take over on silence for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The asking beat's time, on the holder's clock: the promise counts from there.
    pub asked_ms: u64,
    /// The term it is given to.
    pub term: Term,
    /// The process that gives it.
    pub grantor: Incarnation,
    /// How long it lasts.
    pub promise_ms: u64,
}

/// The end of a term, said by the process that held it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resign {
    /// The term.
    pub term: Term,
    /// Since when it has accepted nothing new, in milliseconds before this message: the service gap
    /// begins there.
    pub idle_ms: u64,
}

/// A question about a term, and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Still {
    /// The term of the holder that asks.
    pub term: Term,
    /// Number of the question; an answer repeats it.
    pub nonce: u64,
}
