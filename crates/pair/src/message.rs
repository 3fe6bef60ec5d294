//! What the two sides tell each other over the link between them.
//!
//! Pair, mode, side and incarnation of the sender are proved once, when a connection is made; every
//! message names the newest epoch its sender knows. A message can be lost, late, out of order or
//! there twice: nothing in it means more than what was true when it was sent.

use serde::{Deserialize, Serialize};

use crate::{Cut, Incarnation, Locks, Log, Position, Record, Role, StoreId, Term};

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The newest epoch that the sender knows: of a record that it has read or written, or of a seal
    /// or journal file that was in the store when its process started.
    pub epoch: u64,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Replication: a standby asks for the log, from where both agree.
    Join(Join),
    /// Replication: the active answers a join.
    Sync(Sync),
    /// Replication: the active has seen more of this session's store than it says it has: its disk
    /// went back, so it must get another identity before it joins again.
    Renew {
        /// The session of the join.
        session: u64,
    },
    /// Replication: what the standby has on its disk.
    Confirm(Confirm),
    /// Replication: a side that finds no record and follows nobody asks what the other one has (rule 7).
    AskReport {
        /// Number of the question.
        nonce: u64,
    },
    /// Replication: its answer, of a side that finds no record and follows nobody either.
    Report(Box<Report>),
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
    /// `serial` of that record. The holder of its term must not stay below it: whoever knows it takes
    /// anything older for missing (A4). 0 from a sender of a version that did not tell it.
    #[serde(default)]
    pub record_serial: u64,
    /// What the sender, a standby, has seen of the lock of the term it follows.
    pub locks: Option<Locks>,
    /// The sender, a standby, still reads for the first time what lies in the journal of the term it follows:
    /// a takeover by it would take long. A hint for when to hand over, never for whether it may take over.
    #[serde(default)]
    pub reading: bool,
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

/// A standby's wish for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// Number of the session, never used before by the sender's process.
    pub session: u64,
    /// The term that the sender follows.
    pub term: Term,
    /// The sender's store.
    pub store: StoreId,
    /// A full copy into it was begun and is not whole.
    pub incomplete: bool,
    /// The newest terms of its log.
    pub log: Log,
}

/// Where a standby's log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// The session of the join.
    pub session: u64,
    /// The term of the active.
    pub term: Term,
    /// Where the standby's log goes on.
    pub cut: Cut,
}

/// What a standby has on its disk. It is repeated: each one says all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// The session.
    pub session: u64,
    /// The last position on its disk.
    pub end: Position,
}

/// What a side has while the record is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Number of the question.
    pub nonce: u64,
    /// The sender's store.
    pub store: StoreId,
    /// A full copy into it was begun and is not whole.
    pub incomplete: bool,
    /// The last position of its log; nothing if it is empty.
    pub end: Option<Position>,
    /// The highest epoch it knows of, attempted or served.
    pub newest_epoch: u64,
    /// The newest record it ever knew.
    pub record: Option<Box<Record>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_of_a_version_that_tells_no_serial_is_understood() {
        let beat = r#"{"n":7,"echo":6,"role":"standby","term":null,"ask_ms":null,"head":0,
            "record_version":3,"locks":null}"#;
        let beat: Beat = serde_json::from_str(beat).unwrap();
        assert_eq!((beat.record_version, beat.record_serial), (3, 0));
    }
}
