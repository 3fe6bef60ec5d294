//! A standby's one question: may this side take over now, and if not, what does it wait for?
//!
//! The answer is computed anew from everything that is known, each time; nothing is remembered that
//! could outlive its reason. Also here: a returned primary's request for a failback.

use super::evidence::Holding;
use super::lane::Purpose;
use super::{Action, ExitReason, Failback, LetGo, Machine, Notice, Phase, Ports, RecordState};
use super::{Attempt, Waiting};
use crate::{Cause, Holder, Locks, Record, Side, Term, Wanted};

/// No active works so long after it has stopped accepting; a larger difference is one of clocks.
const MAX_DRAIN_MS: u64 = 60_000;

/// Whether this side may take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may, on a record that was read after all of this was known.
    Take {
        /// Why.
        cause: Cause,
        /// When the old holder was last known alive.
        gap_from_ms: Option<u64>,
    },
    /// It may not.
    Wait {
        /// What for.
        waiting: Waiting,
        /// When time alone changes the answer.
        until_ms: Option<u64>,
    },
}

/// What a wait for something that will be noticed looks like.
const fn wait(waiting: Waiting) -> Verdict {
    Verdict::Wait {
        waiting,
        until_ms: None,
    }
}

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
        match self.verdict() {
            Verdict::Take { cause, gap_from_ms } => {
                if self.just_read && self.lane.is_idle() {
                    return self.attempt(cause, gap_from_ms);
                }
                self.lane.read_soon(self.now.mono_ms);
                if self.lane.lost() || self.known_until(self.lane.answered_ms()).is_none() {
                    self.waiting = Waiting::Arbiter;
                }
            }
            Verdict::Wait { waiting, until_ms } => {
                self.waiting = self.unless_blind(waiting);
                self.wake(until_ms);
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
        let Some(until_ms) = self.known_until(self.lane.answered_ms()) else {
            return Waiting::Arbiter;
        };
        self.wake(Some(until_ms));
        if matches!(waiting, Waiting::HolderEnds { .. }) {
            let Some(until_ms) = self.known_until(self.evidence.last_alive_ms()) else {
                return Waiting::Locks;
            };
            self.wake(Some(until_ms));
        }
        waiting
    }

    /// How long an observation made then still counts; nothing if it does not any more.
    fn known_until(&self, seen_ms: Option<u64>) -> Option<u64> {
        let until_ms = seen_ms? + self.config.timers.lost_after_ms;
        (self.now.mono_ms < until_ms).then_some(until_ms)
    }

    /// Creates the own term file: a takeover begins.
    fn attempt(&mut self, cause: Cause, gap_from_ms: Option<u64>) -> bool {
        let Some(record) = self.record() else {
            return false;
        };
        // Always a new epoch, for a restarted process too.
        let epoch = record.epoch + 1;
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
        self.push(Action::CreateTermFile { term });
        let stage = Attempt::CreatingFile;
        self.become_phase(Phase::Attempting {
            term,
            cause,
            gap_from_ms,
            stage,
        });
        false
    }

    /// The handover this process made, if the record still waits for its taker.
    fn unused_handover(&self) -> Option<LetGo> {
        self.handover
            .let_go
            .filter(|let_go| self.holds(let_go.term))
    }

    /// Whether this side may take over now.
    pub(super) fn verdict(&mut self) -> Verdict {
        match (self.newest.state, &self.ports) {
            (RecordState::Unread, _) if self.lane.lost() => return wait(Waiting::Arbiter),
            (RecordState::Unread, _) => return wait(Waiting::FirstLook),
            (RecordState::Missing { .. }, _) => return wait(Waiting::Record),
            (RecordState::NewerFormat(format), _) => return wait(Waiting::Upgrade { format }),
            (RecordState::Good, Ports::Taken { error, .. }) => {
                return wait(Waiting::Ports(error.clone()));
            }
            (RecordState::Good, Ports::Unreserved | Ports::Reserving) => {
                return wait(Waiting::FirstLook);
            }
            (RecordState::Good, Ports::Reserved) => {}
        }
        let Some(record) = self.good_record().map(|newest| newest.record.clone()) else {
            return wait(Waiting::Record);
        };
        let verdict = match &record.holder {
            None => self.verdict_first_start(),
            Some(holder) => self.verdict_on(&record, holder),
        };
        match verdict {
            Verdict::Take { cause, .. } if self.retry_take_ms > self.now.mono_ms => Verdict::Wait {
                waiting: Waiting::OwnTakeover(cause),
                until_ms: Some(self.retry_take_ms),
            },
            verdict @ (Verdict::Take { .. } | Verdict::Wait { .. }) => verdict,
        }
    }

    /// Nobody ever held a term: the primary at once, the backup after the cold-start wait.
    fn verdict_first_start(&self) -> Verdict {
        let take = Verdict::Take {
            cause: Cause::FirstStart,
            gap_from_ms: None,
        };
        match self.config.side {
            Side::Primary => take,
            Side::Backup => self.no_sooner(self.cold_start_ms(), Side::Primary, take),
        }
    }

    /// Path (b) of rule 3, on a record that names a holder.
    fn verdict_on(&mut self, record: &Record, holder: &Holder) -> Verdict {
        let own = self.config.side;
        if let Some(stopped) = record.stopped
            && stopped != own
            && own != Side::Primary
        {
            return wait(Waiting::StoppedSide(stopped));
        }
        if holder.inc == self.config.inc {
            return self.verdict_on_own_term(holder);
        }
        let since_ms = match self.evidence.holding() {
            Holding::Unknown => return wait(Waiting::FirstLook),
            Holding::Alive => {
                return wait(Waiting::HolderEnds {
                    holder: holder.side,
                });
            }
            Holding::Absent => {
                if self.evidence.notice_once()
                    && let Some(term) = record.term()
                {
                    self.notice(Notice::TermFileAbsent { term });
                }
                return wait(Waiting::AbsentTermFile);
            }
            Holding::Free { .. } if record.locks == Some(Locks::Broken) => {
                return wait(Waiting::BrokenLocks);
            }
            Holding::Free { since_ms } => since_ms,
        };
        if self.evidence.self_test.is_none() {
            return wait(Waiting::FirstLook);
        }
        if self.evidence.was_replaced_alive && !self.locks_work(record, holder) {
            return wait(Waiting::BrokenLocks);
        }
        if let Some(until_ms) = self.unproven_until(record, holder, since_ms) {
            return Verdict::Wait {
                waiting: Waiting::UnprovenLock,
                until_ms: Some(until_ms),
            };
        }
        let cause = self.cause(record, holder);
        let take = Verdict::Take {
            cause,
            gap_from_ms: self.gap_from_ms(record, holder),
        };
        if holder.side != own && !self.evidence.met_active {
            return self.no_sooner(self.cold_start_ms(), holder.side, take);
        }
        take
    }

    /// Since when nobody serves: when the old holder began its last work, or else when it was last
    /// seen alive. The first is told by another machine's clock, so it is believed only where it can
    /// be true.
    fn gap_from_ms(&self, record: &Record, holder: &Holder) -> Option<u64> {
        let peer = self.peer.as_ref().filter(|peer| peer.inc == holder.inc);
        let draining = peer
            .and_then(|peer| peer.draining)
            .filter(|draining| draining.epoch == record.epoch);
        let ago_ms = draining
            .and_then(|draining| self.now.unix_ms.checked_sub(draining.since_unix_ms))
            .filter(|ago_ms| *ago_ms <= MAX_DRAIN_MS);
        let drained_ms = ago_ms.map(|ago_ms| self.now.mono_ms.saturating_sub(ago_ms));
        let seen_ms = self.evidence.last_alive_ms();
        drained_ms.into_iter().chain(seen_ms).min()
    }

    /// The recorded holder is this very process, which ended that term itself: no lock is needed.
    /// After a handover the other side goes first.
    fn verdict_on_own_term(&self, holder: &Holder) -> Verdict {
        let take = |gap_from_ms| Verdict::Take {
            cause: Cause::TakenBack,
            gap_from_ms,
        };
        match self.unused_handover() {
            Some(let_go) if self.now.mono_ms < let_go.until_ms => Verdict::Wait {
                waiting: Waiting::OtherTakes {
                    side: holder.side.other(),
                },
                until_ms: Some(let_go.until_ms),
            },
            Some(let_go) => take(Some(let_go.since_ms)),
            None => take(None),
        }
    }

    /// Until when a free lock of unknown worth proves nothing; nothing if it does.
    fn unproven_until(&mut self, record: &Record, holder: &Holder, since_ms: u64) -> Option<u64> {
        if self.locks_work(record, holder) {
            return None;
        }
        let timers = self.config.timers;
        let wait_ms = timers.lost_after_ms + timers.promise_ms.max(record.promise_ms);
        if self.evidence.notice_once()
            && let Some(term) = record.term()
        {
            self.notice(Notice::LocksUnproven { term, wait_ms });
        }
        Some(since_ms + wait_ms).filter(|until_ms| self.now.mono_ms < *until_ms)
    }

    /// Whether a free lock of this holder proves its end.
    fn locks_work(&self, record: &Record, holder: &Holder) -> bool {
        self.evidence
            .locks_work(record, holder, self.config.boot_id.as_deref())
    }

    /// End of the cold-start wait, which runs from the start of the process.
    fn cold_start_ms(&self) -> u64 {
        let timers = self.config.timers;
        self.started_ms + timers.lost_after_ms + timers.cold_start_ms
    }

    fn no_sooner(&self, until_ms: u64, first: Side, then: Verdict) -> Verdict {
        if self.now.mono_ms < until_ms {
            return Verdict::Wait {
                waiting: Waiting::ColdStart { first },
                until_ms: Some(until_ms),
            };
        }
        then
    }

    /// Why this side would replace another process.
    fn cause(&self, record: &Record, holder: &Holder) -> Cause {
        let wanted = record
            .wanted_now()
            .is_some_and(|wanted| wanted.to == self.config.side);
        let said_goodbye = self.peer.as_ref().is_some_and(|peer| {
            peer.leaving && peer.inc == holder.inc && holder.side != self.config.side
        });
        match self.config.side {
            Side::Primary if wanted => Cause::Failback,
            Side::Backup if wanted => Cause::Switchover,
            Side::Primary | Side::Backup if !self.evidence.met_active => Cause::ColdStart,
            Side::Primary | Side::Backup if said_goodbye => Cause::Shutdown,
            Side::Primary | Side::Backup => Cause::ProcessEnded,
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

    /// Whether this side would take over when the active ends: the arbiter answers, it sees the
    /// active's lock refused, and it could open its ports.
    pub(super) fn is_settled_standby(&self) -> bool {
        self.phase == Phase::Standby
            && self.ports == Ports::Reserved
            && self
                .good_record()
                .is_some_and(|newest| newest.record.holder.is_some())
            && self.evidence.holding() == Holding::Alive
            && self.known_until(self.lane.answered_ms()).is_some()
            && self.known_until(self.evidence.last_alive_ms()).is_some()
    }

    /// Asks for the term as a returned primary (rule 6): once per epoch, once settled.
    fn ask_for_failback(&mut self) {
        if self.config.failback != Failback::Broker || self.config.side != Side::Primary {
            return;
        }
        let Some(newest) = self.good_record() else {
            return;
        };
        let (version, record) = (newest.version, newest.record.clone());
        self.learn_fate_of_request(&record);
        let held_by_backup = record
            .holder
            .as_ref()
            .is_some_and(|holder| holder.side == Side::Backup);
        let asked = self
            .asking
            .asked
            .as_ref()
            .is_some_and(|(epoch, _)| *epoch == record.epoch);
        let open = record.wanted_now().is_none() && record.stopped.is_none();
        if !held_by_backup || asked || !open || !self.is_settled_standby() {
            return;
        }
        if self.asking.not_before_ms > self.now.mono_ms {
            let due_ms = self.asking.not_before_ms;
            return self.wake(Some(due_ms));
        }
        if self.lane.is_idle() {
            let wanted = Wanted::failback(self.config.inc, record.epoch);
            self.cas(Purpose::Ask, version, record.with_wanted(wanted));
        }
    }

    /// The own request is in the record.
    pub(super) fn ask_won(&mut self) {
        let Some(wanted) = self.record().and_then(|record| record.wanted.clone()) else {
            return;
        };
        self.asking.asked = Some((wanted.epoch, wanted.id.clone()));
        self.asking.refusal_noticed = false;
        self.notice(Notice::AskedForFailback { id: wanted.id });
    }

    /// A request can be refused, or granted and then not used by this side; in the second case the
    /// active interrupted its service for nothing, so the next request waits, and longer each time.
    fn learn_fate_of_request(&mut self, record: &Record) {
        let Some((epoch, id)) = &self.asking.asked else {
            return;
        };
        let refusal = record.refused.as_ref().filter(|refused| refused.id == *id);
        if let Some(refused) = refusal
            && !self.asking.refusal_noticed
        {
            let reason = refused.reason.clone();
            self.asking.refusal_noticed = true;
            return self.notice(Notice::FailbackRefused { reason });
        }
        if record.epoch > *epoch {
            let timers = self.config.timers;
            let granted = !self.asking.refusal_noticed;
            self.asking.asked = None;
            if granted {
                self.asking.backoff_ms = (self.asking.backoff_ms * 2)
                    .clamp(timers.ask_again_ms, timers.ask_again_max_ms);
                self.asking.not_before_ms = self.now.mono_ms + self.asking.backoff_ms;
            }
        }
    }
}
