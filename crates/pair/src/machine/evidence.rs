//! What this process has seen of the recorded holder's lock.
//!
//! A lock that was never seen refused proves nothing by being free: the store's locks may not work
//! at all. What one lock showed is forgotten when the record names another term.

use super::LockState;
use crate::{Holder, Locks, Record, Term, Timers};

/// What the evidence says of the recorded holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holding {
    /// Not seen yet.
    #[default]
    Unknown,
    /// Its process lives.
    Alive,
    /// Its file is gone.
    Absent,
    /// Its lock is free.
    Free {
        /// Since when, or since the holder's last sign of life after that.
        since_ms: u64,
    },
}

/// What this process has seen of locks.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent observations"
)]
pub(super) struct Evidence {
    /// The recorded term that the next fields are about, up to `noticed`.
    term: Option<Term>,
    holding: Holding,
    /// When the lock was last refused.
    refused_ms: Option<u64>,
    /// Number of the last beat this process had sent when it found the lock free.
    free_after_beat: u64,
    /// The lock was free while its holder lived.
    broken: bool,
    broken_noticed: bool,
    /// When the store last answered.
    answered_ms: Option<u64>,
    /// A notice about it was given.
    noticed: bool,
    /// Whether any holder's lock was ever refused: this process has met a living active.
    pub(super) met_active: bool,
    /// Whether this process was replaced while it served and held its lock. Where no lock was ever
    /// seen refused, that says that they do not work: taking over by them again would only move the
    /// term to and fro between two living sides.
    pub(super) was_replaced_alive: bool,
    /// Whether two descriptors of a scratch file exclude each other.
    pub(super) self_test: Option<bool>,
    /// A test is under way.
    probing: bool,
    probed_ms: Option<u64>,
    /// No test before, after one that showed nothing.
    not_before_ms: u64,
    /// Tests are frequent until then.
    burst_until_ms: u64,
}

impl Evidence {
    /// Follows the record to its term.
    pub(super) fn look_at(&mut self, term: Option<Term>, now_ms: u64, timers: &Timers) {
        if self.term != term {
            self.term = term;
            self.holding = Holding::Unknown;
            self.refused_ms = None;
            self.broken = false;
            self.broken_noticed = false;
            self.noticed = false;
            self.look_closely(now_ms, timers);
        }
    }

    /// The holder has just been lost sight of: its lock is tested at once, and often for a while.
    pub(super) fn look_closely(&mut self, now_ms: u64, timers: &Timers) {
        self.probed_ms = None;
        self.not_before_ms = 0;
        self.burst_until_ms = now_ms + timers.probe_burst_ms;
    }

    /// The holder of this term echoes a beat: if that was sent after its lock was found free, the
    /// storage's locks do not work.
    pub(super) fn holder_echoed(&mut self, term: Term, echo: u64) {
        if self.term == Some(term) && self.is_free() && echo > self.free_after_beat {
            self.broken = true;
        }
    }

    /// What this process has seen of the term's lock.
    pub(super) fn locks_seen(&self) -> Option<Locks> {
        if self.broken {
            return Some(Locks::Broken);
        }
        self.refused_ms.map(|_| Locks::Seen)
    }

    /// Whether a test is under way.
    pub(super) fn is_probing(&self) -> bool {
        self.probing
    }

    /// Whether this process has seen that the store's locks do not work.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// The holder wrote the record.
    pub(super) fn holder_wrote(&mut self, now_ms: u64) {
        if let Holding::Free { since_ms } = &mut self.holding {
            *since_ms = now_ms;
        }
    }

    /// What the lock says.
    pub(super) fn holding(&self) -> Holding {
        self.holding
    }

    /// When this process last saw the recorded holder alive.
    pub(super) fn last_alive_ms(&self) -> Option<u64> {
        self.refused_ms
    }

    /// Whether a free lock of this holder proves its end: seen refused by this process, or noted in
    /// the record, or the same kernel and a passed self-test.
    pub(super) fn locks_work(&self, record: &Record, holder: &Holder, boot: Option<&str>) -> bool {
        let same_kernel = boot.is_some() && holder.boot.as_deref() == boot;
        self.refused_ms.is_some()
            || record.locks == Some(Locks::Seen)
            || (same_kernel && self.self_test == Some(true))
    }

    /// Whether a notice that the locks do not work is due; true once, where this process has seen it.
    pub(super) fn notice_broken_once(&mut self) -> bool {
        self.broken && !std::mem::replace(&mut self.broken_noticed, true)
    }

    /// When the store last answered a test of a lock, whatever it said.
    pub(super) fn answered_ms(&self) -> Option<u64> {
        self.answered_ms
    }

    /// Whether a notice about this term's lock is due; true once.
    pub(super) fn notice_once(&mut self) -> bool {
        !std::mem::replace(&mut self.noticed, true)
    }

    /// The term to be tested at this time, or else when to ask again. While the holder is heard,
    /// until `heard_until_ms`, its lock is tested now and then only.
    pub(super) fn poll(
        &mut self,
        now_ms: u64,
        timers: &Timers,
        heard_until_ms: u64,
    ) -> Result<Term, Option<u64>> {
        let Some(term) = self.term.filter(|_| !self.probing && !self.is_free()) else {
            return Err(None);
        };
        let is_heard = now_ms < heard_until_ms;
        let every_ms = if is_heard {
            timers.probe_heard_ms
        } else if now_ms < self.burst_until_ms {
            timers.probe_ms
        } else {
            timers.beat_ms
        };
        let due_ms = self.probed_ms.map_or(0, |at_ms| at_ms + every_ms);
        let due_ms = due_ms.max(self.not_before_ms);
        if due_ms > now_ms {
            // Whoever is not heard any more is looked at closely from then on.
            let due_ms = if is_heard {
                due_ms.min(heard_until_ms)
            } else {
                due_ms
            };
            return Err(Some(due_ms));
        }
        self.probing = true;
        Ok(term)
    }

    /// Takes what a test found; `sent` is the number of the last beat sent.
    pub(super) fn probed(
        &mut self,
        now_ms: u64,
        timers: &Timers,
        term: Term,
        lock: &LockState,
        sent: u64,
    ) {
        self.probing = false;
        if !matches!(lock, LockState::Failed(_)) {
            self.answered_ms = Some(now_ms);
        }
        if matches!(lock, LockState::Held) {
            self.met_active = true;
        }
        if self.term != Some(term) {
            return;
        }
        self.probed_ms = Some(now_ms);
        match lock {
            LockState::Held => {
                self.refused_ms = Some(now_ms);
                self.holding = Holding::Alive;
            }
            LockState::Free => {
                self.free_after_beat = sent;
                self.holding = Holding::Free { since_ms: now_ms };
            }
            LockState::Absent => {
                self.holding = Holding::Absent;
                // Nothing makes the file again; it is looked for only in case a cache was stale.
                self.not_before_ms = now_ms + timers.beat_ms;
            }
            LockState::Failed(_) => self.not_before_ms = now_ms + timers.beat_ms,
        }
    }

    fn is_free(&self) -> bool {
        matches!(self.holding, Holding::Free { .. })
    }
}
