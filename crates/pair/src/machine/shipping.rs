//! The active's half of replication: who follows, how far, and what may leave the process on that (rules 1,
//! 3 and 8).
//!
//! A store is in the gate before it is in the record, and stays in the gate until it is certainly out
//! of the record. Only what it confirmed in its present session counts.

use std::collections::VecDeque;

use super::broken::BrokenRule;
use super::lane::Purpose;
use super::{Action, Machine, Notice, Phase, Preparation, Role, Waiting};
use crate::{
    Beat, Body, Confirm, Cut, Incarnation, Join, Log, Member, Position, StoreId, Sync, Term, Timers,
};

/// Stores whose confirmations of this term are remembered; more come only from disks replaced again and again.
const MAX_STORES: usize = 8;
/// Moments that are remembered of what is not confirmed, and of beats that are not echoed.
const MAX_MOMENTS: usize = 64;

/// Who follows the own term.
#[derive(Clone, Debug, Default)]
pub(super) struct Shipping {
    /// What this log has of earlier terms, and where it can be shipped from.
    log: Log,
    oldest: Option<Position>,
    follower: Option<Follower>,
    /// A join that came before the term's start was on disk.
    early: Option<(Incarnation, Join)>,
    /// The most each store confirmed in this term.
    confirmed: Vec<(StoreId, u64)>,
    pub(super) admission: Option<Admission>,
    /// What is on the own disk and not on the follower's: up to there, since then.
    unconfirmed: VecDeque<(u64, u64)>,
    /// Beats sent: their numbers, and when.
    beats: VecDeque<(u64, u64)>,
    /// When the newest beat that the follower echoed was sent.
    echoed_ms: Option<u64>,
    /// Since when this term could be followed.
    since_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Follower {
    peer: Incarnation,
    session: u64,
    store: StoreId,
    /// What it has confirmed of the own term in this session.
    matched: u64,
}

/// A store on its way into the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission {
    store: StoreId,
    /// It must have confirmed so much before the write is sent.
    at_least: u64,
    since_ms: u64,
    /// The write was sent: it may be in the record.
    sent: bool,
}

impl Shipping {
    fn matched_by(&self, id: &str) -> u64 {
        self.follower
            .filter(|it| it.store.to_string() == id)
            .map_or(0, |it| it.matched)
    }

    /// So much is on the own disk.
    pub(super) fn synced(&mut self, up_to: u64, now_ms: u64, timers: &Timers) {
        if self.follower.is_none() {
            return self.unconfirmed.clear();
        }
        let is_full = self.unconfirmed.len() >= MAX_MOMENTS;
        match self.unconfirmed.back_mut() {
            Some((last, at_ms)) if is_full || *at_ms + timers.beat_ms / 4 > now_ms => {
                *last = up_to.max(*last);
            }
            Some(_) | None => self.unconfirmed.push_back((up_to, now_ms)),
        }
        self.forget_confirmed();
    }

    fn forget_confirmed(&mut self) {
        let matched = self.follower.map_or(u64::MAX, |it| it.matched);
        while self
            .unconfirmed
            .front()
            .is_some_and(|(up_to, _)| *up_to <= matched)
        {
            self.unconfirmed.pop_front();
        }
    }

    /// Since when something waits for the follower.
    fn waits_since_ms(&self) -> Option<u64> {
        self.unconfirmed.front().map(|(_, at_ms)| *at_ms)
    }

    /// A beat was sent.
    pub(super) fn beat_sent(&mut self, n: u64, now_ms: u64) {
        if self.beats.len() >= MAX_MOMENTS {
            self.beats.pop_front();
        }
        self.beats.push_back((n, now_ms));
    }

    /// The follower's beat echoes that one.
    pub(super) fn echoed(&mut self, n: u64) {
        while let Some((sent, at_ms)) = self.beats.front().copied() {
            if sent > n {
                return;
            }
            self.beats.pop_front();
            if sent == n {
                self.echoed_ms = self.echoed_ms.max(Some(at_ms));
            }
        }
    }

    /// Older parts of the log are about to go.
    pub(super) fn retired(&mut self, oldest: Position) {
        self.oldest = Some(oldest);
    }
}

