//! What each input changes in what a side knows, and which step of its phase it ends.
//!
//! An answer counts only for the term and the step it was asked for; everything else is late.

use super::broken::BrokenRule;
use super::lane::{Purpose, Settled};
use super::{
    Action, Attempt, CasDone, ExitReason, Gap, Input, LetGo, LettingGo, LockState, Machine, Mark,
    Notice, Phase, Ports, Preparation, RecordRead, RecordState, Role, SteppingDown, Versioned,
    Work,
};
use crate::{Record, Term};

/// Entries of a term before those of its clients: its start.
const TERM_START_ENTRIES: u64 = 1;

impl Machine {
    /// Takes one input.
    pub(super) fn learn(&mut self, input: Input) {
        let now_ms = self.now.mono_ms;
        match input {
            Input::StoreInspected(Ok(facts)) => self.store = Some(facts),
            Input::StoreInspected(Err(error)) => self.exit(ExitReason::Store {
                step: "looking for earlier terms",
                error,
            }),
            Input::RecordRead(answer) => {
                let before = self.role();
                self.learn_record(answer);
                if before == Role::Starting && self.role() == Role::Standby {
                    self.role_since_unix_ms = self.now.unix_ms;
                }
            }
            Input::RecordHint => self.lane.read_soon(now_ms),
            Input::CasDone(answer) => self.learn_write(&answer),
            Input::PeerFile(peer) => self.peer = peer,
            Input::LockProbed { term, lock } => {
                let sent = self.contact.sent();
                self.evidence
                    .probed(now_ms, &self.config.timers, term, &lock, sent);
                if lock == LockState::Free {
                    // The takeover follows a read that is newer than its evidence.
                    self.lane.read_soon(now_ms);
                }
            }
            Input::StoreSurveyed(found) => {
                let timers = self.config.timers;
                self.lost.surveyed(now_ms, &timers, found);
                self.lane.read_soon(now_ms);
            }
            Input::LocksSelfTest(passed) => self.evidence.self_test = Some(passed),
            Input::PortsReserved(result) => self.learn_ports(result),
            Input::TermFileCreated { term, result } => self.learn_term_file(term, result),
            Input::Fenced { term, result } => {
                self.prepared(term, Preparation::Fencing, "marking replaced terms", result);
            }
            Input::HistoryLoaded { term, result } => {
                self.prepared(term, Preparation::Loading, "reading the history", result);
            }
            Input::Sealed { term, result } => {
                self.prepared(term, Preparation::Sealing, "writing the seal", result);
            }
            Input::TermStarted { term, result } => self.learn_term_started(term, result),
            Input::Synced { term, up_to, mark } => self.learn_synced(term, up_to, mark),
            Input::JournalFailed { term: of, error } => {
                // A journal that was let go of has nothing left that depends on it.
                if let Phase::Preparing { term, .. } | Phase::Serving { term, .. } = self.phase
                    && term == of
                {
                    self.exit(ExitReason::Store {
                        step: "journal",
                        error,
                    });
                }
            }
            Input::PortsOpened { term, result } => self.learn_ports_opened(term, result),
            Input::Drained { term } => self.learn_drained(term),
            Input::StateDropped { term } => self.learn_state_dropped(term),
            Input::TermClosed { term } => self.learn_term_closed(term),
            Input::StopRequested => {
                self.stop_by_ms
                    .get_or_insert(now_ms + self.config.timers.stop_ms);
            }
            Input::ReadAheadDone { term } => self.contact.caught_up(term),
            Input::LinkUp { peer } => {
                self.replica.refused = None;
                self.contact.up(peer, now_ms, self.now.unix_ms);
            }
            Input::LinkDown { peer } => {
                self.contact.down(peer);
                // No sign of a death, but a reason to look (S2).
                self.evidence.look_closely(now_ms, &self.config.timers);
            }
            Input::LinkMessage { peer, message } => self.learn_message(peer, message),
            Input::ProcessEnded { inc } => {
                self.contact.ended(inc);
                self.lane.read_soon(now_ms);
            }
            Input::LinkTrouble(why) => self.contact.troubled(why),
            Input::LinkRefused { peer } => {
                if self.contact.peer().is_none() {
                    self.replica.refused = Some(peer);
                    self.lane.read_soon(now_ms);
                }
            }
            Input::LogFrozen(result) => self.learn_frozen(result),
            Input::LogProgress {
                session,
                end,
                incomplete,
            } => self.learn_progress(session, end, incomplete),
            Input::LogFailed(error) => self.exit(ExitReason::Store {
                step: "following the active's log",
                error,
            }),
            Input::LogRetired { oldest } => self.replica.shipping.retired(oldest),
            Input::TimeOut => {}
        }
    }

