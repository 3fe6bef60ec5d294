//! A lost record between two stores, with no living holder (rule 7): both sides say what they have, and the
//! one with the newest last entry makes the record again.
//!
//! It must never build on one report alone, nor on epochs that were merely seen: what was acknowledged is
//! on the disk of every store that was in sync, and shows in its last entry. Beyond the design, the winner
//! must be in sync in the newest record that either of them knew, and no third store: that one may be newer, and
//! its process may live. And one that is not may have entries that were never acknowledged. A store in sync has kept the
//! record that says so before it takes over, as `KeepRecord` comes before `FreezeLog`.

use super::broken::BrokenRule;
use super::verdict::{Verdict, wait};
use super::{Machine, Phase, RecordState, Versioned, Waiting};
use crate::{Body, Cause, Incarnation, Member, Record, Report, Side, TakerPath};

/// What was asked and told while the record is lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    /// Number of the last question, and when it was asked.
    asked: Option<(u64, u64)>,
    /// The last answer, by whom, and when it came.
    told: Option<(Incarnation, Report, u64)>,
}

impl Machine {
    /// Whether this side may make the lost record again, as a takeover.
    pub(super) fn verdict_on_lost_stores(&mut self) -> Verdict {
        let timers = self.config.timers;
        let now_ms = self.now.mono_ms;
        let heard_ms = self.contact.any_holder_heard_ms();
        let silence_ms = timers.lost_after_ms + timers.grace_ms;
        let heard_until_ms = heard_ms.map_or(0, |ms| ms + silence_ms);
        if now_ms < heard_until_ms || self.replica.frozen_facts().is_none() {
            return Verdict::Wait {
                waiting: Waiting::Reports,
                until_ms: (heard_until_ms > now_ms).then_some(heard_until_ms),
            };
        }
        self.ask_report();
        let store = self.replica.store();
        match store.filter(|_| self.wins()) {
            Some(store) => Verdict::Take {
                path: TakerPath::Store(store),
                cause: Cause::RecordLost,
                gap_from_ms: None,
            },
            None => wait(Waiting::Reports),
        }
    }

    fn ask_report(&mut self) {
        let now_ms = self.now.mono_ms;
        let (nonce, asked_ms) = self.reports.asked.unwrap_or((0, 0));
        let due_ms = asked_ms + 2 * self.config.timers.beat_ms;
        if nonce > 0 && due_ms > now_ms {
            return self.wake(Some(due_ms));
        }
        let nonce = nonce + 1;
        self.reports.asked = Some((nonce, now_ms));
        self.say(Body::AskReport { nonce });
        self.wake(Some(now_ms + 2 * self.config.timers.beat_ms));
    }

    /// Answers, if this side finds no record either and follows nobody.
    pub(super) fn answer_report(&mut self, nonce: u64) {
        let is_lost = matches!(self.newest.state, RecordState::Missing { .. });
        let is_free = self.phase == Phase::Standby && self.stop_by_ms.is_none();
        if !is_lost || !is_free || self.replica.has_session() {
            return;
        }
        let Some(facts) = self.replica.frozen_facts() else {
            return;
        };
        let report = Report {
            nonce,
            store: facts.store,
            incomplete: facts.incomplete,
            end: facts.log.end(),
            newest_epoch: self.replica.newest_epoch(),
            record: self.known_record().cloned().map(Box::new),
        };
        self.say(Body::Report(Box::new(report)));
    }

    pub(super) fn learn_report(&mut self, peer: Incarnation, report: Report) {
        let asked = self.reports.asked.map(|(nonce, _)| nonce);
        if asked == Some(report.nonce) {
            self.reports.told = Some((peer, report, self.now.mono_ms));
            self.lane.read_soon(self.now.mono_ms);
        }
    }

    /// The answer of the connected process, while it is fresh.
    fn report(&self) -> Option<&Report> {
        let (peer, report, at_ms) = self.reports.told.as_ref()?;
        let is_fresh = self.now.mono_ms < at_ms + self.config.timers.lost_after_ms;
        (is_fresh && self.contact.peer() == Some(*peer)).then_some(report)
    }

    /// Whether the own log has everything that was acknowledged, and is the one to build on: that of the
    /// stores in sync, and of two of them the newer one.
    fn wins(&self) -> bool {
        let Some(facts) = self.replica.frozen_facts().filter(|it| !it.incomplete) else {
            return false;
        };
        if facts.log.end().is_none() {
            return false;
        }
        if self.breaks(BrokenRule::OneReport) {
            return true;
        }
        let Some(report) = self.report() else {
            return false;
        };
        let side = self.config.side;
        if self.breaks(BrokenRule::ByEpochsSeen) {
            let seen = (self.replica.newest_epoch(), side == Side::Primary);
            return seen > (report.newest_epoch, side != Side::Primary);
        }
        let known = self.newest_known();
        let in_sync = known.map_or(&[][..], |it| &it.in_sync);
        let own = Member::store(side, facts.store);
        let theirs = Member::store(side.other(), report.store);
        let is_in_sync = |member: &Member| in_sync.is_empty() || in_sync.contains(member);
        // A third store that was in sync may have more than both, and its process may live.
        let all_told = in_sync.iter().all(|it| *it == own || *it == theirs);
        if !all_told || !is_in_sync(&own) {
            return false;
        }
        // An entry of a later term than the record's: the record is not the newest there was.
        let last_epoch = report.end.map_or(0, |end| end.term.epoch);
        let last_epoch = last_epoch.max(facts.log.last_epoch());
        let is_outdated = known.is_some_and(|it| it.epoch < last_epoch);
        if !is_outdated && !is_in_sync(&theirs) {
            return true;
        }
        let is_newer = match facts.log.end().cmp(&report.end) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => side == Side::Primary,
            std::cmp::Ordering::Less => false,
        };
        is_newer && !report.incomplete
    }

    /// The newest record that this side knows, or knew.
    fn known_record(&self) -> Option<&Record> {
        let kept = self.replica.facts().and_then(|it| it.record.as_deref());
        let newest = self.newest.record.as_ref().map(|it| &it.record);
        let known = [kept, newest, self.newest.older.as_ref()];
        known
            .into_iter()
            .flatten()
            .max_by_key(|it| (it.epoch, it.serial))
    }

    /// The newest record that either side knows, or knew.
    fn newest_known(&self) -> Option<&Record> {
        let theirs = self.report().and_then(|it| it.record.as_deref());
        let known = [self.known_record(), theirs];
        known
            .into_iter()
            .flatten()
            .max_by_key(|it| (it.epoch, it.serial))
    }

    /// What a takeover of a lost record is based on; version 0 stands for no record at all.
    pub(super) fn base_on_reports(&self, older: Option<u64>) -> Option<Versioned> {
        let theirs = self.report().map_or(0, |it| it.newest_epoch);
        let newest_epoch = self.replica.newest_epoch().max(theirs);
        let known = match self.newest_known() {
            Some(known) => known.clone(),
            None => Record::first(self.config.pair.as_deref()?, self.config.mode),
        };
        Some(Versioned {
            version: older.unwrap_or(0),
            record: known.rebuilt(newest_epoch, &[]),
        })
    }

    /// Whether this member is the own process or store.
    pub(super) fn is_own(&self, member: &Member) -> bool {
        if self.replicates() {
            return self.own_store_member().as_ref() == Some(member);
        }
        member.id == self.config.inc.to_string()
    }
}