impl Machine {
    /// The own term begins, on what the log has.
    pub(super) fn begin_shipping(&mut self) {
        let facts = self.replica.facts();
        let log = facts.map(|facts| facts.log.clone()).unwrap_or_default();
        let oldest = facts.and_then(|facts| facts.oldest);
        self.log_changes();
        self.replica.drained = None;
        self.replica.shipping = Shipping {
            log,
            oldest,
            ..Shipping::default()
        };
    }

    /// The term's start is on disk: what asked for the log before is answered.
    pub(super) fn answer_early_join(&mut self) {
        self.replica.shipping.since_ms = self.now.mono_ms;
        if let Some((peer, join)) = self.replica.shipping.early.take()
            && self.contact.peer() == Some(peer)
        {
            self.learn_join(peer, join);
        }
    }

    /// The own log as it is on disk.
    fn own_log(&self, term: Term) -> Log {
        let mut log = self.replica.shipping.log.clone();
        let seq = self.consent.head();
        if seq > 0 {
            log.grow(Position { term, seq });
        }
        log
    }

    /// A standby asks for the log: its old session is over.
    pub(super) fn learn_join(&mut self, peer: Incarnation, join: Join) {
        let Some(term) = self.own_term().filter(|term| *term == join.term) else {
            return;
        };
        if let Phase::Preparing { stage, .. } = self.phase
            && stage != Preparation::Gating
        {
            self.replica.shipping.early = Some((peer, join));
            return;
        }
        let is_late = self
            .replica
            .shipping
            .follower
            .is_some_and(|it| it.peer == peer && it.session >= join.session);
        if is_late {
            return;
        }
        let session = join.session;
        let log = self.own_log(term);
        let common = if self.breaks(BrokenRule::CommonByLength) {
            common_by_length(&log, &join.log)
        } else {
            log.common(&join.log)
        };
        let shipping = &mut self.replica.shipping;
        let known = shipping.confirmed.iter();
        let confirmed = known.clone().find(|(store, _)| *store == join.store);
        let went_back = !join.incomplete
            && confirmed.is_some_and(|(_, seq)| {
                let confirmed = Position { term, seq: *seq };
                common.is_none_or(|common| log.is_before(common, confirmed))
            });
        // A copy of this very store, too, must not pass for another one.
        if went_back || self.replica.store() == Some(join.store) {
            return self.say(Body::Renew { session });
        }
        let shipping = &mut self.replica.shipping;
        let whole_at = log.end().unwrap_or(Position { term, seq: 0 });
        let reachable = common.filter(|common| {
            let reaches = shipping.oldest.is_none_or(|it| !log.is_before(*common, it));
            reaches && !join.incomplete
        });
        let cut = reachable.map_or(Cut::Everything { whole_at }, Cut::After);
        if reachable.is_none() {
            shipping.confirmed.retain(|(store, _)| *store != join.store);
        }
        let keeps_matched = self.breaks(BrokenRule::OldSessionCounts);
        let shipping = &mut self.replica.shipping;
        let matched = shipping
            .follower
            .filter(|it| keeps_matched && it.store == join.store)
            .map_or(0, |it| it.matched);
        shipping.follower = Some(Follower {
            peer,
            session,
            store: join.store,
            matched,
        });
        shipping.echoed_ms = shipping.echoed_ms.max(Some(self.now.mono_ms));
        self.push(Action::ShipLog {
            session,
            peer,
            term,
            cut,
        });
        self.say(Body::Sync(Sync { session, term, cut }));
    }

    /// A follower says what it has on its disk.
    pub(super) fn learn_confirm(&mut self, peer: Incarnation, confirm: Confirm) {
        let Some(term) = self.own_term() else { return };
        let any_session = self.breaks(BrokenRule::OldSessionCounts);
        let shipping = &mut self.replica.shipping;
        let Some(follower) = &mut shipping.follower else {
            return;
        };
        if follower.peer != peer || (follower.session != confirm.session && !any_session) {
            return;
        }
        // Of earlier terms nothing waits to be acknowledged.
        if confirm.end.term != term {
            return;
        }
        follower.matched = follower.matched.max(confirm.end.seq);
        let (store, matched) = (follower.store, follower.matched);
        let known = shipping.confirmed.iter_mut();
        if let Some((_, most)) = known.into_iter().find(|(it, _)| *it == store) {
            *most = matched.max(*most);
        } else {
            if shipping.confirmed.len() >= MAX_STORES {
                shipping.confirmed.remove(0);
            }
            shipping.confirmed.push((store, matched));
        }
        shipping.forget_confirmed();
    }