    fn learn_record(&mut self, answer: RecordRead) {
        let now_ms = self.now.mono_ms;
        let timers = self.config.timers;
        let was_lost = self.lane.lost();
        let settled = match answer {
            RecordRead::Found(found) if !self.config.fits(&found.record) => {
                let found = format!("pair {} ({})", found.record.pair, found.record.mode);
                return self.learn_other_pair(found);
            }
            RecordRead::Found(found) => {
                // From here on this process knows whose it is: another pair's record in its place
                // is a fault of the arbiter.
                let pair = &mut self.config.pair;
                pair.get_or_insert_with(|| found.record.pair.clone());
                let settled = self
                    .lane
                    .read_answered(now_ms, &timers, Some(&found.record));
                self.adopt_read(*found);
                settled
            }
            RecordRead::Missing => {
                self.newest.state = RecordState::Missing { older: None };
                self.lane.read_answered(now_ms, &timers, None)
            }
            RecordRead::NewerFormat { format } => {
                self.newest.state = RecordState::NewerFormat(format);
                self.lane.read_answered(now_ms, &timers, None)
            }
            RecordRead::Failed(error) => return self.learn_arbiter_failed(error),
        };
        self.just_read = true;
        if was_lost {
            self.notice(Notice::ArbiterBack);
        }
        self.settle(settled);
    }

    /// Another pair's record lies where this one's should be. Before anything was read this is a
    /// wrong configuration; later it is a fault of the arbiter, and no reason to end a service.
    fn learn_other_pair(&mut self, found: String) {
        if self.newest.record.is_none() {
            let pair = self.config.pair.as_deref().unwrap_or("not named yet");
            let expected = format!("pair {pair} ({})", self.config.mode);
            self.exit(ExitReason::OtherPair { found, expected });
        } else {
            self.learn_arbiter_failed(format!("its record belongs to {found}"));
        }
    }

    fn learn_arbiter_failed(&mut self, error: String) {
        if !self.lane.lost() {
            self.notice(Notice::ArbiterLost(error));
        }
        self.lane.read_failed(self.now.mono_ms, &self.config.timers);
    }

    /// Takes a record that was read, unless it is older than one already known (A4).
    fn adopt_read(&mut self, found: Versioned) {
        let known = self.newest.record.as_ref().map(|newest| &newest.record);
        let older = known.is_some_and(|known| {
            found.record.is_older_than(known.epoch, known.serial)
                && !self.was_taken_anew(known, &found.record)
        });
        // A term that has sealed was in the record: this copy was rolled back before this process
        // ever read a newer one.
        let below_store = self
            .store
            .is_some_and(|store| found.record.epoch < store.newest_epoch);
        let below_kept = self.is_below_kept(&found.record);
        if older || below_store || below_kept {
            self.newest.state = RecordState::Missing {
                older: Some(found.version),
            };
            self.newest.older = Some(found.record);
            return;
        }
        self.adopt(found);
    }

    /// Whether an epoch that this process knows of another holder was rolled back and taken anew. Each
    /// epoch has one seal, so if the other side serves it, the term known here never did.
    fn was_taken_anew(&self, known: &Record, found: &Record) -> bool {
        self.phase == Phase::Standby
            && known.epoch == found.epoch
            && known.term() != found.term()
            && found
                .term()
                .is_some_and(|term| self.contact.is_served(term))
    }

