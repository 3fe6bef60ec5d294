//! The steps of a takeover, in the order that makes it safe: own term file, the record, fence marks,
//! the history, the seal, the term's start.
//!
//! The tail of the history is read only after every replaced term is fenced: whatever an old active
//! adds later it cannot acknowledge (rule 3).

use super::action::Write;
use super::broken::BrokenRule;
use super::gate::Gate;
use super::lane::Purpose;
use super::verdict::Verdict;
use super::{
    Action, Attempt, Consent, Damping, ExitReason, Gap, Machine, Notice, Phase, Preparation,
    RecordState, SteppingDown, Waiting, Work,
};
use crate::{Cause, Holder, Locks, Record, Taker, TakerPath, Term};

/// Handovers whose taker may end soon before the next one waits.
pub(super) const FREE_QUICK_ENDS: u32 = 3;
/// The wait is at its longest long before.
const MAX_DOUBLINGS: u32 = 6;

impl Machine {
    pub(super) fn step_attempting(
        &mut self,
        term: Term,
        cause: Cause,
        gap_from_ms: Option<u64>,
        stage: Attempt,
    ) -> bool {
        self.waiting = Waiting::OwnTakeover(cause.clone());
        if let Some(stop_by_ms) = self.stop_by_ms {
            return self.stop_attempt(term, stop_by_ms);
        }
        if stage != Attempt::Deciding || !self.lane.is_idle() {
            return false;
        }
        // Everything is checked anew, on the record that the write will replace (A3).
        let path = match self.verdict() {
            Verdict::Take { path, .. } if self.breaks(BrokenRule::TakesAlone) => {
                let store = self.replica.store().filter(|_| self.replicates());
                match (path, store) {
                    (TakerPath::Member, Some(store)) => TakerPath::Store(store),
                    (TakerPath::Member, None) => TakerPath::Proof,
                    (TakerPath::Proof | TakerPath::Store(_), _) => path,
                }
            }
            Verdict::Take { path, .. } => path,
            Verdict::Wait { .. } if self.breaks(BrokenRule::NoRecheck) => TakerPath::Member,
            Verdict::Wait { .. } => return self.give_up(term),
        };
        let Some(base) = self.base_of_takeover() else {
            return self.give_up(term);
        };
        let epoch = base.record.epoch + 1;
        let epoch = self.broken_epoch(epoch);
        if epoch != term.epoch {
            return self.give_up(term);
        }
        self.replica.replaced = base.record.term();
        let taker = Taker {
            holder: Holder {
                side: self.config.side,
                inc: self.config.inc,
                pod: self.config.process.clone(),
                boot: self.config.boot_id.clone(),
            },
            path,
            cause: cause.clone(),
            at_unix_ms: self.now.unix_ms,
            saw_lock_refused: self.evidence.locks_seen() == Some(Locks::Seen),
        };
        let wid = self.next_wid();
        let next = base.record.takeover(taker, wid);
        let next = Record { epoch, ..next };
        if base.version == 0 {
            let action = self.lane.begin(Purpose::Takeover, Write::Create(next));
            self.push(action);
        } else {
            self.cas(Purpose::Takeover, base.version, next);
        }
        let stage = Attempt::Writing;
        self.phase = Phase::Attempting {
            term,
            cause,
            gap_from_ms,
            stage,
        };
        false
    }

    /// A stop during an attempt. A takeover write whose outcome is open is waited for, but not for
    /// ever: should it land later, its term file is there and its lock is free.
    fn stop_attempt(&mut self, term: Term, stop_by_ms: u64) -> bool {
        if self.lane.unsettled() == Some(Purpose::Takeover) {
            if self.now.mono_ms < stop_by_ms {
                self.wake(Some(stop_by_ms));
                return false;
            }
        } else if !self.replicates() {
            self.push(Action::DeleteTermFile { term });
        }
        self.exit(ExitReason::Stopped);
        false
    }

    /// The takeover cannot be had, definitely: its term never was.
    fn give_up(&mut self, term: Term) -> bool {
        if self.replicates() {
            // What was read for it goes; the log stays as it is, and is followed again.
            self.log_changes();
            self.push(Action::DropState { term });
            let stage = SteppingDown::Dropping;
            self.become_phase(Phase::SteppingDown { term, stage });
        } else {
            self.push(Action::DeleteTermFile { term });
            self.become_phase(Phase::Standby);
        }
        self.notice(Notice::TakeoverLost { term });
        true
    }

    /// The takeover write is settled.
    pub(super) fn takeover_settled(&mut self, won: bool) {
        let Phase::Attempting {
            term,
            cause,
            gap_from_ms,
            stage,
        } = &mut self.phase
        else {
            return;
        };
        if !won {
            *stage = Attempt::Deciding;
            return;
        }
        let (term, cause, gap_from_ms) = (*term, cause.clone(), *gap_from_ms);
        let unfenced = self.record().map(|record| record.unfenced.clone());
        let replaced = if self.replicates() {
            self.replica.replaced
        } else {
            unfenced.and_then(|unfenced| unfenced.last().copied())
        };
        self.consent = Consent::default();
        self.damping = Damping::default();
        self.note_quick_end(replaced);
        self.handover.let_go = None;
        self.handover.noticed = None;
        self.asking.asked = None;
        self.notice(Notice::TookOver {
            term,
            cause,
            replaced,
        });
        let stage = if self.replicates() {
            self.begin_shipping();
            Preparation::Starting
        } else {
            Preparation::Fencing
        };
        self.become_phase(Phase::Preparing {
            term,
            gap_from_ms,
            stage,
        });
        self.push_preparation(term, stage);
    }

