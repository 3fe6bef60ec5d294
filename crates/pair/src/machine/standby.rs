//! What a standby does: it keeps its ports reserved, looks at the record, and takes over when it may.

use super::evidence::Holding;
use super::verdict::Verdict;
use super::{Action, Attempt, ExitReason, Machine, Notice, Phase, Ports, RecordState, Waiting};
use crate::{Cause, LockPolicy, Locks, Record, Term};

impl Machine {
    pub(super) fn step_standby(&mut self) -> bool {
        if self.stop_by_ms.is_some() {
            self.exit(ExitReason::Stopped);
            return false;
        }
        self.reserve_ports();
        if self.newest.state == (RecordState::Missing { older: None })
            && self.newest.record.is_none()
            && self.store.is_some_and(|store| !store.has_data())
        {
            let arbiter = self.config.arbiter.clone();
            self.exit(ExitReason::NoRecord { arbiter });
            return false;
        }
        self.notice_record();
        if self.replicates() {
            self.follow();
        } else {
            self.read_ahead();
        }
        match self.verdict() {
            Verdict::Take {
                cause, gap_from_ms, ..
            } => {
                if self.resumes(gap_from_ms) {
                    return true;
                }
                if self.just_read && self.lane.is_idle() {
                    return self.attempt(cause, gap_from_ms);
                }
                self.lane.read_soon(self.now.mono_ms);
                self.waiting = Waiting::OwnTakeover(cause);
                if self.lane.lost() || self.arbiter_known_until().is_none() {
                    self.waiting = Waiting::Arbiter;
                }
            }
            Verdict::Wait { waiting, until_ms } => {
                self.waiting = self.unless_blind(waiting);
                self.wake(until_ms);
                self.wake(self.active_heard_until());
                self.ask_for_failback();
            }
        }
        false
    }

    /// What this side waits for, unless it waits on what it saw too long ago: an arbiter or a store
    /// that does not answer, or hangs, must not leave a promise standing.
    fn unless_blind(&mut self, waiting: Waiting) -> Waiting {
        if self.newest.state == RecordState::Unread || matches!(waiting, Waiting::Ports(_)) {
            return waiting;
        }
        let Some(until_ms) = self.arbiter_known_until() else {
            return Waiting::Arbiter;
        };
        self.wake(Some(until_ms));
        // Of two stores each side sees its own alone, and the active's word as long as it comes.
        if matches!(
            waiting,
            Waiting::HolderEnds { .. } | Waiting::HolderLost { .. } | Waiting::HolderSilent { .. }
        ) {
            let Some(until_ms) = self.known_until(self.active_seen_ms()) else {
                return Waiting::Locks;
            };
            self.wake(Some(until_ms));
            // The active's word says nothing about this side's way to the store.
            let Some(until_ms) = self.known_until(self.store_seen_ms()) else {
                return Waiting::Locks;
            };
            self.wake(Some(until_ms));
        }
        waiting
    }

    /// When the store last answered this side. A lock that is known to be free is not tested again.
    fn store_seen_ms(&self) -> Option<u64> {
        match self.evidence.holding() {
            Holding::Free { .. } => Some(self.now.mono_ms),
            Holding::Unknown | Holding::Alive | Holding::Absent => self.evidence.answered_ms(),
        }
    }

    /// When the recorded active was last seen alive: by its lock, or, where this side may take over
    /// on its silence, by its word.
    fn active_seen_ms(&self) -> Option<u64> {
        let record = &self.good_record()?.record;
        let heard_ms = record
            .term()
            .filter(|_| self.is_member(record) && self.config.lock == LockPolicy::Record)
            .and_then(|term| self.contact.holder_heard_ms(term));
        self.evidence.last_alive_ms().max(heard_ms)
    }

    /// Whether the recorded active was heard lately.
    pub(super) fn is_active_heard(&self) -> bool {
        self.active_heard_until().is_some()
    }

    fn active_heard_until(&self) -> Option<u64> {
        let record = self.good_record().map(|newest| &newest.record);
        let term = record.and_then(Record::term)?;
        self.known_until(self.contact.holder_heard_ms(term))
    }

    /// Until when the recorded active counts as heard without a further word of it.
    pub(super) fn heard_until_ms(&self) -> u64 {
        let term = self.good_record().and_then(|newest| newest.record.term());
        let heard_ms = term.and_then(|term| self.contact.holder_heard_ms(term));
        let is_connected = term.is_some_and(|term| self.contact.peer() == Some(term.inc));
        heard_ms
            .filter(|_| is_connected)
            .map_or(0, |heard_ms| heard_ms + 2 * self.config.timers.beat_ms)
    }