    /// Takes the newest record.
    fn adopt(&mut self, found: Versioned) {
        let before = self.newest.record.as_ref();
        let now_ms = self.now.mono_ms;
        let same_term = before.is_some_and(|it| it.record.term() == found.record.term());
        let written = before.is_some_and(|it| it.record.serial != found.record.serial);
        if same_term && written {
            self.evidence.holder_wrote(now_ms);
        }
        if !same_term || written {
            self.newest.seen_ms = now_ms;
        }
        if !same_term {
            self.contact.beat_soon();
        }
        let own_inc = self.config.inc;
        let other_term = found.record.term().filter(|term| term.inc != own_inc);
        self.evidence
            .look_at(other_term, now_ms, &self.config.timers);
        // An admission that was not settled by a lost record is settled by one that is there.
        if self.lane.unsettled() != Some(Purpose::Admit) {
            self.consent.admitting = None;
            self.admission_known();
        }
        self.keep_record(&found.record);
        self.newest.record = Some(found);
        self.newest.state = RecordState::Good;
        self.newest.older = None;
        self.newest.noticed = false;
        self.lost.over();
    }

    fn learn_write(&mut self, answer: &CasDone) {
        if let CasDone::Refused(error) = answer {
            let timers = self.config.timers;
            let (settled, first) = self.lane.write_refused(self.now.mono_ms, &timers);
            if first {
                self.notice(Notice::WriteRefused(error.clone()));
            }
            return self.settle(settled);
        }
        let was_lost = self.lane.lost();
        let won = self
            .lane
            .write_answered(self.now.mono_ms, &self.config.timers, answer);
        match (answer, was_lost) {
            (CasDone::Unknown(error), false) => {
                self.notice(Notice::ArbiterLost(error.clone()));
            }
            (CasDone::Won { .. } | CasDone::Conflict, true) => self.notice(Notice::ArbiterBack),
            (CasDone::Won { .. } | CasDone::Conflict, false)
            | (CasDone::Unknown(_), true)
            | (CasDone::Refused(_), _) => {}
        }
        if (self.breaks(BrokenRule::ForgetsAdmission)
            && matches!(answer, CasDone::Unknown(_))
            && self.lane.unsettled() == Some(Purpose::Admit))
            || (self.breaks(BrokenRule::ConflictIsNo) && *answer == CasDone::Conflict)
        {
            let purpose = self.lane.unsettled();
            self.lane.abandon();
            self.lane.read_soon(self.now.mono_ms);
            let won = false;
            return self.settle(purpose.map(|purpose| Settled { purpose, won }));
        }
        if let Some((settled, newest)) = won {
            self.adopt(newest);
            self.settle(Some(settled));
        }
    }

    /// A write is settled: what it was for goes on. The record has been adopted already.
    fn settle(&mut self, settled: Option<Settled>) {
        let Some(Settled { purpose, won }) = settled else {
            return;
        };
        match purpose {
            Purpose::Takeover => self.takeover_settled(won),
            Purpose::Ask if won => self.ask_won(),
            Purpose::Recreate if won => {
                let epoch = self.record().map_or(0, |record| record.epoch);
                self.notice(Notice::RecordRecreated { epoch });
            }
            Purpose::Stop if won => self.stop_recorded(),
            Purpose::Admit => self.admission_settled(won),
            Purpose::Remove if won => {
                let side = self.config.side.other();
                self.notice(Notice::Removed { side });
            }
            Purpose::Refuse if won => {
                if let Some(refused) = self.record().and_then(|record| record.refused.clone()) {
                    self.notice(Notice::RefusedSwitchover(refused));
                }
            }
            // Lost, or nothing more to say: what is still needed is decided anew (A3).
            Purpose::Ask
            | Purpose::Recreate
            | Purpose::Raise
            | Purpose::Stop
            | Purpose::Refuse
            | Purpose::FencesDone
            | Purpose::Remove
            | Purpose::Locks => {}
        }
    }

