//! A returned primary's request for a failback, with `failback=broker` (rule 6).

use super::lane::Purpose;
use super::{Failback, Machine, Notice};
use crate::{Record, Side, Wanted};

impl Machine {
    /// Asks for the term as a returned primary (rule 6): once per epoch, once in sync.
    pub(super) fn ask_for_failback(&mut self) {
        if self.config.failback != Failback::Broker || self.config.side != Side::Primary {
            return;
        }
        let Some(newest) = self.good_record() else {
            return;
        };
        let (version, record) = (newest.version, newest.record.clone());
        self.learn_fate_of_request(&record);
        let held_by_backup = record
            .holder
            .as_ref()
            .is_some_and(|holder| holder.side == Side::Backup);
        let asked = self
            .asking
            .asked
            .as_ref()
            .is_some_and(|(epoch, _)| *epoch == record.epoch);
        let open = record.wanted_now().is_none() && record.stopped.is_none();
        let ready = self.is_settled_standby() && self.is_member(&record);
        if !held_by_backup || asked || !open || !ready {
            return;
        }
        if self.asking.not_before_ms > self.now.mono_ms {
            let due_ms = self.asking.not_before_ms;
            return self.wake(Some(due_ms));
        }
        if self.lane.is_idle() {
            let wanted = Wanted::failback(self.config.inc, record.epoch);
            self.cas(Purpose::Ask, version, record.with_wanted(wanted));
        }
    }

    /// The own request is in the record.
    pub(super) fn ask_won(&mut self) {
        let Some(wanted) = self.record().and_then(|record| record.wanted.clone()) else {
            return;
        };
        self.asking.asked = Some((wanted.epoch, wanted.id.clone()));
        self.asking.refusal_noticed = false;
        self.notice(Notice::AskedForFailback { id: wanted.id });
    }

    /// A request can be refused, or granted and then not used by this side; in the second case the
    /// active interrupted its service for nothing, so the next request waits, and longer each time.
    fn learn_fate_of_request(&mut self, record: &Record) {
        let Some((epoch, id)) = &self.asking.asked else {
            return;
        };
        let refusal = record.refused.as_ref().filter(|refused| refused.id == *id);
        if let Some(refused) = refusal
            && !self.asking.refusal_noticed
        {
            let reason = refused.reason.clone();
            self.asking.refusal_noticed = true;
            return self.notice(Notice::FailbackRefused { reason });
        }
        if record.epoch > *epoch {
            let timers = self.config.timers;
            let granted = !self.asking.refusal_noticed;
            self.asking.asked = None;
            if granted {
                self.asking.backoff_ms = (self.asking.backoff_ms * 2)
                    .clamp(timers.ask_again_ms, timers.ask_again_max_ms);
                self.asking.not_before_ms = self.now.mono_ms + self.asking.backoff_ms;
            }
        }
    }
}
