//! The gate of a shared store (rules 3 and 8), and who is in it; in replication the `shipping` half of it is
//! asked instead.
//!
//! An acknowledgement leaves only when its fsync has returned, the own mark was clear after that, and
//! each other member of `in_sync` has an unexpired promise. A process is in the gate before it is in
//! the record, and stays in the gate until it is certainly out of the record.

use super::broken::BrokenRule;
use super::lane::Purpose;
use super::{Action, Machine, Notice, Phase, RecordState, Role, Waiting, Work};
use crate::{Body, Incarnation, Member, Still, Term};

/// What the gate says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It passes until then, on the own clock; for ever if nobody else is in it.
    Passes { until_ms: u64 },
    /// Somebody in it has not promised.
    Holds,
}

/// How admission of a removed side is damped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Damping {
    /// The wait after the next removal, unless it is forgotten by then, in milliseconds.
    wait: u64,
    /// No admission before.
    not_before: u64,
    /// Since when the other side is a member.
    member_since: Option<u64>,
}

impl Machine {
    /// The other members of the own term's record: who may take over if this process is silent.
    pub(super) fn other_members(&self, term: Term) -> Vec<Member> {
        let record = self.record().filter(|record| record.term() == Some(term));
        let members = record.map(|record| record.in_sync.as_slice());
        let others = members.unwrap_or_default().iter();
        others
            .filter(|member| !self.is_own(member))
            .cloned()
            .collect()
    }

    /// Whether the gate passes at this time.
    pub(super) fn gate(&self, term: Term) -> Gate {
        if self.replicates() {
            // The first entry of a term is its start.
            let until_ms = u64::MAX;
            return match self.confirmed_by_all(term) {
                Some(0) => Gate::Holds,
                None | Some(_) => Gate::Passes { until_ms },
            };
        }
        let now_ms = self.now.mono_ms;
        if self.breaks(BrokenRule::MemberNotInGate)
            || (self.breaks(BrokenRule::AloneTooEarly)
                && self.lane.unsettled() == Some(Purpose::Remove))
        {
            return Gate::Passes { until_ms: u64::MAX };
        }
        let members = self.other_members(term);
        let members = members.iter().map(|member| self.promised_until(member));
        let admitting = self.consent.admitting.into_iter();
        let admitting = admitting.map(|inc| self.consent.promised_until(inc));
        match members.chain(admitting).min() {
            None => Gate::Passes { until_ms: u64::MAX },
            Some(until_ms) if now_ms < until_ms => Gate::Passes { until_ms },
            Some(_) => Gate::Holds,
        }
    }

    /// An entry of the record that names no incarnation can promise nothing.
    fn promised_until(&self, member: &Member) -> u64 {
        if self.breaks(BrokenRule::AnyGrantCounts) {
            return self.consent.newest_promise();
        }
        let inc = member.id.parse::<Incarnation>();
        inc.map_or(0, |inc| self.consent.promised_until(inc))
    }

    /// Lets out what the gate passes; false if this process has let go of its term because it held
    /// its clients for too long.
    pub(super) fn pass_gate(&mut self, term: Term) -> bool {
        if self.replicates() {
            return self.pass_stores(term);
        }
        let now_ms = self.now.mono_ms;
        match self.gate(term) {
            Gate::Passes { until_ms } => {
                self.consent.holding_ms = None;
                if let Some((up_to, fresh_until_ms)) = self.consent.pass(until_ms) {
                    self.push(Action::Release {
                        term,
                        up_to,
                        fresh_until_ms,
                    });
                }
                self.wake((until_ms < u64::MAX).then_some(until_ms));
            }
            Gate::Holds => {
                if let Some((up_to, fresh_until_ms)) = self.consent.hold() {
                    self.push(Action::Release {
                        term,
                        up_to,
                        fresh_until_ms,
                    });
                }
                let side = self.config.side.other();
                if self.consent.holding_ms.is_none() {
                    self.consent.holding_ms = Some(now_ms);
                    self.notice(Notice::Holding { side });
                }
                self.waiting = Waiting::Consent { side };
                let since_ms = self.consent.holding_ms.unwrap_or(now_ms);
                let close_ms = since_ms + self.config.timers.hold_close_ms;
                if now_ms >= close_ms {
                    // Clients try the other side, and the other side may have the arbiter that this
                    // one lacks: the term ends here, by its own holder's word.
                    self.step_down(term, "it could not be sure of its term for too long");
                    return false;
                }
                self.wake(Some(close_ms));
            }
        }
        true
    }

