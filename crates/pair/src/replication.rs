//! What replication speaks in: stores, positions, logs, sessions; and what the machine and its driver
//! owe each other. Data never passes through the machine: it decides in positions only.
//!
//! # Positions
//! A [`Position`] is a term and a `seq` in that term's own part of the log. What a `seq` counts is the
//! journal's business (entries, bytes), if only:
//!
//! - 0 stands before a term's first entry, every entry ends at a higher `seq` than the one before it, and the
//!   first entry of a term is its *term start*;
//! - an equal position means an equal history up to there, on every disk (I3). So a term writes each
//!   `seq` once, and its log is copied as it is.
//!
//! `Synced`, `Release` and beats count in the `seq` of the own term.
//!
//! # The log of one side
//! [`LogFacts`] say what a side has on disk. Beside the log itself a store keeps:
//!
//! - its [`StoreId`], made at random with the empty directory, and made anew on `RenewStore`, or when a person
//!   restores the data from a copy;
//! - the *incomplete* marker: set, and synced, before the first byte of a full copy is written, removed after
//!   the last fsync that makes the copy whole. A store with it never takes over;
//! - the newest pair record that its process knew (`KeepRecord`);
//! - a lock on its directory, held for the life of the process, so that a store has one process.
//!
//! # A standby
//! ```text
//!   FreezeLog ──▶ LogFrozen(facts)                    own log synced, no session
//!             Send Join(session, store, log) ──────────────────▶ active
//!             ◀────────────────────────── Sync(session, term, cut) or Renew(session)
//!   FollowLog(session, peer, term, cut) ──▶ LogProgress(session, end, incomplete) …
//!             Send Confirm(session, end) …  ───────────────────▶ active
//! ```
//!
//! - `FreezeLog`: leave whatever session the log follows (what still comes for it is dropped), finish a
//!   write that is under way, sync, answer with all facts. It is the first thing asked for, and what a takeover
//!   begins with: nothing is appended from then on until `FollowLog` or `StartTerm` (rule 2).
//! - `FollowLog`: with [`Cut::After`] move what lies beyond the cut aside (bounded, reported to people),
//!   then append what that peer ships for this session; with [`Cut::Everything`] set the marker, drop what
//!   is there, then take the copy and what follows it. Data of a session that is asked for and not followed
//!   yet waits: it can be there before `FollowLog` is carried out, so the driver does not read on. What does
//!   not follow without a gap, or belongs to an older session, is ignored. `FollowLog` has no answer: it goes on
//!   until `FreezeLog`, and each fsync that returns is reported with `LogProgress`. Reports may be joined: the last
//!   one counts. Where none comes for long although the active has more, the machine joins anew.
//! - `LogProgress` says what is on disk, in order of history. `incomplete` is false once the copy reaches
//!   `whole_at` and the marker is removed. The machine sends the confirmation; the driver sends none by itself.
//! - A failed write or fsync is `LogFailed`, and ends the process.
//! - A standby may apply what it follows to an engine ahead of need. `LoadHistory`, always after `FreezeLog` in a
//!   takeover, makes that exact up to the frozen end.
//! - Sessions are numbered by the follower's process, and no number is used twice by it. A message or a
//!   frame of data is for the pair of process and number.
//!
//! # An active
//! ```text
//!   FreezeLog ──▶ LogFrozen, LoadHistory ──▶ HistoryLoaded, (Cas), StartTerm ──▶ TermStarted
//!   Join comes:  Send Sync, ShipLog(session, peer, cut) ──▶ data over the link, unguarded, without end
//!   Synced(own seq, Clear) and Confirm ──▶ Release(up_to)
//! ```
//!
//! - There are no term files, fence marks, seals or probes: none of the actions about them is sent, and `mark`
//!   is always `Clear`.
//! - `ShipLog`: stream the journal to that peer from the cut on, first what is there and then what is
//!   appended; nothing that is not synced here need be held back, as the gate counts both disks. A `ShipLog`
//!   ends the one before it; the link's end, `DropState` and `Exit` end it too. With [`Cut::Everything`] ship a
//!   copy that holds at least what the log held up to `whole_at`, then what follows it.
//! - The log begins at [`LogFacts::oldest`]. When older parts are retired, tell `LogRetired` *before*
//!   they go: a join that needs them gets a full copy instead. Parts that a running `ShipLog` still reads stay.
//! - `Release(up_to)` is never beyond what is synced here and confirmed, in its present session, by each member of
//!   the gate (rules 1 and 8). Acknowledgements, consumption, transaction outcomes: everything with an entry waits
//!   for it. `fresh_until_ms` bounds what has none, as in a shared store.
//! - `Drain` as in a shared store; `Drained` comes when what was accepted is released or its time is over.
//!
//! # The link
//! - `LinkRefused` after `LinkDown`: the address at which that very process listened refuses connections
//!   (not: times out, is unreachable). Its process is gone; as safety rests on the record, a wrong word costs a
//!   needless takeover and nothing acknowledged.
//! - Messages of the machine go over the connection for beats, never queued behind data. They may be
//!   lost: joins, syncs and confirmations are repeated until they are answered or outdated.
//!
//! # Who does what when a disk is replaced, restored or behind
//! - Replaced: another `StoreId`, which no record names; it is a stranger that must catch up and be admitted.
//! - Restored from a copy under its old id, or an fsync that lied: the store says less at `Join` than it
//!   confirmed before in the same term. It is told to `RenewStore` and is a stranger from then on.
//! - Diverged (an old active's tail): beyond the cut, moved aside, never merged.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BadIncarnation, Incarnation, Member, Record, Side, Term};

