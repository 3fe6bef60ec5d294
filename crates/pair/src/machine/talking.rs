//! What a side says over the link, and what it makes of what it hears.

use super::broken::BrokenRule;
use super::{Action, Machine, Phase, Role};
use crate::{Beat, Body, Incarnation, Locks, Message, Resign, Still, Term};

impl Machine {
    /// Takes a message of the other side's process.
    pub(super) fn learn_message(&mut self, peer: Incarnation, message: Message) {
        let now_ms = self.now.mono_ms;
        if !self.contact.heard(peer, now_ms) {
            return;
        }
        self.heard_of_epoch(message.epoch);
        self.learn_epoch(message.epoch);
        match message.body {
            Body::Beat(beat) => self.learn_beat(peer, beat),
            Body::Grant(grant) => {
                if let Some(term) = self.own_term()
                    && grant.grantor == peer
                {
                    let timers = self.config.timers;
                    let mut grant = grant;
                    if self.breaks(BrokenRule::PromiseFromReceipt) {
                        grant.asked_ms = now_ms;
                    }
                    self.consent.granted(term, &grant, now_ms, &timers);
                }
            }
            Body::Resign(resign) => {
                // Only the holder itself can end its term.
                if resign.term.inc == peer {
                    self.contact.resigned(resign, now_ms);
                    let timers = self.config.timers;
                    self.evidence.look_closely(now_ms, &timers);
                    self.lane.read_soon(now_ms);
                }
            }
            Body::Leave => self.contact.leaves(),
            Body::AskStill(still) => self.answer_still(peer, still),
            Body::Still(Still { term, nonce }) => {
                let asked = self.consent.still.map(|(nonce, _)| nonce);
                if asked == Some(nonce) && self.own_term() == Some(term) {
                    self.answered_still = Some(term);
                }
            }
            // Of a shared store there are none: who says so is of another mode, which the link refuses.
            Body::Join(join) => self.learn_join(peer, join),
            Body::Sync(sync) => self.learn_sync(peer, sync),
            Body::Renew { session } => self.learn_renew(peer, session),
            Body::Confirm(confirm) => self.learn_confirm(peer, confirm),
            Body::AskReport { nonce } => self.answer_report(nonce),
            Body::Report(report) => self.learn_report(peer, *report),
        }
    }

    fn learn_beat(&mut self, peer: Incarnation, beat: Beat) {
        let now_ms = self.now.mono_ms;
        self.learn_echo(peer, &beat);
        let known = self.newest.record.as_ref().map_or(0, |it| it.version);
        if beat.record_version > known {
            self.lane.read_soon(now_ms);
        }
        if let (true, Some(term)) = (beat.role.holds(), beat.term)
            && term.inc == peer
        {
            self.evidence.met_active = true;
            // Its echo shows that it lived after its lock was found free.
            self.evidence.holder_echoed(term, beat.echo);
            self.contact.took_beat(beat, now_ms);
        } else if !beat.role.holds() {
            self.contact.took_beat(beat, now_ms);
        }
    }

    /// Rule 4: a side that learns of a higher epoch steps down at once.
    fn learn_epoch(&mut self, epoch: u64) {
        let known = self.record().map_or(0, |record| record.epoch);
        if epoch <= known || self.breaks(BrokenRule::IgnoresHigherEpoch) {
            return;
        }
        self.lane.read_soon(self.now.mono_ms);
        if let Phase::Preparing { term, .. } | Phase::Serving { term, .. } = self.phase {
            self.replaced_alive(term, "the other side knows a newer term");
        }
    }

    /// The term this process holds: it prepares it, or serves.
    pub(super) fn own_term(&self) -> Option<Term> {
        match self.phase {
            Phase::Preparing { term, .. } | Phase::Serving { term, .. } => Some(term),
            Phase::Standby
            | Phase::Attempting { .. }
            | Phase::Handing { .. }
            | Phase::SteppingDown { .. }
            | Phase::Stopped => None,
        }
    }

