//! What the active does beside serving: it looks at the record, answers requests to hand over, and
//! makes the two writes of a holder: fences done, record lost.
//!
//! A healthy pair writes nothing: each write here has a reason in the record that the write removes.

use super::Versioned;
use super::action::Write;
use super::broken::BrokenRule;
use super::lane::Purpose;
use super::{
    Action, Draining, Gap, Machine, Notice, Phase, RecordState, SteppingDown, Waiting, Work,
};
use crate::{Term, Wanted};

use super::taking::FREE_QUICK_ENDS;

/// How long a request waits for a standby that reads the journal ahead, from when it was first heard to do so.
/// Much longer than a journal of ordinary size takes: afterwards the takeover itself shows why.
const READ_AHEAD_WAIT_MS: u64 = 60_000;

impl Machine {
    pub(super) fn step_serving(&mut self, term: Term, gap: Gap, work: &Work) -> bool {
        self.waiting = match work {
            Work::Clients => Waiting::Nothing,
            Work::DrainingFor { .. } | Work::DrainingToStop => Waiting::Draining,
        };
        if let Some(why) = self.replaced(term) {
            self.replaced_alive(term, why);
            return true;
        }
        if !self.pass_gate(term) {
            return true;
        }
        if self.finish_draining(term) {
            return true;
        }
        self.recreate_record();
        self.raise_serial(term);
        let is_settled = *work == Work::Clients && matches!(gap, Gap::Closed { .. });
        self.tend_members(term, is_settled);
        if *work != Work::Clients {
            return false;
        }
        if self.stop_by_ms.is_some() {
            return self.drain(term, gap, Work::DrainingToStop);
        }
        if let Gap::Closed { gap_ms } = gap {
            self.note_fences(gap_ms);
            return self.answer_request(term, gap);
        }
        false
    }