    fn learn_ports(&mut self, result: Result<(), String>) {
        let known = matches!(self.ports, Ports::Taken { .. });
        self.ports = match result {
            Ok(()) => Ports::Reserved,
            Err(error) => {
                let retry_ms = self.now.mono_ms + self.config.timers.retry_max_ms;
                Ports::Taken { error, retry_ms }
            }
        };
        if let (Ports::Taken { error, .. }, false) = (self.ports.clone(), known) {
            self.notice(Notice::PortsTaken(error));
        }
    }

    fn learn_term_file(&mut self, created: Term, result: Result<(), String>) {
        let Phase::Attempting { term, stage, .. } = &mut self.phase else {
            return;
        };
        if *term != created || *stage != Attempt::CreatingFile {
            return;
        }
        match result {
            Ok(()) => *stage = Attempt::Deciding,
            Err(error) => {
                self.retry_take_ms = self.now.mono_ms + self.config.timers.retry_max_ms;
                // It may be half made: there, but without its lock.
                self.push(Action::DeleteTermFile { term: created });
                self.become_phase(Phase::Standby);
                self.notice(Notice::TermFileFailed(error));
            }
        }
    }

    fn prepared(
        &mut self,
        of: Term,
        done: Preparation,
        step: &'static str,
        result: Result<(), String>,
    ) {
        if let Phase::Attempting { term, stage, .. } = &mut self.phase
            && (*term, *stage, done) == (of, Attempt::Loading, Preparation::Loading)
        {
            match result {
                Ok(()) => *stage = Attempt::Deciding,
                Err(error) => self.exit(ExitReason::Store { step, error }),
            }
            return;
        }
        let Phase::Preparing { term, stage, .. } = &self.phase else {
            return;
        };
        if *term != of || *stage != done {
            return;
        }
        match result {
            Ok(()) => self.prepare_next(done),
            // Nothing may be built on a history that is not fenced, read and sealed.
            Err(error) => self.exit(ExitReason::Store { step, error }),
        }
    }

    fn learn_term_started(&mut self, of: Term, result: Result<Mark, String>) {
        let Phase::Preparing {
            term,
            gap_from_ms,
            stage: Preparation::Starting,
        } = self.phase
        else {
            return;
        };
        if term != of {
            return;
        }
        match result {
            Ok(Mark::Clear) => {
                self.consent.synced(TERM_START_ENTRIES);
                self.consent.gating_ms = Some(self.now.mono_ms);
                self.phase = Phase::Preparing {
                    term,
                    gap_from_ms,
                    stage: Preparation::Gating,
                };
                self.answer_early_join();
            }
            Ok(Mark::Fenced | Mark::Missing) => {
                self.replaced_alive(term, "its fence mark is set");
            }
            Err(error) => self.exit(ExitReason::Store {
                step: "starting the term",
                error,
            }),
        }
    }

    /// The half of the gate that the driver looks at: the fsync has returned, and then the own mark was
    /// clear (rules 3 and 8). The other half, the promises, follows at once.
    fn learn_synced(&mut self, of: Term, up_to: u64, mark: Mark) {
        let Phase::Serving { term, .. } = self.phase else {
            return;
        };
        if term != of {
            return;
        }
        match mark {
            Mark::Clear => {
                self.consent.synced(up_to);
                let (now_ms, timers) = (self.now.mono_ms, self.config.timers);
                self.replica.shipping.synced(up_to, now_ms, &timers);
            }
            Mark::Fenced | Mark::Missing => self.replaced_alive(term, "its fence mark is set"),
        }
    }

    fn learn_ports_opened(&mut self, of: Term, result: Result<(), String>) {
        let now_ms = self.now.mono_ms;
        let Phase::Serving { term, gap, .. } = &mut self.phase else {
            return;
        };
        let Gap::Open { from_ms } = *gap else { return };
        if *term != of {
            return;
        }
        match result {
            Ok(()) => {
                let gap_ms = from_ms.map(|from_ms| now_ms.saturating_sub(from_ms));
                *gap = Gap::Closed { gap_ms };
                self.notice(Notice::Serving { term: of, gap_ms });
            }
            Err(error) => self.exit(ExitReason::Ports(error)),
        }
    }