    /// Answers what was asked over the link, and sends the beat that is due.
    pub(super) fn talk(&mut self) {
        self.answer_for_promise();
        let (now_ms, timers) = (self.now.mono_ms, self.config.timers);
        if let Some(live_ms) = self.contact.live_until(&timers)
            && live_ms > now_ms
        {
            // A missed beat is noticed.
            self.wake(Some(live_ms));
        }
        match self.contact.poll_beat(now_ms, &timers) {
            Ok(peer) => {
                self.confirm();
                if self.replicates() {
                    let n = self.contact.sent();
                    self.replica.shipping.beat_sent(n, now_ms);
                }
                let message = self.message(Body::Beat(self.beat()));
                self.push(Action::Send { peer, message });
                self.wake(Some(now_ms + timers.beat_ms));
            }
            Err(u64::MAX) => {}
            Err(due_ms) => self.wake(Some(due_ms)),
        }
    }

    /// A standby's promise (rule 3): never while it tries to take over.
    fn answer_for_promise(&mut self) {
        let free = match self.phase {
            Phase::Standby | Phase::Handing { .. } | Phase::SteppingDown { .. } => true,
            Phase::Attempting { .. } => self.breaks(BrokenRule::GrantsWhileAttempting),
            Phase::Preparing { .. } | Phase::Serving { .. } | Phase::Stopped => false,
        };
        if !free || self.stop_by_ms.is_some() {
            return;
        }
        let Some(record) = self.good_record().map(|newest| newest.record.clone()) else {
            return;
        };
        let promise_ms = self.config.timers.promise_ms;
        let own = self.config.inc;
        let grant = self
            .contact
            .grant(&record, own, self.now.mono_ms, promise_ms);
        if let Some((peer, grant)) = grant {
            let message = self.message(Body::Grant(grant));
            self.push(Action::Send { peer, message });
        }
    }

    fn beat(&self) -> Beat {
        let own = self.own_term();
        let followed = self.record().and_then(crate::Record::term);
        // With two stores nothing rests on promises.
        let asks = matches!(self.phase, Phase::Preparing { .. } | Phase::Serving { .. })
            && !self.replicates();
        Beat {
            n: self.contact.sent(),
            echo: self.contact.echo(),
            role: self.role_said(),
            term: own.or(followed),
            ask_ms: asks.then_some(self.now.mono_ms),
            head: own.map_or(0, |_| self.consent.head()),
            record_version: self.newest.record.as_ref().map_or(0, |it| it.version),
            record_serial: self.record().map_or(0, |record| record.serial),
            locks: self.locks_seen(),
            reading: own.is_none() && followed.is_some_and(|term| self.contact.is_reading(term)),
        }
    }

    /// A side that still drops a term is no standby yet: it could not take over.
    fn role_said(&self) -> Role {
        match self.phase {
            Phase::SteppingDown { .. } => Role::Handing,
            Phase::Standby
            | Phase::Attempting { .. }
            | Phase::Preparing { .. }
            | Phase::Serving { .. }
            | Phase::Handing { .. }
            | Phase::Stopped => self.role(),
        }
    }

    /// What this standby has seen of the lock of the term it follows.
    fn locks_seen(&self) -> Option<Locks> {
        if self.own_term().is_some() {
            return None;
        }
        self.evidence.locks_seen()
    }

    fn answer_still(&mut self, peer: Incarnation, still: Still) {
        let follows = self.phase == Phase::Standby
            && self.stop_by_ms.is_none()
            && self.record().and_then(crate::Record::term) == Some(still.term)
            && still.term.inc == peer;
        if follows {
            self.say(Body::Still(still));
        }
    }

    /// The own term is over, by its own holder's word.
    pub(super) fn say_resigned(&mut self, term: Term, idle_ms: u64) {
        self.say(Body::Resign(Resign { term, idle_ms }));
    }

    /// Says something to the connected process, if there is one.
    pub(super) fn say(&mut self, body: Body) {
        if let Some(peer) = self.contact.peer() {
            let message = self.message(body);
            self.push(Action::Send { peer, message });
        }
    }

    fn message(&self, body: Body) -> Message {
        let recorded = self.record().map_or(0, |record| record.epoch);
        // A term that sealed was in the record once: who still holds an older one was replaced, and
        // may have nothing to write that would show it its mark.
        let stored = self.store.map_or(0, |store| store.newest_epoch);
        Message {
            epoch: recorded.max(stored),
            body,
        }
    }
}
