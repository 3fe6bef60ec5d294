//! A lost record in a shared store, with no living holder (rule 7): the store itself says which terms
//! there were, and their locks say whether anybody still holds one.
//!
//! It must never make a record beside a living holder, whose right it is to write it again, nor one of
//! an epoch that any term in the store has or had.

use super::verdict::{Verdict, wait};
use super::{Machine, RecordState, Survey, Versioned, Waiting};
use crate::{Cause, Record, TakerPath, Timers};

/// What is known of a store whose record is lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Lost {
    asked: bool,
    next_ms: u64,
    /// The last look, and when it was answered.
    survey: Option<(Survey, u64)>,
    /// Since when no look has found a living term.
    free_since_ms: Option<u64>,
}

impl Lost {
    /// Whether a look is due, or else when.
    pub(super) fn poll(&mut self, now_ms: u64) -> Result<(), Option<u64>> {
        if self.asked {
            return Err(None);
        }
        if self.next_ms > now_ms {
            return Err(Some(self.next_ms));
        }
        self.asked = true;
        Ok(())
    }

    /// Whether a look is under way.
    pub(super) fn is_asking(&self) -> bool {
        self.asked
    }

    /// Takes what a look found.
    pub(super) fn surveyed(&mut self, now_ms: u64, timers: &Timers, found: Result<Survey, String>) {
        self.asked = false;
        self.next_ms = now_ms + timers.beat_ms;
        match found {
            Ok(survey) if survey.living.is_none() => {
                self.free_since_ms.get_or_insert(now_ms);
                self.survey = Some((survey, now_ms));
            }
            // A living term, or one of which nothing could be seen.
            Ok(_) | Err(_) => {
                self.free_since_ms = None;
                self.survey = None;
            }
        }
    }

    /// The record is there again.
    pub(super) fn over(&mut self) {
        let asked = self.asked;
        *self = Self {
            asked,
            ..Self::default()
        };
    }
}

impl Machine {
    /// Whether this side may make the lost record again, as a takeover.
    pub(super) fn verdict_on_lost_record(&mut self) -> Verdict {
        let now_ms = self.now.mono_ms;
        let timers = self.config.timers;
        let Some(last) = self.last_known() else {
            return wait(Waiting::Record);
        };
        let Some((survey, at_ms)) = &self.lost.survey else {
            return wait(Waiting::Record);
        };
        let fresh = now_ms < at_ms + timers.lost_after_ms;
        let heard_ms = self.contact.any_holder_heard_ms();
        let heard = heard_ms.is_some_and(|ms| now_ms < ms + timers.lost_after_ms + timers.grace_ms);
        if !fresh || heard || survey.living.is_some() || last.locks == Some(crate::Locks::Broken) {
            return wait(Waiting::Record);
        }
        let proven = last.holder.as_ref().is_some_and(|holder| {
            self.evidence
                .locks_work(last, holder, self.config.boot_id.as_deref())
        });
        let since_ms = self.lost.free_since_ms.unwrap_or(now_ms);
        let until_ms = since_ms + timers.lost_after_ms + timers.promise_ms.max(last.promise_ms);
        if !proven && now_ms < until_ms {
            return Verdict::Wait {
                waiting: Waiting::Record,
                until_ms: Some(until_ms),
            };
        }
        Verdict::Take {
            path: TakerPath::Proof,
            cause: Cause::RecordLost,
            gap_from_ms: None,
        }
    }

    /// The newest record this process knows of, or else the old copy it found.
    fn last_known(&self) -> Option<&Record> {
        let newest = self.newest.record.as_ref().map(|newest| &newest.record);
        newest.or(self.newest.older.as_ref())
    }

    /// What a takeover is based on: the record, or, if it is lost, one made from what is known, above
    /// every epoch that the store has seen. Version 0 stands for no record at all.
    pub(super) fn base_of_takeover(&self) -> Option<Versioned> {
        match self.newest.state {
            RecordState::Good => self.good_record().cloned(),
            RecordState::Missing { older } if self.replicates() => self.base_on_reports(older),
            RecordState::Missing { older } => {
                let (survey, _) = self.lost.survey.as_ref()?;
                let last = self.last_known()?;
                Some(Versioned {
                    version: older.unwrap_or(0),
                    record: last.rebuilt(survey.newest_epoch, &survey.terms),
                })
            }
            RecordState::Unread | RecordState::NewerFormat(_) => None,
        }
    }
}