    /// A side that ends soon after each handover must not interrupt the service for ever: this memory
    /// is not its own, which ends with it.
    fn note_quick_end(&mut self, replaced: Option<Term>) {
        let timers = self.config.timers;
        let now_ms = self.now.mono_ms;
        let Some(let_go) = self.handover.let_go else {
            return;
        };
        let was_taken = replaced.is_some_and(|term| term.epoch == let_go.term.epoch + 1);
        let is_quick = now_ms < let_go.until_ms + timers.quick_end_ms;
        if !was_taken || !is_quick {
            self.handover.quick_ends = 0;
            return;
        }
        self.handover.quick_ends += 1;
        if let Some(more) = self.handover.quick_ends.checked_sub(FREE_QUICK_ENDS + 1) {
            let wait_ms = timers.unused_handover_ms << more.min(MAX_DOUBLINGS);
            self.handover.not_before_ms = now_ms + wait_ms.min(timers.ask_again_max_ms);
        }
    }

    /// The next step of the preparation.
    pub(super) fn prepare_next(&mut self, done: Preparation) {
        let Phase::Preparing { term, stage, .. } = &mut self.phase else {
            return;
        };
        *stage = match done {
            Preparation::Fencing => Preparation::Loading,
            Preparation::Loading => Preparation::Sealing,
            Preparation::Sealing | Preparation::Starting | Preparation::Gating => {
                Preparation::Starting
            }
        };
        let (term, stage) = (*term, *stage);
        self.push_preparation(term, stage);
    }

    fn push_preparation(&mut self, term: Term, stage: Preparation) {
        let action = match stage {
            Preparation::Fencing => {
                let terms = self
                    .record()
                    .map(|record| record.unfenced.clone())
                    .unwrap_or_default();
                Action::Fence { term, terms }
            }
            Preparation::Loading => Action::LoadHistory {
                term,
                at_least: self.known_of_replaced(),
            },
            Preparation::Sealing => Action::Seal { term },
            Preparation::Starting => Action::StartTerm { term },
            Preparation::Gating => return,
        };
        self.push(action);
    }

    /// Goes on with a term that was let go of, without a word in the record, when nobody took it over:
    /// of a broken rule. Without it a side takes back by a takeover like any other.
    pub(super) fn resumes(&mut self, gap_from_ms: Option<u64>) -> bool {
        if !self.breaks(BrokenRule::HandingEndsByTimer) {
            return false;
        }
        let Some(let_go) = self.unused_handover() else {
            return false;
        };
        self.handover.let_go = None;
        self.handover.not_before_ms = self.now.mono_ms + self.config.timers.unused_handover_ms;
        let (term, stage) = (let_go.term, Preparation::Starting);
        self.become_phase(Phase::Preparing {
            term,
            gap_from_ms,
            stage,
        });
        self.push_preparation(term, stage);
        true
    }

    /// What the holder of the replaced term said was on its disk. Of earlier terms nothing is known
    /// that a seal does not say.
    fn known_of_replaced(&self) -> Option<(Term, u64)> {
        let replaced = self.record()?.unfenced.last().copied()?;
        let heard = self.contact.holder_head();
        heard.filter(|(term, entries)| *term == replaced && *entries > 0)
    }

    pub(super) fn step_preparing(&mut self, term: Term, stage: Preparation) -> bool {
        let cause = self
            .record()
            .and_then(|record| record.last.clone())
            .map(|last| last.cause);
        self.waiting = cause.map_or(Waiting::FirstLook, Waiting::OwnTakeover);
        if let Some(why) = self.replaced(term) {
            self.step_down(term, why);
            return true;
        }
        if self.stop_by_ms.is_some() {
            self.push(Action::DropState { term });
            let stage = SteppingDown::Dropping;
            self.become_phase(Phase::SteppingDown { term, stage });
            return true;
        }
        self.recreate_record();
        if stage != Preparation::Gating {
            return false;
        }
        // The term's start passes the gate like everything else (rule 2; I4).
        if self.breaks(BrokenRule::ServesBeforeGate) || self.gate(term) != Gate::Holds {
            self.serve(term);
            return true;
        }
        self.waiting = Waiting::Consent {
            side: self.config.side.other(),
        };
        let since_ms = self.consent.gating_ms.unwrap_or(self.now.mono_ms);
        let until_ms = since_ms + self.config.timers.hold_close_ms;
        if self.newest.state != RecordState::Good {
            // The member may have died with the record: without this term, whoever lives may make it again.
            if self.now.mono_ms >= until_ms {
                self.step_down(term, "its record is lost and its member does not answer");
                return true;
            }
            self.wake(Some(until_ms));
        }
        self.tend_members(term, false);
        false
    }

    /// The term's start has passed the gate.
    fn serve(&mut self, term: Term) {
        let Phase::Preparing { gap_from_ms, .. } = self.phase else {
            return;
        };
        self.consent.gating_ms = None;
        self.become_phase(Phase::Serving {
            term,
            gap: Gap::Open {
                from_ms: gap_from_ms,
            },
            work: Work::Clients,
        });
        self.push(Action::OpenPorts { term });
        // Whoever takes this term over meets no cold start: this process was the active.
        self.evidence.met_active = true;
    }
}