    /// Whether the record shows that this term is over.
    pub(super) fn replaced(&self, term: Term) -> Option<&'static str> {
        let newest = self.good_record()?;
        if self.breaks(BrokenRule::IgnoresHigherEpoch) {
            return None;
        }
        (newest.record.term() != Some(term)).then_some("the record names another term")
    }

    /// The own term was replaced while this process lived.
    pub(super) fn replaced_alive(&mut self, term: Term, why: &'static str) {
        if matches!(self.phase, Phase::Serving { .. }) {
            self.evidence.was_replaced_alive = true;
        }
        self.step_down(term, why);
    }

    /// Gives up the own term: nothing more is acknowledged.
    pub(super) fn step_down(&mut self, term: Term, why: &'static str) {
        self.notice(Notice::SteppingDown { term, why });
        self.lane.abandon();
        self.lane.read_soon(self.now.mono_ms);
        self.log_changes();
        // Nothing more leaves this process before the other side may take over on its word.
        self.push(Action::DropState { term });
        self.say_resigned(term, 0);
        self.become_phase(Phase::SteppingDown {
            term,
            stage: SteppingDown::Dropping,
        });
    }

    /// A holder that is alone, or whose member confirms that it follows, proves itself: it writes its
    /// copy again (rule 7).
    pub(super) fn recreate_record(&mut self) {
        let RecordState::Missing { older } = self.newest.state else {
            return;
        };
        let Some(term) = self.own_term() else { return };
        if !self.still_followed(term) || !self.lane.is_idle() {
            return;
        }
        let Some(own) = self
            .newest
            .record
            .as_ref()
            .map(|newest| newest.record.clone())
        else {
            return;
        };
        let record = own.recreated(self.next_wid());
        let write = match older {
            Some(version) => Write::Cas(Versioned { version, record }),
            None => Write::Create(record),
        };
        let action = self.lane.begin(Purpose::Recreate, write);
        self.push(action);
    }

    /// The record went back by writes of this holder whose answers it never got. A standby that has seen
    /// them takes what is in place for missing (A4), promises nothing and cannot be admitted, while this
    /// holder has nothing to write: so it writes once, above them.
    ///
    /// It is a write like any other of this term: only its holder ever raises its `serial`, and the
    /// compare-and-set is on a record that names it, so it can undo nothing but its own lost writes.
    fn raise_serial(&mut self, term: Term) {
        let Some(newest) = self.good_record().cloned() else {
            return;
        };
        let seen = self.contact.serial_seen_by_follower(term);
        if seen <= newest.record.serial || !self.lane.is_idle() {
            return;
        }
        let next = newest.record.raised(seen, self.next_wid());
        self.cas(Purpose::Raise, newest.version, next);
    }

    /// The one further write of a taker: every replaced term is fenced, and the gap is known.
    fn note_fences(&mut self, gap_ms: Option<u64>) {
        let Some(newest) = self.good_record() else {
            return;
        };
        let noted_ms = newest.record.last.as_ref().and_then(|last| last.gap_ms);
        if (newest.record.unfenced.is_empty() && noted_ms == gap_ms) || !self.lane.is_idle() {
            return;
        }
        let (version, record) = (newest.version, newest.record.clone());
        let next = record.fences_done(gap_ms, self.next_wid());
        self.cas(Purpose::FencesDone, version, next);
    }

    /// Hands over, refuses, or waits, if there is a request in force (rule 6).
    fn answer_request(&mut self, term: Term, gap: Gap) -> bool {
        let Some(newest) = self.good_record().cloned() else {
            return false;
        };
        let wanted = if self.breaks(BrokenRule::ObeysStaleRequest) {
            newest.record.wanted.clone()
        } else {
            newest.record.wanted_now().cloned()
        };
        let Some(wanted) = wanted else {
            self.handover.noticed = None;
            return false;
        };
        if !self.lane.is_idle() {
            return false;
        }
        match self.objection(&wanted) {
            Objection::None => {
                self.notice(Notice::HandingOver {
                    to: wanted.to,
                    id: wanted.id,
                });
                let (to, since_ms) = (wanted.to, self.now.mono_ms);
                self.drain(term, gap, Work::DrainingFor { to, since_ms })
            }
            Objection::NotYet { reason, until_ms } => {
                self.wake(until_ms);
                if self.handover.noticed.as_ref() != Some(&wanted.id) {
                    self.handover.noticed = Some(wanted.id.clone());
                    let id = wanted.id;
                    self.notice(Notice::SwitchoverWaits { id, reason });
                }
                false
            }
            Objection::Refuse(reason) => {
                let next = newest
                    .record
                    .with_refused(&wanted.id, &reason, self.next_wid());
                self.cas(Purpose::Refuse, newest.version, next);
                false
            }
        }
    }

    /// What speaks against a request. It is refused only for what lasts: a refusal ends it for the
    /// whole epoch, and whoever asked does not ask again.
    fn objection(&self, wanted: &Wanted) -> Objection {
        let now_ms = self.now.mono_ms;
        let side = self.config.side;
        if wanted.to == side {
            return Objection::Refuse(format!("the {side} is active already"));
        }
        if wanted.is_failback() && !self.config.allow_failback {
            return Objection::Refuse(format!("allow-failback is false on the {side}"));
        }
        if now_ms < self.handover.not_before_ms {
            return Objection::NotYet {
                reason: if self.handover.quick_ends > FREE_QUICK_ENDS {
                    format!("the {} ended soon after each handover", wanted.to)
                } else {
                    format!("the {} did not use a handover just now", wanted.to)
                },
                until_ms: Some(self.handover.not_before_ms),
            };
        }
        let term = self.own_term();
        if let Some(term) = term.filter(|term| self.has_live_member(*term)) {
            let reading = self.contact.follower_reads_ms(term);
            let until_ms = reading.map(|since_ms| since_ms + READ_AHEAD_WAIT_MS);
            return match until_ms.filter(|until_ms| now_ms < *until_ms) {
                Some(_) => Objection::NotYet {
                    reason: format!("the {} still reads the journal", wanted.to),
                    until_ms,
                },
                None => Objection::None,
            };
        }
        // A hint for the words alone.
        let runs = self
            .peer
            .as_ref()
            .is_some_and(|peer| peer.alive && !peer.leaving);
        let is_member = term.is_some_and(|term| self.has_member(term));
        let state = match (runs, is_member) {
            (true, true) => "is silent",
            (true, false) => "is not in sync yet",
            (false, _) => "is not running",
        };
        Objection::NotYet {
            reason: format!("the {} {state}", wanted.to),
            until_ms: None,
        }
    }

    fn drain(&mut self, term: Term, gap: Gap, work: Work) -> bool {
        self.draining = Some(Draining {
            epoch: term.epoch,
            since_unix_ms: self.now.unix_ms,
        });
        // Before the drain: until that begins, clients are still served.
        if work == Work::DrainingToStop {
            self.say_goodbye();
        } else {
            self.write_side_file();
        }
        self.push(Action::Drain { term });
        // Still serving: what is finished now is acknowledged, through the gate.
        self.phase = Phase::Serving { term, gap, work };
        true
    }
}

/// What speaks against a request.
enum Objection {
    None,
    /// Something that passes: by itself then, or with the next look at the other side.
    NotYet {
        reason: String,
        until_ms: Option<u64>,
    },
    Refuse(String),
}