/// Identity of one side's data: 128 random bits made with its empty directory. A member of `in_sync` in
/// replication; a replaced disk has another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(Incarnation);

impl StoreId {
    /// The identifier of these random bits.
    pub const fn new(bits: [u8; 16]) -> Self {
        Self(Incarnation(bits))
    }

    /// Enough of the text to tell stores apart in a log line.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for StoreId {
    type Err = BadIncarnation;

    fn from_str(text: &str) -> Result<Self, BadIncarnation> {
        text.parse().map(Self)
    }
}

impl Member {
    /// A store as a member, in replication.
    pub fn store(side: Side, store: StoreId) -> Self {
        Self {
            side,
            id: store.to_string(),
        }
    }
}

/// A place in the history of a pair: the end of an entry, in the part of the log that this term wrote.
///
/// The order is that of terms, then of `seq`; between logs of one history it is the order of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The term that wrote it.
    pub term: Term,
    /// How far in that term; 0 is before its first entry.
    pub seq: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.term.epoch, self.seq)
    }
}

/// One term's part of a log: the last position of it that this log has.
pub type LogTerm = Position;

/// The terms of a log, oldest first, each with the last position of it that this log has. Terms without
/// an entry are left out, and so are terms that were retired whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Log {
    terms: Vec<LogTerm>,
}

/// Terms of its log that a standby names, the newest ones: what is common is among the last ones, and a
/// message is small.
pub const MAX_TERMS_SENT: usize = 128;

impl Log {
    /// The log of these terms, oldest first.
    pub fn new(terms: Vec<LogTerm>) -> Self {
        Self { terms }
    }

    /// The terms, oldest first.
    pub fn terms(&self) -> &[LogTerm] {
        &self.terms
    }

    /// The last position; nothing in an empty log.
    pub fn end(&self) -> Option<Position> {
        self.terms.last().copied()
    }

    /// The epoch of the last entry; 0 in an empty log.
    pub fn last_epoch(&self) -> u64 {
        self.end().map_or(0, |end| end.term.epoch)
    }

    /// How far this log has that term.
    pub fn reaches(&self, term: Term) -> Option<u64> {
        let found = self.terms.iter().rev().find(|it| it.term == term);
        found.map(|it| it.seq)
    }

    /// The last position that both logs have: of the newest term that both know, as much as both have of
    /// it. Never by length (rule 2): equal positions mean equal histories, equal lengths mean nothing.
    pub fn common(&self, other: &Self) -> Option<Position> {
        self.terms.iter().rev().find_map(|own| {
            let seq = other.reaches(own.term)?.min(own.seq);
            Some(Position {
                term: own.term,
                seq,
            })
        })
    }

    /// Whether this log has everything up to that position.
    pub fn has(&self, position: Position) -> bool {
        self.reaches(position.term)
            .is_some_and(|seq| seq >= position.seq)
    }

    /// Whether the first position comes before the second one in this log; a term it does not name was
    /// before all that it does.
    pub fn is_before(&self, one: Position, other: Position) -> bool {
        let place = |of: Term| self.terms.iter().position(|it| it.term == of);
        (place(one.term), one.seq) < (place(other.term), other.seq)
    }

