//! What a world is like: the rules broken on purpose, what it can go wrong with, a side's settings.

use pair::{BrokenRule, Failback, Mode};

use crate::directed::Situation;

/// A rule of the driver, the store or the machine that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// S1: the gate is asked before the fsync returns, and what it said then counts after it.
    GateBeforeSync,
    /// S2: the mark is not looked at.
    GateWithoutMark,
    /// S2: the mark is read before the fsync returns.
    MarkBeforeSync,
    /// S2: only the direct predecessor is fenced.
    FencesOnlyPredecessor,
    /// Only the terms that the record lists are fenced, whatever else lies in the store.
    FencesOnlyListed,
    /// S2: one fence mark for all terms names the newest; a late taker overwrites it.
    OneMark,
    /// S2: one lock file for all terms.
    OneLockFile,
    /// R4: what is there before the replaced terms are fenced counts as the history.
    LoadBeforeFence,
    /// S3: what a seal names is read to its end, not to the sealed length.
    NoSealedLengths,
    /// S3: one journal for all terms.
    OneJournal,
    /// S3: a segment is removed before the entry that retires it is on disk.
    RemovesBeforeSync,
    /// S3: a segment is removed when that entry is on disk, before it has passed the gate.
    RemovesBeforeGate,
    /// S3: what a segment says of retired ones is dropped when it is retired itself.
    DropsRetirements,
    /// R4: the *term start* counts as durable before its fsync.
    StartUnsynced,
    /// R6: where the record is lost, locks that are held are not seen.
    SurveysNoLocks,
    /// R1: what is not synced here is reported as synced.
    AcknowledgesBeforeSync,
    /// R1: a standby reports what it has not synced.
    ConfirmsBeforeSync,
    /// A rule of the machine.
    Machine(BrokenRule),
}

/// How a world is to be made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the sides share their data.
    pub mode: Mode,
    /// The rules that are broken.
    pub broken: Vec<Mutation>,
    /// Whether fence marks are seen. Where they are not, promises and locks must do alone, so they
    /// are not broken by faults either: locks are not lost, clocks and records do not go back.
    pub fence_mark: bool,
    /// The one situation that the world brings, instead of random faults.
    pub situation: Option<Situation>,
    /// Whether the story is kept.
    pub traced: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::SharedStore,
            broken: Vec::new(),
            fence_mark: true,
            situation: None,
            traced: false,
        }
    }
}

impl Options {
    /// Whether that rule is broken.
    pub(crate) fn breaks(&self, mutation: Mutation) -> bool {
        !self.broken.is_empty() && self.broken.contains(&mutation)
    }
}

/// What the world of one seed is made of, and can go wrong with.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches of a world"
)]
pub(crate) struct Nature {
    /// Both sides run under one kernel.
    pub(crate) same_boot: bool,
    /// Locks exclude each other at all.
    pub(crate) locks_work: bool,
    /// No lock is lost while it is held.
    pub(crate) keeps_locks: bool,
    /// How long locks stay after a process ended, at most.
    pub(crate) linger_ms: u64,
    /// Whether messages are lost, doubled and overtaken, which TCP does not do.
    pub(crate) harsh_link: bool,
    /// A process dies once in so many of its actions; 0 is never.
    pub(crate) dies_in: u64,
    /// A process pauses once in so many of its actions; 0 is never.
    pub(crate) pauses_in: u64,
    /// An fsync fails once in so many; 0 is never.
    pub(crate) sync_fails_in: u64,
    /// Whether a listing of the store can be old for a moment.
    pub(crate) stale_listings: bool,
    /// Whether a delivery by a replaced term is a violation: in a world where locks, clocks and
    /// records are what the protocol takes them for. Elsewhere a replaced active may repeat one.
    pub(crate) strict: bool,
}

impl Nature {
    /// A world in which nothing goes wrong by itself.
    pub(crate) const fn calm() -> Self {
        Self {
            same_boot: true,
            locks_work: true,
            keeps_locks: true,
            linger_ms: 0,
            harsh_link: false,
            dies_in: 0,
            pauses_in: 0,
            sync_fails_in: 0,
            stale_listings: false,
            strict: true,
        }
    }
}

/// Settings of a side's process in the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) failback: Failback,
    pub(crate) allow_failback: bool,
    pub(crate) failover_on_shutdown: bool,
    /// Whether a takeover of a silent active needs its lock, too.
    pub(crate) storage_lock: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            failback: Failback::Broker,
            allow_failback: true,
            failover_on_shutdown: true,
            storage_lock: false,
        }
    }
}