    /// Until when the arbiter counts as one that answers. Where it is read seldom, its last answer counts for two
    /// such times, unless it was asked since and did not answer.
    fn arbiter_known_until(&self) -> Option<u64> {
        let timers = self.config.timers;
        let for_ms = if self.lane.lost() {
            timers.lost_after_ms
        } else {
            timers.lost_after_ms.max(2 * timers.look_ms)
        };
        let until_ms = self.lane.answered_ms()? + for_ms;
        (self.now.mono_ms < until_ms).then_some(until_ms)
    }

    /// How long an observation made then still counts; nothing if it does not any more.
    pub(super) fn known_until(&self, seen_ms: Option<u64>) -> Option<u64> {
        let until_ms = seen_ms? + self.config.timers.lost_after_ms;
        (self.now.mono_ms < until_ms).then_some(until_ms)
    }

    /// Creates the own term file: a takeover begins.
    fn attempt(&mut self, cause: Cause, gap_from_ms: Option<u64>) -> bool {
        let Some(base) = self.base_of_takeover() else {
            return false;
        };
        // Always a new epoch, for a restarted process too.
        let epoch = base.record.epoch + 1;
        let epoch = self.broken_epoch(epoch);
        let term = Term {
            epoch,
            inc: self.config.inc,
        };
        if let Some(let_go) = self.unused_handover() {
            self.handover.not_before_ms = self.now.mono_ms + self.config.timers.unused_handover_ms;
            self.notice(Notice::HandoverUnused { to: let_go.to });
        }
        self.notice(Notice::TakingOver {
            term,
            cause: cause.clone(),
        });
        self.waiting = Waiting::OwnTakeover(cause.clone());
        let stage = if self.replicates() {
            self.begin_attempt(term)
        } else {
            self.push(Action::CreateTermFile { term });
            Attempt::CreatingFile
        };
        self.become_phase(Phase::Attempting {
            term,
            cause,
            gap_from_ms,
            stage,
        });
        false
    }

    /// What the active has on disk can be read before it is needed.
    fn read_ahead(&mut self) {
        let followed = self.good_record().and_then(|newest| newest.record.term());
        if let Some(term) = followed.filter(|term| term.inc != self.config.inc)
            && let Some(durable) = self.contact.more_to_read(term)
        {
            self.push(Action::ReadAhead { term, durable });
        }
    }

    fn reserve_ports(&mut self) {
        match &self.ports {
            Ports::Unreserved => self.ask_for_ports(),
            Ports::Taken { retry_ms, .. } if *retry_ms <= self.now.mono_ms => self.ask_for_ports(),
            Ports::Taken { retry_ms, .. } => {
                let retry_ms = *retry_ms;
                self.wake(Some(retry_ms));
            }
            Ports::Reserving | Ports::Reserved => {}
        }
    }

    fn ask_for_ports(&mut self) {
        // A failed try stays visible while the next one runs.
        if let Ports::Taken { retry_ms, .. } = &mut self.ports {
            *retry_ms = u64::MAX;
        } else {
            self.ports = Ports::Reserving;
        }
        self.push(Action::ReservePorts);
    }

    fn notice_record(&mut self) {
        let notice = match self.newest.state {
            RecordState::Unread | RecordState::Good => return,
            RecordState::Missing { .. } => Notice::RecordMissing {
                arbiter: self.config.arbiter.clone(),
            },
            RecordState::NewerFormat(format) => Notice::RecordFormat { format },
        };
        if !std::mem::replace(&mut self.newest.noticed, true) {
            self.notice(notice);
        }
    }

    /// Whether a lock that is free would be a proof here.
    fn takes_over_by_lock(&self, record: &Record) -> bool {
        self.evidence.holding() == Holding::Alive && record.locks != Some(Locks::Broken)
    }

    /// Whether this side would take over when the active ends: the arbiter answers, it sees the
    /// active's lock refused or hears it as its member, and it could open its ports.
    pub(super) fn is_settled_standby(&self) -> bool {
        let follows = self.good_record().is_some_and(|newest| {
            newest.record.holder.is_some()
                && (self.takes_over_by_lock(&newest.record) || self.is_member(&newest.record))
        });
        if self.replicates() {
            let ready = self.phase == Phase::Standby && self.ports == Ports::Reserved;
            return ready && self.is_settled_follower();
        }
        let can_make_its_file = self.retry_take_ms <= self.now.mono_ms;
        self.phase == Phase::Standby
            && self.ports == Ports::Reserved
            && follows
            && can_make_its_file
            && self.known_until(self.store_seen_ms()).is_some()
            && self.arbiter_known_until().is_some()
            && self.known_until(self.active_seen_ms()).is_some()
    }
}
