//! Whether a standby with a store of its own may take over (rule 2): by the record alone, and by what is on
//! its disk.

use super::broken::BrokenRule;
use super::verdict::{Verdict, wait};
use super::{Machine, RecordState, Waiting};
use crate::{Cause, Holder, LogFacts, Record, Side, TakerPath};

impl Machine {
    /// Rule 2, on a record that names a holder.
    pub(super) fn verdict_on_stores(&mut self, record: &Record, holder: &Holder) -> Verdict {
        let Some(facts) = self.replica.facts().cloned() else {
            return wait(Waiting::FirstLook);
        };
        if holder.inc != self.config.inc
            && let Some(waiting) = self.lacks(record, holder, &facts)
        {
            return wait(waiting);
        }
        if holder.inc == self.config.inc {
            return self.verdict_on_own_term(holder, TakerPath::Member);
        }
        let take = |cause, gap_from_ms| Verdict::Take {
            path: TakerPath::Member,
            cause,
            gap_from_ms,
        };
        let resigned_ms = record.term().and_then(|it| self.contact.resigned_ms(it));
        if let Some(since_ms) = resigned_ms {
            let cause = self.cause(record, holder, Cause::ProcessEnded);
            return take(cause, Some(since_ms));
        }
        let gap_from_ms = self.gap_from_ms(record, holder);
        if holder.side == self.config.side {
            // Its disk has one process, this one: the former holder has ended.
            let cause = self.cause(record, holder, Cause::ProcessEnded);
            return take(cause, gap_from_ms);
        }
        if self.replica.refused == Some(holder.inc) {
            let cause = self.cause(record, holder, Cause::ProcessEnded);
            return take(cause, gap_from_ms);
        }
        let timers = self.config.timers;
        let silence_ms = timers.lost_after_ms + timers.grace_ms;
        let heard_ms = record
            .term()
            .and_then(|term| self.contact.holder_heard_ms(term));
        let last_ms = heard_ms.unwrap_or(0).max(self.newest.seen_ms);
        let until_ms = last_ms + silence_ms;
        if !self.evidence.met_active && self.now.mono_ms < self.cold_start_ms() {
            return self.no_sooner(
                self.cold_start_ms(),
                holder.side,
                take(Cause::ColdStart, None),
            );
        }
        if self.now.mono_ms >= until_ms {
            let cause = self.cause(record, holder, Cause::ActiveSilent);
            return take(cause, gap_from_ms);
        }
        Verdict::Wait {
            waiting: Waiting::ActiveLost {
                holder: holder.side,
                silence_ms,
            },
            until_ms: Some(until_ms),
        }
    }

    /// What this side's store lacks for a takeover.
    fn lacks(&self, record: &Record, holder: &Holder, facts: &LogFacts) -> Option<Waiting> {
        let follows = self.replica.has_session() || holder.side != self.config.side;
        if !self.is_member(record) && !self.breaks(BrokenRule::TakesNotInSync) {
            let newest = record.in_sync.first().map_or(holder.side, |it| it.side);
            return Some(if follows && self.replica.follows() {
                Waiting::CatchingUp {
                    holder: holder.side,
                }
            } else {
                Waiting::NewestData {
                    side: newest,
                    own: newest == self.config.side,
                }
            });
        }
        if facts.incomplete {
            return Some(Waiting::CatchingUp {
                holder: holder.side,
            });
        }
        // Its last entry is of a term that this record does not know: the record is an old one.
        (facts.log.last_epoch() > record.epoch).then_some(Waiting::Record)
    }

    /// An empty side takes the pair's first term.
    pub(super) fn path_of_first_start(&self) -> Option<TakerPath> {
        if !self.replicates() {
            return Some(TakerPath::Proof);
        }
        let facts = self.replica.facts()?;
        let is_empty = facts.log.end().is_none() && !facts.incomplete;
        is_empty.then_some(TakerPath::Store(facts.store))
    }

    /// A person's word names one side's data: only that side may build on it, with all of it there.
    pub(super) fn verdict_on_forced_store(&self, side: Side) -> Verdict {
        let facts = self.replica.facts();
        match facts.filter(|it| side == self.config.side && !it.incomplete) {
            Some(facts) => Verdict::Take {
                path: TakerPath::Store(facts.store),
                cause: Cause::Forced,
                gap_from_ms: None,
            },
            None => wait(Waiting::Forced { side }),
        }
    }

    /// Whether this side would take over when the active ends: its store is in sync and follows.
    pub(super) fn is_settled_follower(&self) -> bool {
        let Some(newest) = self.good_record() else {
            return false;
        };
        let other = newest.record.holder.as_ref();
        let other = other.is_some_and(|holder| holder.inc != self.config.inc);
        other
            && self.is_member(&newest.record)
            && self.replica.follows()
            && self.newest.state == RecordState::Good
            && self.known_until(self.lane.answered_ms()).is_some()
            && self.is_active_heard()
    }
}
