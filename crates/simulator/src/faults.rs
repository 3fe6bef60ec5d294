//! What goes wrong in the world: processes that end, hang or lose their locks, records that vanish,
//! and people who write one.

use crate::world::World;
use pair::{Incarnation, Input, Record, Side, Term, Versioned};

impl World {
    /// A foreign write of the record: by a decider, or by a person's mistake.
    pub(crate) fn write_record(&mut self, record: Record) {
        let version = self.record.as_ref().map_or(1, |newest| newest.version + 1);
        self.place(Versioned { version, record });
    }

    /// Puts a record in its place.
    pub(crate) fn place(&mut self, record: Versioned) {
        self.records.push(record.clone());
        self.record = Some(record);
    }

    /// The newest records vanish, so many of them.
    pub(crate) fn roll_back(&mut self, lost: usize) {
        let left = self.records.len().saturating_sub(lost).max(1);
        self.record = self.records.get(left - 1).cloned();
        if let Some(back) = self.record.clone() {
            self.log(|| {
                format!(
                    "the record goes back to {}",
                    crate::show::summary(&back.record)
                )
            });
        }
    }

    /// A person ends the waiting after records were lost: above every epoch there ever was, nobody
    /// holds.
    pub(crate) fn free_the_record(&mut self) {
        let newest = self.records.iter().map(|it| &it.record);
        let newest = newest.max_by_key(|record| (record.epoch, record.serial));
        let Some(newest) = newest.cloned() else {
            return;
        };
        let record = Record {
            epoch: newest.epoch + 1,
            serial: newest.serial + 1,
            holder: None,
            ..newest
        };
        self.log(|| format!("somebody writes {}", crate::show::summary(&record)));
        self.write_record(record);
    }

    /// Ends a side's process at once.
    pub(crate) fn kill(&mut self, side: Side) {
        if let Some(process) = self.processes.remove(&side) {
            self.log(|| format!("{side:<7} is killed"));
            self.store.unlock_all(process.id);
        }
    }

    /// Stops a side's process from doing anything for a while.
    pub(crate) fn freeze(&mut self, side: Side, for_ms: u64) {
        let until_ms = self.now_ms + for_ms;
        if let Some(process) = self.processes.get_mut(&side) {
            process.frozen_until_ms = until_ms;
            self.log(|| format!("{side:<7} is frozen for {for_ms} ms"));
        }
    }

    /// The kernel or the server forgets a side's locks.
    pub(crate) fn lose_locks(&mut self, side: Side) {
        if let Some(id) = self.processes.get(&side).map(|process| process.id) {
            self.log(|| format!("{side:<7} loses its locks"));
            self.store.unlock_all(id);
        }
    }

    pub(crate) fn stop(&mut self, side: Side) {
        self.log(|| format!("{side:<7} is asked to stop"));
        if let Some(id) = self.processes.get(&side).map(|process| process.id) {
            self.learn(side, id, Input::StopRequested);
        }
    }

    /// A process is told late that the journal of a term of its own has failed.
    pub(crate) fn fail_journal(&mut self, side: Side, epoch: u64) {
        if let Some(id) = self.processes.get(&side).map(|process| process.id) {
            let inc = Incarnation([id; 16]);
            let term = Term { epoch, inc };
            let error = "no space left".to_owned();
            self.learn(side, id, Input::JournalFailed { term, error });
        }
    }
}