    /// This log, without what lies beyond that position, which it has.
    #[must_use]
    pub fn cut(&self, at: Position) -> Self {
        let before = self.terms.iter().take_while(|it| it.term != at.term);
        let mut terms: Vec<LogTerm> = before.copied().collect();
        terms.push(at);
        Self { terms }
    }

    /// It has grown to that position.
    pub fn grow(&mut self, end: Position) {
        match self.terms.last_mut() {
            Some(last) if last.term == end.term => last.seq = last.seq.max(end.seq),
            Some(_) | None => self.terms.push(end),
        }
    }

    /// The newest terms of it, as a message names them.
    #[must_use]
    pub fn newest_terms(&self) -> Self {
        let first = self.terms.len().saturating_sub(MAX_TERMS_SENT);
        Self::new(self.terms[first..].to_vec())
    }
}

/// What a side's store has on disk, all of it synced.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFacts {
    /// Its identity.
    pub store: StoreId,
    /// The terms of its log.
    pub log: Log,
    /// The log can be shipped from there on; nothing if it is whole from the pair's first entry.
    pub oldest: Option<Position>,
    /// A full copy into it was begun and is not whole.
    pub incomplete: bool,
    /// The newest record that this store's processes knew (`KeepRecord`).
    pub record: Option<Box<Record>>,
}

/// Where a standby's log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// It is right up to there. What it has beyond is moved aside.
    After(Position),
    /// It has nothing in common that can still be shipped: a full copy.
    Everything {
        /// What the active's log held when this was decided: the copy is whole once it has that.
        whole_at: Position,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, inc: u8, seq: u64) -> Position {
        let inc = Incarnation([inc; 16]);
        Position {
            term: Term { epoch, inc },
            seq,
        }
    }

    fn log(terms: &[Position]) -> Log {
        Log::new(terms.to_vec())
    }

    #[test]
    fn the_common_position_is_in_the_newest_common_term() {
        let active = log(&[at(1, 1, 10), at(2, 2, 5), at(4, 1, 3)]);
        // A lagging copy, an equal one, one with a tail that nobody else has.
        for (other, common) in [
            (log(&[at(1, 1, 7)]), Some(at(1, 1, 7))),
            (log(&[at(1, 1, 10), at(2, 2, 5)]), Some(at(2, 2, 5))),
            (log(&[at(1, 1, 12)]), Some(at(1, 1, 10))),
            (log(&[at(1, 1, 10), at(2, 2, 9)]), Some(at(2, 2, 5))),
            // The same epoch of another holder is another term, however long.
            (
                log(&[at(1, 1, 10), at(2, 2, 5), at(4, 9, 3)]),
                Some(at(2, 2, 5)),
            ),
            (log(&[at(3, 3, 100)]), None),
            (log(&[]), None),
        ] {
            assert_eq!(active.common(&other), common, "{other:?}");
            assert_eq!(other.common(&active), common, "{other:?}");
        }
    }

    #[test]
    fn a_log_grows_in_its_last_term_or_by_a_term() {
        let mut it = log(&[at(1, 1, 3)]);
        it.grow(at(1, 1, 5));
        it.grow(at(1, 1, 4));
        it.grow(at(3, 2, 1));
        assert_eq!(it, log(&[at(1, 1, 5), at(3, 2, 1)]));
        assert!(it.has(at(1, 1, 5)) && !it.has(at(1, 1, 6)) && !it.has(at(2, 1, 1)));
        assert!(it.is_before(at(1, 1, 9), at(3, 2, 1)));
        assert!(it.is_before(at(0, 7, 9), at(1, 1, 1)), "retired terms");
    }

    #[test]
    fn a_message_names_the_newest_terms() {
        let many: Vec<Position> = (1..=200).map(|epoch| at(epoch, 1, 1)).collect();
        let sent = log(&many).newest_terms();
        assert_eq!(sent.terms().len(), MAX_TERMS_SENT);
        assert_eq!(sent.end(), Some(at(200, 1, 1)));
    }

    #[test]
    fn a_store_reads_back() {
        let store = StoreId::new([7; 16]);
        assert_eq!(store.to_string().parse(), Ok(store));
        assert_eq!(Member::store(Side::Backup, store).id, "07".repeat(16));
    }
}