    /// The standby of this term lives, and heard that beat.
    pub(super) fn learn_echo(&mut self, peer: Incarnation, beat: &Beat) {
        let own = self.own_term();
        let shipping = &mut self.replica.shipping;
        let follows = shipping.follower.is_some_and(|it| it.peer == peer);
        if follows && own.is_some() && beat.term == own && beat.role == Role::Standby {
            shipping.echoed(beat.echo);
        }
    }

    /// How far each store of the gate has confirmed; nothing if there is none but the own one.
    pub(super) fn confirmed_by_all(&self, term: Term) -> Option<u64> {
        let shipping = &self.replica.shipping;
        if self.breaks(BrokenRule::MemberNotInGate) {
            return None;
        }
        if self.breaks(BrokenRule::AloneTooEarly) && self.lane.unsettled() == Some(Purpose::Remove)
        {
            return None;
        }
        let members = self.other_members(term);
        let silent = self.breaks(BrokenRule::IgnoresSilence);
        let members = members
            .iter()
            .filter(|it| !silent || self.silent_at_ms(it) > self.now.mono_ms);
        let members = members.map(|it| shipping.matched_by(&it.id));
        let admission = shipping.admission.iter();
        let admission = admission.map(|it| shipping.matched_by(&it.store.to_string()));
        members.chain(admission).min()
    }

    /// Lets out what every disk of the gate has; false if this process has let go of its term.
    pub(super) fn pass_stores(&mut self, term: Term) -> bool {
        let now_ms = self.now.mono_ms;
        let timers = self.config.timers;
        let confirmed = self.confirmed_by_all(term);
        // A store whose admission is not settled may be in the record: it is waited for like a member.
        let admitting = self.replica.shipping.admission.filter(|it| it.sent);
        let side = self.config.side.other();
        let admitting = admitting.map(|it| Member::store(side, it.store));
        let members = self.other_members(term).into_iter().chain(admitting);
        let due_ms = members.map(|it| self.silent_at_ms(&it)).min();
        let is_silent = due_ms.is_some_and(|due_ms| due_ms <= now_ms);
        let fresh_until_ms = match confirmed {
            _ if is_silent => 0,
            None => u64::MAX,
            Some(_) => {
                let echoed_ms = self.replica.shipping.echoed_ms;
                echoed_ms.map_or(0, |echoed_ms| echoed_ms + timers.lost_after_ms)
            }
        };
        let up_to = confirmed.unwrap_or(u64::MAX);
        if let Some((up_to, fresh_until_ms)) = self.consent.pass_up_to(up_to, fresh_until_ms) {
            self.push(Action::Release {
                term,
                up_to,
                fresh_until_ms,
            });
        }
        if !is_silent {
            self.consent.holding_ms = None;
            self.wake(due_ms);
            return true;
        }
        if self.consent.holding_ms.is_none() {
            self.consent.holding_ms = Some(now_ms);
            self.notice(Notice::Holding { side });
        }
        self.waiting = Waiting::Consent { side };
        let close_ms = self.consent.holding_ms.unwrap_or(now_ms) + timers.hold_close_ms;
        if now_ms >= close_ms {
            // As in a shared store: clients try the other side, which may have the arbiter.
            self.step_down(term, "it could not be sure of its term for too long");
            return false;
        }
        self.wake(Some(close_ms));
        true
    }

    /// When a member counts as silent if nothing more comes of it: it is removed then, rather than clients
    /// be kept waiting.
    pub(super) fn silent_at_ms(&self, member: &Member) -> u64 {
        let timers = &self.config.timers;
        let now_ms = self.now.mono_ms;
        let shipping = &self.replica.shipping;
        let follower = shipping.follower;
        let is_other = follower.is_some_and(|it| it.store.to_string() != member.id);
        let is_gone = self.replica.refused.is_some() && self.contact.peer().is_none();
        if is_other || is_gone || self.contact.is_leaving() {
            return 0;
        }
        if let Some(since_ms) = self.consent.gating_ms {
            // A taker by silence has waited already; only a side that lives is worth a wait.
            let lives = self
                .contact
                .peer()
                .is_some_and(|peer| self.contact.is_live(peer, now_ms, timers));
            let until_ms = self.contact.live_until(timers).unwrap_or(0);
            return if lives {
                until_ms.min(since_ms + timers.handover_ms)
            } else {
                0
            };
        }
        let heard_ms = shipping.echoed_ms.unwrap_or(shipping.since_ms);
        let waits_ms = shipping.waits_since_ms().unwrap_or(u64::MAX);
        heard_ms.min(waits_ms).saturating_add(timers.lost_after_ms)
    }