    /// Removes members that fell silent and admits the other side's process (rule 3).
    pub(super) fn tend_members(&mut self, term: Term, admits: bool) {
        if self.newest.state != RecordState::Good {
            return;
        }
        let members = self.other_members(term);
        self.note_membership(&members);
        for member in &members {
            match self.removal_due_ms(member) {
                due_ms if due_ms <= self.now.mono_ms => return self.remove(member),
                due_ms => self.wake(Some(due_ms)),
            }
        }
        if admits && members.is_empty() && self.replicates() {
            self.admit_store(term);
        } else if admits && members.is_empty() {
            self.admit(term);
        } else if admits && !self.replicates() {
            self.note_locks(term);
        }
    }

    /// When a member is removed if nothing more is heard of it.
    fn removal_due_ms(&self, member: &Member) -> u64 {
        if self.replicates() {
            return self.silent_at_ms(member);
        }
        let inc = member.id.parse::<Incarnation>().ok();
        let replaced = self.contact.peer().is_some_and(|peer| Some(peer) != inc);
        if inc.is_none() || replaced || self.contact.is_leaving() {
            return 0;
        }
        if let Some(since_ms) = self.consent.gating_ms {
            // A taker by silence has waited already; only a side that lives is worth a wait.
            let timers = &self.config.timers;
            let lives = inc.is_some_and(|inc| self.contact.is_live(inc, self.now.mono_ms, timers));
            let until_ms = self.contact.live_until(timers).unwrap_or(0);
            return if lives {
                until_ms.min(since_ms + timers.handover_ms)
            } else {
                0
            };
        }
        // Before the promise ends, so that a holder whose arbiter answers need not hold.
        self.promised_until(member)
            .saturating_sub(self.config.timers.remove_lead_ms)
    }

    fn remove(&mut self, member: &Member) {
        if !self.lane.is_idle() {
            return;
        }
        let Some(newest) = self.good_record().cloned() else {
            return;
        };
        let next = newest.record.removed(member, self.next_wid());
        self.cas(Purpose::Remove, newest.version, next);
    }

    fn admit(&mut self, term: Term) {
        let now_ms = self.now.mono_ms;
        let timers = self.config.timers;
        let Some(peer) = self.contact.peer() else {
            return;
        };
        // It says itself that it is the standby of this very term.
        let follows = self
            .contact
            .beat()
            .is_some_and(|beat| beat.role == Role::Standby && beat.term == Some(term));
        let until_ms = self.consent.promised_until(peer);
        let lasts = until_ms > now_ms + timers.remove_lead_ms;
        if !follows || !lasts || !self.lane.is_idle() {
            return;
        }
        if !self.admits_now() {
            return;
        }
        let Some(newest) = self.good_record().cloned() else {
            return;
        };
        let member = Member::process(self.config.side.other(), peer);
        let locks = self.contact.locks_seen_by_follower(term);
        // In the gate first; it stays there until this write is settled (rule 9).
        if !self.breaks(BrokenRule::AdmitsBeforeGate) {
            self.consent.admitting = Some(peer);
            // What depends on no entry leaves until this promise ends and no longer; the driver is told
            // so before it sends the write, after which it may hang.
            self.pass_gate(term);
        }
        let wid = self.next_wid();
        let next = newest
            .record
            .admitted(member, timers.promise_ms, locks, wid);
        self.cas(Purpose::Admit, newest.version, next);
    }

