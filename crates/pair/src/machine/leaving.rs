//! Letting go of a term on purpose, and the end of the process.
//!
//! The lock is freed only after the last work is done, and where a stop must not fail over, only
//! after the record says so: the other side sees a free lock within milliseconds.

use super::lane::Purpose;
use super::{Action, ExitReason, LettingGo, Machine, Notice, Phase, Ports, Waiting};
use crate::{Body, Term};

impl Machine {
    /// Lets go of a term whose last work is done.
    pub(super) fn let_go(&mut self, term: Term, recording: bool) {
        if recording {
            self.become_phase(Phase::Handing {
                term,
                stage: LettingGo::Recording,
            });
        } else {
            self.close_term(term);
        }
    }

    fn close_term(&mut self, term: Term) {
        // Nothing of it is acknowledged any more; where locks prove nothing, this does.
        let since_unix_ms = self
            .draining
            .map_or(self.now.unix_ms, |it| it.since_unix_ms);
        self.say_resigned(term, self.now.unix_ms.saturating_sub(since_unix_ms));
        if self.replicates() {
            return self.close_log(term);
        }
        self.push(Action::CloseTermFile { term });
        self.become_phase(Phase::Handing {
            term,
            stage: LettingGo::Closing,
        });
    }

    /// There is no file and no lock of a term: only its state is left.
    fn close_log(&mut self, term: Term) {
        if self.stop_by_ms.is_some() {
            return self.exit(ExitReason::Stopped);
        }
        self.let_go_until(self.now.mono_ms + self.config.timers.handover_ms);
        self.log_changes();
        let stage = LettingGo::Dropping;
        self.become_phase(Phase::Handing { term, stage });
        self.push(Action::DropState { term });
    }

    /// The other side has until then to take over what was handed over.
    pub(super) fn let_go_until(&mut self, until_ms: u64) {
        if let Some(let_go) = &mut self.handover.let_go {
            let_go.until_ms = until_ms;
        }
    }

    pub(super) fn step_handing(&mut self, term: Term, stage: LettingGo) -> bool {
        self.waiting = match (self.stop_by_ms, stage) {
            (Some(_), _) => Waiting::OwnEnd,
            (None, LettingGo::Recording | LettingGo::Closing | LettingGo::Dropping) => {
                Waiting::OtherTakes {
                    side: self.config.side.other(),
                }
            }
        };
        match stage {
            LettingGo::Recording => self.record_stop(term),
            LettingGo::Closing => false,
            // The lock is free: only this process' own memory is left, and it ends with it.
            LettingGo::Dropping => {
                if self.stop_by_ms.is_some() {
                    self.exit(ExitReason::Stopped);
                }
                false
            }
        }
    }

    /// Writes the clean stop to the record; true once the lock may go.
    fn record_stop(&mut self, term: Term) -> bool {
        let stop_by_ms = self.stop_by_ms.unwrap_or(self.now.mono_ms);
        if self.replaced(term).is_some() {
            self.close_term(term);
            return true;
        }
        if self.now.mono_ms >= stop_by_ms {
            self.notice(Notice::StopUnrecorded);
            self.close_term(term);
            return true;
        }
        self.wake(Some(stop_by_ms));
        let Some(newest) = self.good_record() else {
            return false;
        };
        if self.lane.is_idle() {
            let (version, record) = (newest.version, newest.record.clone());
            let next = record.with_stopped(self.config.side, self.next_wid());
            self.cas(Purpose::Stop, version, next);
        }
        false
    }

    /// The clean stop is in the record.
    pub(super) fn stop_recorded(&mut self) {
        if let Phase::Handing {
            term,
            stage: LettingGo::Recording,
        } = self.phase
        {
            self.close_term(term);
        }
    }

    /// Tells the other side, once, that this process is about to end.
    pub(super) fn say_goodbye(&mut self) {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            self.write_side_file();
        }
    }

    /// Tells the other side what it may want to know of this one.
    pub(super) fn write_side_file(&mut self) {
        self.push(Action::WriteSideFile {
            leaving: self.said_goodbye,
            draining: self.draining,
        });
    }

    /// Ends the process.
    pub(super) fn exit(&mut self, reason: ExitReason) {
        if self.phase == Phase::Stopped {
            return;
        }
        if reason == ExitReason::Stopped {
            self.waiting = Waiting::OwnEnd;
            self.say_goodbye();
            self.say(Body::Leave);
        } else if let Some(term) = self.own_term() {
            // The incarnation is over, and with it everything that it could have acknowledged.
            self.push(Action::DropState { term });
            self.say_resigned(term, 0);
        }
        self.become_phase(Phase::Stopped);
        self.show();
        self.push(Action::Exit(reason));
    }

    /// Changes the phase; everything that follows from the change itself is here.
    pub(super) fn become_phase(&mut self, next: Phase) {
        let before = self.role();
        self.phase = next;
        if self.role() != before {
            self.role_since_unix_ms = self.now.unix_ms;
            self.contact.beat_soon();
        }
        let has_ports = matches!(self.phase, Phase::Standby | Phase::Attempting { .. })
            || matches!(self.phase, Phase::Preparing { .. });
        if !has_ports {
            self.ports = Ports::Unreserved;
        }
    }
}