    /// Counts the follower's store in, once it has caught up.
    pub(super) fn admit_store(&mut self, term: Term) {
        let now_ms = self.now.mono_ms;
        let timers = self.config.timers;
        let follower = self.replica.shipping.follower.filter(|it| {
            let beat = self.contact.beat();
            let follows =
                beat.is_some_and(|beat| beat.role == Role::Standby && beat.term == Some(term));
            follows && self.contact.is_live(it.peer, now_ms, &timers)
        });
        let waits_ms = self.replica.shipping.waits_since_ms();
        if let Some(admission) = self.replica.shipping.admission {
            if admission.sent {
                return;
            }
            let late_ms = admission.since_ms + timers.lost_after_ms;
            let goes_on = follower.is_some_and(|it| it.store == admission.store);
            if !goes_on || now_ms >= late_ms {
                // Not sent, so in no record.
                self.replica.shipping.admission = None;
                self.pass_stores(term);
                return;
            }
            self.wake(Some(late_ms));
            let caught_up = follower.is_some_and(|it| it.matched >= admission.at_least)
                || self.breaks(BrokenRule::AdmitsBehind);
            if caught_up && self.lane.is_idle() {
                self.send_admission(admission);
            }
            return;
        }
        let Some(follower) = follower else { return };
        let behind_ms = waits_ms.map_or(0, |at_ms| now_ms.saturating_sub(at_ms));
        let is_near = follower.matched > 0 && behind_ms < 2 * timers.beat_ms;
        if !is_near && !self.breaks(BrokenRule::AdmitsBehind) {
            return;
        }
        if !self.admits_now() {
            return;
        }
        let admission = Admission {
            store: follower.store,
            at_least: self.consent.head(),
            since_ms: now_ms,
            sent: false,
        };
        if self.breaks(BrokenRule::AdmitsBeforeGate) {
            if self.lane.is_idle() {
                self.send_admission(admission);
                self.replica.shipping.admission = None;
            }
            return;
        }
        // In the gate first; what is acknowledged from here on waits for it (rule 9).
        self.replica.shipping.admission = Some(admission);
        self.pass_stores(term);
        if follower.matched >= admission.at_least && self.lane.is_idle() {
            self.send_admission(admission);
        }
    }

    fn send_admission(&mut self, admission: Admission) {
        let Some(newest) = self.good_record().cloned() else {
            return;
        };
        self.replica.shipping.admission = Some(Admission {
            sent: true,
            ..admission
        });
        let member = Member::store(self.config.side.other(), admission.store);
        let next = newest.record.admitted(member, 0, None, self.next_wid());
        self.cas(Purpose::Admit, newest.version, next);
    }

    /// The record that is there says how the admission ended; one that was not sent goes on.
    pub(super) fn admission_known(&mut self) {
        if self.replica.shipping.admission.is_some_and(|it| it.sent) {
            self.replica.shipping.admission = None;
        }
    }

    /// Whether a store that is being admitted might be in the record.
    pub(super) fn is_admitting(&self) -> bool {
        self.consent.admitting.is_some()
            || self.replica.shipping.admission.is_some_and(|it| it.sent)
    }

    /// Whether a member follows, was heard just now, and is not about to end.
    pub(super) fn has_live_store(&self, term: Term) -> bool {
        let members = self.other_members(term);
        let follower = self.replica.shipping.follower.filter(|it| {
            self.contact
                .is_live(it.peer, self.now.mono_ms, &self.config.timers)
        });
        follower.is_some_and(|it| {
            members
                .iter()
                .any(|member| member.id == it.store.to_string())
        })
    }
}

/// Of a broken rule: a position as far from the beginning as the shorter log is long.
fn common_by_length(own: &Log, other: &Log) -> Option<Position> {
    let length = |log: &Log| log.terms().iter().map(|it| it.seq).sum::<u64>();
    if length(own) >= length(other) {
        return other.end();
    }
    own.common(other)
}
