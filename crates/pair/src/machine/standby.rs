//! A standby's one question: may this side take over now, and if not, what does it wait for?
//!
//! The answer is computed anew from everything that is known, each time; nothing is remembered that
//! could outlive its reason. Also here: a returned primary's request for a failback.

use super::evidence::Holding;
use super::lane::Purpose;
use super::{Action, ExitReason, Failback, LetGo, Machine, Notice, Phase, Ports, RecordState};
use super::{Attempt, Waiting};
use crate::{Cause, Holder, LockPolicy, Locks, Member, Record, Side, TakerPath, Term, Wanted};

/// No active works so long after it has stopped accepting; a larger difference is one of clocks.
const MAX_DRAIN_MS: u64 = 60_000;

/// Whether this side may take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may, on a record that was read after all of this was known.
    Take {
        /// By which right.
        path: TakerPath,
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
            Verdict::Take {
                cause, gap_from_ms, ..
            } => {
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
        if matches!(
            waiting,
            Waiting::HolderEnds { .. } | Waiting::HolderLost { .. }
        ) {
            let Some(until_ms) = self.known_until(self.active_seen_ms()) else {
                return Waiting::Locks;
            };
            self.wake(Some(until_ms));
        }
        waiting
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

    /// Until when the recorded active counts as heard without a further word of it.
    pub(super) fn heard_until_ms(&self) -> u64 {
        let term = self.good_record().and_then(|newest| newest.record.term());
        let heard_ms = term.and_then(|term| self.contact.holder_heard_ms(term));
        let is_connected = term.is_some_and(|term| self.contact.peer() == Some(term.inc));
        heard_ms
            .filter(|_| is_connected)
            .map_or(0, |heard_ms| heard_ms + 2 * self.config.timers.beat_ms)
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
        let verdict = match (&record.holder, record.forced_side()) {
            (None, None) => self.verdict_first_start(),
            (None, Some(side)) => self.verdict_forced(side),
            (Some(holder), _) => self.verdict_on(&record, holder),
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
            path: TakerPath::Proof,
            cause: Cause::FirstStart,
            gap_from_ms: None,
        };
        match self.config.side {
            Side::Primary => take,
            Side::Backup => self.no_sooner(self.cold_start_ms(), Side::Primary, take),
        }
    }

    /// A person said that the old holder is dead: the side they named at once, the other one only if
    /// that one does not come.
    fn verdict_forced(&self, side: Side) -> Verdict {
        let timers = self.config.timers;
        let until_ms = self.newest.seen_ms + timers.lost_after_ms + timers.cold_start_ms;
        if side != self.config.side && self.now.mono_ms < until_ms {
            return Verdict::Wait {
                waiting: Waiting::Forced { side },
                until_ms: Some(until_ms),
            };
        }
        Verdict::Take {
            path: TakerPath::Proof,
            cause: Cause::Forced,
            gap_from_ms: None,
        }
    }

    /// Rule 3, on a record that names a holder: by proof that its term is over, (b), or as a member
    /// after its silence, (a).
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
        if let Some(verdict) = self.verdict_on_resigned(record, holder) {
            return verdict;
        }
        match (
            self.verdict_on_lock(record, holder),
            self.silence_until(record, holder),
        ) {
            (take @ Verdict::Take { .. }, _) | (take, None) => take,
            (Verdict::Wait { .. }, Some(until_ms)) if self.now.mono_ms >= until_ms => {
                Verdict::Take {
                    path: TakerPath::Member,
                    cause: self.cause(record, holder, Cause::ActiveSilent),
                    // Its lock may be held to this day; its last word is what counts.
                    gap_from_ms: record
                        .term()
                        .and_then(|term| self.contact.holder_heard_ms(term)),
                }
            }
            (Verdict::Wait { waiting, until_ms }, Some(silent_ms)) => {
                let timers = self.config.timers;
                let waiting = match waiting {
                    Waiting::HolderEnds { holder } => Waiting::HolderLost {
                        holder,
                        silence_ms: timers.lost_after_ms + timers.grace_ms,
                    },
                    waiting => waiting,
                };
                Verdict::Wait {
                    waiting,
                    until_ms: Some(until_ms.map_or(silent_ms, |ms| ms.min(silent_ms))),
                }
            }
        }
    }

    /// The holder itself has said that its term is over: that is proof. If it handed over and stays,
    /// it is the new holder's member from the first moment.
    fn verdict_on_resigned(&self, record: &Record, holder: &Holder) -> Option<Verdict> {
        let since_ms = self.contact.resigned_ms(record.term()?)?;
        let wanted = record
            .wanted_now()
            .is_some_and(|wanted| wanted.to == self.config.side);
        let stays = self
            .contact
            .is_live(holder.inc, self.now.mono_ms, &self.config.timers);
        let path = if wanted && stays && self.is_member(record) {
            TakerPath::Member
        } else {
            TakerPath::Proof
        };
        Some(Verdict::Take {
            path,
            cause: self.cause(record, holder, Cause::ProcessEnded),
            gap_from_ms: Some(since_ms),
        })
    }

    /// Whether this very process is in `in_sync`; a predecessor's membership is none of its own.
    pub(super) fn is_member(&self, record: &Record) -> bool {
        let own = Member::process(self.config.side, self.config.inc);
        record.in_sync.contains(&own)
    }

    /// Path (a): when this side may take over on silence, if it may at all. It may once every promise
    /// it ever gave has run out and nothing was heard of the active for long enough.
    fn silence_until(&self, record: &Record, holder: &Holder) -> Option<u64> {
        let timers = self.config.timers;
        if holder.side == self.config.side || !self.is_member(record) {
            return None;
        }
        if self.config.lock == LockPolicy::Storage {
            return None;
        }
        let heard_ms = record
            .term()
            .and_then(|term| self.contact.holder_heard_ms(term))
            .unwrap_or(0)
            .max(self.newest.seen_ms);
        let silent_ms = heard_ms + timers.lost_after_ms + timers.grace_ms;
        // Strictly after the end of the last promise.
        Some(silent_ms.max(self.contact.grant_end_ms() + 1))
    }

    /// Path (b) by the lock of the holder's term file.
    fn verdict_on_lock(&mut self, record: &Record, holder: &Holder) -> Verdict {
        let own = self.config.side;
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
            Holding::Free { .. }
                if record.locks == Some(Locks::Broken) || self.evidence.is_broken() =>
            {
                if self.evidence.is_broken() && self.evidence.notice_once() {
                    self.notice(Notice::LocksBroken);
                }
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
        let cause = self.cause(record, holder, Cause::ProcessEnded);
        let take = Verdict::Take {
            path: TakerPath::Proof,
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
        let heard_ms = record
            .term()
            .and_then(|term| self.contact.holder_heard_ms(term));
        let seen_ms = self.evidence.last_alive_ms().max(heard_ms);
        drained_ms.into_iter().chain(seen_ms).min()
    }

    /// The recorded holder is this very process, which ended that term itself: no lock is needed.
    /// After a handover the other side goes first.
    fn verdict_on_own_term(&self, holder: &Holder) -> Verdict {
        let take = |gap_from_ms| Verdict::Take {
            path: TakerPath::Proof,
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
    fn cause(&self, record: &Record, holder: &Holder, otherwise: Cause) -> Cause {
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
            Side::Primary | Side::Backup => otherwise,
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
    /// active's lock refused or hears it as its member, and it could open its ports.
    pub(super) fn is_settled_standby(&self) -> bool {
        let follows = self.good_record().is_some_and(|newest| {
            newest.record.holder.is_some()
                && (self.evidence.holding() == Holding::Alive || self.is_member(&newest.record))
        });
        self.phase == Phase::Standby
            && self.ports == Ports::Reserved
            && follows
            && self.known_until(self.lane.answered_ms()).is_some()
            && self.known_until(self.active_seen_ms()).is_some()
    }

    /// Asks for the term as a returned primary (rule 6): once per epoch, once in sync.
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
        let ready = self.is_settled_standby() && self.is_member(&record);
        if !held_by_backup || asked || !open || !ready {
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