    fn learn_drained(&mut self, of: Term) {
        if self.replicates() {
            // The other side takes over what it has on its disk: it is given the time for the last of it.
            let until_ms = self.now.mono_ms + self.config.timers.handover_ms;
            self.replica.drained = Some((of, until_ms));
        } else {
            self.drained(of);
        }
    }

    /// In replication: lets go once the follower has everything, or its time is over.
    pub(super) fn finish_draining(&mut self, term: Term) -> bool {
        let Some((of, until_ms)) = self.replica.drained.filter(|(of, _)| *of == term) else {
            return false;
        };
        let has_all = self
            .confirmed_by_all(term)
            .is_none_or(|seq| seq >= self.consent.head());
        if !has_all && self.now.mono_ms < until_ms {
            self.wake(Some(until_ms));
            return false;
        }
        self.replica.drained = None;
        self.drained(of);
        true
    }

    fn drained(&mut self, of: Term) {
        let now_ms = self.now.mono_ms;
        let Phase::Serving { term, work, .. } = &self.phase else {
            return;
        };
        if *term != of {
            return;
        }
        match work {
            Work::Clients => return,
            Work::DrainingFor { to, since_ms } => {
                let until_ms = now_ms + self.config.timers.handover_ms;
                self.handover.let_go = Some(LetGo {
                    term: of,
                    to: *to,
                    since_ms: *since_ms,
                    until_ms,
                });
            }
            Work::DrainingToStop => {}
        }
        let recording = *work == Work::DrainingToStop && !self.config.failover_on_shutdown;
        self.let_go(of, recording);
    }

    fn learn_state_dropped(&mut self, of: Term) {
        match self.phase {
            Phase::SteppingDown {
                term,
                stage: SteppingDown::Dropping,
            } if term == of => {
                if self.stop_by_ms.is_some() && self.holds(term) {
                    let recording = !self.config.failover_on_shutdown;
                    return self.let_go(term, recording);
                }
                if self.replicates() {
                    return self.become_phase(Phase::Standby);
                }
                self.become_phase(Phase::SteppingDown {
                    term,
                    stage: SteppingDown::Closing,
                });
                self.push(Action::CloseTermFile { term });
            }
            Phase::Handing {
                term,
                stage: LettingGo::Dropping,
            } if term == of => {
                self.become_phase(Phase::Standby);
            }
            Phase::Standby
            | Phase::Attempting { .. }
            | Phase::Preparing { .. }
            | Phase::Serving { .. }
            | Phase::Handing { .. }
            | Phase::SteppingDown { .. }
            | Phase::Stopped => {}
        }
    }

    fn learn_term_closed(&mut self, of: Term) {
        match self.phase {
            Phase::Handing {
                term,
                stage: LettingGo::Closing,
            } if term == of => {
                if self.stop_by_ms.is_some() {
                    return self.exit(ExitReason::Stopped);
                }
                self.let_go_until(self.now.mono_ms + self.config.timers.handover_ms);
                self.become_phase(Phase::Handing {
                    term,
                    stage: LettingGo::Dropping,
                });
                self.push(Action::DropState { term });
            }
            Phase::SteppingDown {
                term,
                stage: SteppingDown::Closing,
            } if term == of => {
                self.become_phase(Phase::Standby);
            }
            Phase::Standby
            | Phase::Attempting { .. }
            | Phase::Preparing { .. }
            | Phase::Serving { .. }
            | Phase::Handing { .. }
            | Phase::SteppingDown { .. }
            | Phase::Stopped => {}
        }
    }

    /// Whether the newest record names this term.
    pub(super) fn holds(&self, term: Term) -> bool {
        self.record().and_then(Record::term) == Some(term)
    }
}