    /// Whether a side that was removed has waited for long enough.
    pub(super) fn admits_now(&mut self) -> bool {
        let not_before_ms = self.damping.not_before;
        let waits = not_before_ms > self.now.mono_ms;
        self.wake(waits.then_some(not_before_ms));
        !waits
    }

    /// Writes down, once, what the standby has seen of the store's locks.
    fn note_locks(&mut self, term: Term) {
        let Some(newest) = self.good_record().cloned() else {
            return;
        };
        let Some(locks) = self.contact.locks_seen_by_follower(term) else {
            return;
        };
        let wid = self.next_wid();
        let next = newest.record.locks_known(locks, wid);
        if next.locks != newest.record.locks && self.lane.is_idle() {
            self.cas(Purpose::Locks, newest.version, next);
        }
    }

    /// The other side is a member now, or no longer.
    fn note_membership(&mut self, members: &[Member]) {
        let now_ms = self.now.mono_ms;
        let timers = self.config.timers;
        let damping = &mut self.damping;
        match (damping.member_since, members.is_empty()) {
            (None, false) => damping.member_since = Some(now_ms),
            (Some(since_ms), true) => {
                damping.member_since = None;
                let forgets = now_ms.saturating_sub(since_ms) >= timers.readmit_forget_ms;
                let wait_ms = if forgets { 0 } else { damping.wait };
                let wait_ms = wait_ms.max(timers.readmit_ms);
                damping.not_before = now_ms + wait_ms;
                damping.wait = (wait_ms * 2).min(timers.readmit_max_ms);
            }
            (None, true) | (Some(_), false) => {}
        }
    }

    /// An admission is settled. Where no record is to be seen it may have been in the one that is lost.
    pub(super) fn admission_settled(&mut self, won: bool) {
        if won || self.newest.state == RecordState::Good {
            self.consent.admitting = None;
            self.admission_known();
        }
        if won {
            let side = self.config.side.other();
            self.notice(Notice::Admitted { side });
        }
    }

    /// Whether the other side's process may take over: it is a member.
    pub(super) fn has_member(&self, term: Term) -> bool {
        !self.other_members(term).is_empty()
    }

    /// Whether a member was heard just now, and is not about to end.
    pub(super) fn has_live_member(&self, term: Term) -> bool {
        if self.replicates() {
            return self.has_live_store(term);
        }
        let timers = &self.config.timers;
        self.other_members(term).iter().any(|member| {
            member
                .id
                .parse()
                .is_ok_and(|inc| self.contact.is_live(inc, self.now.mono_ms, timers))
        })
    }

    /// A holder with a member may write a missing record again only when that member says that it
    /// follows and has not tried to take over (rule 7). True once it has said so.
    pub(super) fn still_followed(&mut self, term: Term) -> bool {
        let members = self.other_members(term);
        if members.is_empty() && !self.is_admitting() {
            return true;
        }
        if self.answered_still == Some(term) || self.breaks(BrokenRule::BlindRewrite) {
            return true;
        }
        let side = self.config.side.other();
        self.waiting = Waiting::Still { side };
        let now_ms = self.now.mono_ms;
        let (nonce, sent_ms) = self.consent.still.unwrap_or((0, 0));
        let due_ms = sent_ms + self.config.timers.beat_ms;
        if nonce > 0 && due_ms > now_ms {
            self.wake(Some(due_ms));
            return false;
        }
        let nonce = nonce + 1;
        self.consent.still = Some((nonce, now_ms));
        self.say(Body::AskStill(Still { term, nonce }));
        self.wake(Some(now_ms + self.config.timers.beat_ms));
        false
    }

    /// Whether this process serves and is not sure of its term at this time.
    pub(super) fn is_holding(&self) -> bool {
        self.consent.holding_ms.is_some()
            && matches!(
                self.phase,
                Phase::Serving {
                    work: Work::Clients,
                    ..
                }
            )
    }
}
